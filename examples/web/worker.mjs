// Everything that takes time, off the page's own thread.
import { bicubic } from "./bicubic.mjs";
import { checkGolden, enlarge, openModel, readCard } from "./edgesr.mjs";
import { openRuntime, openWasm } from "./runtime.mjs";

const TILE = 128; // pixels of the small picture: small enough to see it move

let folder = "model"; // of the bundle, beside the page
let runtime;
let model;
let job = 0; // the enlargement that is wanted; 0 for none
let queue = Promise.resolve(); // a session runs one thing at a time

onmessage = ({ data: { task, ...request } }) => {
  job = request.job ?? 0;
  if (task === "cancel") return;
  queue = queue.then(() => tasks[task](request)).catch(({ message }) => {
    postMessage({ event: "failed", message });
  });
};

async function read(name) {
  const response = await fetch(new URL(`./${folder}/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${folder}/${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Open a variant and let it prove itself; a GPU that does not is not used, which is said. */
async function open({ folder: which, variant, asked }) {
  folder = which;
  const card = await readCard(read);
  runtime = await openRuntime(asked);
  let rows = await prove(variant);
  const fault = rows.find((row) => !row.passed);
  if (fault && runtime.provider === "webgpu" && !asked) {
    runtime = await openWasm(`WebGPU failed with it: ${fault.reason ?? fault.difference}`);
    rows = await prove(variant);
  }
  if (!model) throw new Error(rows[0].reason);
  postMessage({ event: "opened", folder, card, variant, rows, where: runtime.where });
}

/** The golden vectors' rows; one that says why where the variant does not even run. */
async function prove(variant) {
  await model?.release();
  model = undefined;
  try {
    model = await openModel(runtime.ort, read, variant, runtime.options);
    return await checkGolden(model, read);
  } catch ({ message }) {
    return [{ variant, name: "open", difference: NaN, limit: 0, passed: false, reason: message }];
  }
}

async function golden({ asked }) {
  const card = await readCard(read);
  runtime = await openRuntime(asked);
  const rows = [];
  for (const variant of Object.keys(card.variants)) rows.push(...(await prove(variant)));
  postMessage({ event: "golden", card, rows, where: runtime.where });
}

async function upscale({ job: mine, picture }) {
  for (let top = 0; top < picture.height; top += TILE) {
    const bottom = Math.min(top + TILE, picture.height);
    const band = bicubic(picture, model.scale, top, bottom);
    const y = model.scale * top;
    postMessage({ event: "bicubic", job: mine, ...band, y }, [band.data.buffer]);
    await letCancel();
    if (job !== mine) return;
  }
  const start = performance.now();
  for await (const tile of enlarge(model, picture, TILE)) {
    const data = opaque(tile.data);
    const ms = performance.now() - start;
    postMessage({ event: "tile", job: mine, ...tile, data, ms }, [data.buffer]);
    await letCancel();
    if (job !== mine) return;
  }
}

/** A message that has come in meanwhile is heard. */
function letCancel() {
  return new Promise((resume) => setTimeout(resume));
}

/** RGB -> the RGBA that a canvas takes. */
function opaque(rgb) {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from];
    rgba[to + 1] = rgb[from + 1];
    rgba[to + 2] = rgb[from + 2];
    rgba[to + 3] = 255;
  }
  return rgba;
}

const tasks = { open, golden, upscale };

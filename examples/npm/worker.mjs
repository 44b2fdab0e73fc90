// Everything that takes time, off the page's own thread; `Upscaler` is its other end. Apache-2.0.
import { bicubic } from "./bicubic.mjs";
import { enlarge, openModel, readCard } from "./edgesr.mjs";
import { checkGolden, deviceJson, measure, unopened } from "./golden.mjs";
import { openRuntime, openWasm } from "./runtime.mjs";

/**
 * Answer an `Upscaler` from inside a worker.
 *
 * @param load - "webgpu" or "wasm" -> a promise of ONNX Runtime Web's module for it.
 */
export function serve(load) {
  const tasks = tasksOf(load);
  const wanted = new Set(); // what was asked for, and neither cancelled nor answered
  let queue = Promise.resolve(); // a session runs one thing at a time

  onmessage = ({ data: { id, task, ...request } }) => {
    if (task === "cancel") return wanted.delete(id);
    wanted.add(id);
    queue = queue.then(() => answer(id, tasks[task](request)));
  };

  async function answer(id, values) {
    try {
      while (wanted.has(id)) {
        const { value, done } = await values.next();
        if (done) break;
        postMessage({ id, value }, value.data ? [value.data.buffer] : []);
        await letCancel();
      }
      postMessage({ id, done: true });
    } catch ({ message }) {
      postMessage({ id, error: message });
    }
    wanted.delete(id);
  }
}

/** A message that has come in meanwhile is heard. */
function letCancel() {
  return new Promise((resume) => setTimeout(resume));
}

/** Each task is a generator of what it answers. */
function tasksOf(load) {
  let runtime;
  let model;

  /** The golden vectors' rows; where the variant does not even open, they say why. */
  async function prove(variant, read) {
    await model?.release();
    model = undefined;
    try {
      model = await openModel(runtime.ort, read, variant, runtime.options);
      return await checkGolden(model, read);
    } catch ({ message }) {
      return unopened(variant, read, message);
    }
  }

  return {
    /** Open a variant and let it prove itself; a GPU that does not is not used, which is said. */
    async *open({ folder, variant, provider }) {
      const read = reader(folder);
      const card = await readCard(read);
      runtime = await openRuntime(load, provider);
      let rows = await prove(variant, read);
      const fault = rows.find((row) => !row.passed);
      if (fault && runtime.provider === "webgpu" && !provider) {
        const reason = `WebGPU failed with it: ${fault.reason ?? fault.difference}`;
        runtime = await openWasm(load, reason);
        rows = await prove(variant, read);
      }
      if (!model) throw new Error(rows[0].reason);
      yield { card, variant, rows, provider: runtime.provider, where: runtime.where };
    },

    async *golden({ folder, device, provider }) {
      const read = reader(folder);
      const card = await readCard(read);
      runtime = await openRuntime(load, provider);
      const rows = [];
      const files = [];
      for (const variant of Object.keys(card.variants)) {
        const found = await prove(variant, read);
        rows.push(...found);
        if (device) files.push(await measure(card, variant, read, found, model));
      }
      const name = `ONNX Runtime Web ${runtime.ort.env.versions.web}, ${runtime.what}`;
      const json = device ? deviceJson(card, device, name, files) : undefined;
      yield { card, rows, where: runtime.where, json };
    },

    async *enlarge({ picture, tile: side }) {
      for await (const tile of enlarge(model, picture, side)) {
        yield { ...tile, data: opaque(tile.data) };
      }
    },

    async *bicubic({ picture, rows }) {
      for (let top = 0; top < picture.height; top += rows) {
        const bottom = Math.min(top + rows, picture.height);
        yield { ...bicubic(picture, model.scale, top, bottom), x: 0, y: model.scale * top };
      }
    },
  };
}

/** The name of a file in the bundle at the address `folder` -> its bytes. */
function reader(folder) {
  return async (name) => {
    const response = await fetch(`${folder}/${name}`);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new Error(`${folder}/${name}: ${response.status} ${response.statusText}`);
  };
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

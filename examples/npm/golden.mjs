// A bundle's golden vectors, and the figures that `edgesr verify --merge` takes. Apache-2.0.
import { pieces, readJson, toBytes } from "./edgesr.mjs";

const SIDE = 128; // pixels of the picture that is timed
const RUNS = 10;

/** Run the golden vectors: does this runtime, on this device, do what was verified? */
export async function checkGolden(model, read) {
  const { cases, tolerance } = await readJson(read, "golden/golden.json");
  const { max_abs, max_levels } = tolerance[model.variant];
  const limit = model.bytes ? max_levels : max_abs;
  const rows = [];
  for (const { name, width, height, input, output } of cases) {
    const picture = { data: await read(`golden/${input}`), width, height };
    // A fresh copy: a view of floats must start at a multiple of four bytes.
    const planes = new Float32Array(Uint8Array.from(await read(`golden/${output[model.variant]}`)).buffer);
    const difference = await largestDifference(model, picture, planes);
    rows.push({ variant: model.variant, name, difference, limit, passed: difference <= limit });
  }
  return rows;
}

/** Of what the model makes of a picture to the planes that are expected. */
async function largestDifference(model, picture, planes) {
  const [across, size] = [model.scale * picture.width, planes.length / 3];
  const expected = model.bytes ? toBytes(planes) : planes;
  let largest = 0;
  for await (const { data, width, x, y } of pieces(model, picture, Infinity)) {
    for (let i = 0; i < data.length; i++) {
      const [pixel, channel] = [Math.floor(i / 3), i % 3];
      const at = across * (y + Math.floor(pixel / width)) + x + (pixel % width);
      largest = Math.max(largest, Math.abs(data[i] - expected[size * channel + at]));
    }
  }
  return largest; // NaN where there is one, or nothing to compare with, which passes no limit
}

/**
 * What device.json says of one variant.
 *
 * `rows` are checkGolden's; without a model, of one that did not even open, nothing is timed.
 */
export async function measure(card, variant, read, rows, model) {
  const side = (card.multiple ?? 1) * Math.ceil(SIDE / (card.multiple ?? 1));
  const { width, height } = model?.window ?? { width: side, height: side };
  return {
    variant,
    sha256: await sha256(await read(card.variants[variant].file)),
    golden: Object.fromEntries(rows.map(({ name, difference }) => [name, orNull(difference)])),
    size: `${width}x${height}`,
    runs: RUNS,
    p50_ms: model ? await latency(model, width, height) : null,
  };
}

/** device.json; `files` are measure's. */
export function deviceJson(card, device, runtime, files) {
  return { format: 1, bundle: card.name, device, runtime, files };
}

/** The rows of a variant that did not open: each golden vector fails. */
export async function unopened(variant, read, reason) {
  const { cases, tolerance } = await readJson(read, "golden/golden.json");
  const { max_abs, max_levels } = tolerance[variant] ?? {};
  return cases.map(({ name }) => {
    return { variant, name, difference: NaN, limit: max_abs ?? max_levels, passed: false, reason };
  });
}

/** The median of `RUNS` runs in ms, after one that plans memory. */
async function latency(model, width, height) {
  const rgb = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7919) % 251);
  const taken = [];
  for (let run = 0; run <= RUNS; run++) {
    const start = performance.now();
    await model.infer(rgb, width, height);
    if (run) taken.push(performance.now() - start);
  }
  return taken.sort((a, b) => a - b)[RUNS / 2];
}

/** In hexadecimal; browsers have it on HTTPS and on localhost alone. */
async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const orNull = (number) => (Number.isFinite(number) ? number : null);

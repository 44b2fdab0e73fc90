// ONNX Runtime Web in Node, at the other end of a pipe from web.py:
//
//   node web.mjs PACKAGE MODEL THREADS
//
// It says {"version"}, then answers each line on its input with a line. The first one, empty, opens
// the model: {"seconds"}. The others hold {"dims", "type"}, with the values as bytes behind them:
// {"dims", "type", "seconds"}, with the values behind it. A fault is {"error"}.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

// Of float16 the bits: not every Node has an array for it, and ONNX Runtime takes these.
const ARRAYS = { float32: Float32Array, float16: Uint16Array, uint8: Uint8Array };
const [folder, file, threads] = process.argv.slice(2);

const input = process.stdin[Symbol.asyncIterator]();
let held = Buffer.alloc(0);

async function take(length) {
  for (let count = length(); ; count = length()) {
    if (count > 0 && held.length >= count) {
      const bytes = held.subarray(0, count);
      held = held.subarray(count);
      return bytes;
    }
    const { value, done } = await input.next();
    if (done) process.exit(0);
    held = Buffer.concat([held, value]);
  }
}

const read = (count) => take(() => count);
const readLine = async () => JSON.parse(await take(() => held.indexOf("\n") + 1));

function write(bytes) {
  return new Promise((done) => process.stdout.write(bytes, done));
}

async function say(answer, values) {
  await write(JSON.stringify(answer) + "\n");
  if (values) await write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

const reason = (error) => String(error.message ?? error).split("\n")[0];

async function timed(action) {
  const start = performance.now();
  const result = await action();
  return [result, (performance.now() - start) / 1e3];
}

const entry = path.join(folder, "dist", "ort.node.min.mjs");
const ort = await import(pathToFileURL(entry).href);
ort.env.wasm.numThreads = Number(threads);
ort.env.logLevel = "fatal";
await say({ version: ort.env.versions.web });

await readLine();
const model = fs.readFileSync(file);
let session;
try {
  let seconds;
  [session, seconds] = await timed(() =>
    ort.InferenceSession.create(model, { executionProviders: ["wasm"] }),
  );
  await say({ seconds });
} catch (error) {
  await say({ error: reason(error) });
}

for (;;) {
  const { dims, type } = await readLine();
  const bytes = await read(dims.reduce((a, b) => a * b, ARRAYS[type].BYTES_PER_ELEMENT));
  const values = new ARRAYS[type](new Uint8Array(bytes).buffer); // a copy: aligned
  try {
    const [{ sr }, seconds] = await timed(() =>
      session.run({ lr: new ort.Tensor(type, values, dims) }),
    );
    await say({ dims: sr.dims, type: sr.type, seconds }, sr.data);
  } catch (error) {
    await say({ error: reason(error) });
  }
}

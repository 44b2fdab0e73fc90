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

const ARRAYS = { float32: Float32Array, uint8: Uint8Array };
const [folder, file, threads] = process.argv.slice(2);

function read(count) {
  const bytes = Buffer.alloc(count);
  for (let done = 0; done < count; ) {
    const got = fs.readSync(0, bytes, done, count - done, null);
    if (got === 0) process.exit(0);
    done += got;
  }
  return bytes;
}

function readLine() {
  let line = "";
  for (let letter = ""; letter !== "\n"; line += letter) letter = read(1).toString("latin1");
  return JSON.parse(line);
}

function write(bytes) {
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(1, bytes, done);
}

function say(answer, values) {
  write(Buffer.from(JSON.stringify(answer) + "\n"));
  if (values) write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

async function timed(action) {
  const start = performance.now();
  const result = await action();
  return [result, (performance.now() - start) / 1e3];
}

const entry = path.join(folder, "dist", "ort.node.min.mjs");
const ort = await import(pathToFileURL(entry).href);
ort.env.wasm.numThreads = Number(threads);
ort.env.logLevel = "fatal";
say({ version: ort.env.versions.web });

readLine();
const model = fs.readFileSync(file);
let session;
try {
  let seconds;
  [session, seconds] = await timed(() =>
    ort.InferenceSession.create(model, { executionProviders: ["wasm"] }),
  );
  say({ seconds });
} catch (error) {
  say({ error: String(error.message ?? error).split("\n")[0] });
}

for (;;) {
  const { dims, type } = readLine();
  const bytes = read(dims.reduce((a, b) => a * b, ARRAYS[type].BYTES_PER_ELEMENT));
  const values = new ARRAYS[type](bytes.buffer, bytes.byteOffset, bytes.byteLength / ARRAYS[type].BYTES_PER_ELEMENT);
  try {
    const [{ sr }, seconds] = await timed(() =>
      session.run({ lr: new ort.Tensor(type, values, dims) }),
    );
    say({ dims: sr.dims, type: sr.type, seconds }, sr.data);
  } catch (error) {
    say({ error: String(error.message ?? error).split("\n")[0] });
  }
}

// Run a bundle's golden vectors: does ONNX Runtime for Node do what was verified?
//
//     node golden.mjs ../../exports/n4
//
// Exits with 1 where a variant differs by more than golden.json tolerates.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { checkGolden, openModel, readCard } from "../web/edgesr.mjs";

async function check(bundle) {
  const read = (name) => readFile(join(bundle, name));
  const rows = [];
  for (const variant of Object.keys((await readCard(read)).variants)) {
    const model = await openModel(ort, read, variant);
    rows.push(...(await checkGolden(model, read)));
    await model.release();
  }
  return rows;
}

const [bundle] = process.argv.slice(2);
if (!bundle) {
  console.error("usage: node golden.mjs BUNDLE");
  process.exit(2);
}
try {
  const rows = await check(bundle);
  for (const { variant, name, difference, limit, passed } of rows) {
    const verdict = passed ? "passes" : "FAILS";
    console.log(`${variant} ${name}: ${difference.toPrecision(2)} of ${limit} allowed, ${verdict}`);
  }
  process.exitCode = rows.every((row) => row.passed) ? 0 : 1;
} catch ({ message }) {
  console.error(`error: ${message}`);
  process.exitCode = 1;
}

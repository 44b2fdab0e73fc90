// Run a bundle's golden vectors: does ONNX Runtime for Node do what was verified?
//
//     node golden.mjs ../../exports/edge-s
//
// Exits with 1 where a variant differs by more than golden.json tolerates. Apache-2.0.
import * as ort from "onnxruntime-node";
import { checkGolden, openModel, readCard } from "../web/edgesr.mjs";
import { given, reader, run } from "./command.mjs";

async function check(bundle) {
  const read = reader(bundle);
  const rows = [];
  for (const variant of Object.keys((await readCard(read)).variants)) {
    const model = await openModel(ort, read, variant);
    rows.push(...(await checkGolden(model, read)));
    await model.release();
  }
  return rows;
}

const [bundle] = given("golden.mjs BUNDLE", 1);
await run(async () => {
  const rows = await check(bundle);
  const short = (value) => Number(value.toPrecision(2));
  for (const { variant, name, difference, limit, passed } of rows) {
    const verdict = passed ? "passes" : "FAILS";
    console.log(`${variant} ${name}: ${short(difference)} of ${short(limit)} allowed, ${verdict}`);
  }
  process.exitCode = rows.every((row) => row.passed) ? 0 : 1;
});

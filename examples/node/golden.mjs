// Run a bundle's golden vectors: does ONNX Runtime for Node do what was verified?
//
//     node golden.mjs ../../exports/edge-s
//     node golden.mjs ../../exports/edge-s --json "Raspberry Pi 5" > device.json
//
// Exits with 1 where a variant differs by more than golden.json tolerates. --json prints the
// figures, with latencies, for `edgesr verify --merge`. Apache-2.0.
import * as ort from "onnxruntime-node";
import { openModel, readCard } from "edgesr";
import { checkGolden, deviceJson, measure } from "edgesr/golden";
import { given, reader, run } from "./command.mjs";

async function check(read, card, device) {
  const rows = [];
  const files = [];
  for (const variant of Object.keys(card.variants)) {
    const model = await openModel(ort, read, variant);
    const found = await checkGolden(model, read);
    if (device) files.push(await measure(card, variant, read, found, model));
    rows.push(...found);
    await model.release();
  }
  return { rows, files };
}

function printLine({ variant, name, difference, limit, passed }) {
  const short = (value) => Number(value.toPrecision(2));
  const verdict = passed ? "passes" : "FAILS";
  console.log(`${variant} ${name}: ${short(difference)} of ${short(limit)} allowed, ${verdict}`);
}

const [bundle, device] = given("golden.mjs BUNDLE [--json DEVICE]", 1, "json");
await run(async () => {
  const read = reader(bundle);
  const card = await readCard(read);
  const { rows, files } = await check(read, card, device);
  const runtime = `ONNX Runtime for Node ${ort.env.versions.node}`;
  if (device) console.log(JSON.stringify(deviceJson(card, device, runtime, files), null, 2));
  else rows.forEach(printLine);
  process.exitCode = rows.every((row) => row.passed) ? 0 : 1;
});

// Enlarge a picture with a bundle that edgesr exported.
//
//     node upscale.mjs ../../exports/n4 photo.jpg big.png [fp32|fp16|int8|uint8-io]
//
// Apache-2.0, to copy into an app together with ../web/edgesr.mjs.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import sharp from "sharp";
import { enlarge, openModel } from "../web/edgesr.mjs";

const TILE = 256; // pixels of the small picture; bounds the memory and does not change the result

async function upscale(bundle, source, target, variant) {
  const model = await openModel(ort, (name) => readFile(join(bundle, name)), variant);
  const small = await readPicture(source);
  const [width, height] = [model.scale * small.width, model.scale * small.height];
  const large = { data: new Uint8Array(3 * width * height), width, height };
  for await (const tile of enlarge(model, small, TILE)) paste(tile, large);
  await writePicture(large, target);
}

/** 8-bit sRGB, upright as its EXIF says, without alpha. */
async function readPicture(path) {
  const image = sharp(path).autoOrient().removeAlpha().toColourspace("srgb").raw();
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

function paste(tile, large) {
  for (let y = 0; y < tile.height; y++) {
    const row = tile.data.subarray(3 * tile.width * y, 3 * tile.width * (y + 1));
    large.data.set(row, 3 * (large.width * (tile.y + y) + tile.x));
  }
}

/** The suffix of `path` names the format. */
async function writePicture({ data, width, height }, path) {
  const lossy = { quality: 95, force: false };
  await sharp(data, { raw: { width, height, channels: 3 } }).jpeg(lossy).webp(lossy).toFile(path);
}

const [bundle, source, target, variant] = process.argv.slice(2);
if (!target) {
  console.error("usage: node upscale.mjs BUNDLE PICTURE RESULT [VARIANT]");
  process.exit(2);
}
await upscale(bundle, source, target, variant);

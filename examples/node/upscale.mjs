// Enlarge a picture with a bundle that edgesr exported.
//
//     node upscale.mjs ../../exports/edge-s photo.jpg big.png [--variant NAME]
//
// Apache-2.0, to copy into an app.
import * as ort from "onnxruntime-node";
import sharp from "sharp";
import { bicubic } from "edgesr/bicubic";
import { enlarge, goOnBelow, openModel } from "edgesr";
import { given, reader, run } from "./command.mjs";

const TILE = 256; // pixels of the small picture; bounds the memory and does not change the result

async function upscale(bundle, source, target, variant) {
  const model = await openModel(ort, reader(bundle), variant);
  const small = await readPicture(source);
  const [width, height] = [model.scale * small.width, model.scale * small.height];
  const large = { data: new Uint8Array(3 * width * height), width, height };
  for await (const tile of enlarge(model, goOnBelow(small), TILE)) paste(tile, large);
  await writePicture(large, enlargeAlpha(small, model.scale), target);
}

/** RGBA, 8-bit sRGB, upright as its EXIF says. */
async function readPicture(path) {
  const image = sharp(path).autoOrient().toColourspace("srgb").ensureAlpha().raw();
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Alpha by bicubic; undefined where all is opaque. sharp's own would move it half a pixel. */
function enlargeAlpha({ data, width, height }, scale) {
  if (data.every((level, i) => i % 4 < 3 || level === 255)) return undefined;
  const grey = data.map((_, i) => data[i | 3]);
  return bicubic({ data: grey, width, height }, scale).data.filter((_, i) => i % 4 === 0);
}

function paste(tile, large) {
  for (let y = 0; y < tile.height; y++) {
    const row = tile.data.subarray(3 * tile.width * y, 3 * tile.width * (y + 1));
    large.data.set(row, 3 * (large.width * (tile.y + y) + tile.x));
  }
}

/** The suffix of `path` names the format. JPEG has no alpha: the picture is laid on white. */
async function writePicture({ data, width, height }, alpha, path) {
  let image = sharp(data, { raw: { width, height, channels: 3 } });
  if (alpha) {
    const joined = image.joinChannel(alpha, { raw: { width, height, channels: 1 } }).png();
    image = sharp(await joined.toBuffer());
    if (/\.jpe?g$/i.test(path)) image = image.flatten({ background: "#fff" });
  }
  const lossy = { quality: 95, force: false };
  await image.jpeg({ ...lossy, chromaSubsampling: "4:4:4" }).webp(lossy).toFile(path);
}

const words = given("upscale.mjs BUNDLE PICTURE RESULT [--variant NAME]", 3, "variant", "fp32");
await run(() => upscale(...words));

// A bundle of edgesr in JavaScript: its contract, its tiles. Apache-2.0.
//
// The same file serves Node and browsers. ONNX Runtime is handed in (onnxruntime-node or
// onnxruntime-web), and so is `read`: the name of a file in the bundle -> its bytes.

const KNOWN = ["float32 NCHW RGB 0,1", "float16 NCHW RGB 0,1", "uint8 NHWC RGB 0,255"];

export async function readJson(read, name) {
  return JSON.parse(new TextDecoder().decode(await read(name)));
}

export async function readCard(read) {
  const card = await readJson(read, "card.json");
  if (card.format !== 3) throw new Error(`card.json is of format ${card.format}, expected 3`);
  return card;
}

/** Open one variant of a bundle; `options` are those of ONNX Runtime's session. */
export async function openModel(ort, read, variant = "fp32", options = {}) {
  const card = await readCard(read);
  const facts = card.variants[variant];
  if (!facts) throw new Error(`no variant ${variant}, only ${Object.keys(card.variants).join(", ")}`);
  const { dtype, layout, colour, range, shape } = facts.input;
  const taken = `${dtype} ${layout} ${colour} ${range}`;
  if (!KNOWN.includes(taken)) {
    throw new Error(`${facts.file} takes ${taken}, expected one of: ${KNOWN.join("; ")}`);
  }
  const bytes = dtype === "uint8";
  const [rows, columns] = bytes ? shape.slice(1) : shape.slice(2);
  const window = Number.isInteger(rows) ? { width: columns, height: rows } : null; // else names
  const session = await ort.InferenceSession.create(await read(facts.file), options);

  /** Rows of RGB bytes in; out comes what the model gives: RGB bytes, or planes of floats. */
  async function infer(rgb, width, height) {
    const lr = bytes
      ? new ort.Tensor("uint8", rgb, [1, height, width, 3])
      : new ort.Tensor(dtype, toPlanes(rgb, dtype), [1, 3, height, width]);
    const { sr } = await session.run({ lr });
    const { data } = sr; // of float16 the bits, where there is no Float16Array
    return data instanceof Uint16Array ? Float32Array.from(data, fromHalf) : data;
  }

  const release = () => session.release();
  const { scale, halo, min_size: least, multiple = 1, tileable = true } = card;
  return { card, variant, bytes, scale, halo, least, multiple, tileable, window, infer, release };
}

/** RGB bytes, interleaved -> planes of red, green and blue, 0..1; of float16 the bits. */
function toPlanes(rgb, dtype) {
  const half = dtype === "float16";
  const values = Array.from({ length: 256 }, (_, byte) => (half ? toHalf(byte / 255) : byte / 255));
  const size = rgb.length / 3;
  const planes = half ? new Uint16Array(3 * size) : new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) planes[c * size + i] = values[rgb[3 * i + c]];
  }
  return planes;
}

/** The bits of float16 for a byte / 255: no sign, and nothing so small that it is subnormal. */
function toHalf(value) {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) + Math.round(1024 * (value / 2 ** exponent - 1));
}

/** What the bits of a float16 stand for; NaN for an infinity too. */
function fromHalf(bits) {
  const [exponent, rest] = [(bits >> 10) & 31, (bits & 1023) / 1024];
  const size = exponent ? (1 + rest) * 2 ** (exponent - 15) : rest * 2 ** -14;
  return exponent === 31 ? NaN : bits & 0x8000 ? -size : size;
}

/** Floats, nominally 0..1 -> bytes: clipped, rounded half up. */
export function toBytes(values) {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) bytes[i] = toByte(values[i]);
  return bytes;
}

function finite(values) {
  if (values.every(Number.isFinite)) return values;
  throw new Error("the model returned NaN or infinity");
}

/** In float32 throughout, as everywhere in edgesr, so that not one byte differs. */
function toByte(value) {
  const level = Math.fround(255 * Math.min(Math.max(value, 0), 1));
  return Math.floor(Math.fround(level + 0.5));
}

/**
 * Along one axis, padded from `length` to `whole`: where each tile is read, and what of it is kept.
 *
 * All tiles have the length `side`, for ONNX Runtime plans its memory anew for each shape, and some
 * files take one alone. What is kept lies a halo inside of what is read, but for the picture's own
 * border: the model pads there as it does on the whole picture, so that no seam can be seen.
 */
export function spans(length, whole, side, halo) {
  const found = [];
  for (let kept = 0; kept < length; ) {
    const from = Math.min(Math.max(kept - halo, 0), whole - side);
    const end = from + side === whole ? whole : from + side - halo;
    found.push({ from, side, kept, end: Math.min(end, length) });
    kept = end;
  }
  return found;
}

/** The picture, mirrored at its lower and right end up to a size that the model takes. */
function padded({ data, width, height }, { multiple, least, window }) {
  const up = (length, side) => multiple * Math.ceil(Math.max(length, side) / multiple);
  const columns = up(width, window?.width ?? least);
  const rows = up(height, window?.height ?? least);
  if (columns === width && rows === height) return { data, width, height };
  const mirrored = (at, length) => (at < length ? at : Math.max(2 * (length - 1) - at, 0));
  const channels = data.length / (width * height);
  const large = new Uint8Array(channels * columns * rows);
  for (let y = 0, to = 0; y < rows; y++) {
    const row = width * mirrored(y, height);
    for (let x = 0; x < columns; x++) {
      const from = channels * (row + mirrored(x, width));
      for (let c = 0; c < channels; c++) large[to++] = data[from + c];
    }
  }
  return { data: large, width: columns, height: rows };
}

/** The width and height that are read for each tile of a padded picture. */
function sideOf({ tileable, multiple, halo, window }, { width, height }, tile) {
  if (window) return window;
  // A network that sees the whole picture is not cut; else tiles begin at multiples.
  const side = tileable ? multiple * Math.ceil(tile / multiple) + 2 * halo : Infinity;
  return { width: Math.min(width, side), height: Math.min(height, side) };
}

/**
 * What the model makes of a picture, piece by piece; stop by leaving the loop.
 *
 * `picture` is { data, width, height } of RGB or RGBA bytes (an ImageData is one). Each piece is
 * { data, width, height, x, y }: rows of RGB, bytes or floats as the model gives them, and where
 * they belong in the large picture.
 */
export async function* pieces(model, picture, tile) {
  const { scale, halo } = model;
  const whole = padded(picture, model);
  const side = sideOf(model, whole, tile);
  const rows = spans(picture.height, whole.height, side.height, halo);
  const columns = spans(picture.width, whole.width, side.width, halo);
  const total = rows.length * columns.length;
  let done = 0;
  for (const row of rows) {
    for (const column of columns) {
      const lr = cut(whole, column.from, row.from, side.width, side.height);
      const sr = await model.infer(lr, side.width, side.height);
      if (sr.length !== lr.length * scale ** 2) {
        throw new Error("the model's result has another size than card.json says");
      }
      const large = { data: sr, width: scale * side.width, height: scale * side.height };
      const width = scale * (column.end - column.kept);
      const height = scale * (row.end - row.kept);
      const [left, top] = [scale * (column.kept - column.from), scale * (row.kept - row.from)];
      const part = model.bytes ? cut : cutPlanes;
      const data = part(large, left, top, width, height);
      done += 1;
      yield { data, width, height, x: scale * column.kept, y: scale * row.kept, done, total };
    }
  }
}

/** The same as RGB bytes. */
export async function* enlarge(model, picture, tile) {
  for await (const piece of pieces(model, picture, tile)) {
    yield model.bytes ? piece : { ...piece, data: toBytes(finite(piece.data)) };
  }
}

/**
 * RGBA -> RGB whose colours go on below transparency as those beside it end.
 *
 * What a file stores there is arbitrary, mostly black, and a model would draw it into the edge.
 */
export function goOnBelow({ data, width, height }) {
  const seen = Uint8Array.from({ length: width * height }, (_, i) => (data[4 * i + 3] ? 1 : 0));
  const rgb = cut({ data, width, height }, 0, 0, width, height);
  fill(rgb, seen, width, height);
  return { data: rgb, width, height };
}

/** Give what is not seen the colours that are seen at half the size, filled likewise. */
function fill(rgb, seen, width, height) {
  if (!seen.includes(0) || !seen.includes(1)) return;
  const [across, down] = [(width + 1) >> 1, (height + 1) >> 1];
  const half = (i) => across * (Math.floor(i / width) >> 1) + ((i % width) >> 1);
  const counts = new Uint8Array(across * down);
  const sums = new Uint16Array(3 * across * down);
  seen.forEach((known, i) => {
    if (!known) return;
    counts[half(i)] += 1;
    for (let c = 0; c < 3; c++) sums[3 * half(i) + c] += rgb[3 * i + c];
  });
  const means = Uint8Array.from(sums, (sum, i) => Math.round(sum / (counts[Math.floor(i / 3)] || 1)));
  fill(means, counts.map((count) => Math.min(count, 1)), across, down);
  seen.forEach((known, i) => {
    if (!known) rgb.set(means.subarray(3 * half(i), 3 * half(i) + 3), 3 * i);
  });
}

/** A rectangle of an RGB or RGBA picture as RGB bytes. */
function cut({ data, width, height }, left, top, columns, rows) {
  const channels = data.length / (width * height);
  const rgb = new Uint8Array(3 * columns * rows);
  let to = 0;
  for (let y = top; y < top + rows; y++) {
    let from = channels * (y * width + left);
    for (let x = 0; x < columns; x++, from += channels) {
      for (let c = 0; c < 3; c++) rgb[to++] = data[from + c];
    }
  }
  return rgb;
}

/** A rectangle of planes of red, green and blue as rows of RGB. */
function cutPlanes({ data, width, height }, left, top, columns, rows) {
  const rgb = new Float32Array(3 * columns * rows);
  for (let c = 0; c < 3; c++) {
    for (let y = 0, to = c; y < rows; y++) {
      let from = width * (c * height + top + y) + left;
      for (let x = 0; x < columns; x++, to += 3) rgb[to] = data[from++];
    }
  }
  return rgb;
}

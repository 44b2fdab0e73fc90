// Bicubic enlargement, the control beside which the model's work is shown. Apache-2.0.
//
// Keys' kernel with a = -0.5, the picture mirrored at its border: what MATLAB's imresize does and
// what papers compare with. A browser's own smoothing is something else.

const A = -0.5;

function keys(distance) {
  const x = Math.abs(distance);
  if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  return x < 2 ? ((A * x - 5 * A) * x + 8 * A) * x - 4 * A : 0;
}

/** For each output pixel along one axis: the four pixels that it is made of, and their weights. */
function taps(length, scale) {
  const mirrored = (i) => {
    const at = ((i % (2 * length)) + 2 * length) % (2 * length);
    return Math.min(at, 2 * length - 1 - at);
  };
  return Array.from({ length: scale * length }, (_, out) => {
    const centre = (out + 0.5) / scale - 0.5;
    const first = Math.floor(centre) - 1;
    const from = [0, 1, 2, 3].map((i) => first + i);
    return { at: from.map(mirrored), weights: from.map((i) => keys(i - centre)) };
  });
}

/** { data, width, height } of RGBA bytes -> the same, `scale` times larger; alpha becomes 255. */
export function bicubic({ data, width, height }, scale) {
  const wide = scale * width;
  const rows = new Float32Array(3 * wide * height);
  taps(width, scale).forEach(({ at, weights }, x) => {
    const [a, b, c, d] = at.map((i) => 4 * i);
    const [p, q, r, s] = weights;
    for (let y = 0; y < height; y++) {
      const from = 4 * width * y;
      for (let k = from; k < from + 3; k++) {
        rows[3 * (wide * y + x) + k - from] =
          p * data[a + k] + q * data[b + k] + r * data[c + k] + s * data[d + k];
      }
    }
  });
  const large = new Uint8ClampedArray(4 * wide * scale * height).fill(255);
  taps(height, scale).forEach(({ at, weights }, y) => {
    const [a, b, c, d] = at.map((i) => 3 * wide * i);
    const [p, q, r, s] = weights;
    for (let i = 0, to = 4 * wide * y; i < 3 * wide; i += 3, to += 4) {
      for (let k = 0; k < 3; k++) {
        const j = i + k;
        // Writing to a clamped array clips; rounding half up is left to do.
        large[to + k] = Math.floor(
          p * rows[a + j] + q * rows[b + j] + r * rows[c + j] + s * rows[d + j] + 0.5,
        );
      }
    }
  });
  return { data: large, width: wide, height: scale * height };
}

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

/**
 * { data, width, height } of RGBA bytes -> the same, `scale` times larger; alpha becomes 255.
 *
 * Of a large picture it makes a band: what its rows from `top` to `bottom` become, and no more.
 */
export function bicubic({ data, width, height }, scale, top = 0, bottom = height) {
  const wide = scale * width;
  const reach = [Math.max(top - 2, 0), Math.min(bottom + 2, height)]; // the rows that are looked at
  const rows = new Float32Array(3 * wide * (reach[1] - reach[0]));
  taps(width, scale).forEach(({ at, weights }, x) => {
    const [a, b, c, d] = at.map((i) => 4 * i);
    const [p, q, r, s] = weights;
    for (let y = reach[0]; y < reach[1]; y++) {
      const from = 4 * width * y;
      for (let k = from; k < from + 3; k++) {
        rows[3 * (wide * (y - reach[0]) + x) + k - from] =
          p * data[a + k] + q * data[b + k] + r * data[c + k] + s * data[d + k];
      }
    }
  });
  const tall = scale * (bottom - top);
  const large = new Uint8ClampedArray(4 * wide * tall).fill(255);
  const band = taps(height, scale).slice(scale * top, scale * bottom);
  band.forEach(({ at, weights }, y) => {
    const [a, b, c, d] = at.map((i) => 3 * wide * (i - reach[0]));
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
  return { data: large, width: wide, height: tall };
}

import type { Picture } from "./edgesr.mjs";

/**
 * RGBA bytes -> the same, `scale` times larger; alpha becomes 255.
 *
 * Of a large picture it makes what its rows from `top` to `bottom` become, and no more.
 */
export function bicubic(
  picture: Picture,
  scale: number,
  top?: number,
  bottom?: number,
): Picture & { data: Uint8ClampedArray };

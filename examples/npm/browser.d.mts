import type { Card, Picture, Tile } from "./edgesr.mjs";
import type { Device, Row } from "./golden.mjs";

export type Provider = "webgpu" | "wasm";

export interface Opened {
  card: Card;
  variant: string;
  /** Its golden vectors, run here. */
  rows: Row[];
  provider: Provider;
  /** What runs where, and why, in a line. */
  where: string;
}

export interface Proved {
  card: Card;
  /** The golden vectors of every variant. */
  rows: Row[];
  where: string;
  /** Where a device was named. */
  json?: Device;
}

/** A bundle behind a worker that runs `serve` of edgesr/worker; it does one thing after the other. */
export class Upscaler {
  constructor(worker: Worker);

  /**
   * Open a variant of the bundle at an address.
   *
   * Unless a provider is asked for, WebGPU where it is real and the golden vectors hold on it, else
   * WebAssembly.
   */
  open(folder: string, options?: { variant?: string; provider?: Provider | null }): Promise<Opened>;

  /** The golden vectors of every variant; with `device` named, also device.json, with latencies. */
  golden(folder: string, options?: { device?: string; provider?: Provider | null }): Promise<Proved>;

  /** Tile by tile, as RGBA; stop by leaving the loop, or by a signal. */
  enlarge(
    picture: Picture,
    options?: { tile?: number; signal?: AbortSignal },
  ): AsyncGenerator<Tile<Uint8ClampedArray<ArrayBuffer>>>;

  /** Bicubic, the control, in bands of `rows` rows of the small picture. */
  bicubic(
    picture: Picture,
    options?: { rows?: number; signal?: AbortSignal },
  ): AsyncGenerator<Picture & { data: Uint8ClampedArray<ArrayBuffer>; x: number; y: number }>;

  close(): void;
}

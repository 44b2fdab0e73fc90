/** The name of a file in the bundle -> its bytes. */
export type Read = (name: string) => Promise<Uint8Array>;

/** What the package needs of onnxruntime-web or onnxruntime-node, which are handed in. */
export interface OnnxRuntime {
  InferenceSession: { create(model: Uint8Array, options?: object): Promise<object> };
  Tensor: new (type: never, data: never, shape: readonly number[]) => object;
}

/** Rows of RGB or RGBA bytes; an ImageData is one. */
export interface Picture {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** A part of the enlarged picture, and where it belongs in that. */
export interface Tile<Data = Uint8Array> {
  data: Data;
  width: number;
  height: number;
  x: number;
  y: number;
  /** Tiles so far, this one included, and of the whole picture. */
  done: number;
  total: number;
}

/** card.json; `edgesr schema card` prints all that it holds. */
export interface Card {
  format: 3;
  name: string;
  architecture: string;
  scale: number;
  min_size: number;
  multiple?: number;
  tileable?: boolean;
  halo: number;
  licence: string;
  variants: Record<string, { file: string; bytes: number }>;
  [key: string]: unknown;
}

/** One variant of a bundle, open in ONNX Runtime. */
export interface Model {
  readonly card: Card;
  readonly variant: string;
  /** It gives RGB bytes, not planes of floats. */
  readonly bytes: boolean;
  readonly scale: number;
  readonly halo: number;
  readonly least: number;
  readonly multiple: number;
  readonly tileable: boolean;
  /** The one size that the file takes; null where it takes any. */
  readonly window: { width: number; height: number } | null;
  /** Rows of RGB bytes, of a size that the file takes -> such bytes, or planes of floats, nominally 0..1. */
  infer(rgb: Uint8Array, width: number, height: number): Promise<Uint8Array | Float32Array>;
  release(): Promise<void>;
}

export function readJson(read: Read, name: string): Promise<any>;

/** Throws where card.json is of another format. */
export function readCard(read: Read): Promise<Card>;

/** `options` are those of ONNX Runtime's session. */
export function openModel(
  ort: OnnxRuntime,
  read: Read,
  variant?: string,
  options?: object,
): Promise<Model>;

/** Tile by tile, each of RGB, bytes or floats as the model gives them; stop by leaving the loop. */
export function pieces(
  model: Model,
  picture: Picture,
  tile: number,
): AsyncGenerator<Tile<Uint8Array | Float32Array>>;

/**
 * Tile by tile, each of RGB bytes; stop by leaving the loop.
 *
 * `tile` is the side of what a tile contributes, in pixels of the small picture; a file that takes
 * one size alone is given that.
 */
export function enlarge(model: Model, picture: Picture, tile: number): AsyncGenerator<Tile>;

/** RGBA -> RGB whose colours go on below transparency as those beside it end. */
export function goOnBelow(picture: Picture): Picture & { data: Uint8Array };

/** Floats, nominally 0..1 -> bytes: clipped, rounded half up. */
export function toBytes(values: Float32Array): Uint8Array;

/** Along one axis, padded from `length` to `whole`: where each tile is read, and what of it is kept. */
export function spans(
  length: number,
  whole: number,
  side: number,
  halo: number,
): { from: number; side: number; kept: number; end: number }[];

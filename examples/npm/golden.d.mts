import type { Card, Model, Read } from "./edgesr.mjs";

/** One golden vector of one variant. */
export interface Row {
  variant: string;
  name: string;
  /** The largest; NaN where the model gave NaN or did not open. */
  difference: number;
  limit: number;
  passed: boolean;
  /** Why the variant did not open. */
  reason?: string;
}

/** What device.json says of one variant; `edgesr schema device` describes it. */
export interface DeviceFile {
  variant: string;
  sha256: string;
  golden: Record<string, number | null>;
  size: string;
  runs: number;
  p50_ms: number | null;
}

/** What `edgesr verify --merge` takes. */
export interface Device {
  format: 1;
  bundle: string;
  device: string;
  runtime: string;
  files: DeviceFile[];
}

/** Does this runtime, on this device, do what was verified? */
export function checkGolden(model: Model, read: Read): Promise<Row[]>;

/** The rows of a variant that did not open: each golden vector fails. */
export function unopened(variant: string, read: Read, reason: string): Promise<Row[]>;

/** `rows` are checkGolden's; without a model nothing is timed. */
export function measure(
  card: Card,
  variant: string,
  read: Read,
  rows: Row[],
  model?: Model,
): Promise<DeviceFile>;

export function deviceJson(
  card: Card,
  device: string,
  runtime: string,
  files: DeviceFile[],
): Device;

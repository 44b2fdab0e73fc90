import type { OnnxRuntime } from "./edgesr.mjs";

/** Answer an `Upscaler` from inside a worker; `load` imports ONNX Runtime Web for a provider. */
export function serve(load: (provider: "webgpu" | "wasm") => Promise<OnnxRuntime>): void;

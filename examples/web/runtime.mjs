// ONNX Runtime Web on the best provider that this browser has, and why it is that one.

const DIST = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url);

/**
 * @param {"webgpu" | "wasm" | null} asked - null takes WebGPU where it is real, else WASM.
 * @returns ONNX Runtime, the options of its sessions, and one line that says what runs where.
 */
export async function openRuntime(asked) {
  const found = asked === "wasm" ? { reason: "it was asked for" } : await findGpu(asked);
  return found.adapter ? openWebGpu(found.adapter) : openWasm(found.reason);
}

async function findGpu(asked) {
  if (!navigator.gpu) {
    return { reason: isSecureContext ? "no WebGPU in this browser" : "WebGPU needs HTTPS" };
  }
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) return { reason: "WebGPU finds no graphics processor" };
  const slow = adapter.info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(nameOf(adapter));
  if (slow && asked !== "webgpu") return { reason: "WebGPU is emulated here, and slower" };
  return { adapter };
}

function nameOf({ info }) {
  return info.description || [info.vendor, info.architecture].filter(Boolean).join(" ");
}

async function openWebGpu(adapter) {
  const ort = await load("ort.webgpu.min.mjs");
  const where = `WebGPU, ${nameOf(adapter) || "unnamed adapter"}`;
  return { ort, options: { executionProviders: ["webgpu"] }, provider: "webgpu", where };
}

export async function openWasm(reason) {
  const ort = await load("ort.wasm.min.mjs");
  const cores = navigator.hardwareConcurrency || 1;
  const threads = crossOriginIsolated ? Math.min(cores, 4) : 1;
  ort.env.wasm.numThreads = threads;
  const alone = crossOriginIsolated ? "" : " (more need the headers of serve.py)";
  const where = `WebAssembly, ${threads} thread${threads > 1 ? "s" : alone}: ${reason}`;
  return { ort, options: { executionProviders: ["wasm"] }, provider: "wasm", where };
}

async function load(name) {
  const ort = await import(new URL(name, DIST));
  ort.env.wasm.wasmPaths = DIST.href;
  return ort;
}

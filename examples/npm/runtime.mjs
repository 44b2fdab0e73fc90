// ONNX Runtime Web on the best provider that this browser has, and why it is that one.

/**
 * @param load - "webgpu" or "wasm" -> the module of ONNX Runtime Web for it.
 * @param {"webgpu" | "wasm" | null} asked - null takes WebGPU where it is real, else WASM.
 * @returns ONNX Runtime, the options of its sessions, and two lines: what runs, and also why.
 */
export async function openRuntime(load, asked) {
  const found = asked === "wasm" ? { reason: "it was asked for" } : await findGpu(asked);
  return found.adapter ? openWebGpu(load, found.adapter) : openWasm(load, found.reason);
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

async function openWebGpu(load, adapter) {
  const ort = await load("webgpu");
  const what = `WebGPU, ${nameOf(adapter) || "unnamed adapter"}`;
  return { ort, options: { executionProviders: ["webgpu"] }, provider: "webgpu", what, where: what };
}

export async function openWasm(load, reason) {
  const ort = await load("wasm");
  const cores = navigator.hardwareConcurrency || 1;
  const threads = crossOriginIsolated ? Math.min(cores, 4) : 1;
  ort.env.wasm.numThreads = threads;
  const alone = crossOriginIsolated ? "" : " (more need the headers of cross-origin isolation)";
  const what = `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
  const where = `${what}${threads > 1 ? "" : alone}: ${reason}`;
  return { ort, options: { executionProviders: ["wasm"] }, provider: "wasm", what, where };
}

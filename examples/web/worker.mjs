// The page's worker: the package's, with ONNX Runtime Web from beside the page.
import { serve } from "./node_modules/edgesr/worker.mjs";

const DIST = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url);

serve(async (provider) => {
  const ort = await import(new URL(`ort.${provider}.min.mjs`, DIST));
  ort.env.wasm.wasmPaths = DIST.href;
  return ort;
});

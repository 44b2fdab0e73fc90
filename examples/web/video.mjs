// A video or a camera, frame by frame through the worker; what comes meanwhile is left out, and counted.
import { Upscaler } from "./node_modules/edgesr/browser.mjs";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const upscaler = new Upscaler(new Worker("worker.mjs", { type: "module" }));
const video = $("video");
const small = new OffscreenCanvas(1, 1);
const pen = small.getContext("2d", { willReadFrequently: true });

let scale = 4;
let busy = false; // the model has a frame
let shown = 0; // frames that were enlarged
let first = 0; // what the browser had shown before them
let times = []; // when the latest were done, in ms

function say(message) {
  $("message").textContent = message;
  $("message").hidden = !message;
}

/** Play a file or a camera from its beginning. */
async function play(source) {
  stop();
  say("");
  if (source instanceof MediaStream) video.srcObject = source;
  else video.src = URL.createObjectURL(source);
  shown = first = 0;
  times = [];
  try {
    await video.play();
    $("app").dataset.state = "playing";
  } catch (error) {
    if (error.name !== "AbortError") say(`This browser does not play it: ${error.message}`);
  }
}

function stop() {
  video.pause();
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
  $("app").dataset.state = "ready";
}

function seen(now, { presentedFrames }) {
  video.requestVideoFrameCallback(seen);
  if (!shown && !busy) first = presentedFrames - 1;
  if (!busy) enlarge().catch(({ message }) => say(message));
  count(presentedFrames - first);
}

async function enlarge() {
  busy = true;
  try {
    const picture = frame();
    const { width, height } = picture;
    const large = [scale * width, scale * height];
    const tile = Math.max(width, height); // one for the whole frame
    for await (const { data, x, y, ...tiled } of upscaler.enlarge(picture, { tile })) {
      if ($("enlarged").width !== large[0] || $("enlarged").height !== large[1]) {
        Object.assign($("enlarged"), { width: large[0], height: large[1] });
      }
      const image = new ImageData(data, tiled.width, tiled.height);
      $("enlarged").getContext("2d").putImageData(image, x, y);
    }
    shown += 1;
    times = [...times.slice(-29), performance.now()];
    $("pixels").textContent = `${width}×${height} → ${large[0]}×${large[1]}`;
  } finally {
    busy = false;
  }
}

/** The frame that is shown now, reduced to the chosen width. */
function frame() {
  const part = Math.min(1, Number($("width").value) / video.videoWidth);
  const width = Math.max(1, Math.round(part * video.videoWidth));
  const height = Math.max(1, Math.round(part * video.videoHeight));
  Object.assign(small, { width, height });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(video, 0, 0, width, height);
  return { data: pen.getImageData(0, 0, width, height).data, width, height };
}

function count(all) {
  const dropped = Math.max(0, all - shown - (busy ? 1 : 0));
  $("frames").textContent = `${shown} enlarged, ${dropped} left out`;
  const [begun, ended] = [times[0], times.at(-1)];
  if (ended > begun) {
    $("rate").textContent = `${((1000 * (times.length - 1)) / (ended - begun)).toFixed(1)} frames/s`;
  }
}

async function camera() {
  try {
    await play(await navigator.mediaDevices.getUserMedia({ video: { width: 640 } }));
  } catch ({ message }) {
    say(`No camera: ${message}`);
  }
}

$("file").onchange = ({ target }) => {
  if (target.files[0]) play(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
$("camera").onclick = camera;
$("stop").onclick = stop;
video.onerror = () => video.src && say("This browser does not play it.");

if (!video.requestVideoFrameCallback) {
  say("This browser does not say when a frame of a video is shown (requestVideoFrameCallback).");
} else {
  video.requestVideoFrameCallback(seen);
  const options = { variant: query.get("variant") ?? "fp32", provider: query.get("provider") };
  upscaler.open(query.get("model") ?? "model", options).then(
    ({ card, variant, rows, where }) => {
      scale = card.scale;
      $("model").textContent = $("right").textContent = `${card.name}, ${variant}`;
      $("where").textContent = where;
      const good = rows.filter((row) => row.passed).length;
      $("selftest").textContent = `${good} of ${rows.length} golden vectors hold here`;
      $("app").dataset.state = "ready";
    },
    ({ message }) => say(message),
  );
}

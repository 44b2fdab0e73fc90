// The page: pictures in, tiles onto the canvas, words about what happened.
import { compare } from "./compare.mjs";
import { sample } from "./sample.mjs";

const MOST = 1024 * 1024; // pixels of a small picture: phones refuse canvases beyond 16 megapixels

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const asked = query.get("provider");
const worker = new Worker("worker.mjs", { type: "module" });
const stage = compare($);

let scale = 4;
let job = 0;
let small; // the picture as ImageData
let name = "sample";

function state(word) {
  $("app").dataset.state = word;
  $("work").hidden = word !== "working";
}

const happened = {
  opened({ card, variant, rows, where }) {
    scale = card.scale;
    describe(card, variant, where);
    const good = rows.filter((row) => row.passed).length;
    $("selftest").textContent = `${good} of ${rows.length} golden vectors hold here`;
    $("selftest").classList.toggle("bad", good < rows.length);
    start();
  },

  bicubic({ data, width, height }) {
    stage.draw("bicubic", new ImageData(data, width, height), 0, 0);
  },

  tile({ data, width, height, x, y, done, total, ms }) {
    stage.draw("result", new ImageData(data, width, height), x, y);
    $("progress").value = done / total;
    $("count").textContent = `${done} of ${total}`;
    if (done === total) finish(total, ms);
  },

  golden({ card, rows, where }) {
    describe(card, Object.keys(card.variants)[0], where);
    const good = rows.filter((row) => row.passed).length;
    $("rows").replaceChildren(...rows.map(goldenRow));
    $("golden").textContent = `${good} of ${rows.length} pass`;
    $("golden").dataset.passed = String(good === rows.length);
    $("selftest").textContent = $("golden").textContent;
    state("done");
  },

  failed({ message }) {
    say(message);
    state("failed");
  },
};

worker.onmessage = ({ data: { event, ...facts } }) => {
  if (facts.job === undefined || facts.job === job) happened[event](facts);
};
worker.onerror = ({ message }) => happened.failed({ message: message || "the worker failed" });

function describe(card, variant, where) {
  const { bytes } = card.variants[variant];
  $("model").textContent = `${card.name}, ${card.architecture}`;
  $("size").textContent = `${(bytes / 1e6).toFixed(2)} MB`;
  $("right").textContent = card.name;
  $("where").textContent = where;
  const options = Object.keys(card.variants).map((key) => new Option(key, key));
  $("variant").replaceChildren(...options);
  $("variant").value = variant;
}

function goldenRow({ variant, name, difference, limit, passed, reason }) {
  const row = document.createElement("tr");
  const verdict = passed ? "passes" : "fails";
  const measured = reason ?? (difference ? difference.toExponential(1) : "0");
  for (const text of [variant, name, measured, limit, verdict]) row.insertCell().textContent = text;
  row.className = verdict;
  return row;
}

function say(message) {
  $("message").textContent = message;
  $("message").hidden = !message;
}

/** Show a picture and have it enlarged. */
async function load(source, title) {
  try {
    const bitmap = await (source instanceof Blob ? createImageBitmap(source) : source);
    say("");
    small = pixels(bitmap);
    name = title;
    start();
  } catch (error) {
    say(`${title} is no picture that this browser opens: ${error.message}`);
  }
}

/** RGB over white, the middle of it where it is too large for the page. */
function pixels(bitmap) {
  const part = Math.min(1, Math.sqrt(MOST / (bitmap.width * bitmap.height)));
  const fitting = (side) => Math.max(1, Math.floor(side * part));
  const [width, height] = [fitting(bitmap.width), fitting(bitmap.height)];
  if (part < 1) say(`${bitmap.width} × ${bitmap.height} is much for a page: its middle is taken.`);
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(bitmap, (width - bitmap.width) >> 1, (height - bitmap.height) >> 1);
  return pen.getImageData(0, 0, width, height);
}

function start() {
  if (!small || $("where").textContent === "looking") return;
  const { data, width, height } = small;
  job += 1;
  stage.open(scale * width, scale * height);
  $("picture").textContent = `${width}×${height} → ${scale * width}×${scale * height}`;
  $("time").textContent = "running";
  $("progress").value = 0;
  $("count").textContent = "";
  offer("");
  state("working");
  worker.postMessage({ task: "upscale", job, picture: { data, width, height } });
}

function finish(tiles, ms) {
  const speed = (small.width * small.height) / 1e3 / ms;
  const took = ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
  $("time").textContent = `${took}, ${tiles} tile${tiles > 1 ? "s" : ""}, ${speed.toFixed(2)} MP/s`;
  const finished = job;
  $("result").toBlob((blob) => {
    if (finished === job) offer(URL.createObjectURL(blob)); // no other picture begun meanwhile
  });
  state("done");
}

function offer(url) {
  const link = $("download");
  URL.revokeObjectURL(link.href);
  if (url) link.href = url;
  else link.removeAttribute("href");
  link.download = `${name}-x${scale}.png`;
  link.setAttribute("aria-disabled", String(!url));
}

function cancel() {
  worker.postMessage({ task: "cancel" });
  job += 1;
  $("time").textContent = "cancelled";
  state("cancelled");
}

function open(variant) {
  state("loading");
  worker.postMessage({ task: "open", variant, asked });
}

function loadFile(file) {
  if (file) load(file, file.name.replace(/\.[^.]*$/, "") || "pasted");
}

$("file").onchange = ({ target }) => {
  loadFile(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
$("sample").onclick = () => load(sample(), "sample");
$("cancel").onclick = cancel;
$("variant").onchange = ({ target }) => open(target.value);
document.onpaste = ({ clipboardData }) => loadFile(clipboardData.files[0]);
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
};
document.ondragleave = ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dragging");
};
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  loadFile(event.dataTransfer.files[0]);
};

if (query.has("golden")) {
  $("compare").hidden = true;
  $("vectors").hidden = false;
  worker.postMessage({ task: "golden", asked });
} else {
  open(query.get("variant") ?? "fp32");
  load(sample(), "sample");
}

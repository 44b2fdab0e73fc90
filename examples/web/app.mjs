// The page: pictures in, tiles onto the canvas, words about what happened.
import { Upscaler } from "./node_modules/edgesr/browser.mjs";
import { compare } from "./compare.mjs";
import { sample } from "./sample.mjs";

const MUCH = 1024 * 1024; // pixels of a small picture: phones refuse canvases beyond 16 megapixels

const PURPOSES = { model: "for clean pictures", real: "for JPEGs and noise" };

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const asked = query.get("provider");
const upscaler = new Upscaler(new Worker("worker.mjs", { type: "module" }));
const stage = compare($);

let scale = 4;
let folder = "model"; // of the bundle that is open, or about to be
let ready = false; // it is open
let running = new AbortController(); // the enlargement
let small; // the picture: RGBA bytes, and a canvas that shows them
let name = "sample";
let served; // a promise: is there a second bundle, for JPEGs and noise

function state(word) {
  $("app").dataset.state = word;
  $("work").hidden = !["loading", "working"].includes(word);
  $("cancel").hidden = word !== "working";
}

function failed({ message }) {
  say(message);
  state("failed");
}

function opened({ card, variant, rows, where }) {
  scale = card.scale;
  $("times").textContent = { 2: "Two", 3: "Three", 4: "Four" }[scale];
  ready = true;
  describe(card, variant, where);
  const good = rows.filter((row) => row.passed).length;
  $("selftest").textContent = `${good} of ${rows.length} golden vectors hold here`;
  $("selftest").classList.toggle("bad", good < rows.length);
  start();
}

function draw(layer, { data, width, height, x, y }) {
  stage.draw(layer, new ImageData(data, width, height), x, y);
}

/** Run the golden vectors; where the address names the device, with figures to take home. */
async function golden() {
  const device = query.get("device") ?? "";
  const { card, rows, where, json } = await upscaler.golden(folder, { device, provider: asked });
  describe(card, Object.keys(card.variants)[0], where);
  const good = rows.filter((row) => row.passed).length;
  $("rows").replaceChildren(...rows.map(goldenRow));
  $("golden").textContent = `${good} of ${rows.length} pass`;
  $("golden").dataset.passed = String(good === rows.length);
  $("selftest").textContent = $("golden").textContent;
  $("figures").hidden = !json;
  $("figures").href = `data:application/json,${encodeURIComponent(JSON.stringify(json, null, 2))}`;
  state("done");
}

function describe(card, variant, where) {
  const { bytes } = card.variants[variant];
  $("model").textContent = card.name;
  $("size").textContent = `${(bytes / 1e6).toFixed(2)} MB`;
  $("size").hidden = false;
  $("network").textContent = inWords(card);
  $("right").textContent = card.name;
  $("where").textContent = where;
  const options = Object.keys(card.variants).map((key) => new Option(key, key));
  $("variant").replaceChildren(...options);
  $("variant").value = variant;
  option(folder).textContent = `${card.name}, ${PURPOSES[folder]}`;
}

/** The choice of a bundle, by its folder. */
function option(which) {
  return $("bundle").querySelector(`[value=${which}]`);
}

/** What an architecture's short name stands for. */
function inWords({ architecture, spec }) {
  const several = (count, thing) => `${count} ${thing}${count > 1 ? "s" : ""}`;
  const words = {
    edge: () => `: ${several(spec.depth, "convolution")} of ${spec.channels} channels`,
    srgan: () => `: ${several(spec.blocks, "residual block")}`,
  };
  return architecture + (words[spec?.arch]?.() ?? ""); // of another project's there is no more
}

function goldenRow({ variant, name, difference, limit, passed, reason }) {
  const row = document.createElement("tr");
  const verdict = passed ? "passes" : "fails";
  const short = (value) => Number(value.toPrecision(2));
  const cells = [variant, name, reason ?? short(difference), short(limit), verdict];
  for (const text of cells) row.insertCell().textContent = text;
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
    const picture = { bitmap, title, lossy: /jpeg|webp/.test(source.type) };
    if (bitmap.width * bitmap.height > MUCH) ask(picture);
    else take(picture, bitmap);
  } catch (error) {
    say(`${title} is not a picture that this browser opens: ${error.message}`);
  }
}

/** A large picture is enlarged whole or in part, as its owner says. */
function ask(picture) {
  const { title, bitmap: { width, height } } = picture;
  const part = Math.sqrt(MUCH / (width * height));
  const fitting = (side) => Math.max(1, Math.floor(side * part));
  const middle = { width: fitting(width), height: fitting(height) };
  const megabytes = Math.round((4 * scale ** 2 * width * height) / 1e6);
  $("large").textContent =
    `${title} has ${width} × ${height} pixels, much for a page: enlarged whole it becomes ` +
    `${scale * width} × ${scale * height}, ${megabytes} MB, and bicubic beside it as much again.`;
  $("middle").textContent = `Its middle, ${middle.width} × ${middle.height}`;
  $("whole").textContent = "All of it";
  $("middle").onclick = () => take(picture, middle);
  $("whole").onclick = () => take(picture, { width, height });
  say("");
  $("choice").hidden = false;
  $("middle").focus();
}

/** Enlarge the middle of a picture, of that size. */
function take({ bitmap, title, lossy }, { width, height }) {
  $("choice").hidden = true;
  say("");
  name = title;
  small = { ...pixels(bitmap, width, height), lossy };
  suit();
}

/** Enlarge the picture with the model that its owner chose, or else the one that suits the file. */
async function suit() {
  const chosen = $("bundle").value;
  let wanted = chosen === "file" && small ? (small.lossy ? "real" : "model") : chosen;
  if (wanted === "file") wanted = "model";
  if (wanted === "real" && !(await realIsServed())) wanted = "model";
  if (wanted === folder) start();
  else open(wanted, "fp32");
}

/** Whether there is a second bundle, for JPEGs and noise; says so where there is not. */
async function realIsServed() {
  served ??= fetch("real/card.json").then(({ ok }) => ok, () => false);
  if (await served) return true;
  option("real").disabled = true;
  $("suits").textContent =
    "No model for JPEGs is served as real/: blocks and noise are enlarged as well.";
  return false;
}

/** RGB over white. */
function pixels(bitmap, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(bitmap, (width - bitmap.width) >> 1, (height - bitmap.height) >> 1);
  return { canvas, width, height, data: pen.getImageData(0, 0, width, height).data };
}

function start() {
  if (!small) return;
  const { width, height, canvas } = small;
  running.abort();
  if (!stage.open(scale * width, scale * height)) {
    failed({
      message: `This browser holds no canvas of ${scale * width} × ${scale * height} pixels.`,
    });
    return;
  }
  stage.preview(canvas);
  if (!ready) return;
  $("picture").textContent = `${width}×${height} → ${scale * width}×${scale * height}`;
  $("time").textContent = "running";
  $("progress").value = 0;
  $("count").textContent = "";
  offer("");
  state("working");
  running = new AbortController();
  enlarge(small, running.signal).catch(failed);
}

async function enlarge({ data, width, height }, signal) {
  const picture = { data, width, height };
  for await (const band of upscaler.bicubic(picture, { signal })) draw("bicubic", band);
  const begun = performance.now();
  for await (const tile of upscaler.enlarge(picture, { signal })) {
    draw("result", tile);
    $("progress").value = tile.done / tile.total;
    $("count").textContent = `${tile.done} of ${tile.total}`;
    if (tile.done === tile.total) finish(tile.total, performance.now() - begun, signal);
  }
}

function finish(tiles, ms, signal) {
  const took = ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
  const rate = (1000 * small.width * small.height) / ms;
  const speed = `${Number(rate.toPrecision(2)).toLocaleString("en")} pixels/s`;
  $("time").textContent = `${took}, ${tiles} tile${tiles > 1 ? "s" : ""}, ${speed}`;
  $("result").toBlob((blob) => {
    if (signal.aborted) return; // another picture has begun meanwhile
    if (blob) offer(URL.createObjectURL(blob));
    else say("This browser cannot make a PNG of so large a picture.");
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
  running.abort();
  $("time").textContent = "cancelled";
  state("cancelled");
}

async function open(which, variant) {
  running.abort();
  ready = false;
  folder = which;
  $("progress").removeAttribute("value"); // it moves, and says nothing of how far
  $("count").textContent = "Loading the model";
  state("loading");
  if (small) stage.preview(small.canvas);
  try {
    const facts = await upscaler.open(which, { variant, provider: asked });
    if (which === folder) opened(facts); // else another was asked for meanwhile
  } catch (error) {
    failed(error);
  }
}

function loadFile(file) {
  if (file) load(file, file.name.replace(/\.[^.]*$/, "") || "pasted");
}

$("file").onchange = ({ target }) => {
  loadFile(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
$("sample").onclick = () => load(sample(), "sample");
$("jpeg").onclick = async () => load(await (await fetch("sample.jpg")).blob(), "sample");
$("cancel").onclick = cancel;
$("bundle").onchange = suit;
$("variant").onchange = ({ target }) => open(folder, target.value);
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
  golden().catch(failed);
} else {
  open(folder, query.get("variant") ?? "fp32");
  load(sample(), "sample");
}

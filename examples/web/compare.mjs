// Two canvases one above the other, and the slider that uncovers the upper one.

const THUMB = 44; // of the slider, in CSS pixels; style.css has the same
const SURE = 2 ** 24; // pixels of a canvas that every browser holds

export function compare($) {
  const [stage, view, layers, split] = ["stage", "view", "layers", "split"].map($);
  const size = { width: 1, height: 1 };

  /** Make room for a picture; false where the browser holds no canvas of that size. */
  function open(width, height) {
    Object.assign(size, { width, height });
    for (const id of ["bicubic", "result"]) Object.assign($(id), { width, height });
    fit();
    return width * height <= SURE || holds($("result"));
  }

  /** Something to see until the first band and tile come: the small picture, as browsers smooth. */
  function preview(small) {
    const pen = $("bicubic").getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, 0, 0, size.width, size.height);
  }

  function draw(id, image, x, y) {
    $(id).getContext("2d").putImageData(image, x, y);
  }

  /** Lay out for the window and the zoom: fitted, or so many screen pixels for one pixel. */
  function fit() {
    const { value } = document.querySelector("[name=zoom]:checked");
    const widest = stage.parentElement.clientWidth;
    const highest = Math.max(260, innerHeight - 390);
    const fitted = Math.min(widest / size.width, highest / size.height, 4);
    const factor = value === "fit" ? fitted : Number(value) / devicePixelRatio;
    const [width, height] = [factor * size.width, factor * size.height];
    Object.assign(layers.style, { width: `${width}px`, height: `${height}px` });
    stage.style.width = `${Math.min(width, widest)}px`;
    view.style.height = `${Math.min(height, highest)}px`;
    stage.dataset.zoom = value;
    $("reduced").hidden = factor * devicePixelRatio > 0.75;
    uncover();
  }

  /** The line follows the slider's thumb; the upper canvas begins there, however it is scrolled. */
  function uncover() {
    const line = (split.value / 100) * (stage.clientWidth - THUMB) + THUMB / 2;
    stage.style.setProperty("--line", `${line}px`);
    stage.style.setProperty("--cut", `${view.scrollLeft + line}px`);
  }

  split.oninput = uncover;
  view.onscroll = uncover;
  $("zoom").onchange = () => {
    fit();
    const beyond = [view.scrollWidth - view.clientWidth, view.scrollHeight - view.clientHeight];
    view.scrollTo(beyond[0] / 2, beyond[1] / 2);
  };
  addEventListener("resize", fit);
  return { open, preview, draw };
}

/** Whether the last pixel takes colour: a canvas that is too large stays empty without a word. */
function holds(canvas) {
  const { width, height } = canvas;
  const last = [width - 1, height - 1, 1, 1];
  try {
    const pen = canvas.getContext("2d");
    pen.fillRect(...last);
    const [, , , alpha] = pen.getImageData(...last).data;
    pen.clearRect(...last);
    return alpha === 255;
  } catch {
    return false;
  }
}

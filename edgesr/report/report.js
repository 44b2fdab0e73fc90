"use strict";
{
  const $ = (id) => document.getElementById(id);
  const view = $("compare").querySelector(".view");
  const [left, right, divider] = ["left", "right", "divider"].map($);

  const show = () => {
    view.style.setProperty("--at", divider.value + "%");
    divider.setAttribute(
      "aria-valuetext",
      `${divider.value} % ${left.value}, ${100 - divider.value} % ${right.value}`,
    );
    for (const picture of view.querySelectorAll("img")) {
      const name = picture.dataset.name;
      // The left picture lies on top, cut off at the divider.
      picture.className = name === left.value ? "left" : name === right.value ? "right" : "";
    }
    view.dataset.left = left.value;
    view.dataset.right = right.value;
  };

  const drag = (event) => {
    if (!event.buttons) return;
    const box = view.getBoundingClientRect();
    divider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show();
  };

  view.addEventListener("pointerdown", drag);
  view.addEventListener("pointermove", drag);
  for (const control of [left, right, divider]) control.addEventListener("input", show);
  show();

  // On paper nothing can be opened.
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...closed()];
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
  });
}

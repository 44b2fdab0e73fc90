// A picture to try, drawn here so that no file is needed: edges, curves, fine lines.

const WIDTH = 240;
const HEIGHT = 160;
const OVER = 4; // drawn larger and reduced, as a camera averages what falls on one pixel

export async function sample() {
  const large = new OffscreenCanvas(OVER * WIDTH, OVER * HEIGHT);
  const pen = large.getContext("2d");
  pen.scale(OVER, OVER);
  for (const part of [sky, hills, water, boat]) part(pen);
  const options = { resizeWidth: WIDTH, resizeHeight: HEIGHT, resizeQuality: "high" };
  return createImageBitmap(large, options);
}

function gradient(pen, top, bottom, ...colours) {
  const fill = pen.createLinearGradient(0, top, 0, bottom);
  colours.forEach((colour, i) => fill.addColorStop(i / (colours.length - 1), colour));
  return fill;
}

function sky(pen) {
  pen.fillStyle = gradient(pen, 0, 104, "#1d2b53", "#7a4b7c", "#f08a5d", "#fbd28b");
  pen.fillRect(0, 0, WIDTH, 104);
  pen.fillStyle = "#fff3c4";
  pen.beginPath();
  pen.arc(168, 84, 17, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = "#ffffffcc";
  for (let i = 0; i < 44; i++) pen.fillRect((i * 67.3) % WIDTH, (i * 29.7) % 46, 0.9, 0.9);
}

/** Ridges one behind the other, each with its own ripple of peaks. */
function hills(pen) {
  ["#5f4a78", "#43365f", "#2a2547"].forEach((colour, i) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(0, 106);
    for (let x = 0; x <= WIDTH; x++) {
      const peak = Math.abs(Math.sin(x / (23 - 4 * i) + 2.1 * i)) * (26 - 7 * i);
      pen.lineTo(x, 92 + 4 * i - peak - 1.5 * Math.sin(x / 3 + i));
    }
    pen.lineTo(WIDTH, 106);
    pen.fill();
  });
}

function water(pen) {
  pen.fillStyle = gradient(pen, 104, HEIGHT, "#d98c6a", "#3c5a80", "#132340");
  pen.fillRect(0, 104, WIDTH, HEIGHT - 104);
  for (let row = 0; row < 26; row++) {
    const y = 106 + row * 2.1;
    pen.strokeStyle = row % 3 ? "#ffe9b040" : "#ffffff66";
    pen.lineWidth = 0.5 + row / 50;
    pen.beginPath();
    for (let x = 0; x <= WIDTH; x += 2) pen.lineTo(x, y + Math.sin(x / (5 + row / 4) + row * 1.7));
    pen.stroke();
  }
}

function boat(pen) {
  pen.strokeStyle = "#1b1420";
  pen.lineWidth = 0.7;
  for (const x of [40, 52, 64, 76, 84, 90, 96]) line(pen, 70, 46, x, 122); // rigging
  pen.lineWidth = 1.6;
  line(pen, 70, 42, 70, 124);
  polygon(pen, "#fdf6e8", 72, 48, 72, 115, 103, 115);
  polygon(pen, "#e4572e", 68, 54, 68, 115, 44, 115);
  for (let y = 58; y < 114; y += 8) line(pen, 72, y, 74 + (y - 50) * 0.45, y, "#b9a88a", 0.5);
  polygon(pen, "#1b1420", 34, 122, 110, 122, 101, 133, 43, 133);
  for (let x = 46; x < 104; x += 7) polygon(pen, "#ffd166", x, 126, x + 3, 126, x + 3, 129, x, 129);
}

function line(pen, x0, y0, x1, y1, colour, width) {
  if (colour) [pen.strokeStyle, pen.lineWidth] = [colour, width];
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function polygon(pen, colour, ...points) {
  pen.fillStyle = colour;
  pen.beginPath();
  for (let i = 0; i < points.length; i += 2) pen.lineTo(points[i], points[i + 1]);
  pen.fill();
}

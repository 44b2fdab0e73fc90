"""Drawn pictures to train on, so that text survives: pages, icons, charts and line drawings.

`edgesr.data.drawn` has those that judge: others, of other seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Colour = tuple[int, ...]

SIDE = 512
SUPERSAMPLED = 2
"""Edges are smooth: a page is drawn this many times larger, and reduced."""
LETTERS = "etaoinshrdlcumwfgypbvkjxqzETAOINSHRDLCUMWFGYPBVKJXQZ0123456789"
MARKS = ["", "", "", "", "", ".", ",", ":", ";", "!", "?", ")", " -", " &", " %", " =", " +", "/"]


def page(seed: int) -> Pixels:
    """(512, 512, 3) RGB bytes, the same for the same `seed`: columns of text, icons, a chart or a
    line drawing, in turn."""
    rng = np.random.default_rng([seed, 71])
    canvas = _Canvas(rng)
    (canvas.text, canvas.icons, canvas.chart, canvas.strokes)[seed % 4]()
    return canvas.pixels()


class _Canvas:
    """A page being drawn; lengths are in pixels of the finished page."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        dark = bool(rng.random() < 0.3)
        self.paper = self.colour(0, 60) if dark else self.colour(215, 256)
        self.ink = self.colour(170, 256) if dark else self.colour(0, 90)
        self.image = Image.new("RGB", (SUPERSAMPLED * SIDE,) * 2, self.paper)
        self.draw = ImageDraw.Draw(self.image)

    def pixels(self) -> Pixels:
        return np.array(self.image.reduce(SUPERSAMPLED))

    def colour(self, low: int = 0, high: int = 256) -> Colour:
        """Grey as often as not."""
        values = self.rng.integers(low, high, 3)
        return (int(values[0]),) * 3 if self.rng.random() < 0.5 else tuple(values.tolist())

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high)) * SUPERSAMPLED

    def words(self, count: int) -> str:
        lengths = self.rng.integers(1, 10, count)
        marks = self.rng.choice(MARKS, count)
        letters = ["".join(self.rng.choice(list(LETTERS), n)) for n in lengths]
        cased = [w if self.rng.random() < 0.3 else w.lower() for w in letters]
        return " ".join(f"{word}{mark}" for word, mark in zip(cased, marks, strict=True))

    def text(self) -> None:
        """One to three columns, of lines of 7 to 40 pixels."""
        columns = int(self.rng.integers(1, 4))
        width = SUPERSAMPLED * SIDE / columns
        for column in range(columns):
            self.column(column * width, 0, width, SUPERSAMPLED * SIDE)

    def column(self, left: float, top: float, width: float, bottom: float) -> None:
        size = min(self.between(7, 22), self.between(7, 40))
        ink = self.ink
        while top < bottom:
            if self.rng.random() < 0.1:
                size, ink = min(self.between(7, 22), self.between(7, 40)), self.readable()
            font = ImageFont.load_default(size)
            line = self.words(2 + int(width / (3 * size)))
            while len(line) > 1 and font.getlength(line) > width - 2 * size:
                line = line[: -max(1, len(line) // 8)]
            self.draw.text((left + size / 2, top), line, fill=ink, font=font)
            top += size * self.rng.uniform(1.1, 1.6)

    def readable(self) -> Colour:
        """An ink far from the paper's brightness."""
        light = sum(self.paper) > 3 * 128
        return self.colour(0, 150) if light else self.colour(120, 256)

    def icons(self) -> None:
        """Shapes of flat colour on a grid, with a word below each."""
        cell = self.between(32, 128)
        for top in np.arange(0, SUPERSAMPLED * SIDE, cell):
            for left in np.arange(0, SUPERSAMPLED * SIDE, cell):
                self.icon(left + 0.15 * cell, top + 0.1 * cell, 0.6 * cell)
                font = ImageFont.load_default(max(14, cell / 7))
                place = (left + 0.1 * cell, top + 0.75 * cell)
                self.draw.text(place, self.words(1), fill=self.ink, font=font)

    def icon(self, left: float, top: float, side: float) -> None:
        corner = np.array([left, top])
        for _ in range(int(self.rng.integers(1, 4))):
            corners = corner + np.sort(self.rng.uniform(0, side, (2, 2)), axis=0)
            box = corners.ravel().tolist()
            outline, width = self.colour(), round(self.between(0.5, 4))
            kind = int(self.rng.integers(4))
            if kind == 0:
                self.draw.ellipse(box, self.colour(), outline, width)
            elif kind == 1:
                self.rounded(box, self.between(0, 12), self.colour(), outline, width)
            elif kind == 2:
                points = corner + self.rng.uniform(0, side, (int(self.rng.integers(3, 8)), 2))
                self.draw.polygon([tuple(p) for p in points.tolist()], fill=self.colour())
            else:
                begin, end = self.rng.uniform(0, 360, 2)
                self.draw.arc(box, begin, end, outline, width)

    def rounded(self, box: list[float], radius: float, *colours_and_width: Any) -> None:
        """A rectangle whose corners are rounded, but where Pillow fails: it compares sides with
        corners before it rounds either."""
        try:
            self.draw.rounded_rectangle(box, radius, *colours_and_width)
        except ValueError:
            self.draw.rectangle(box, *colours_and_width)

    def chart(self) -> None:
        """Lines and bars over a grid, with numbers at the edge."""
        full, step = SUPERSAMPLED * SIDE, self.between(16, 64)
        font = ImageFont.load_default(self.between(7, 14))
        for at in np.arange(step, full, step):
            self.draw.line((0, at, full, at), fill=self.colour(150, 220), width=SUPERSAMPLED)
            label = f"{self.rng.uniform(0, 999):.1f}"
            self.draw.text((4, at), label, fill=self.ink, font=font)
            if self.rng.random() < 0.6:
                bar = (at, full - self.between(20, 300), at + step * 0.7, full - step)
                self.draw.rectangle((bar[0], min(bar[1], bar[3]), bar[2], bar[3]), self.colour())
        for _ in range(int(self.rng.integers(1, 5))):
            x = np.linspace(0, full, int(self.rng.integers(5, 60)))
            walk = full / 2 + np.cumsum(self.rng.normal(0, full / 20, len(x)))
            points = np.stack([x, walk], 1).ravel().tolist()
            self.draw.line(points, fill=self.colour(), width=round(self.between(0.5, 4)))

    def strokes(self) -> None:
        """Curves and hatching in ink, some areas filled."""
        full = SUPERSAMPLED * SIDE
        for _ in range(int(self.rng.integers(10, 50))):
            turn = self.rng.uniform(0, 2 * np.pi) + np.cumsum(self.rng.normal(0, 0.15, 80))
            steps = self.between(1, 12) * np.stack([np.cos(turn), np.sin(turn)], 1)
            points = self.rng.uniform(0, full, 2) + np.cumsum(steps, 0)
            if self.rng.random() < 0.25:
                self.draw.polygon([tuple(p) for p in points.tolist()], fill=self.colour())
            width = max(1, round(self.between(0.5, 4)))
            self.draw.line(points.ravel().tolist(), fill=self.ink, width=width, joint="curve")
        corner, gap = self.rng.uniform(0, full / 2, 2), self.between(3, 12)
        for shift in np.arange(0, full / 2, gap):
            ends = (corner[0] + shift, corner[1], corner[0], corner[1] + shift)
            self.draw.line(ends, fill=self.ink, width=SUPERSAMPLED)

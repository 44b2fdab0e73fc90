"""Pictures that are not photographs, drawn by rule: text, a drawing, a logo, patterns, noise.

Every function gives (height, width, 3) RGB bytes, the same for the same arguments, at whatever
size: as HR to be reduced, or as the LR that an app hands over, a screenshot's sharp pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

SENTENCE = (
    "The quick brown fox jumps over 13 lazy dogs; (x + y)/2 = 48.75 % of {all} [cases] & more. "
    "IlO0 mnrn WAVE Qq@#* naive cafe, http://localhost:8080/index.html?id=7 -> OK"
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SATURATED = [
    *((255, 0, 0), (0, 255, 0), (0, 0, 255)),
    *((255, 255, 0), (0, 255, 255), (255, 0, 255)),
]
SUPERSAMPLED = 4
"""A drawing's edges are smooth: it is drawn this many times larger, and reduced."""


def text(
    height: int, width: int, *, seed: int = 0, ink: Colour = BLACK, paper: Colour = WHITE
) -> Pixels:
    """Lines of words from 8 to 20 pixels high, as a page or a screenshot has them."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    top = 2
    while top < height:
        size = int(rng.integers(8, 21))
        words = rng.choice(SENTENCE.split(), 2 + width // (2 * size))
        draw.text((3, top), " ".join(words), fill=ink, font=ImageFont.load_default(size))
        top += size + size // 4
    return np.array(image)


def drawing(height: int, width: int, *, seed: int = 0) -> Pixels:
    """Dark strokes of several widths around flat, saturated and pale areas, on white."""
    rng = np.random.default_rng(seed)
    size = (SUPERSAMPLED * width, SUPERSAMPLED * height)
    image = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(image)
    shapes = (draw.ellipse, draw.rectangle)
    for i in range(12):
        box = np.sort(rng.integers(0, size, (2, 2)), axis=0).ravel().tolist()
        pale = tuple(int(value) for value in rng.integers(120, 256, 3))
        fill = SATURATED[i % len(SATURATED)] if i % 2 else pale
        shapes[i // 2 % 2](box, fill=fill, outline=BLACK, width=SUPERSAMPLED * (1 + i % 3))
    for i in range(12):
        points = [tuple(point) for point in rng.integers(0, size, (3, 2)).tolist()]
        draw.line(points, fill=BLACK, width=SUPERSAMPLED * (1 + i % 2), joint="curve")
    return np.array(image.reduce(SUPERSAMPLED))


def logo(height: int, width: int) -> Pixels:
    """Rings, a star and letters in saturated colours, without smooth edges."""
    image = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(image)
    middle, radius = np.array([width / 2, height / 2]), 0.46 * min(height, width)
    for i, colour in enumerate([*SATURATED, BLACK]):
        reach = radius * (1 - 0.1 * i)
        draw.ellipse([*(middle - reach), *(middle + reach)], fill=colour)
    turns = np.arange(10) * np.pi / 5 - np.pi / 2
    reaches = radius * np.where(np.arange(10) % 2, 0.14, 0.36)
    star = middle + np.stack([np.cos(turns), np.sin(turns)], axis=1) * reaches[:, None]
    draw.polygon([tuple(point) for point in star.tolist()], fill=SATURATED[3])
    font = ImageFont.load_default(max(8, min(height, width) // 5))
    draw.text((2, 2), "edgesr", fill=SATURATED[0], font=font)
    return np.array(image)


def checkerboard(height: int, width: int, *, cell: int = 1) -> Pixels:
    """Black and white squares, `cell` pixels wide."""
    rows, columns = np.indices((height, width)) // cell
    return _grey((rows + columns) % 2 * 255)


def dithering(height: int, width: int) -> Pixels:
    """A ramp in each colour, made of 0 and 255 alone by error diffusion."""
    rows, columns = np.indices((height, width))
    across, down = columns / max(width - 1, 1), rows / max(height - 1, 1)
    ramps = (across, down, (across + 1 - down) / 2)
    bits = [Image.fromarray((255 * ramp).astype(np.uint8)).convert("1") for ramp in ramps]
    return np.stack([np.array(plane, np.uint8) * 255 for plane in bits], axis=2)


def noise(height: int, width: int, *, seed: int = 0) -> Pixels:
    """Every value equally likely, and independent of its neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(height: int, width: int, colour: Colour) -> Pixels:
    """One colour everywhere."""
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def _grey(values: NDArray[np.int64]) -> Pixels:
    return np.repeat(values[..., None], 3, axis=2).astype(np.uint8)

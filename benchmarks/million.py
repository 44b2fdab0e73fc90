"""What a million pictures of a megapixel cost: processor seconds of each step of one.

    python benchmarks/million.py --data Kodak

Photographs are enlarged to 1024 x 1024 first, so that they hold what photographs hold.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command import in_words
from PIL import Image

from edgesr.data import photos
from edgesr.inference.upscaler import Upscaler

MODELS = ("edge-xs:int8", "edge-s:int8", "edge-s:fp32", "edge-m:int8")
SIDE = 1024
MILLION = 1e6 / 3600
"""Hours of a million pictures at a second each."""


def seconds(call: Callable[[], Any], runs: int) -> float:
    """Median processor seconds of all threads."""
    found = []
    for _ in range(runs):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    path = photos.find(options.data)[0]
    with Image.open(path) as image:
        square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    square.save(jpeg, "JPEG", quality=92)
    print("| step | seconds of a processor | hours of one for a million |")
    print("|---|--:|--:|")
    show("a JPEG decoded", seconds(lambda: Image.open(jpeg).load(), options.runs))
    large = np.zeros(0)
    for named in MODELS:
        name, variant = named.split(":")
        if (options.exports / name).is_dir():
            model = Upscaler(options.exports / name, variant=variant, provider="cpu", threads=1)
            pixels = np.asarray(square)
            large = model(pixels)
            show(f"{name}, {variant}", seconds(lambda: model(pixels), options.runs))  # noqa: B023
    for kind, how in (
        ("PNG", {"compress_level": 6}),
        ("PNG", {"compress_level": 1}),
        ("JPEG", {"quality": 95}),
        ("WEBP", {"quality": 95}),
    ):
        result = Image.fromarray(large)
        title = f"the result written as {kind}, {' '.join(f'{k} {v}' for k, v in how.items())}"
        show(title, seconds(lambda: result.save(io.BytesIO(), kind, **how), options.runs))  # noqa: B023


def show(step: str, taken: float) -> None:
    print(f"| {step} | {taken:.2f} | {taken * MILLION:,.0f} |", flush=True)


if __name__ == "__main__":
    in_words(main)

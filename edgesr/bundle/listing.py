"""The bundles that come with edgesr, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from rich.table import Table

from edgesr.bundle.card import read_card
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscaler import Upscaler

PURPOSE = {
    "real": "JPEGs, noise, blur",
    "gan": "clean pictures, sharper",
    "video": "compressed frames",
    "luma": "clean frames, Y alone",
}
"""What a bundle is for, by a part of its name; see docs/embedding.md."""
SIDE, RUNS = 128, 5


def table(bundles: Mapping[str, Path], *, timed: bool = False) -> Table:
    """A line a bundle: name, scale, purpose, MB of `model.onnx`, licence.

    Args:
        timed: also the median of `RUNS` calls on a picture of 128 x 128, in ms.

    Raises:
        BundleError: see `read_card`.
    """
    view = Table(box=None, pad_edge=False)
    for title in ("name", "scale", "for", "MB", *(["ms here"] if timed else []), "licence"):
        view.add_column(title, justify="right" if title in ("scale", "MB", "ms here") else "left")
    for name, folder in bundles.items():
        card = read_card(folder)
        megabytes = f"{card.variants['fp32'].bytes / 1e6:.2f}"
        speed = [f"{milliseconds(folder):.1f}"] if timed else []
        view.add_row(name, f"x{card.scale}", purpose(name), megabytes, *speed, card.licence)
    return view


def purpose(name: str) -> str:
    """For which pictures the bundle of that name is."""
    return next((PURPOSE[part] for part in name.split("-") if part in PURPOSE), "clean pictures")


def milliseconds(folder: Path) -> float:
    """The median time of a call here on a picture of 128 x 128, on the CPU."""
    upscaler = Upscaler(folder, provider="cpu")
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    upscaler(picture)
    return 1e3 * median(_seconds(upscaler, picture) for _ in range(RUNS))


def _seconds(upscaler: Upscaler, picture: Pixels) -> float:
    start = perf_counter()
    upscaler(picture)
    return perf_counter() - start

"""Pictures that have no truth to be compared with: how blurred, how noisy, whether a JPEG's blocks
show."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from skimage.measure import blur_effect

from edgesr import console
from edgesr.data import photos
from edgesr.inference.artefacts import jpeg_quality, noise
from edgesr.metrics import Image

SMALLEST = 24
"""Pixels a side: three of a JPEG's blocks."""


@dataclass(frozen=True)
class Look:
    """A picture.

    Attributes:
        blur: 0..1, more is more blurred; see `Looks.protocol`.
        noise: standard deviation of white noise in levels of 255; 0 where it may be texture.
        jpeg: quality of the JPEG whose blocks show, 1..100; None where none do.
    """

    image: str
    width: int
    height: int
    blur: float
    noise: float
    jpeg: int | None


@dataclass(frozen=True)
class Looks:
    """What is seen of every picture."""

    rows: list[Look]

    protocol = (
        "Blur: by how much the differences between neighbours shrink when the picture is blurred "
        "once more (Crete et al. 2007, scikit-image's blur_effect on luminance, 11 pixels): near 1 "
        "where they hardly do. Noise: white noise in levels of 255, JPEG: the quality that blocks "
        "in the middle of the picture tell. All of them compare pictures of one scene; none says "
        "that a picture is right: what was invented is sharp too."
    )

    @property
    def mean(self) -> dict[str, float]:
        """Of blur and noise over the pictures."""
        return {key: float(np.mean([getattr(r, key) for r in self.rows])) for key in MEANS}

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        rows = [asdict(row) for row in self.rows]
        return {"protocol": self.protocol, "mean": self.mean, "pictures": rows}

    def csv(self) -> str:
        """A line a picture."""
        file = io.StringIO()
        writer = csv.DictWriter(file, list(asdict(self.rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        return file.getvalue()

    def table(self) -> Table:
        """For a terminal, the most blurred first."""
        view = Table()
        view.add_column("image", overflow="fold")
        for title in ("pixels", "blur", "noise", "JPEG"):
            view.add_column(title, justify="right")
        for row in sorted(self.rows, key=lambda each: -each.blur):
            size, found = f"{row.width}x{row.height}", "" if row.jpeg is None else str(row.jpeg)
            view.add_row(row.image, size, f"{row.blur:.3f}", f"{row.noise:.1f}", found)
        view.add_section()
        mean = self.mean
        view.add_row(
            f"mean of {len(self.rows)}",
            "",
            f"{mean['blur']:.3f}",
            f"{mean['noise']:.1f}",
            "",
            style="bold",
        )
        return view


MEANS = ("blur", "noise")


def look(folder: Path) -> Looks:
    """Look at every picture in `folder`.

    Raises:
        DataError: no such folder, or no picture in it that can be read and has `SMALLEST` pixels a
            side; those that have not are left out with a warning.
    """
    files = photos.find(folder)
    pictures = photos.decode_all(console.track(files, "look", len(files)), smallest=SMALLEST)
    return Looks([_look(photo.path.name, photo.pixels) for photo in pictures])


def _look(name: str, pixels: Image) -> Look:
    height, width = pixels.shape[:2]
    blur = float(blur_effect(pixels, channel_axis=2))  # type: ignore[no-untyped-call]
    return Look(name, width, height, blur, noise(pixels), jpeg_quality(pixels))

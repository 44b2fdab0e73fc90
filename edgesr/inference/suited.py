"""Which model suits a picture, where nobody names one: by what its file and its pixels say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from edgesr.errors import DataError
from edgesr.inference.artefacts import jpeg_quality, noise, quality
from edgesr.inference.tiling import Pixels

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")

CLEAN, REAL, FILMED = "edge-s", "edge-s-real", "edge-s-video"
FINE = 95
"""JPEGs of this quality are nearly clean: on Kodak at a quarter edge-s has 0.7 dB more there than
edge-s-real (jpeg95), and 0.3 dB more at 85, with an LPIPS that is .12 and .15 worse."""
GRAIN = 3.0
"""Levels of noise, as `artefacts.noise` finds them, up to which the same holds."""


def fault(path: Path, pixels: Pixels) -> str | None:
    """What was done to a picture that is enlarged as if it were detail, in words: a lossy codec,
    noise; None where nothing shows.

    Args:
        path: its file, whose quantisation tables count where it is a JPEG.
        pixels: see `artefacts.jpeg_quality`.
    """
    stated = stated_quality(path)
    if stated is not None and stated < FINE:
        return f"a JPEG of quality {stated}"
    if is_lossy_webp(path):
        return "a lossy WebP"
    found = None if stated else jpeg_quality(pixels)
    if found is not None and found < FINE:
        return f"once a JPEG of quality {found} or so"
    levels = noise(pixels)
    return f"noise of {levels:.0f} levels" if levels > GRAIN else None


def stated_quality(path: Path) -> int | None:
    """The quality that a JPEG's table of brightness states; None for other files."""
    with Image.open(path) as image:
        tables = getattr(image, "quantization", None)
    if not tables:
        return None
    return quality(np.array(tables[min(tables)], np.float32).reshape(8, 8))


def is_lossy_webp(path: Path) -> bool:
    """Whether a file is WebP whose picture is stored as VP8."""
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WEBP":
            return False
        while len(head := file.read(8)) == 8 and head[:4] != b"VP8L":
            if head[:4] == b"VP8 ":
                return True
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return False


class Suited(Generic[Opened]):
    """Of two models the one that suits each picture; which is said.

    Args:
        bundles: those of `CLEAN` and `REAL` that are at hand.
        open_: opens one of them; each is opened once, when it is first needed.

    Raises:
        DataError: neither is at hand.
    """

    def __init__(self, bundles: Mapping[str, Path], open_: Callable[[Path], Opened]) -> None:
        if not bundles:
            raise DataError(
                f"no model is named, and neither {CLEAN} nor {REAL} is in exports/",
                "Name one: --model NAME, a bundle's folder or an ONNX file.",
            )
        self._bundles, self._open = dict(bundles), cache(open_)

    def model(self, path: Path, pixels: Pixels) -> Opened:
        """What enlarges the picture `pixels` of the file at `path`; see `fault`."""
        found = fault(path, pixels)
        wanted = REAL if found else CLEAN
        (other,) = {CLEAN, REAL} - {wanted}
        taken = wanted if wanted in self._bundles else other
        missing = "" if taken == wanted else f"; {wanted} is not in exports/"
        log.info(
            f"{path}: {found or 'a clean picture'}{missing}: enlarged by {taken} "
            "(--model names another)"
        )
        return self._open(self._bundles[taken])

    def either(self) -> Opened:
        """One of the models, for what is the same of both."""
        return self._open(next(iter(self._bundles.values())))

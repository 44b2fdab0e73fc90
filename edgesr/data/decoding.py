"""Photographs and drawn pages, decoded and degraded once into a file of bytes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from edgesr import console
from edgesr.data import cached, pages, pairs, photos
from edgesr.data.degrade import pair
from edgesr.inference.decode import PhotoError
from edgesr.recipe import Degradation
from edgesr.workspace import sha256

FORMAT = 4


def variants(degradation: Degradation) -> int:
    """How many LR pictures there are of each photograph."""
    return degradation.variants if degradation.kind == "real" else 1


def key(
    paths: Sequence[Path],
    scale: int,
    degradation: Degradation,
    seed: int,
    lr: Mapping[Path, Path],
) -> str:
    """A hash over the content of the files in their order, and over what decodes and degrades
    them."""
    parts = [f"edgesr patches {FORMAT}, x{scale}, Pillow {PIL.__version__}"]
    if degradation.kind == "real":
        parts.append(f"{degradation.model_dump_json()}, {seed}, NumPy {np.__version__}")
    for path in [*paths, *(lr[path] for path in paths if path in lr)]:
        try:
            parts.append(sha256(path))
        except OSError as error:  # decoding says why it is left out
            parts.append(f"unreadable: {error}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def build(
    paths: Sequence[Path],
    path: Path,
    scale: int,
    degradation: Degradation,
    seed: int,
    lr: Mapping[Path, Path],
) -> dict[str, Any]:
    """Decode `paths`, and of pairs their pictures in `lr`, into the file `path`; returns which are
    in it, of which size.

    Raises:
        DataError: the disk has no room, or a pair does not fit, see `pairs.read`.
    """
    area = sum(photos.area(source) for source in paths)
    drawn, count = _drawn(area, degradation), variants(degradation)
    area += drawn * pages.SIDE**2
    needed = 3 * (area + count * area // scale**2)
    cached.check_room(path.parent, needed, "the decoded photographs")
    index: dict[str, Any] = {"photos": [], "left_out": [], "drawn": drawn}
    with cached.writing(path, index) as append:
        sources = [*paths, *range(drawn)]
        for number, source in enumerate(console.track(sources, "decoding", len(sources))):
            try:
                picture = _picture(source, scale)
                own = pairs.read(lr[source], source, picture, scale) if source in lr else None
            except PhotoError as error:
                index["left_out"].append((number, error.reason))
                continue
            for variant in range(count):
                hr, small = pair(picture, scale, degradation, [seed, number, variant], own)
                if not variant:
                    append(hr.tobytes())
                append(small.tobytes())
            index["photos"].append((number, *small.shape[:2]))
    return index


def _picture(source: Path | int, scale: int) -> photos.Pixels:
    """A decoded photograph, or the drawn page of that number."""
    if isinstance(source, int):
        return pages.page(source)
    return photos.decode(source, smallest=scale)


def _drawn(area: int, degradation: Degradation) -> int:
    """How many drawn pages stand beside photographs of `area` pixels."""
    if degradation.kind != "real":
        return 0
    share = degradation.drawn / (1 - degradation.drawn)
    return math.ceil(share * area / pages.SIDE**2)

"""How good each variant is on each runtime, on pictures that nobody trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.rows import Quality
from edgesr.data import judges, photos
from edgesr.data.photos import digest
from edgesr.inference.padding import padded
from edgesr.inference.tiling import bands, to_picture, to_values
from edgesr.quality.evaluate import Method, evaluate, load_images
from edgesr.quality.scores import Evaluation, Scores, flat
from edgesr.verify.jobs import Job, Run

Pixels = NDArray[np.uint8]
TILE = 256
"""Side in LR pixels of what a tile keeps; the halo comes on top."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures that belong together.

    Attributes:
        data: what they are called.
        kind: "photographs" or "graphics"; the gates of quality look at photographs.
    """

    data: str
    kind: str
    pictures: list[tuple[str, Pixels]]


def picture_sets(data: Path | None) -> list[PictureSet]:
    """The pictures in `data`; without it those that ship, photographs first.

    Raises:
        DataError: no such folder, or no picture in it that can be used.
    """
    if data is not None:
        return [PictureSet(data.resolve().name, "photographs", list(load_images(data)))]
    taken = [(path.stem, photos.decode(path)) for path in judges.photographs()]
    return [
        PictureSet(judges.PHOTOGRAPHS, "photographs", taken),
        PictureSet(judges.GRAPHICS, "graphics", judges.graphics()),
    ]


def quality(
    job: Job,
    card: Card,
    sets: list[PictureSet],
    lpips: nn.Module | None = None,
    plain: list[Quality] | None = None,
) -> list[Quality]:
    """A row for each set: scores, bicubic's, and the loss against fp32; none for inexact jobs.

    Args:
        lpips: of `find_lpips`; None leaves LPIPS out.
        plain: the rows of fp32 on the same runtime; None where `job` is fp32 itself.
    """
    rows = list(_rows(job, card, sets, lpips)) if job.exact else []
    bases = rows if plain is None else [dict(row) for row in plain]
    return [
        Quality(**(row | _losses(base, row)))
        for row, base in zip(rows, bases if rows else [], strict=True)
    ]


def _losses(plain: dict[str, Any], own: dict[str, Any]) -> dict[str, float]:
    """What a file loses against fp32 on the same runtime and pictures, in dB."""
    return {
        "loss_db": plain["psnr_db"] - own["psnr_db"],
        "loss_rgb_db": plain["psnr_rgb_db"] - own["psnr_rgb_db"],
    }


def _rows(
    job: Job, card: Card, sets: list[PictureSet], lpips: nn.Module | None
) -> Iterator[dict[str, Any]]:
    with job.opened() as (run, _):
        upscale = _upscaler(run, card)
        for each in sets:
            result = _finite(evaluate(upscale, each.pictures, lpips=lpips))
            yield job.row() | {
                "data": each.data,
                "kind": each.kind,
                "images": len(result.rows),
                **flat(result.mean, result.bicubic),
                "pictures": [
                    row.as_dict() | {"sha256": digest(pixels)}
                    for row, (_, pixels) in zip(result.rows, each.pictures, strict=True)
                ],
            }


def _finite(found: Evaluation) -> Evaluation:
    """`found` with `IDENTICAL_DB` for infinity, which has no mean and no place in JSON."""

    def capped(scores: Scores) -> Scores:
        y, rgb = min(scores.psnr_db, IDENTICAL_DB), min(scores.psnr_rgb_db, IDENTICAL_DB)
        return replace(scores, psnr_db=y, psnr_rgb_db=rgb)

    return Evaluation(
        [replace(row, model=capped(row.model), bicubic=capped(row.bicubic)) for row in found.rows],
        found.scale,
    )


def _upscaler(run: Run, card: Card) -> Method:
    """Whole pictures by tiles, as `edgesr upscale` makes them."""
    scale, halo = card.scale, card.halo
    side = TILE + 2 * halo  # multiples of card.multiple, as the halo is, up to 256

    def tile(lr: Pixels) -> Pixels:
        return to_picture(run(to_values(lr[None]))[0])

    def upscale(lr: Pixels) -> Pixels:
        large = padded(lr, (0, 1), card.multiple, card.min_size)
        sides = (side, side) if card.tileable else large.shape[:2]
        parts = bands(tile, large, scale=scale, sides=sides, halo=halo)
        height, width = (scale * length for length in lr.shape[:2])
        return np.concatenate(list(parts))[:height, :width]

    return Method(scale, upscale)

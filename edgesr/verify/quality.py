"""How good each variant is on each runtime, on photographs that nobody trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.data import photos
from edgesr.deploy.tiling import bands, to_picture, to_values
from edgesr.quality.evaluate import Upscale, evaluate, load_images
from edgesr.verify.jobs import Job, Run

Pixels = NDArray[np.uint8]
TILE = 256
"""Side in LR pixels of what a tile keeps; the halo comes on top."""
EMBEDDED = "astronaut (embedded, held out)"


def quality(jobs: list[Job], card: dict[str, Any], data: Path | None) -> list[dict[str, Any]]:
    """A row for each exact job: PSNR and SSIM, bicubic's, and the loss against fp32 there.

    Args:
        data: HR photographs; the embedded held-out one unless given.
    """
    rows = [_row(job, card, data) for job in jobs if job.exact]
    plain = {row["runtime"]: row["psnr_db"] for row in rows if row["variant"] == "fp32"}
    return [row | {"loss_db": plain[row["runtime"]] - row["psnr_db"]} for row in rows]


def _row(job: Job, card: dict[str, Any], data: Path | None) -> dict[str, Any]:
    with job.opened() as (run, _):
        result = evaluate(_upscaler(run, card), _images(data), lpips=None)
    return job.row() | {
        "data": str(data) if data else EMBEDDED,
        "images": len(result.rows),
        "psnr_db": result.mean.psnr_db,
        "ssim": result.mean.ssim,
        "bicubic_psnr_db": result.bicubic.psnr_db,
        "bicubic_ssim": result.bicubic.ssim,
    }


def _upscaler(run: Run, card: dict[str, Any]) -> Upscale:
    """Whole pictures by tiles, as `edgesr upscale` makes them."""
    scale, halo = card["scale"], card["halo"]
    side = TILE + 2 * halo

    def tile(lr: Pixels) -> Pixels:
        return to_picture(run(to_values(lr[None]))[0])

    def upscale(lr: Pixels) -> Pixels:
        parts = bands(tile, lr, scale=scale, sides=(side, side), halo=halo)
        return np.concatenate(list(parts))

    return upscale


def _images(data: Path | None) -> Iterator[tuple[str, Pixels]]:
    if data is not None:
        yield from load_images(data)
        return
    for path in photos.embedded().validation:
        yield path.stem, photos.decode(path)

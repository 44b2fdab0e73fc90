"""Two videos compared frame by frame: what was enlarged, and what it should look like."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from edgesr.data.degrade import to_tensor
from edgesr.losses.perceptual import distance, find_lpips
from edgesr.metrics import Image, mean_db, psnr, psnr_rgb, ssim
from edgesr.quality.evaluate import MIN_SIDE
from edgesr.video.facts import Picture, VideoError
from edgesr.video.stage import opened


@dataclass(frozen=True)
class Frame:
    """A frame's scores; `psnr_db` on Y is infinite where two frames are identical, and `lpips` None
    without AlexNet's weights."""

    number: int
    psnr_db: float
    ssim: float
    psnr_rgb_db: float
    lpips: float | None = None


@dataclass(frozen=True)
class ClipScores:
    """The scores of every frame."""

    frames: list[Frame]

    protocol = (
        "PSNR and SSIM (11x11 Gaussian, sigma 1.5) on Y of BT.601 (16-235) of 8-bit RGB, as each "
        "video's matrix and range make it; psnr_rgb_db over RGB. LPIPS v0.1 with AlexNet on RGB, "
        "lower is better. Frames are paired in the order in "
        "which they are shown. One without any error counts as 100 dB in the mean."
    )

    @property
    def mean(self) -> dict[str, float | None]:
        """The mean of each score over the frames."""
        found = [frame.lpips for frame in self.frames if frame.lpips is not None]
        return {
            "psnr_db": mean_db(frame.psnr_db for frame in self.frames),
            "ssim": float(np.mean([frame.ssim for frame in self.frames])),
            "psnr_rgb_db": mean_db(frame.psnr_rgb_db for frame in self.frames),
            "lpips": float(np.mean(found)) if found else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file, which has no infinity: null stands for it."""
        rows = [
            {
                key: value if value is None or math.isfinite(value) else None
                for key, value in asdict(frame).items()
            }
            for frame in self.frames
        ]
        return {"protocol": self.protocol, "mean": self.mean, "frames": rows}

    def csv(self) -> str:
        """A line a frame."""
        file = io.StringIO()
        writer = csv.DictWriter(file, list(asdict(self.frames[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(frame) for frame in self.frames)
        return file.getvalue()

    def table(self) -> Table:
        """The mean, and the frames that are best and worst."""
        view = Table()
        for title in ("frame", "PSNR dB", "SSIM", "RGB dB", "LPIPS"):
            view.add_column(title, justify="right")
        ordered = sorted(self.frames, key=lambda frame: frame.psnr_db)
        for frame in (ordered[0], ordered[-1]):
            view.add_row(str(frame.number), *_cells(asdict(frame)))
        view.add_section()
        view.add_row(f"mean of {len(self.frames)}", *_cells(self.mean), style="bold")
        return view


def _cells(scores: dict[str, Any]) -> list[str]:
    return [
        f"{scores['psnr_db']:.2f}",
        f"{scores['ssim']:.4f}",
        f"{scores['psnr_rgb_db']:.2f}",
        "" if scores["lpips"] is None else f"{scores['lpips']:.3f}",
    ]


def compare_clips(found: Path, truth: Path, weights_folder: str = "") -> ClipScores:
    """Score every frame of the video `found` against that of `truth`.

    Args:
        weights_folder: where LPIPS's weights are looked for first.

    Raises:
        WeightsError: the weights are there but damaged.
        VideoError: one cannot be read, is damaged, or has frames of another size or number.
    """
    frames, lpips = [], find_lpips(weights_folder)
    for number, (one, other) in enumerate(_pairs(found, truth)):
        if one.shape != other.shape:
            sizes = (f"{each.shape[1]} x {each.shape[0]}" for each in (one, other))
            raise VideoError(
                f"{found} and {truth} have frames of {' and '.join(sizes)}, expected one size"
            )
        if min(one.shape[:2]) < MIN_SIDE:
            raise VideoError(f"{found}: LPIPS needs frames of at least {MIN_SIDE} a side")
        differences = psnr(one, other, 0), ssim(one, other, 0), psnr_rgb(one, other, 0)
        seen = distance(lpips, to_tensor(one), to_tensor(other))
        frames.append(Frame(number, *differences, seen))
    return ClipScores(frames)


def _pairs(found: Path, truth: Path) -> Iterator[tuple[Image, Image]]:
    with opened(found, "stop") as first, opened(truth, "stop") as second:
        try:
            yield from zip(_bytes(first.items()), _bytes(second.items()), strict=True)
        except ValueError as error:
            if "zip()" not in str(error):
                raise
            raise VideoError(f"{found} and {truth} have different numbers of frames") from None


def _bytes(items: Iterator[Any]) -> Iterator[Image]:
    for item in items:
        if isinstance(item, Picture) and isinstance(item.pixels, np.ndarray):
            deep = item.pixels.dtype == np.uint16
            yield (item.pixels >> 8).astype(np.uint8) if deep else item.pixels

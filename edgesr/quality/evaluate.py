"""A model over a set of pictures: PSNR, SSIM and LPIPS per picture, bicubic as the control."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

from edgesr import console, weights
from edgesr.bundle.recorded import check_recorded
from edgesr.data import benchmarks, photos
from edgesr.data.degrade import enlarge, pair, to_image, to_tensor
from edgesr.errors import DataError, ModelError
from edgesr.losses.perceptual import build_lpips
from edgesr.metrics import Image, mean_db, psnr, psnr_rgb, ssim
from edgesr.models import zoo
from edgesr.models.zoo import SRModel


@dataclass(frozen=True)
class Method:
    """What enlarges pictures: a network, by torch or ONNX Runtime, or bicubic.

    Attributes:
        scale: how many times wider and higher the result is.
        upscale: (H, W, 3) -> (scale * H, scale * W, 3), 8-bit RGB.
    """

    scale: int
    upscale: Callable[[Image], Image]

    def __call__(self, lr: Image) -> Image:
        return self.upscale(lr)


MIN_SIDE = 32
"""Smallest side of an HR picture: AlexNet sees nothing below, SSIM needs 19."""


def protocol(scale: int) -> str:
    """How `evaluate` measures, in words."""
    return (
        f"HR cropped to a multiple of {scale}; LR by MATLAB-style bicubic, rounded to 8 bits. PSNR "
        "and SSIM (11x11 Gaussian, sigma 1.5) on Y of BT.601 (16-235) of 8-bit pictures, "
        f"{scale} pixels shaved off each border; psnr_rgb_db over RGB. LPIPS v0.1 with AlexNet on "
        "RGB, lower is better. Means are over pictures; one without any error counts as 100 dB."
    )


@dataclass(frozen=True)
class Scores:
    """What is measured on one enlarged picture, or its mean over several.

    Attributes:
        psnr_db: infinite where the pictures are identical.
        lpips: None where AlexNet's weights are missing.
        psnr_rgb_db: over RGB, which sees tints; `psnr_db` is on Y.
    """

    psnr_db: float
    ssim: float
    lpips: float | None
    psnr_rgb_db: float


@dataclass(frozen=True)
class Row:
    """One picture, `width` x `height` HR pixels after cropping."""

    image: str
    width: int
    height: int
    model: Scores
    bicubic: Scores

    def as_dict(self) -> dict[str, Any]:
        """Flat, with `bicubic_` before the control's scores."""
        size = {"image": self.image, "width": self.width, "height": self.height}
        return size | flat(self.model, self.bicubic)


@dataclass(frozen=True)
class Evaluation:
    """A model's scores over a set of pictures, one row each."""

    rows: list[Row]
    scale: int

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        return protocol(self.scale)

    @property
    def mean(self) -> Scores:
        """Of the model, over the pictures."""
        return mean([row.model for row in self.rows])

    @property
    def bicubic(self) -> Scores:
        """The mean of the control."""
        return mean([row.bicubic for row in self.rows])

    def as_dict(self) -> dict[str, Any]:
        """For JSON; an infinite PSNR of a picture is null, and so is a missing LPIPS."""
        rows = [row.as_dict() for row in self.rows]
        result = {"images": rows, "mean": flat(self.mean, self.bicubic)}
        return {"protocol": self.protocol, **_without_infinity(result)}

    def csv(self) -> str:
        """A line per picture and one of means, under a line of names."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0].as_dict().keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.as_dict() for row in self.rows)
        writer.writerow({"image": "mean", **flat(self.mean, self.bicubic)})
        return text.getvalue()


def mean(scores: list[Scores]) -> Scores:
    """The mean of each score, a picture without any error at `IDENTICAL_DB`; of LPIPS only where
    every picture has one."""
    seen = [score.lpips for score in scores if score.lpips is not None]
    return Scores(
        mean_db(score.psnr_db for score in scores),
        float(np.mean([score.ssim for score in scores])),
        float(np.mean(seen)) if len(seen) == len(scores) else None,
        mean_db(score.psnr_rgb_db for score in scores),
    )


def flat(model: Scores, bicubic: Scores) -> dict[str, Any]:
    """Both scores in one table: `psnr_db`, ... and `bicubic_psnr_db`, ..."""
    return asdict(model) | {f"bicubic_{key}": value for key, value in asdict(bicubic).items()}


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_infinity(inner) for inner in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def table(evaluation: Evaluation) -> Table:
    """For an 80-column terminal; its protocol belongs below it."""
    view = Table(width=78)
    view.add_column("image", overflow="ellipsis", no_wrap=True, ratio=1)
    for title in ("PSNR dB", "gain dB", "SSIM", "LPIPS"):
        view.add_column(title, justify="right", no_wrap=True)
    for row in evaluation.rows:
        view.add_row(*_cells(row.image, row.model, row.bicubic))
    view.add_section()
    view.add_row(*_cells("mean", evaluation.mean, evaluation.bicubic), style="bold")
    view.add_row(*_cells("mean, bicubic", evaluation.bicubic, evaluation.bicubic))
    return view


def _cells(name: str, scores: Scores, control: Scores) -> list[str]:
    """The gain is PSNR less bicubic's."""
    gain = scores.psnr_db - control.psnr_db if math.isfinite(scores.psnr_db) else math.inf
    lpips = "-" if scores.lpips is None else f"{scores.lpips:.3f}"
    return [name, f"{scores.psnr_db:.2f}", f"{gain:+.2f}", f"{scores.ssim:.4f}", lpips]


def evaluate_model(model: Path, data: Path, weights_folder: str = "") -> Evaluation:
    """`evaluate` for what a user names: a model of any kind and a folder of HR pictures.

    Raises:
        ModelError, DataError, WeightsError: see `upscaler_for`, `load_images`, `find_lpips`.
    """
    images, lpips = load_images(data), find_lpips(weights_folder)
    return evaluate(upscaler_for(model), images, lpips=lpips)


def evaluate(
    method: Method, images: Iterable[tuple[str, Image]], *, lpips: nn.Module | None
) -> Evaluation:
    """Reduce each HR picture by bicubic, enlarge it again by `method`, and compare.

    Args:
        images: names and (H, W, 3) HR pictures, sides of at least `MIN_SIDE`.
        lpips: of `find_lpips`; None leaves LPIPS out.

    Raises:
        DataError: no picture, or one that is too small.
        ModelError: `method` returns another size than `scale` times its input's.
    """
    rows = [_row(name, image, method, lpips) for name, image in images]
    if not rows:
        raise DataError("there is no usable picture to evaluate on", "Name another folder.")
    return Evaluation(rows, method.scale)


def _row(name: str, image: Image, method: Method, lpips: nn.Module | None) -> Row:
    if min(image.shape[:2]) < MIN_SIDE:
        raise DataError(
            f"{name} is {image.shape[1]} x {image.shape[0]} pixels, too small to measure",
            f"Give pictures of at least {MIN_SIDE} pixels a side.",
        )
    hr, lr = pair(image, method.scale)
    height, width = hr.shape[:2]
    try:
        sr = method(lr)
    except ModelError as error:
        raise ModelError(f"{name}: {error.message}", error.remedy) from None
    if sr.shape != hr.shape:
        raise ModelError(f"the model makes {sr.shape} of {lr.shape}, expected {hr.shape}")
    own, control = (
        _scores(each, hr, method.scale, lpips) for each in (sr, enlarge(lr, method.scale))
    )
    return Row(name, width, height, own, control)


def _scores(sr: Image, hr: Image, shave: int, lpips: nn.Module | None) -> Scores:
    distance = None
    if lpips is not None:
        with torch.inference_mode():
            distance = float(lpips(to_tensor(sr), to_tensor(hr), normalize=True))
    return Scores(psnr(sr, hr, shave), ssim(sr, hr, shave), distance, psnr_rgb(sr, hr, shave))


def has_lpips(folder: str = "") -> bool:
    """Whether AlexNet's weights are found."""
    return weights.find("alexnet", folder) is not None


def find_lpips(folder: str = "") -> nn.Module | None:
    """LPIPS with AlexNet; without its weights None, with a warning.

    Raises:
        WeightsError: the weights are there but damaged.
    """
    if not has_lpips(folder):
        console.warn("LPIPS is left out: no weights of AlexNet (edgesr weights --fetch)")
        return None
    module: nn.Module = build_lpips("alexnet", folder)
    return module


def load_images(folder: Path) -> Iterator[tuple[str, Image]]:
    """The pictures of a folder one by one, under a progress bar.

    Files that cannot be used are left out with a warning that says why. A benchmark set may be
    named where it lies in `benchmarks.PLACES`.

    Raises:
        DataError: no such folder, or no picture in it; at the end, none that can be used.
    """
    if not folder.exists() and (found := benchmarks.located(str(folder))):
        folder = found
    files = photos.find(folder, benchmarks.where_to_get(folder))
    tracked = console.track(files, "evaluate", len(files))
    return ((p.name, p.pixels) for p in photos.decode_all(tracked, smallest=MIN_SIDE))


def upscaler_for(path: Path, device: str = "cpu") -> Method:
    """What enlarges 8-bit pictures with the model at `path`.

    Args:
        path: an ONNX file or a bundle folder, run by ONNX Runtime; or a torch checkpoint, any
            model file that spandrel opens, or a run folder, run by torch on whole pictures.
        device: of torch.

    Raises:
        ModelError: nothing of the kind is there, or another file than was written there.
    """
    if path.is_dir():
        if (path / "model.onnx").is_file():
            return _onnx_upscaler(path)
        if (path / "model.safetensors").is_file():
            return torch_upscaler(zoo.load(path / "model.safetensors"), device)
        raise ModelError(
            f"{path} is neither a bundle (no model.onnx) nor a finished run (no model.safetensors)",
            "Name one of exports/ or runs/, an ONNX file or a model file.",
        )
    if path.suffix == ".onnx":
        return _onnx_upscaler(path)
    return torch_upscaler(zoo.load(path), device)


def _onnx_upscaler(path: Path) -> Method:
    from edgesr.inference.upscaler import Upscaler

    file = path / "model.onnx" if path.is_dir() else path
    if file.is_file():  # what is missing, Upscaler says
        check_recorded(file)
    upscaler = Upscaler(path)
    return Method(upscaler.scale, upscaler)


def torch_upscaler(model: SRModel, device: str = "cpu") -> Method:
    """What enlarges 8-bit pictures with a network by torch, in one piece."""
    module = model.module.to(device)

    def upscale(lr: Image) -> Image:
        with torch.inference_mode():
            values = module(to_tensor(lr).to(device))
        if not torch.isfinite(values).all():
            raise ModelError("the network returned NaN or infinity", "Check its weights.")
        return to_image(values)

    return Method(model.scale, upscale)

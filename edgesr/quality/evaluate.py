"""A model over a set of pictures: PSNR, SSIM and LPIPS per picture, bicubic as the control."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from torch import nn

from edgesr import console
from edgesr.bundle.recorded import check_recorded
from edgesr.data import benchmarks, photos
from edgesr.data.degrade import BICUBIC, enlarge, pair, to_image, to_tensor
from edgesr.data.named import Chain, seed_of
from edgesr.errors import DataError, ModelError
from edgesr.inference import contract
from edgesr.inference.session import open_session
from edgesr.losses.perceptual import distance, find_lpips
from edgesr.metrics import Image, psnr, psnr_rgb, ssim
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.quality.grid import grid
from edgesr.quality.scores import Evaluation, Row, Scores


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


def evaluate_model(model: Path, data: Path, weights_folder: str = "") -> Evaluation:
    """`evaluate` for what a user names: a model of any kind and a folder of HR pictures.

    Raises:
        ModelError, DataError, WeightsError: see `upscaler_for`, `load_images`, `find_lpips`.
    """
    return evaluate_each(model, data, [None], weights_folder)[0]


def evaluate_each(
    model: Path, data: Path, degradations: Sequence[Chain | None], weights_folder: str = ""
) -> list[Evaluation]:
    """`evaluate_model` with each of several degradations; None for bicubic.

    Raises:
        ModelError, DataError, WeightsError: as `evaluate_model` does.
    """
    images, lpips = load_images(data), find_lpips(weights_folder)
    method = upscaler_for(model)
    found = [Evaluation([], method.scale, degradation) for degradation in degradations]
    for image in images:
        for each in found:
            extend(each, method, image, lpips, lanczos=True)
    return found


def extend(
    found: Evaluation,
    method: Method,
    image: tuple[str, Image],
    lpips: nn.Module | None,
    lanczos: bool = False,
) -> None:
    """Add to `found` the scores of one more picture; see `evaluate`."""
    by = found.degradation
    found.rows.extend(evaluate(method, [image], lpips=lpips, degradation=by, lanczos=lanczos).rows)


def evaluate(
    method: Method,
    images: Iterable[tuple[str, Image]],
    *,
    lpips: nn.Module | None,
    degradation: Chain | None = None,
    lanczos: bool = False,
) -> Evaluation:
    """Reduce each HR picture, enlarge it again by `method`, and compare.

    Args:
        images: names and (H, W, 3) HR pictures, sides of at least `MIN_SIDE`.
        lpips: of `find_lpips`; None leaves LPIPS out.
        degradation: how they are reduced, noise seeded by their names; None for bicubic.
        lanczos: whether Lanczos is measured beside bicubic.

    Raises:
        DataError: no picture, or one that is too small.
        ModelError: `method` returns another size than `scale` times its input's.
    """
    controls = (enlarge, enlarge_by_lanczos) if lanczos else (enlarge,)
    rows = [_row(name, image, method, controls, lpips, degradation) for name, image in images]
    if not rows:
        raise DataError("there is no usable picture to evaluate on", "Name another folder.")
    return Evaluation(rows, method.scale, degradation)


def _row(
    name: str,
    image: Image,
    method: Method,
    controls: Sequence[Callable[[Image, int], Image]],
    lpips: nn.Module | None,
    degradation: Chain | None,
) -> Row:
    if min(image.shape[:2]) < MIN_SIDE:
        raise DataError(
            f"{name} is {image.shape[1]} x {image.shape[0]} pixels, too small to measure",
            f"Give pictures of at least {MIN_SIDE} pixels a side.",
        )
    hr, lr = pair(image, method.scale, degradation or BICUBIC, seed_of(name))
    height, width = hr.shape[:2]
    try:
        sr = method(lr)
    except ModelError as error:
        raise ModelError(f"{name}: {error.message}", error.remedy) from None
    if sr.shape != hr.shape:
        raise ModelError(f"the model makes {sr.shape} of {lr.shape}, expected {hr.shape}")
    pictures = [sr, *(control(lr, method.scale) for control in controls)]
    scores = [_scores(each, hr, method.scale, lpips) for each in pictures]
    return Row(name, width, height, *scores)


def enlarge_by_lanczos(lr: Image, scale: int) -> Image:
    """(H, W, 3) -> (scale * H, scale * W, 3) by Pillow, 8-bit RGB."""
    size = (scale * lr.shape[1], scale * lr.shape[0])
    return np.asarray(Pillow.fromarray(lr).resize(size, Pillow.Resampling.LANCZOS))


def _scores(sr: Image, hr: Image, shave: int, lpips: nn.Module | None) -> Scores:
    return Scores(
        psnr(sr, hr, shave),
        ssim(sr, hr, shave),
        distance(lpips, to_tensor(sr), to_tensor(hr)),
        psnr_rgb(sr, hr, shave),
        grid(sr, hr, shave),
    )


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
            model file that spandrel opens, or a run folder, run by torch on whole pictures; so are
            ONNX files that do not state a contract.
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
    if path.suffix == ".onnx" and _states_contract(path):
        return _onnx_upscaler(path)
    return torch_upscaler(zoo.load(path), device)


def _states_contract(path: Path) -> bool:
    if path.is_file():
        check_recorded(path)
    try:
        return contract.is_stated(open_session(path, provider="cpu"))
    except ModelError:  # what is missing or damaged, Upscaler says
        return True


def _onnx_upscaler(path: Path) -> Method:
    from edgesr.inference.upscaler import Upscaler

    if path.is_dir():
        check_recorded(path / "model.onnx")
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

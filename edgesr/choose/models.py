"""Several models in one table: quality on several sets, cost, size, and latency side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from edgesr.bundle.card import read_card
from edgesr.choose.table import Row
from edgesr.errors import DataError
from edgesr.fit.turns import in_turn
from edgesr.losses.perceptual import find_lpips
from edgesr.models import zoo
from edgesr.quality.evaluate import evaluate, load_images, upscaler_for
from edgesr.quality.scores import Evaluation
from edgesr.recipe import Edge, Srgan
from edgesr.verify.cost import cost, total
from edgesr.workspace import weights_in


def compared(
    models: Sequence[Path],
    sets: Sequence[Path],
    *,
    size: str,
    threads: int,
    weights_folder: str = "",
) -> list[Row]:
    """A row a model, in the order given.

    Bundles and ONNX files are timed together: in turns, in one process, fp32 on ONNX Runtime's CPU.

    Args:
        models: runs, bundles or model files.
        sets: folders of HR pictures, or benchmark sets by their names.
        size: LR "WIDTHxHEIGHT" of the latency.
        threads: of the CPU.

    Raises:
        DataError: no set is named, or one has no usable picture.
        ModelError, BundleError: a model cannot be opened.
    """
    if not sets:
        raise DataError("no pictures to compare on", "Name them: --data Set5 --data Set14")
    lpips = find_lpips(weights_folder)
    timed = [file for model in models if (file := _onnx(model))]
    latency = dict(zip(timed, in_turn("cpu", timed, size=size, threads=threads), strict=True))
    return [_row(model, sets, latency, size, lpips) for model in models]


def _row(
    model: Path,
    sets: Sequence[Path],
    latency: dict[Path, dict[str, float]],
    size: str,
    lpips: nn.Module | None,
) -> Row:
    method, row = upscaler_for(model), Row(model=model.name)
    for each in sets:
        row |= _scores(each.name, evaluate(method, load_images(each), lpips=lpips))
    file, spec = _onnx(model), _spec(model)
    parts = total(cost(spec, "1x1")) if spec else None
    return row | {
        "parameters": parts and parts.parameters,
        "MACs/LR px": parts and parts.macs,
        "MB": round(file.stat().st_size / 1e6, 2) if file else None,
        f"ms at {size}": round(latency[file]["p50_ms"], 2) if file else None,
    }


def _scores(name: str, found: Evaluation) -> Row:
    mean = found.mean
    scores: Row = {f"{name} dB": round(mean.psnr_db, 2), f"{name} SSIM": round(mean.ssim, 4)}
    if mean.lpips is not None:
        scores[f"{name} LPIPS"] = round(mean.lpips, 3)
    return scores


def _onnx(model: Path) -> Path | None:
    """The model file that is timed, if it has one."""
    if model.suffix == ".onnx":
        return model
    return model / "model.onnx" if (model / "model.onnx").is_file() else None


def _spec(model: Path) -> Srgan | Edge | None:
    """The table that builds it, where edgesr knows its layers."""
    if (model / "card.json").is_file():
        spec = read_card(model).spec
    else:
        weights = weights_in(model) if model.is_dir() else model
        spec = zoo.load(weights).spec if weights and weights.suffix != ".onnx" else None
    return spec if isinstance(spec, Srgan | Edge) else None

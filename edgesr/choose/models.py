"""Several models in one table: cost, size, latency side by side, and quality on several sets."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from edgesr.bounds import parse_size
from edgesr.bundle.card import read_card
from edgesr.bundle.records.card import VariantName
from edgesr.choose.table import Row
from edgesr.data.named import Chain
from edgesr.errors import DataError
from edgesr.losses.perceptual import find_lpips
from edgesr.models import zoo
from edgesr.quality.evaluate import evaluate, load_images, upscaler_for
from edgesr.quality.scores import Scores
from edgesr.recipe import Edge, Srgan
from edgesr.verify.cost import Cost, cost, total
from edgesr.verify.graph_cost import graph_cost
from edgesr.verify.turns import Timed, in_turn
from edgesr.workspace import weights_in

COUNTED_AT = "64x64"
"""LR, to count what an unknown graph costs; large enough for any network's least size."""


@dataclass(frozen=True)
class Entry:
    """A row: a model, or one of a bundle's files.

    Attributes:
        name: `edge-s`, and `edge-s, int8` of another file than fp32's.
        path: what enlarges pictures: a run, a bundle or a file.
        file: the ONNX file that is timed and weighed; None where there is none.
    """

    name: str
    path: Path
    file: Path | None


@dataclass(frozen=True)
class Asked:
    """What is measured.

    Attributes:
        sets: folders of HR pictures, or benchmark sets by their names.
        degradations: how LR is made; None is bicubic.
        size: LR "WIDTHxHEIGHT" of the latency; None times nothing.
        threads: of the CPU.
    """

    sets: Sequence[Path]
    degradations: Sequence[Chain | None] = (None,)
    size: str | None = None
    threads: int = 1
    weights_folder: str = ""


def compared(
    models: Sequence[Path], asked: Asked, variants: Sequence[VariantName] = ("fp32",)
) -> list[Row]:
    """A row of bicubic for each scale, then one for each model and file of it, in the order given.

    ONNX files are timed together: in turns, in one process, on ONNX Runtime's CPU. `times` is how
    many times less a row takes than the first of them. Bicubic is Pillow's, on its one thread.

    Args:
        models: runs, bundles or model files.
        variants: which of a bundle's files; one that it lacks has no row.

    Raises:
        DataError: no set is named, or one has no usable picture.
        ModelError, BundleError: a model cannot be opened.
    """
    if not asked.sets:
        raise DataError("no pictures to compare on", "Name them: --data Set5 --data Set14")
    lpips = find_lpips(asked.weights_folder)
    found = [entry for model in models for entry in entries(model, variants)]
    latency = _latencies(found, asked)
    controls: dict[int, Row] = {}
    rows = []
    for entry in found:
        own, control, scale = _quality(entry, asked, lpips)
        row = {"model": entry.name, "scale": scale, **_cost(entry)}
        rows.append(row | _speed(latency.get(entry.name), latency, asked) | own)
        if scale not in controls:
            empty = dict.fromkeys(row) | {"model": f"bicubic x{scale}", "scale": scale}
            ms = bicubic_ms(asked.size, scale) if asked.size else None
            controls[scale] = empty | _speed(ms, latency, asked) | control
    return [*controls.values(), *rows]


def entries(model: Path, variants: Sequence[VariantName]) -> list[Entry]:
    """The rows of one model."""
    if model.is_dir() and (model / "card.json").is_file():
        card = read_card(model)
        there = [(each, card.variants[each].file) for each in variants if each in card.variants]
        return [Entry(_named(model, each), model / file, model / file) for each, file in there]
    file = model if model.suffix == ".onnx" else None
    return [Entry(model.name if model.is_dir() else model.stem, model, file)]


def _named(bundle: Path, variant: VariantName) -> str:
    return bundle.name if variant == "fp32" else f"{bundle.name}, {variant}"


def _latencies(found: Sequence[Entry], asked: Asked) -> dict[str, float]:
    """Median ms of each entry with a file, the first of them first."""
    timed = [(entry.name, entry.file) for entry in found if entry.file]
    if not asked.size or not timed:
        return {}
    files = [Timed(file) for _, file in timed]
    taken = in_turn(files, size=asked.size, threads=asked.threads).rows
    return {name: each["p50_ms"] for (name, _), each in zip(timed, taken, strict=True)}


def _speed(ms: float | None, latency: dict[str, float], asked: Asked) -> Row:
    if not asked.size:
        return {}
    reference = next(iter(latency.values()), None)
    times = reference / ms if ms and reference else None
    return {f"ms at {asked.size}": ms, "times": times}


def bicubic_ms(size: str, scale: int) -> float:
    """Median milliseconds of Pillow's bicubic enlargement of an LR picture of `size`."""
    width, height = parse_size(size)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture, taken = Image.fromarray(noise), []
    for _ in range(20):
        began = time.perf_counter()
        picture.resize((scale * width, scale * height), Image.Resampling.BICUBIC)
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken)


def _quality(entry: Entry, asked: Asked, lpips: nn.Module | None) -> tuple[Row, Row, int]:
    """The scores of a model, those of bicubic, and the scale."""
    method, own, control = upscaler_for(entry.path), Row(), Row()
    for each in asked.sets:
        for chain in asked.degradations:
            found = evaluate(method, load_images(each), lpips=lpips, degradation=chain)
            name = f"{each.name} {chain.name}" if chain else each.name
            own[name], control[name] = _scores(found.mean), _scores(found.bicubic)
    return own, control, method.scale


def _scores(mean: Scores) -> Row:
    found: Row = {"dB": mean.psnr_db, "SSIM": mean.ssim}
    return found | ({} if mean.lpips is None else {"LPIPS": mean.lpips})


def _cost(entry: Entry) -> Row:
    parts = _parts(entry)
    whole = total(parts) if parts else None
    width, height = parse_size(COUNTED_AT)
    return {
        "parameters": whole and whole.parameters,
        "MACs per LR pixel": whole and round(whole.macs / (width * height)),
        "MB": round(entry.file.stat().st_size / 1e6, 3) if entry.file else None,
    }


def _parts(entry: Entry) -> dict[str, Cost] | None:
    """What a network's parts cost; None of a file whose graph does not tell all of it."""
    beside = entry.path.parent if entry.file else entry.path
    spec = _spec(beside if (beside / "card.json").is_file() else entry.path)
    if spec:
        return cost(spec, COUNTED_AT)
    parts = graph_cost(entry.file, COUNTED_AT) if entry.file else {}
    return None if not parts or any("not counted" in name for name in parts) else parts


def _spec(model: Path) -> Srgan | Edge | None:
    """The table that builds it, where edgesr knows its layers."""
    if (model / "card.json").is_file():
        spec = read_card(model).spec
    else:
        weights = weights_in(model) if model.is_dir() else model
        spec = zoo.load(weights).spec if weights and weights.suffix != ".onnx" else None
    return spec if isinstance(spec, Srgan | Edge) else None

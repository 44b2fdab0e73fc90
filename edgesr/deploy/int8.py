"""Eight bits: ONNX Runtime's static quantisation in QDQ format, within a budget of quality.

calibrate by each method -> keep the best -> fine-tune where it is not good enough -> keep the most
harmful layers in float until the held-out photographs lose no more than the recipe allows
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edgesr import console
from edgesr.deploy.export import to_graph
from edgesr.deploy.finetune import finetune
from edgesr.deploy.heldout import Pair, calibration, heldout, psnr_db
from edgesr.deploy.levels import OPERATORS, PICTURES, ends_on_levels, repeat_by_concat
from edgesr.models.zoo import Student
from edgesr.recipe import Recipe

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# The 256 levels of a picture as they are: quantising the input loses nothing, and the output no
# more than the rounding to bytes that follows.
LEVELS = {
    "quant_type": QuantType.QUInt8,
    "scale": np.array(1 / 255, np.float32),
    "zero_point": np.array(0, np.uint8),
}


@dataclass(frozen=True)
class Int8:
    """An int8 graph and how it came about.

    Attributes:
        model: the graph.
        method: how its ranges were set.
        loss_db: PSNR lost on the held-out photographs.
        in_float: the convolutions that stay in float.
    """

    model: onnx.ModelProto
    method: str
    loss_db: float
    in_float: list[str]


@dataclass(frozen=True)
class Quantiser:
    """Makes int8 graphs of one float graph and measures what they lose.

    Attributes:
        fp32: the graph.
        ranges: photographs whose activations set the ranges.
        judges: held-out photographs that the loss is measured on.
        reference: PSNR in dB that the loss is counted from.
        min_channels: a convolution to fewer stays in float.
    """

    fp32: onnx.ModelProto
    ranges: list[Pair]
    judges: list[Pair]
    reference: float
    min_channels: int = 1

    @property
    def layers(self) -> list[str]:
        """The convolutions that may have eight bits, in order."""
        return [name for name, channels in self._convolutions() if channels >= self.min_channels]

    @property
    def narrow(self) -> list[str]:
        """The convolutions that never have them."""
        return [name for name, channels in self._convolutions() if channels < self.min_channels]

    def _convolutions(self) -> list[tuple[str, int]]:
        constants = self.fp32.graph.initializer
        widths = {tensor.name: tensor.dims[0] for tensor in constants if tensor.dims}
        nodes = [node for node in self.fp32.graph.node if node.op_type == "Conv"]
        return [(node.name, widths[node.input[1]]) for node in nodes]

    def quantise(self, method: str, in_float: list[str]) -> Int8:
        """The graph in eight bits but for the narrow convolutions and those named in `in_float`."""
        in_float = [*self.narrow, *in_float]
        on_levels = ends_on_levels(self.fp32)
        pictures = ("lr", *PICTURES) if on_levels else ("lr",)
        with tempfile.TemporaryDirectory() as folder, _hushed():
            target = Path(folder) / "int8.onnx"
            quantize_static(
                copy.deepcopy(self.fp32),
                target,
                _Reader(self.ranges),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Relu", *(OPERATORS if on_levels else ())],
                nodes_to_exclude=in_float + self._behind(in_float),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=METHODS[method],
                extra_options={"TensorQuantOverrides": {name: [LEVELS] for name in pictures}},
            )
            model = onnx.load(target)
        loss = self.reference - psnr_db(model, self.judges)
        return Int8(model, method, loss, in_float)

    def _behind(self, layers: list[str]) -> list[str]:
        """What stays in float too: the ReLUs behind `layers`, and the end behind the last one."""
        nodes = self.fp32.graph.node
        outputs = {name for node in nodes if node.name in layers for name in node.output}
        behind = [node for node in nodes if outputs & set(node.input)]
        found = [node.name for node in behind if node.op_type == "Relu"]
        if any(node.op_type == "Add" for node in behind):
            found += [node.name for node in nodes if node.op_type in OPERATORS]
        return found


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the quantiser."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = iter(pairs)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        pair = next(self._pairs, None)
        return None if pair is None else {"lr": pair.lr}


def to_int8(
    module: Student, fp32: onnx.ModelProto, recipe: Recipe
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """`fp32`, the graph of `module`, in eight bits, and what card.json says of it.

    Raises:
        DataError: the recipe's photographs are not there.
    """
    settings, fp32 = recipe.export.int8, repeat_by_concat(fp32)
    ranges, judges = calibration(recipe.data, settings.images), heldout(recipe.data)
    reference = psnr_db(fp32, judges)
    quantiser = Quantiser(fp32, ranges, judges, reference, settings.min_channels)
    tried = calibrate(quantiser)
    best, tuned = min(tried, key=lambda found: found.loss_db), False
    if best.loss_db > settings.max_psnr_loss_db and settings.finetune_steps:
        graph, _ = to_graph(finetune(module, recipe), recipe.export)
        better = dataclasses.replace(quantiser, fp32=repeat_by_concat(graph))
        candidate = min(calibrate(better), key=lambda found: found.loss_db)
        if candidate.loss_db < best.loss_db:
            best, quantiser, tuned = candidate, better, True
    damage: dict[str, float] = {}
    if best.loss_db > settings.max_psnr_loss_db:
        damage = rank(quantiser, best.method)
        best = keep_in_float(quantiser, best, list(damage), settings.max_psnr_loss_db)
    _say(best, quantiser, settings.max_psnr_loss_db)
    return best.model, {
        "calibration": best.method,
        "calibration_images": len(ranges),
        "psnr_loss_db": {found.method: round(found.loss_db, 4) for found in tried},
        "finetuned": tuned,
        "psnr_loss_db_of_one_layer": {name: round(loss, 4) for name, loss in damage.items()},
        "float_layers": best.in_float,
        "layers": len(quantiser.layers) + len(quantiser.narrow),
        "psnr_loss_db_shipped": round(best.loss_db, 4),
        "judged_on": f"{len(judges)} held-out photographs",
    }


def calibrate(quantiser: Quantiser) -> list[Int8]:
    """All convolutions in eight bits, once by each method."""
    methods = console.track(METHODS, "calibration", len(METHODS))
    return [quantiser.quantise(method, []) for method in methods]


def rank(quantiser: Quantiser, method: str) -> dict[str, float]:
    """Convolution -> PSNR in dB that is lost where it alone has eight bits; the worst first."""
    layers = quantiser.layers
    damage = {
        layer: quantiser.quantise(method, [other for other in layers if other != layer]).loss_db
        for layer in console.track(layers, "layers", len(layers))
    }
    return dict(sorted(damage.items(), key=lambda entry: -entry[1]))


def keep_in_float(quantiser: Quantiser, worst: Int8, order: list[str], budget: float) -> Int8:
    """The first graph within `budget` dB of loss as layers move to float, in `order`."""
    for count in range(1, len(order)):
        found = quantiser.quantise(worst.method, order[:count])
        if found.loss_db <= budget:
            return found
    return quantiser.quantise(worst.method, order)


def _say(found: Int8, quantiser: Quantiser, budget: float) -> None:
    kept = f", in float: {', '.join(found.in_float)}" if found.in_float else ""
    console.say(f"int8: {found.loss_db:.3f} dB lost by {found.method} ranges{kept}")
    total = len(quantiser.layers) + len(quantiser.narrow)
    if 2 * len(found.in_float) > total:
        console.warn(
            f"{len(found.in_float)} of {total} convolutions stay in float to lose "
            f"at most {budget:g} dB: allow export.int8.finetune_steps, or a larger loss"
        )


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep off the terminal what the quantiser prints, and its advice to optimise the graph, which
    is done already."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)

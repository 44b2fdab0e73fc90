"""One float graph as int8 graphs, by ONNX Runtime's static quantisation in QDQ format."""

from __future__ import annotations

import contextlib
import copy
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
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edgesr.deploy import saturation
from edgesr.deploy.int8_tail import OPERATORS, PICTURES, ends_on_levels

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
}
# The levels of a picture as they are: quantising the input loses nothing, and the output no more
# than the rounding to bytes that follows. Of 16 bits every 257th is one of the 256.
LEVELS = {
    kind: {
        "quant_type": kind,
        "scale": np.array(1 / np.iinfo(dtype).max, np.float32),
        "zero_point": np.array(0, dtype),
    }
    for kind, dtype in ((QuantType.QUInt8, np.uint8), (QuantType.QUInt16, np.uint16))
}


@dataclass(frozen=True)
class Quantiser:
    """Makes int8 graphs of one float graph.

    Attributes:
        fp32: the graph.
        ranges: name -> pictures at LR, (1, 3, H, W) of one size, whose activations set the ranges.
        min_channels: a convolution to fewer stays in float.
        reduce_range: whether sums of two products fit 16 bits, see `deploy.saturation`.
        activations: their type, of 8 bits or of 16, which QNN's HTP computes with.
    """

    fp32: onnx.ModelProto
    ranges: dict[str, list[NDArray[np.float32]]]
    min_channels: int = 1
    reduce_range: bool = True
    activations: QuantType = QuantType.QUInt8

    @property
    def layers(self) -> list[str]:
        """The convolutions that may have eight bits, in order."""
        return [conv.name for conv in self._convolutions() if not self._is_narrow(conv)]

    @property
    def narrow(self) -> list[str]:
        """The convolutions that never have them."""
        return [conv.name for conv in self._convolutions() if self._is_narrow(conv)]

    def quantise(self, ranges: str, method: str, in_float: list[str]) -> onnx.ModelProto:
        """The graph in eight bits but for the narrow convolutions and those named in `in_float`."""
        in_float = [*self.narrow, *in_float]
        on_levels = ends_on_levels(self.fp32)
        with tempfile.TemporaryDirectory() as folder, _hushed():
            target = Path(folder) / "int8.onnx"
            quantize_static(
                copy.deepcopy(self.fp32),
                target,
                _Reader(self.ranges[ranges]),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Relu", *(OPERATORS if on_levels else ())],
                nodes_to_exclude=in_float + self._behind(in_float),
                per_channel=True,
                activation_type=self.activations,
                weight_type=QuantType.QInt8,
                calibrate_method=METHODS[method],
                extra_options={"TensorQuantOverrides": self._steps(in_float, on_levels=on_levels)},
            )
            return onnx.load(target)

    def _steps(self, in_float: list[str], *, on_levels: bool) -> dict[str, list[dict[str, Any]]]:
        """The steps that no calibration sets: of pictures and of weights, a filter each."""
        found = {
            name: [LEVELS[self.activations]] for name in ("lr", *(PICTURES if on_levels else ()))
        }
        constants = {tensor.name: tensor for tensor in self.fp32.graph.initializer}
        for conv in self._convolutions():
            if conv.name not in in_float:
                weights = numpy_helper.to_array(constants[conv.input[1]])
                steps = saturation.steps(weights, reduce_range=self.reduce_range)
                found[conv.input[1]] = [_weights(step) for step in steps]
        return found

    def _convolutions(self) -> list[onnx.NodeProto]:
        return [node for node in self.fp32.graph.node if node.op_type == "Conv"]

    def _is_narrow(self, conv: onnx.NodeProto) -> bool:
        constants = self.fp32.graph.initializer
        filters = next(tensor for tensor in constants if tensor.name == conv.input[1])
        return bool(filters.dims[0] < self.min_channels)

    def _behind(self, layers: list[str]) -> list[str]:
        """What stays in float too: the ReLUs behind `layers`, and the end behind the last one."""
        nodes = self.fp32.graph.node
        outputs = {name for node in nodes if node.name in layers for name in node.output}
        behind = [node for node in nodes if outputs & set(node.input)]
        found = [node.name for node in behind if node.op_type == "Relu"]
        if any(node.op_type == "Add" for node in behind):
            found += [node.name for node in nodes if node.op_type in OPERATORS]
        return found


def is_picture(step: NDArray[np.float32], zero: NDArray[Any]) -> bool:
    """Whether eight bits of this step and zero point are a picture's 256 levels."""
    levels = LEVELS[QuantType.QUInt8]
    return bool(step == levels["scale"] and zero == levels["zero_point"])


def _weights(step: float) -> dict[str, Any]:
    """How ONNX Runtime is told the step of a filter: by the ends of its range."""
    end = np.float32(step * saturation.LARGEST)
    ends = {"rmin": -end, "rmax": end, "symmetric": True}
    return {"axis": 0, "quant_type": QuantType.QInt8, **ends}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the quantiser."""

    def __init__(self, pictures: list[NDArray[np.float32]]) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        lr = next(self._pictures, None)
        return None if lr is None else {"lr": lr}


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

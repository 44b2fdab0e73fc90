"""A Core ML package read back from its zip file, and its operations computed by PyTorch.

Core ML runs on Apple's machines alone. So its graph is checked: what it says of `lr` and `sr`, and
what its operations and weights, as they stand in the file, make of the golden vectors. It knows
the operations that edgesr's networks have, PixelShuffle as one, weights that are palettised, and
refuses every other.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesr.bundle.records.card import Other
from edgesr.deploy.coreml import MODEL, WEIGHTS
from edgesr.errors import ExportError
from edgesr.runtimes import base
from edgesr.streams import unheard

with unheard():
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

LOOK_UP = "constexpr_lut_to_dense"
IOS16 = 7
"""The version of Core ML's format that iOS 16 and macOS 13 brought."""


class MlProgram:
    """The graph of a package.

    Attributes:
        operations: that compute something, in order.
        tables: how many layers have weights that are indices into a table.
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        with TemporaryDirectory() as folder, unheard():
            with zipfile.ZipFile(file) as archive:
                archive.extractall(folder)
            package = Path(folder) / "model.mlpackage"
            self._model = Model_pb2.Model.FromString((package / MODEL).read_bytes())
            program = load(self._model, IOS16, str(package / WEIGHTS))
        self._block = program.functions["main"]
        constants, ops = ("const", LOOK_UP), self._block.operations
        self._computed = [op for op in ops if op.op_type not in constants]
        self._palettised = {
            op.outputs[0].name: _looked_up(op) for op in ops if op.op_type == LOOK_UP
        }
        self.operations = [str(op.op_type) for op in self._computed]
        self.tables = len(self._palettised)

    def check(self, other: Other) -> None:
        """Hold what the package says of itself against the card.

        Raises:
            ExportError: it says something else.
        """
        said, largest = self._model.description, other.largest
        sides = [(1, 1), (3, 3), (1, largest), (1, largest)]
        expected = (IOS16, [("lr", other.input.dtype, sides)], [("sr", other.output.dtype)])
        found = (
            self._model.specificationVersion,
            [(each.name, _dtype(each), _sides(each)) for each in said.input],
            [(each.name, _dtype(each)) for each in said.output],
        )
        if found != expected:
            raise ExportError(f"{other.file} says {found} of itself, expected {expected}")

    @torch.no_grad()
    def run(self, lr: base.Tensor) -> base.Values:
        """`sr` (1, 3, scale * height, scale * width) of `lr` (1, 3, height, width), RGB 0..1.

        Weights are as the package keeps them; the arithmetic is float32's, for what a device rounds
        in float16, and when, is its own affair.

        Raises:
            ExportError: it has an operation that no network of edgesr has.
        """
        (taken,), (given,) = self._block.inputs.values(), self._block.outputs
        known = self._palettised | {taken.name: torch.from_numpy(np.asarray(lr, np.float32))}
        for op in self._computed:
            (out,) = op.outputs
            known[out.name] = _compute(op, known)
        return known[given.name].numpy()


def _dtype(feature: Any) -> str:
    kind = feature.type.multiArrayType.dataType
    return str(FeatureTypes_pb2.ArrayFeatureType.ArrayDataType.Name(kind)).lower()


def _sides(feature: Any) -> list[tuple[int, int]]:
    sides = feature.type.multiArrayType.shapeRange.sizeRanges
    return [(side.lowerBound, side.upperBound) for side in sides]


def _looked_up(op: Any) -> Tensor:
    """Weights that stand in the file as indices into a table of 2^n, of n bits each, the lowest
    first."""
    table = np.array(op.inputs["lut"].val, np.float32)
    shape, bits = tuple(op.inputs["shape"].val), (len(table) - 1).bit_length()
    packed = np.unpackbits(op.inputs["indices"].val, bitorder="little")
    digits = packed[: bits * math.prod(shape)].reshape(*shape, bits)
    return torch.from_numpy(table[digits @ (1 << np.arange(bits))])


def _compute(op: Any, known: dict[str, Tensor]) -> Tensor:
    def tensor(name: str) -> Tensor:
        variable = op.inputs[name]
        if variable.name in known:
            return known[variable.name]
        return torch.from_numpy(np.array(variable.val, np.float32))

    def number(name: str) -> Any:
        return op.inputs[name].val

    x = tensor("x")
    match op.op_type:
        case "conv":
            top, bottom, left, right = _padding(op)
            bias = tensor("bias") if op.inputs.get("bias") is not None else None
            plain = *number("strides"), *number("dilations"), number("groups")
            if plain != (1, 1, 1, 1, 1):
                raise ExportError(f"a convolution of strides, dilations and groups {plain}")
            return F.conv2d(F.pad(x, (left, right, top, bottom)), tensor("weight"), bias)
        case "add":
            return x + tensor("y")
        case "relu":
            return F.relu(x)
        case "leaky_relu":
            return F.leaky_relu(x, float(number("alpha")))
        case "prelu":
            return F.prelu(x, tensor("alpha"))
        case "clip":
            return x.clamp(float(number("alpha")), float(number("beta")))
        case "pixel_shuffle":
            return F.pixel_shuffle(x, int(number("upscale_factor")))
    raise ExportError(
        f"Core ML's operation {op.op_type} is not one that a network of edgesr has",
        "Leave out --mlpackage, or try another version of coremltools.",
    )


def _padding(op: Any) -> tuple[int, int, int, int]:
    match op.inputs["pad_type"].val:
        case "valid":
            return 0, 0, 0, 0
        case "custom":
            top, bottom, left, right = map(int, op.inputs["pad"].val)
            return top, bottom, left, right
        case other:
            raise ExportError(f"a convolution with padding {other}")

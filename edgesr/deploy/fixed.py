"""A graph for pictures of one size alone: many delegates refuse shapes that are not fixed."""

from __future__ import annotations

import onnx

from edgesr.bounds import parse_size
from edgesr.deploy.sight import Sight
from edgesr.errors import ExportError


def check_window(window: str, seen: Sight) -> None:
    """Refuse windows "WIDTHxHEIGHT" that cannot make up a larger picture.

    Raises:
        ExportError: the network sees the whole picture, or farther than such a window reaches, or
            takes other multiples.
    """
    if not seen.tileable:
        raise ExportError(
            f"export.fixed {window}: the network sees the whole picture, which cannot be cut",
            "Export it without --fixed.",
        )
    sides, least = parse_size(window), 2 * seen.halo + 1
    if min(sides) < least or any(side % seen.multiple for side in sides):
        multiples = f", in multiples of {seen.multiple}" if seen.multiple > 1 else ""
        raise ExportError(
            f"export.fixed {window}: the network sees {seen.halo} pixels around each, so a window "
            f"has at least {least} a side{multiples}"
        )


def fix_shapes(model: onnx.ModelProto, window: str, scale: int) -> onnx.ModelProto:
    """A copy of `model` for one picture of the size `window`, every shape in it known."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    width, height = parse_size(window)
    for value, times in ((copy.graph.input[0], 1), (copy.graph.output[0], scale)):
        shape = value.type.tensor_type.shape
        rows, columns = (1, 2) if shape.dim[3].dim_value else (2, 3)
        for axis, length in ((0, 1), (rows, times * height), (columns, times * width)):
            shape.dim[axis].Clear()
            shape.dim[axis].dim_value = length
    copy.graph.ClearField("value_info")
    result: onnx.ModelProto = onnx.shape_inference.infer_shapes(copy)
    return result

"""An ONNX file of any project as one that keeps to edgesr's contract: what it takes is found out.

Its layout is told by its shapes; scale, sizes, range and the order of its colours by running it on
a photograph that was reduced, and comparing with that photograph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from edgesr.data import photos
from edgesr.data.degrade import pair
from edgesr.errors import ModelError, cut
from edgesr.inference.session import open_bytes, open_session

Values = NDArray[Any]
SIDES = (1, 2, 4, 8, 16, 32, 64)
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


BGR_DB = 0.2
"""By how much BGR has to be better to be believed: most networks differ little between the two."""


@dataclass(frozen=True)
class Convention:
    """How a file is called; None is found out.

    Attributes:
        layout: "nchw" or "nhwc".
        range: 1 or 255, the value of white.
        colour: "rgb" or "bgr".
    """

    scale: int | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    range: Literal[1, 255] | None = None
    colour: Literal["rgb", "bgr"] | None = None

    def words(self) -> str:
        """For people."""
        return f"x{self.scale}, {self.layout}, 0..{self.range}, {self.colour}"


@dataclass(frozen=True)
class Adapted:
    """A graph with `lr` and `sr` (B, 3, H, W), RGB 0..1, and what was found of it."""

    graph: onnx.ModelProto
    convention: Convention
    multiple: int
    psnr_db: float

    def words(self) -> str:
        """For people."""
        return f"{self.convention.words()} ({self.psnr_db:.2f} dB to a photograph)"

    def metadata(self, licence: str) -> dict[str, str]:
        """The contract that the graph keeps to, as it is written into its file."""
        facts = {
            "scale": self.convention.scale,
            "halo": 0,
            "min_size": self.multiple,
            "multiple": self.multiple,
            "layout": "NCHW",
            "range": "0..1",
            "architecture": "ONNX file",
            "licence": licence,
        }
        return {f"edgesr.{key}": str(value) for key, value in facts.items()}


def adapt(path: Path, stated: Convention) -> Adapted:
    """The file at `path` behind edgesr's contract.

    Args:
        stated: what is known; it is not tried otherwise.

    Raises:
        ModelError: it is not an ONNX file of one picture in and one out with free sizes, or nothing
            that it was tried as gives a picture of the photograph.
    """
    session = open_session(path, provider="cpu")
    layout = stated.layout or _layout(session, path)
    loaded = onnx.load(path)
    white = (255,) if session.get_inputs()[0].type == "tensor(uint8)" else (1, 255)
    ranges, orders = (stated.range,) if stated.range else white, ("rgb", "bgr")
    found = []
    for white_is, order in product(ranges, (stated.colour,) if stated.colour else orders):
        way = Convention(stated.scale, layout, white_is, order)  # type: ignore[arg-type]
        graph = wrapped(loaded, way)
        multiple, scale = _sizes(open_bytes(graph.SerializeToString()), path)
        found.append(Adapted(graph, replace(way, scale=scale), multiple, _score(graph, scale)))
    best = max(found, key=lambda each: each.psnr_db - BGR_DB * (each.convention.colour == "bgr"))
    if stated.scale not in (None, best.convention.scale):
        raise ModelError(f"{path} enlarges x{best.convention.scale}, stated was x{stated.scale}")
    if best.psnr_db < 15:
        raise ModelError(
            f"{path}: its picture of a photograph is {best.psnr_db:.1f} dB from it at best "
            f"({best.convention.words()}), expected at least 15",
            "State how it is called: --layout, --range, --colour.",
        )
    return best


def _layout(session: onnxruntime.InferenceSession, path: Path) -> Literal["nchw", "nhwc"]:
    ends = session.get_inputs(), session.get_outputs()
    shape = ends[0][0].shape
    if [len(end) for end in ends] != [1, 1] or len(shape) != 4 or ends[0][0].type not in TYPES:
        told = ", ".join(f"{each.name} {each.type} {each.shape}" for each in (*ends[0], *ends[1]))
        raise ModelError(f"{path} does not take one picture and give one: {cut(told)}")
    layout: Literal["nchw", "nhwc"] = "nhwc" if shape[3] == 3 else "nchw"
    sides = shape[1:3] if layout == "nhwc" else shape[2:]
    if any(isinstance(side, int) for side in sides):
        raise ModelError(
            f"{path} takes pictures of one size alone, {shape}",
            "Export it with free height and width (dynamic axes).",
        )
    return layout


def wrapped(model: onnx.ModelProto, way: Convention) -> onnx.ModelProto:
    """`model` with what it is called by around it."""
    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    inner.ClearField("metadata_props")
    inner = compose.add_prefix(inner, "core/", rename_inputs=True, rename_outputs=True)
    graph = inner.graph
    taken, made = graph.input[0].name, graph.output[0].name
    kind = graph.input[0].type.tensor_type.elem_type
    out_kind = graph.output[0].type.tensor_type.elem_type
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_value or "batch"
    before, behind = _Chain("lr", taken, "before"), _Chain(made, "sr", "behind")
    constants = [
        helper.make_tensor("white", TensorProto.FLOAT, [], [float(way.range or 1)]),
        helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("turned", TensorProto.INT64, [3], [2, 1, 0]),
    ]
    if way.colour == "bgr":
        before.add("Gather", "turned", axis=1)
    if way.range == 255:
        before.add("Mul", "white")
    if kind == TensorProto.UINT8:
        before.add("Add", "half")
    if way.layout == "nhwc":
        before.add("Transpose", perm=[0, 2, 3, 1])
    if kind != TensorProto.FLOAT:
        before.add("Cast", to=kind)
    if out_kind != TensorProto.FLOAT:
        behind.add("Cast", to=TensorProto.FLOAT)
    if way.layout == "nhwc":
        behind.add("Transpose", perm=[0, 3, 1, 2])
    if way.range == 255:
        behind.add("Div", "white")
    if way.colour == "bgr":
        behind.add("Gather", "turned", axis=1)
    nodes = [*before.closed(), *graph.node, *behind.closed()]
    used = {name for node in nodes for name in node.input}
    graph.initializer.extend(tensor for tensor in constants if tensor.name in used)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    shape = [batch, 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info("lr", TensorProto.FLOAT, shape))
    graph.output.append(
        helper.make_tensor_value_info("sr", TensorProto.FLOAT, [batch, 3, "h", "w"])
    )
    return inner


class _Chain:
    """Nodes one behind the other, from the tensor `first` to `last`."""

    def __init__(self, first: str, last: str, name: str) -> None:
        self._at, self._last, self._name = first, last, name
        self._nodes: list[onnx.NodeProto] = []

    def add(self, operator: str, *constants: str, **attributes: Any) -> None:
        made = f"{self._name}_{len(self._nodes)}"
        node = helper.make_node(operator, [self._at, *constants], [made], made, **attributes)
        self._nodes.append(node)
        self._at = made

    def closed(self) -> list[onnx.NodeProto]:
        name = f"{self._name}_end"
        return [*self._nodes, helper.make_node("Identity", [self._at], [self._last], name)]


def _sizes(session: onnxruntime.InferenceSession, path: Path) -> tuple[int, int]:
    """The smallest multiple of sizes that is taken, and the scale."""
    fault = ""
    for multiple in SIDES:
        height, width = (multiple * max(1, -(-least // multiple)) for least in (33, 47))
        try:
            sr = session.run(None, {"lr": np.full((1, 3, height, width), 0.5, np.float32)})[0]
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            fault = str(error).splitlines()[0]
            continue
        scale, rest = divmod(sr.shape[2], height)
        if sr.shape == (1, 3, scale * height, scale * width) and not rest:
            if scale not in (2, 3, 4):
                raise ModelError(f"{path} enlarges x{scale}, expected 2, 3 or 4")
            return multiple, scale
        fault = f"of {(1, 3, height, width)} it makes {sr.shape}"
    raise ModelError(f"{path} cannot be run at any multiple of {SIDES}: {cut(fault)}")


def _score(graph: onnx.ModelProto, scale: int) -> float:
    """PSNR in dB to a photograph of what the graph makes of it reduced; all in 0..1, on RGB."""
    photograph = photos.decode(photos.embedded().validation[0])[: 64 * scale, : 64 * scale]
    hr, lr = pair(np.ascontiguousarray(photograph), scale)
    values = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32) / 255
    sr = open_bytes(graph.SerializeToString()).run(None, {"lr": values})[0][0].transpose(1, 2, 0)
    mse = float(np.mean(np.square(np.nan_to_num(sr, nan=1e3).astype(np.float64) - hr / 255)))
    return -10 * float(np.log10(max(mse, 1e-12)))

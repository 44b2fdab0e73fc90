"""The graph of a network that spandrel built: exported by torch, proved at sizes and batches."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from edgesr import console
from edgesr.deploy.heldout import open_graph
from edgesr.errors import ExportError, cut
from edgesr.inference.padding import rounded_up
from edgesr.inference.session import FATAL_ONLY
from edgesr.models.foreign import Foreign
from edgesr.models.zoo import SRModel

Shape = tuple[int, int, int, int]
AGREE = 1e-4
"""What PyTorch and ONNX Runtime may differ by, values in 0..1, as gates.max_abs_diff."""


GRIDS = (1, 2, 4, 8, 16, 32)
"""What an architecture may pad to inside."""


def shapes(multiple: int, least: int) -> list[Shape]:
    """Of which a graph is traced at the first, and proved at all: other sizes, odd ones too, which
    windows of attention inside do not divide."""
    found = [(64, 96), (40, 24), (19, 33)]
    return [
        (1, 3, rounded_up(height, multiple, least), rounded_up(width, multiple, least))
        for height, width in found
    ]


def foreign_graph(model: SRModel, opset: int) -> tuple[onnx.ModelProto, int]:
    """`model`, whose module is a `Foreign`, as ONNX: `lr` in, `sr`, held to 0..1, out; and the
    multiple of LR pixels that both sides have to be for it.

    Where the graph takes one picture at a time, its batch is fixed to 1. The multiple is the
    architecture's, or that of what it pads to inside, which a graph may hold as a constant.

    torch's tracer is tried first, which takes most architectures in seconds, then its exporter.

    Raises:
        ExportError: neither gives a graph that computes what PyTorch does at every size.
    """
    assert isinstance(model.module, Foreign)
    network, faults = model.module.bare, []
    for way in (_trace, _export):
        try:
            traced = shapes(model.multiple, model.min_size)[0]
            graph = way(network, opset, traced, model.multiple)
            session = open_graph(graph)
            multiple = _proved_multiple(network, session, model)
        except Exception as error:  # an architecture fails in as many ways as there are
            faults.append(f"{way.__name__[1:]}: {_first_line(error)}")
            continue
        batch = "batch" if _takes_batches(network, session, traced) else 1
        return name_ends(graph, model.scale, batch), multiple
    raise ExportError(
        f"{model.path} ({model.architecture}) cannot be exported to ONNX: {'; '.join(faults)}",
        "Where its project exports it, make a bundle of that file: edgesr bundle make FILE.onnx.",
    )


def _proved_multiple(
    network: nn.Module, session: onnxruntime.InferenceSession, model: SRModel
) -> int:
    """The smallest multiple of sizes at which the graph does what `network` does.

    Raises:
        Exception: at none; the fault at the sizes that the architecture states.
    """
    faults = []
    for grid in GRIDS:
        multiple = math.lcm(model.multiple, grid)
        try:
            for shape in shapes(multiple, model.min_size):
                _prove(network, session, shape)
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            faults.append(error)
            continue
        if faults:
            console.say(f"its graph takes sides that are multiples of {multiple} alone")
        return multiple
    raise faults[0]


def _trace(network: nn.Module, opset: int, shape: Shape, _multiple: int) -> onnx.ModelProto:
    axes = {0: "batch", 2: "height", 3: "width"}
    with _hushed(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "traced.onnx"
        torch.onnx.export(
            network,
            (_noise(shape),),
            file,
            dynamo=False,
            input_names=["lr"],
            output_names=["sr"],
            dynamic_axes={"lr": axes, "sr": axes},
            opset_version=opset,
        )
        return onnx.load(file)


def _export(network: nn.Module, opset: int, shape: Shape, multiple: int) -> onnx.ModelProto:
    sides = {2: "height", 3: "width"}
    dims = {
        axis: multiple * torch.export.Dim(f"_{name}") if multiple > 1 else torch.export.Dim(name)
        for axis, name in sides.items()
    }
    with _hushed():
        program = torch.onnx.export(
            network,
            (_noise(shape),),
            dynamo=True,
            input_names=["lr"],
            output_names=["sr"],
            dynamic_shapes=({0: torch.export.Dim("batch"), **dims},),
            opset_version=max(opset, 18),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return _lowered(model, opset)


def _lowered(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """`model` in the operator set that is asked for, or as it is where onnx has no way there."""
    found = model.opset_import[0].version
    if found <= opset:
        return model
    try:
        lower: onnx.ModelProto = onnx.version_converter.convert_version(model, opset)
        onnx.checker.check_model(lower, full_check=True)
    except (RuntimeError, onnx.checker.ValidationError):
        console.warn(f"the file needs operator set {found}: onnx cannot convert it to {opset}")
        return model
    return lower


def _prove(network: nn.Module, session: onnxruntime.InferenceSession, shape: Shape) -> None:
    """Raise ExportError where the graph does not do of noise of `shape` what `network` does."""
    lr = _noise(shape)
    with torch.no_grad():
        expected: NDArray[np.float32] = network(lr).numpy()
    sr = session.run(None, {"lr": lr.numpy()}, _silent())[0]
    if sr.shape != expected.shape:
        raise ExportError(f"of {shape} its graph makes {sr.shape}, PyTorch {expected.shape}")
    if not (difference := float(np.abs(sr - expected).max())) <= AGREE:
        raise ExportError(f"of {shape} its graph differs from PyTorch by {difference:.2g}")


def _silent() -> onnxruntime.RunOptions:
    """What fails is told by its exception alone."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = FATAL_ONLY
    return options


def _takes_batches(network: nn.Module, session: onnxruntime.InferenceSession, shape: Shape) -> bool:
    try:
        _prove(network, session, (2, *shape[1:]))
    except Exception:  # ONNX Runtime raises a class of its own for each way to fail
        return False
    return True


def name_ends(
    graph: onnx.ModelProto, scale: int, batch: str | int | None = None
) -> onnx.ModelProto:
    """`graph`, its ends named as the contract has them; sizes are known to be free.

    Args:
        batch: None leaves it as it is.
    """
    stated = graph.graph.input[0].type.tensor_type.shape.dim[0]
    batch = batch or stated.dim_value or "batch"
    ends = [
        (graph.graph.input[0], [batch, 3, "height", "width"]),
        (graph.graph.output[0], [batch, 3, f"{scale}*height", f"{scale}*width"]),
    ]
    for end, names in ends:
        kind = end.type.tensor_type.elem_type
        end.CopyFrom(onnx.helper.make_tensor_value_info(end.name, kind, names))
    del graph.graph.value_info[:]
    return graph


def _noise(shape: Shape) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _first_line(error: Exception) -> str:
    return cut((str(error).strip() or type(error).__name__).splitlines()[0])


@contextmanager
def _hushed() -> Iterator[None]:
    """torch warns of each size that the tracer takes as a constant, and prints the graph that it
    could not convert; the proof decides."""
    logged = torch._C._jit_is_onnx_log_enabled()
    torch._C._jit_set_onnx_log_enabled(False)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        torch._C._jit_set_onnx_log_enabled(logged)

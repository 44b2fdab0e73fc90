"""A trained network -> one simplified, self-contained ONNX file with its contract inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxsim
import torch
from numpy.typing import NDArray
from onnx import version_converter
from torch import nn

from edgesr import console
from edgesr.errors import ExportError
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Student, colours_of
from edgesr.recipe import Export
from edgesr.runtimes.channel_order import use_dcr
from edgesr.workspace import atomic

# torch's exporter has no implementations below this one; older sets are converted to.
NATIVE_OPSET = 18
MIN_SIZE = 1
SHAPES = ((1, 3, 24, 32), (2, 3, 17, 9))
"""Of the inputs that two graphs of RGB are compared on: two sizes and batches."""


@dataclass(frozen=True)
class Exported:
    """What the saved file says of itself, read back from it."""

    opset: int
    ir_version: int
    simplified: bool


def export_onnx(
    module: Student, path: Path, settings: Export, *, metadata: dict[str, str]
) -> Exported:
    """Write `module` as ONNX: `lr` (batch, 3, height, width) in, `sr`, `scale` times larger, out.

    The graph is rewritten (`deploy.rewrite`), simplified by onnxsim where that changes nothing,
    put into the channel order that is asked for (`runtimes.channel_order`), checked by
    onnx.checker, and free of stack traces and local paths.

    Args:
        settings: the version of the operator set that the file must have, the rewrites, the
            channel order.
        metadata: written into the file beside `edgesr.opset` and `edgesr.ir_version`.

    Raises:
        ExportError: the file would not have that opset, fails the checker, or computes
            something else than `module`.
    """
    network = deployable(module, settings.rewrites)
    model, simplified = to_graph(network, settings, colours_of(module))
    return save(model, path, settings, module.scale, metadata, simplified=simplified)


def save(
    model: onnx.ModelProto,
    path: Path,
    settings: Export,
    scale: int,
    metadata: dict[str, str],
    *,
    simplified: bool,
) -> Exported:
    """Write a graph whose function is proved, and read back what it says; see `export_onnx`."""
    model.ir_version = lowest_ir_version(model)
    found = model.opset_import[0].version
    facts = {"edgesr.opset": str(found), "edgesr.ir_version": str(model.ir_version)}
    onnx.helper.set_model_props(model, metadata | facts)
    onnx.checker.check_model(model, full_check=True)
    with atomic(path) as temporary:
        onnx.save_model(model, temporary)
        read = onnx.load(temporary)
        _check(read, settings.opset, scale)
    return Exported(read.opset_import[0].version, read.ir_version, simplified)


def lowest_ir_version(model: onnx.ModelProto) -> int:
    """The oldest version of ONNX's file format that holds the model's operator sets: the lower it
    is, the older the runtimes that open the file."""
    return int(onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True))


def to_graph(
    network: nn.Module, settings: Export, colours: int = 3
) -> tuple[onnx.ModelProto, bool]:
    """The graph of `network` as it is, for pictures of `colours` channels, and whether onnxsim's
    version of it was kept."""
    keep_bn = any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    graph = _to_onnx(network, settings.opset, colours, keep_bn=keep_bn)
    return finish(graph, settings, keep_bn=keep_bn)


def finish(
    original: onnx.ModelProto,
    settings: Export,
    *,
    keep_bn: bool = False,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
) -> tuple[onnx.ModelProto, bool]:
    """The graph without traces of the machine, simplified and in the channel order asked for, and
    whether onnxsim's version was kept.

    Args:
        shapes: of `lr`, at which each step is held against the one before.
    """
    _strip(original)
    simplified = _simplify(original, keep_bn=keep_bn, shapes=shapes)
    model = simplified or original
    if settings.depth_to_space == "DCR":
        model = _in_dcr_order(model, shapes)
    return model, simplified is not None


def _in_dcr_order(model: onnx.ModelProto, shapes: Sequence[tuple[int, ...]]) -> onnx.ModelProto:
    """The same graph in DCR order; `model` itself where it cannot be, which is said."""
    try:
        reordered = use_dcr(model)
    except ExportError as error:
        console.warn(f"{error.message}; it stays in CRD order")
        return model
    remedy = 'Set export.depth_to_space = "CRD", and report'
    prove_same(model, reordered, "in DCR order", remedy, shapes)
    return reordered


def _to_onnx(module: nn.Module, opset: int, colours: int, *, keep_bn: bool) -> onnx.ModelProto:
    """The graph, not optimised where BN must stay: torch's optimiser would fold it unasked."""
    dim = torch.export.Dim
    program = torch.onnx.export(
        module,
        (torch.zeros(1, colours, 24, 32),),
        dynamo=True,
        input_names=["lr"],
        output_names=["sr"],
        dynamic_shapes=({0: dim("batch"), 2: dim("height"), 3: dim("width")},),
        opset_version=max(opset, NATIVE_OPSET),
        external_data=False,
        optimize=not keep_bn,
        verbose=False,
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    if opset < NATIVE_OPSET:
        try:
            model = version_converter.convert_version(model, opset)
        except RuntimeError as error:
            raise ExportError(
                f"the graph cannot be converted to opset {opset}: {error}",
                f"Set export.opset = {NATIVE_OPSET} or higher, or install a newer onnx.",
            ) from None
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Take out what the exporter notes about the source code, local paths among it."""
    graph = model.graph
    for part in [graph, *graph.node, *graph.value_info, *graph.input, *graph.output]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for tensor in graph.initializer:
        tensor.ClearField("doc_string")
        tensor.ClearField("metadata_props")
    model.ClearField("metadata_props")
    model.ClearField("doc_string")


def _simplify(
    model: onnx.ModelProto, *, keep_bn: bool, shapes: Sequence[tuple[int, ...]]
) -> onnx.ModelProto | None:
    """onnxsim's version of `model`, or None where it fails or computes something else."""
    try:
        candidate, checked = onnxsim.simplify(model, skip_fuse_bn=keep_bn)
    except Exception as error:  # whatever its C++ side throws, the export goes on without it
        console.warn(f"onnxsim failed, the graph is exported as it was: {error}")
        return None
    difference = max_difference(model, candidate, shapes)
    if not checked or not difference <= 1e-6:
        console.warn(f"onnxsim's graph differs by {difference:g}; the graph is exported as it was")
        return None
    result: onnx.ModelProto = candidate
    return result


def prove_same(
    model: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    how: str,
    remedy: str = "Report",
    shapes: Sequence[tuple[int, ...]] = SHAPES,
) -> None:
    """Raise ExportError where the graph that was rewritten, as `how` says, computes another
    function."""
    difference = max_difference(model, rewritten, shapes)
    if not difference <= 1e-6:
        raise ExportError(
            f"the graph {how} differs by {difference:g}, expected at most 1e-6",
            f"{remedy} this as a defect of edgesr.",
        )


def max_difference(
    one: onnx.ModelProto, other: onnx.ModelProto, shapes: Sequence[tuple[int, ...]] = SHAPES
) -> float:
    """Largest |one - other| of the outputs, on noise of each shape; NaN where one of them holds
    it."""
    sessions = [
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
        for m in (one, other)
    ]
    rng, colours = np.random.default_rng(0), one.graph.input[0].type.tensor_type.shape.dim[1]
    found = []
    for batch, _, *sides in shapes:
        shape = batch, colours.dim_value, *sides
        lr: NDArray[np.float32] = rng.random(shape, dtype=np.float32)
        first, second = (session.run(None, {"lr": lr})[0] for session in sessions)
        found.append(np.abs(first - second).max())
    return float(np.max(found))  # unlike Python's max, it passes NaN on


def _check(model: onnx.ModelProto, opset: int, scale: int) -> None:
    found = model.opset_import[0].version
    if found != opset or len(model.opset_import) != 1:
        domains = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
        raise ExportError(
            f"the exported file uses operator sets {domains}, the recipe asks for {opset}",
            f"Set export.opset = {found}.",
        )
    names = [
        d.dim_param or str(d.dim_value) for d in model.graph.output[0].type.tensor_type.shape.dim
    ]
    colours = str(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
    large = [colours, f"{scale}*height", f"{scale}*width"]
    if names[0] not in ("batch", "1") or colours not in ("1", "3") or names[1:] != large:
        raise ExportError(f"the exported file's output has the shape {names}")

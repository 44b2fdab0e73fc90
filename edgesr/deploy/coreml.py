"""Core ML packages (.mlpackage) of networks that edgesr trained, each as one zip file: fp32, fp16,
and fp16 whose weights are palettised, indices into a table of their own for each layer.

A package is a folder. Zipped it is one file of a bundle, with one sum; `ditto -x -k` or a double
click unpacks it. The same network gives the same bytes: no date, identifiers made of names.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from edgesr.errors import ExportError
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Network, Student
from edgesr.recipe import Rewrites
from edgesr.streams import unheard

with unheard():
    import coremltools as ct
    import kmeans1d
    from coremltools.optimize import coreml as compress
    from coremltools.proto import Model_pb2

MANIFEST, MODEL = "Manifest.json", "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights"
DATE = "com.github.apple.coremltools.conversion_date"


def to_coreml(
    module: Network,
    size: tuple[int, int],
    largest: int,
    *,
    clip: bool,
    half: bool,
    bits: int | None = None,
) -> bytes:
    """`module` as an ML Program: `lr` (1, 3, height, width) in, `sr` (1, 3, scale * height, ...)
    out, for iOS 16, macOS 13 and later, the first that take half precision at both ends.

    Args:
        size: width and height at LR that Core ML is told to prepare for.
        largest: LR pixels of the longest side that the file takes; an ML Program wants a bound.
        half: weights, arithmetic and both ends in float16; else in float32.
        bits: of the index that stands for a weight, 4, 6 or 8, in layers of more than 2048; None
            where weights stand for themselves.

    Raises:
        ExportError: it is another project's network.
    """
    if not isinstance(module, Student):
        raise ExportError(
            f"no Core ML file of {type(module).__name__}: they are made of networks whose layers "
            "edgesr knows",
            "Leave out --mlpackage.",
        )
    network = deployable(module, Rewrites(clip=clip))
    free = {2: torch.export.Dim("height", max=largest), 3: torch.export.Dim("width", max=largest)}
    width, height = (ct.RangeDim(1, largest, default=side) for side in size)
    kind = np.float16 if half else np.float32
    with unheard(), torch.no_grad(), TemporaryDirectory() as folder:
        program = torch.export.export(network, (torch.zeros(1, 3, 24, 32),), dynamic_shapes=(free,))
        model = ct.convert(
            program.run_decompositions({}),
            inputs=[ct.TensorType("lr", (1, 3, height, width), dtype=kind)],
            outputs=[ct.TensorType("sr", dtype=kind)],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            skip_model_load=True,
        )
        if bits is not None:
            model = _palettised(model, bits)
        model.input_description["lr"] = "RGB, 0..1"
        model.output_description["sr"] = f"RGB, 0..1, {module.scale} times as wide and as high"
        package = Path(folder) / "model.mlpackage"
        model.save(str(package))
        return _zipped(package)


def _palettised(model: ct.models.MLModel, bits: int) -> ct.models.MLModel:
    """A copy with one table of 2^bits values for each layer: the k-means of its weights, which in
    one dimension have an exact solution. Of that many quantiles to begin with, an iterative one
    lost half a decibel with 8 bits."""

    def table(weights: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
        found = kmeans1d.cluster(weights.ravel().astype(np.float64), 2**bits)
        return np.array(found.centroids, weights.dtype), np.array(found.clusters, np.uint8)

    way = compress.OpPalettizerConfig(mode="custom", lut_function=table)
    return compress.palettize_weights(model, compress.OptimizationConfig(global_config=way))


def _zipped(package: Path) -> bytes:
    """What a package needs, in one zip file that is the same whenever and wherever it is made."""
    files = {
        MANIFEST: _manifest((package / MANIFEST).read_text("utf-8")),
        MODEL: _undated((package / MODEL).read_bytes()),
    }
    for weights in (package / WEIGHTS).iterdir():
        files[f"{WEIGHTS}/{weights.name}"] = weights.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"model.mlpackage/{name}")
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def _manifest(text: str) -> bytes:
    """With identifiers made of the paths, which are else drawn by chance."""
    found = json.loads(text)
    known = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"]))
        for old, entry in found["itemInfoEntries"].items()
    }
    entries = {known[old]: entry for old, entry in found["itemInfoEntries"].items()}
    found |= {
        "itemInfoEntries": entries,
        "rootModelIdentifier": known[found["rootModelIdentifier"]],
    }
    return json.dumps(found, indent=4, sort_keys=True).encode()


def _undated(data: bytes) -> bytes:
    model = Model_pb2.Model.FromString(data)
    del model.description.metadata.userDefined[DATE]
    return bytes(model.SerializeToString(deterministic=True))

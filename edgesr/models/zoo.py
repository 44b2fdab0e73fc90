"""A recipe's model table -> a network; a file, ours or a stranger's -> a network and its facts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args, overload

import onnx
import torch
from onnxruntime import InferenceSession
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgesr import console
from edgesr.bundle.recorded import check_recorded
from edgesr.bundle.records.run import TaughtBy
from edgesr.errors import ModelError
from edgesr.inference import contract
from edgesr.inference.infer import infer
from edgesr.inference.session import open_bytes, open_session
from edgesr.models.adapt import Convention, adapt
from edgesr.models.edge import EdgeStudent
from edgesr.models.foreign import Foreign, ForeignStudent, opened, sizes
from edgesr.models.srgan import Generator
from edgesr.recipe import LONGEST_NAME, RESERVED, Edge, Model, Scale, Spandrel, Srgan
from edgesr.workspace import atomic

Student = Generator | EdgeStudent
"""Networks whose layers edgesr knows."""
Trainable = Student | ForeignStudent
SPEC: TypeAdapter[Srgan | Edge | Spandrel] = TypeAdapter(Model)
SCALES = get_args(Scale)
UNKNOWN = "unknown"
"""The licence of a file that does not state one."""
LARGEST = 1e8
"""Of a dozen trained models, edgesr's and others', the largest weight is 70, the largest variance
that batch normalisation keeps 10^4."""


@dataclass(frozen=True)
class SRModel:
    """A network that enlarges by `scale`, and where it came from.

    Attributes:
        module: in eval mode; (B, 3, H, W) RGB 0..1 -> (B, 3, scale * H, scale * W).
        spec: the table that builds it; None where edgesr did not train it.
        architecture: a name for people, e.g. "SRGAN N=4" or "CRAFT".
        path: the file that it was read from.
        sha256: that file's.
        licence: of the weights; "unknown" where the file does not say.
        min_size, multiple: LR pixels of the shortest side that the architecture takes, and of
            which both sides are a multiple; `module` takes any size.
    """

    module: nn.Module
    spec: Srgan | Edge | Spandrel | None
    architecture: str
    path: Path
    sha256: str
    licence: str
    scale: int
    min_size: int = 1
    multiple: int = 1


@overload
def build(spec: Srgan | Edge) -> Student: ...
@overload
def build(spec: Srgan | Edge | Spandrel) -> Trainable: ...
def build(spec: Srgan | Edge | Spandrel) -> Trainable:
    """The network of `spec` with fresh weights, in training mode.

    Raises:
        ModelError: spandrel's registry does not build what `spec` says.
    """
    if isinstance(spec, Spandrel):
        return ForeignStudent(spec)
    return Generator(spec) if isinstance(spec, Srgan) else EdgeStudent(spec)


def colours_of(module: nn.Module) -> int:
    """How many channels a network takes: 3, or 1 of a student of luma."""
    return module.colours if isinstance(module, EdgeStudent) else 3


def describe(spec: Srgan | Edge | Spandrel) -> str:
    """A name for people: "SRGAN N=4", "edge 32x8", "SPAN x2"; x4 and RGB go without saying."""
    times = "" if spec.scale == 4 else f" x{spec.scale}"
    if isinstance(spec, Spandrel):
        return f"{spec.name}{times}"
    if isinstance(spec, Srgan):
        return f"SRGAN N={spec.blocks}{times}"
    luma = " luma" if spec.colours == 1 else ""
    return f"edge {spec.channels}x{spec.depth}{luma}{times}"


def label(path: Path) -> str:
    """What a model file is called: its stem, or its folder's name for a run's or a bundle's.

    What is not allowed in the name of a run or a bundle is left out: `my teacher (v2).pth` is
    called `my-teacher-v2`.
    """
    stem = path.resolve().parent.name if path.stem in ("model", "weights", "best") else path.stem
    name = re.sub(r"[^A-Za-z0-9._]+", "-", stem)[:LONGEST_NAME].strip("-._")
    return "model" if name in ("", *RESERVED) else name


def facts(model: SRModel) -> TaughtBy:
    """What a run's record says of a model that it learned from."""
    return TaughtBy(
        name=label(model.path),
        sha256=model.sha256,
        architecture=model.architecture,
        spec=model.spec,
    )


def save(module: Trainable, path: Path, *, licence: str) -> None:
    """Write weights and spec as safetensors, atomically; `load` reads them back, and so does
    spandrel where its registry built the network."""
    # One entry only: safetensors writes several in random order, and equal models should be
    # equal files.
    metadata = {"edgesr": json.dumps({"model": module.spec.model_dump(), "licence": licence})}
    kept = module.model if isinstance(module, ForeignStudent) else module
    weights = {key: value.detach().cpu().contiguous() for key, value in kept.state_dict().items()}
    with atomic(path) as temporary:
        save_file(weights, temporary, metadata)


def load(path: Path) -> SRModel:
    """Read an edgesr model, any RGB model file that spandrel opens, or an ONNX file that takes one
    picture and gives one.

    Nothing is unpickled beyond tensors: safetensors, or `torch.load(weights_only=True)`.

    Raises:
        ModelError: no such file, a file that is damaged or not safe to open, another one than the
            run or the bundle around it states, an architecture that nobody knows, weights of
            another shape or that are not finite, or a scale that is not one of `SCALES`.
    """
    path = path.expanduser()
    if not path.is_file():
        raise ModelError(
            f"model {path} {'is not a regular file' if path.exists() else 'does not exist'}",
            "Train one (edgesr train recipes/teacher.toml) or name a model file, "
            "e.g. --set teacher.path=FILE.",
        )
    digest = check_recorded(path)
    if path.suffix == ".onnx":
        return _onnx(path, digest)
    weights, metadata = _read(path)
    spec = _spec(path, metadata)
    if spec is None or isinstance(spec, Spandrel):
        model = _foreign(path, digest, weights, str(metadata.get("licence", UNKNOWN)))
        return _stated(model, spec) if spec else model
    module = build(spec)
    # Files from elsewhere may leave out the step counter of batch normalisation.
    counters = {k: v for k, v in module.state_dict().items() if k.endswith("num_batches_tracked")}
    try:
        module.load_state_dict(counters | weights, strict=True)
    except RuntimeError as error:
        raise ModelError(f"model {path} does not fit {describe(spec)}: {error}") from None
    check_weights(module, path)
    licence = str(metadata.get("licence", UNKNOWN))
    return SRModel(module.eval(), spec, describe(spec), path, digest, licence, spec.scale)


def _stated(model: SRModel, spec: Spandrel) -> SRModel:
    """`model` as the table in its file has it."""
    if model.scale != spec.scale:
        raise ModelError(
            f"model {model.path} enlarges x{model.scale}, its metadata say x{spec.scale}"
        )
    return replace(model, spec=spec, architecture=describe(spec))


def check_weights(module: nn.Module, path: Path) -> None:
    """Refuse weights, and statistics of batch normalisation, that no training ends with.

    Raises:
        ModelError: one is NaN, infinite or larger than `LARGEST`; names the layer.
    """
    statistics = (entry for entry in module.named_buffers() if "running_" in entry[0])
    for name, values in chain(module.named_parameters(), statistics):
        largest = float(values.detach().abs().max()) if values.numel() else 0.0
        if not largest <= LARGEST:
            raise ModelError(
                f"model {path}: {name} has weights of {largest:g}, expected finite ones, at most "
                f"{LARGEST:g}",
                "Its training went wrong, or the file is damaged. Give another model.",
            )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file or a torch checkpoint; ours are unpacked."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                metadata: dict[str, Any] = file.metadata() or {}
                return weights, json.loads(metadata["edgesr"]) if "edgesr" in metadata else metadata
        return torch.load(path, map_location="cpu", weights_only=True), {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"model {path} is damaged: {error}") from None
    except Exception as error:  # torch.load raises whatever the damage leads to
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"model {path} cannot be opened safely (weights_only=True): {reason}",
            "Convert it to safetensors where you trust it.",
        ) from None


def _spec(path: Path, metadata: dict[str, Any]) -> Srgan | Edge | Spandrel | None:
    """The spec that the metadata states, if any."""
    try:
        if "model" in metadata:
            return SPEC.validate_python(metadata["model"])
        if metadata.get("architecture") == "SRGAN generator, x4":
            return Srgan(
                blocks=int(metadata["blocks"]),
                channels=int(metadata["channels"]),
                prelu="channel" if "per channel" in metadata["activation"] else "layer",
                output="tanh" if "tanh" in metadata["output"] else "linear",
                bn_eps=float(metadata["bn_eps"]),
            )
    except (ValidationError, KeyError, ValueError) as error:
        raise ModelError(
            f"model {path}: its metadata describe no model: {json.dumps(metadata)}", str(error)
        ) from None
    return None


class OnnxNetwork(nn.Module):
    """An ONNX file that keeps to edgesr's contract, by ONNX Runtime on the CPU: any size, any
    batch, and neither features nor gradients.

    Attributes:
        halo: radius of the receptive field in LR pixels; None where the file does not state it.
    """

    def __init__(self, session: InferenceSession, scale: int, halo: int | None) -> None:
        super().__init__()
        self.scale, self.halo, self._session = scale, halo, session

    def forward(self, lr: Tensor) -> Tensor:
        sr = infer(self._session, lr.detach().cpu().float().numpy())
        return torch.from_numpy(sr).to(lr)


def _onnx(path: Path, digest: str) -> SRModel:
    """The file at `path`: by the contract that its metadata state, or by how it is found to be
    called, which is said."""
    session = open_session(path, provider="cpu")
    if not contract.is_stated(session):
        found = adapt(path, Convention())
        console.say(f"{path}: {found.words()}")
        onnx.helper.set_model_props(found.graph, found.metadata(UNKNOWN))
        session = open_bytes(found.graph.SerializeToString())
    stated = contract.read(session, path)
    contract.prove(session, stated, path)
    if stated.takes_bytes or stated.scale not in SCALES:
        raise ModelError(
            f"model {path} takes bytes, or enlarges x{stated.scale}",
            "Name the float file of a bundle of scale 2, 3 or 4: model.onnx.",
        )
    facts = session.get_modelmeta().custom_metadata_map
    name, licence = (facts.get(f"edgesr.{key}", UNKNOWN) for key in ("architecture", "licence"))
    sizes = stated.min_size, stated.multiple
    halo = stated.halo if stated.halo and stated.tileable else None
    network = OnnxNetwork(session, stated.scale, halo).eval()
    return SRModel(network, None, name, path, digest, licence, stated.scale, *sizes)


Network = Student | Foreign | OnnxNetwork


def _foreign(path: Path, digest: str, weights: dict[str, Tensor], licence: str) -> SRModel:
    descriptor = opened(path, weights)
    if descriptor.scale not in SCALES:
        raise ModelError(
            f"model {path}: {descriptor.architecture.name} enlarges x{descriptor.scale}",
            f"edgesr needs an RGB model that enlarges {', '.join(map(str, SCALES))} times.",
        )
    module = Foreign(descriptor).eval().requires_grad_(False)
    check_weights(module, path)
    name, scale = str(descriptor.architecture.name), int(descriptor.scale)
    return SRModel(module, None, name, path, digest, licence, scale, *sizes(descriptor))

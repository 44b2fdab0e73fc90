"""Which execution provider really ran a model file: the session's word, and each node's placement.

A node is judged by what it moves. ONNX Runtime keeps the arithmetic of shapes on the CPU by design,
a few numbers each time; a node that makes a picture belongs on the provider that was meant,
whatever its type.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from edgesr.errors import ModelError, VerifyError
from edgesr.inference.infer import infer
from edgesr.inference.session import (
    CPU,
    CUDA,
    NO_FALLBACK,
    Provider,
    cuda_device_present,
    open_session,
)

NAMES: dict[str, Provider] = {CPU: "cpu", CUDA: "cuda"}
HEIGHT, WIDTH = 64, 64
"""LR size of the run that is looked at, which networks of windows take too: its smallest picture
has 4,096 elements a channel."""
SMALL = 32
"""The most elements that shapes and scalars have; a node that makes no more may run anywhere."""
COPIES = ("MemcpyToHost", "MemcpyFromHost")


class Node(NamedTuple):
    """A node that ran.

    Attributes:
        provider: "unknown" where the profile does not say.
        elements: of all its outputs together; None where the profile records no shape.
    """

    operator: str
    provider: str
    elements: int | None

    @property
    def is_small(self) -> bool:
        """Whether it is known to make no more than shapes and scalars."""
        return self.elements is not None and self.elements <= SMALL

    def __str__(self) -> str:
        size = "no size recorded" if self.elements is None else f"{self.elements:,} elements"
        return f"{self.operator} ({size}, {self.provider})"


@dataclass(frozen=True)
class Placement:
    """Where a model file ran.

    Attributes:
        provider: the one that was meant.
        variant: the file, as card.json calls it.
        requested: by the user; otherwise it is tried because it may be there.
        session_providers: what the session says.
        fallback_off: ONNX Runtime itself was told to refuse any node on the CPU, and opened.
        nodes: how many nodes each provider ran, from ONNX Runtime's profile.
        proved: every node that makes a picture ran on `provider`, and none copied one away.
        message: why it is not available or not proved; else which nodes ran elsewhere rightly.
    """

    provider: str
    variant: str
    requested: bool
    available: bool
    session_providers: list[str] = field(default_factory=list)
    fallback_off: bool = False
    nodes: dict[str, int] = field(default_factory=dict)
    proved: bool = False
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_requested(requested: list[str] | None) -> None:
    """Raise VerifyError where a provider that is asked for is not known."""
    for name in requested or []:
        if name not in NAMES.values():
            raise VerifyError(f"--provider {name}: expected one of {', '.join(NAMES.values())}")


def placements(
    files: Mapping[str, Path], requested: list[str] | None, threads: int
) -> list[Placement]:
    """Run each file once on each provider that was asked for, or on CPU and, where it works, CUDA.

    Args:
        files: variant to ONNX file; fp32 among them.

    Raises:
        VerifyError: an unknown provider, or one that was asked for and does not run fp32.
    """
    check_requested(requested)
    meant = [provider for provider, name in NAMES.items() if requested is None or name in requested]
    if not requested and not cuda_device_present():
        missing = "not available: no CUDA device on this machine"
        absent = [
            Placement(CUDA, name, requested=False, available=False, message=missing)
            for name in files
        ]
        return _run(files, [CPU], threads, requested=False) + absent
    found = _run(files, meant, threads, requested=bool(requested))
    for placement in found:
        if requested and placement.variant == "fp32" and not placement.proved:
            raise VerifyError(
                f"{placement.provider} was asked for, but {placement.message}",
                "Nothing was measured; see edgesr doctor.",
            )
    return found


def running(placed: list[Placement]) -> list[Provider]:
    """The providers that fp32 could be run on, where the bundle is measured."""
    return [NAMES[p.provider] for p in placed if p.variant == "fp32" and p.available]


def unproved(placed: list[Placement]) -> dict[tuple[str, str], str]:
    """Provider and variant of each further file that did not run there as it should, and why.

    Nothing is measured of it under the provider's name. fp32 is: its failing gate says the same.
    """
    return {
        (NAMES[p.provider], p.variant): p.message
        for p in placed
        if not p.proved and p.variant != "fp32"
    }


def _run(
    files: Mapping[str, Path], providers: list[str], threads: int, *, requested: bool
) -> list[Placement]:
    return [
        place(path, provider, threads, variant=name, requested=requested)
        for provider in providers
        for name, path in files.items()
    ]


def place(
    model: Path, provider: str, threads: int, *, variant: str = "fp32", requested: bool
) -> Placement:
    """Open `model` on `provider`, run it once under the profiler, read the placement.

    Raises:
        VerifyError: the CPU cannot run the file, or a provider that was asked for not even fp32.
    """
    try:
        opened, nodes, strict = _profiled_run(model, provider, threads, strict=requested)
    except VerifyError as error:
        if provider == CPU or (requested and variant == "fp32"):
            raise
        return Placement(provider, variant, requested, available=False, message=error.message)
    fault = _fault(provider, opened, nodes)
    beside = sorted({node.operator for node in nodes if node.provider != provider})
    return Placement(
        provider,
        variant,
        requested,
        available=True,
        session_providers=opened,
        fallback_off=strict,
        nodes=dict(Counter(node.provider for node in nodes)),
        proved=not fault,
        message=fault or (beside and f"shapes and scalars elsewhere: {', '.join(beside)}") or "",
    )


def _profiled_run(
    model: Path, provider: str, threads: int, *, strict: bool
) -> tuple[list[str], list[Node], bool]:
    """The session's providers, the nodes of one run, whether fallback to the CPU was off.

    Raises:
        VerifyError: `provider` cannot be opened, or opens and cannot run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        session, strict = _open(model, provider, threads, Path(folder) / "profile", strict=strict)
        try:
            infer(session, _picture(session))
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            reason = str(error).partition("\n")[0]
            raise VerifyError(
                f"{provider} opens {model} and cannot run it: {reason}", "See edgesr doctor."
            ) from None
        finally:
            profile = Path(session.end_profiling())
        return session.get_providers(), read_profile(profile), strict


def _open(
    model: Path, provider: str, threads: int, profile: Path, *, strict: bool
) -> tuple[onnxruntime.InferenceSession, bool]:
    """A session, without fallback to the CPU where that is asked for and can be.

    Raises:
        VerifyError: `provider` cannot open the model.
    """
    name = NAMES[provider]
    if strict and provider != CPU:
        try:
            session = open_session(
                model, provider=name, threads=threads, profile=profile, strict=True
            )
        except ModelError as error:
            if NO_FALLBACK not in error.message:
                raise VerifyError(f"on {provider} {error.message}", "See edgesr doctor.") from None
        else:
            return session, True
    # ONNX Runtime refuses a strict session for a single node of shape arithmetic. The profile then
    # tells whether such nodes are all that the CPU ran.
    return open_session(model, provider=name, threads=threads, profile=profile), False


def _picture(session: onnxruntime.InferenceSession) -> np.ndarray[Any, Any]:
    """A black picture, as the file takes it."""
    taken = session.get_inputs()[0]
    if taken.type == "tensor(uint8)":
        return np.zeros((1, HEIGHT, WIDTH, taken.shape[3]), np.uint8)
    return np.zeros((1, taken.shape[1], HEIGHT, WIDTH), np.float32)


def _fault(provider: str, opened: list[str], nodes: list[Node]) -> str:
    """Why the run does not prove `provider`; empty where it does."""
    if provider not in opened:
        return f"the session runs on {', '.join(opened)}"
    pictures = [node for node in nodes if not node.is_small]
    copies = [node for node in pictures if node.operator in COPIES]
    strays = [node for node in pictures if node.provider != provider and node not in copies]
    if strays:
        return f"these nodes ran elsewhere: {_named(strays)}"
    if copies:
        return f"pictures were copied between devices: {_named(copies)}"
    return "" if pictures else "ONNX Runtime's profile shows no node that makes a picture"


def _named(nodes: list[Node]) -> str:
    """The nodes in words, at most four."""
    names = sorted(set(map(str, nodes)))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def read_profile(path: Path) -> list[Node]:
    """Every node that ran, from ONNX Runtime's profile."""
    events = json.loads(path.read_text(encoding="utf-8"))
    facts = [event.get("args", {}) for event in events if event.get("cat") == "Node"]
    return [
        Node(
            each.get("op_name", "unknown"),
            each.get("provider", "unknown"),
            _elements(each.get("output_type_shape", [])),
        )
        for each in facts
    ]


def _elements(outputs: list[dict[str, list[int]]]) -> int | None:
    """How many elements `[{"float": [1, 3, 24, 32]}, ...]` has; None where nothing is recorded."""
    shapes = [shape for output in outputs for shape in output.values()]
    return sum(map(prod, shapes)) if shapes else None

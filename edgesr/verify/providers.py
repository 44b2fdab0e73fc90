"""Which execution provider really ran a model: the session's word, and each node's placement."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgesr.deploy.session import CPU, CUDA, Provider, cuda_device_present, open_session
from edgesr.errors import VerifyError

NAMES: dict[str, Provider] = {CPU: "cpu", CUDA: "cuda"}
# ONNX Runtime keeps the arithmetic of shapes on the CPU by design; copies follow from it.
SHAPES = {"Shape", "Gather", "Concat", "Slice", "Unsqueeze", "Squeeze", "Cast", "Size"}
COPIES = {"MemcpyToHost", "MemcpyFromHost"}


class Node(NamedTuple):
    """A node that ran.

    Attributes:
        integers: it makes nothing but integers and booleans, as the arithmetic of shapes does.
    """

    operator: str
    provider: str
    integers: bool

    @property
    def computes(self) -> bool:
        """Whether it works on pictures, so that where it runs matters."""
        return self.operator not in COPIES and not (self.operator in SHAPES and self.integers)


@dataclass(frozen=True)
class Placement:
    """Where a model ran.

    Attributes:
        provider: the one that was meant.
        asked: by the user; otherwise it is tried because it may be there.
        session_providers: what the session says.
        nodes: how many nodes each provider ran, from ONNX Runtime's profile.
        proved: every computing node ran on `provider`.
        message: why it is not available or not proved; else which nodes ran elsewhere rightly.
    """

    provider: str
    asked: bool
    available: bool
    session_providers: list[str] = field(default_factory=list)
    nodes: dict[str, int] = field(default_factory=dict)
    proved: bool = False
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def placements(model: Path, asked: list[str] | None, threads: int) -> list[Placement]:
    """Run `model` once on each provider that was asked for, or on CPU and, where it works, CUDA.

    Raises:
        VerifyError: an unknown provider, or one that was asked for and is not really used.
    """
    for name in asked or []:
        if name not in NAMES.values():
            raise VerifyError(f"--provider {name}: expected one of {', '.join(NAMES.values())}")
    if asked:
        meant = [provider for provider, name in NAMES.items() if name in asked]
        found = [place(model, provider, threads, asked=True) for provider in meant]
        for placement in found:
            if not placement.proved:
                raise VerifyError(
                    f"{placement.provider} was asked for, but {placement.message}",
                    "Nothing was measured; see edgesr doctor.",
                )
        return found
    found = [place(model, CPU, threads, asked=False)]
    if cuda_device_present():
        return [*found, place(model, CUDA, threads, asked=False)]
    missing = "not available: no CUDA device on this machine"
    return [*found, Placement(CUDA, asked=False, available=False, message=missing)]


def place(model: Path, provider: str, threads: int, *, asked: bool) -> Placement:
    """Open `model` on `provider`, run it once under the profiler, read the placement."""
    try:
        opened, nodes = _profiled_run(model, provider, threads)
    except VerifyError as error:
        if asked or provider == CPU:
            raise
        return Placement(provider, asked, available=False, message=error.message)
    fault = _fault(provider, opened, nodes)
    beside = sorted({node.operator for node in nodes if node.provider != provider})
    return Placement(
        provider,
        asked,
        available=True,
        session_providers=opened,
        nodes=dict(Counter(node.provider for node in nodes)),
        proved=not fault,
        message=fault or (beside and f"shapes and copies elsewhere: {', '.join(beside)}") or "",
    )


def _profiled_run(model: Path, provider: str, threads: int) -> tuple[list[str], list[Node]]:
    """The session's providers and the nodes of one run.

    Raises:
        VerifyError: `provider` cannot be opened, or opens and cannot run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(
            model, provider=NAMES[provider], threads=threads, profile=Path(folder) / "profile"
        )
        try:
            session.run(None, {"lr": np.zeros((1, 3, 24, 32), np.float32)})
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            reason = str(error).partition("\n")[0]
            raise VerifyError(
                f"{provider} opens {model} and cannot run it: {reason}", "See edgesr doctor."
            ) from None
        finally:
            profile = Path(session.end_profiling())
        return session.get_providers(), read_profile(profile)


def _fault(provider: str, opened: list[str], nodes: list[Node]) -> str:
    """Why the run does not prove `provider`; empty where it does."""
    if provider not in opened:
        return f"the session runs on {', '.join(opened)}"
    computing = [node for node in nodes if node.computes]
    if not computing:
        return "ONNX Runtime's profile shows no node that computes"
    strays = sorted({node.operator for node in computing if node.provider != provider})
    return f"these nodes ran elsewhere: {', '.join(strays)}" if strays else ""


def read_profile(path: Path) -> list[Node]:
    """Every node that ran, from ONNX Runtime's profile."""
    nodes = {}
    for event in json.loads(path.read_text(encoding="utf-8")):
        facts = event.get("args", {})
        if event.get("cat") == "Node" and "provider" in facts:
            kinds = [kind for output in facts.get("output_type_shape", []) for kind in output]
            integers = all(kind.startswith(("int", "uint", "bool")) for kind in kinds)
            nodes[event["name"]] = Node(facts["op_name"], facts["provider"], integers)
    return list(nodes.values())

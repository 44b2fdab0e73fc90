"""Which execution provider really ran a model: the session's word, and each node's placement."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.deploy.session import CPU, CUDA, Provider, cuda_device_present, open_session
from edgesr.errors import VerifyError

NAMES: dict[str, Provider] = {CPU: "cpu", CUDA: "cuda"}
# ONNX Runtime keeps the arithmetic of shapes on the CPU by design; copies follow from it.
BESIDE = {"Shape", "Gather", "Concat", "Slice", "Unsqueeze", "Squeeze", "Cast", "Size"}
BESIDE |= {"MemcpyToHost", "MemcpyFromHost"}


@dataclass(frozen=True)
class Placement:
    """Where a model ran.

    Attributes:
        provider: the one that was meant.
        asked: by the user; otherwise it is tried because it may be there.
        session_providers: what the session says.
        nodes: how many nodes each provider ran, from ONNX Runtime's profile.
        proved: every computing node ran on `provider`.
        message: why it is not available or not proved.
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
    with tempfile.TemporaryDirectory() as folder:
        try:
            session = open_session(
                model, provider=NAMES[provider], threads=threads, profile=Path(folder) / "profile"
            )
            session.run(None, {"lr": np.zeros((1, 3, 24, 32), np.float32)})
        except VerifyError as error:
            if asked:
                raise
            return Placement(provider, asked, available=False, message=error.message)
        nodes = read_profile(Path(session.end_profiling()))
    counts = dict(Counter(where for _, where in nodes))
    strays = sorted({kind for kind, where in nodes if where != provider and kind not in BESIDE})
    return Placement(
        provider,
        asked,
        available=True,
        session_providers=session.get_providers(),
        nodes=counts,
        proved=bool(nodes) and not strays and provider in session.get_providers(),
        message=f"these nodes ran elsewhere: {', '.join(strays)}" if strays else "",
    )


def read_profile(path: Path) -> list[tuple[str, str]]:
    """Operator and provider of every node that ran, from ONNX Runtime's profile."""
    events = json.loads(path.read_text(encoding="utf-8"))
    nodes = {
        event["name"]: (event["args"]["op_name"], event["args"]["provider"])
        for event in events
        if event.get("cat") == "Node" and "provider" in event.get("args", {})
    }
    return list(nodes.values())

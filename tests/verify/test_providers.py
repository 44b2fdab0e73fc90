"""Which provider ran: never a silent run on the CPU."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesr.deploy.session import CPU, CUDA, cuda_device_present
from edgesr.errors import VerifyError
from edgesr.verify import providers


def test_on_the_cpu_every_node_is_proved(exported: Path) -> None:
    [placement] = providers.placements(exported / "small/model.onnx", ["cpu"], 1)
    assert placement.proved
    assert placement.asked
    assert set(placement.nodes) == {CPU}
    assert placement.nodes[CPU] >= 4


def test_without_a_request_a_missing_cuda_is_told_and_no_fault(exported: Path) -> None:
    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    cpu, cuda = providers.placements(exported / "small/model.onnx", None, 1)
    assert cpu.proved
    assert not cuda.available
    assert "not available" in cuda.message


def test_cuda_asked_for_and_not_there_is_an_error(exported: Path) -> None:
    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    with pytest.raises(VerifyError, match=CUDA):
        providers.placements(exported / "small/model.onnx", ["cuda"], 1)


def test_an_unknown_provider_is_answered_with_the_known_ones(exported: Path) -> None:
    with pytest.raises(VerifyError, match="--provider npu: expected one of cpu, cuda"):
        providers.placements(exported / "small/model.onnx", ["npu"], 1)


def profile(folder: Path, *nodes: tuple[str, str, str]) -> Path:
    events = [{"cat": "Session", "name": "model_loading", "args": {}}]
    for i, (kind, where, dtype) in enumerate(nodes):
        facts = {"op_name": kind, "provider": where, "output_type_shape": [{dtype: [2]}]}
        events.append({"cat": "Node", "name": f"{i}", "args": facts})
    path = folder / "profile.json"
    path.write_text(json.dumps(events))
    return path


def test_the_profile_tells_operator_and_provider_of_each_node(tmp_path: Path) -> None:
    path = profile(tmp_path, ("Conv", CUDA, "float"), ("Shape", CPU, "int64"))
    conv, shape = providers.read_profile(path)
    assert conv == ("Conv", CUDA, False)
    assert shape == ("Shape", CPU, True)
    assert conv.computes
    assert not shape.computes


@dataclass
class Session:
    """Stands for one of ONNX Runtime's on a machine with CUDA."""

    profile: Path
    providers: list[str] = field(default_factory=lambda: [CUDA, CPU])
    fault: str = ""

    def run(self, *_: object) -> None:
        if self.fault:
            raise RuntimeError(self.fault)

    def get_providers(self) -> list[str]:
        return self.providers

    def end_profiling(self) -> str:
        return str(self.profile)


CONV = ("Conv", CUDA, "float")
NODES = {
    "all on cuda": ([CONV], True, ""),
    "arithmetic of shapes elsewhere": (
        [CONV, ("Shape", CPU, "int64"), ("Gather", CPU, "int64")],
        True,
        "shapes and copies elsewhere: Gather, Shape",
    ),
    "a computing node elsewhere": (
        [CONV, ("PRelu", CPU, "float")],
        False,
        "these nodes ran elsewhere: PRelu",
    ),
    "features joined elsewhere": (
        [CONV, ("Concat", CPU, "float")],
        False,
        "these nodes ran elsewhere: Concat",
    ),
    "no node": ([], False, "ONNX Runtime's profile shows no node that computes"),
}


@pytest.mark.parametrize(("nodes", "proved", "message"), NODES.values(), ids=list(NODES))
def test_one_computing_node_elsewhere_is_no_proof(
    nodes: list[tuple[str, str, str]],
    proved: bool,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session(profile(tmp_path, *nodes))
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, asked=False)
    assert placement.proved is proved
    assert placement.message == message


def test_a_session_that_lost_the_provider_is_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path, CONV), providers=[CPU])
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, asked=False)
    assert not placement.proved
    assert placement.message == f"the session runs on {CPU}"
    with pytest.raises(VerifyError, match=f"{CUDA} was asked for, but the session runs on {CPU}"):
        providers.placements(tmp_path, ["cuda"], 1)


def test_cuda_that_opens_and_cannot_run_is_not_available_and_a_fault_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path), fault="cuDNN is too old\nstack")
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, asked=False)
    assert not placement.available
    assert placement.message.endswith("cannot run it: cuDNN is too old")
    with pytest.raises(VerifyError, match="cuDNN is too old"):
        providers.place(tmp_path, CUDA, 1, asked=True)


def test_a_cpu_that_cannot_run_the_model_is_a_fault_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path), providers=[CPU], fault="no such kernel")
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    with pytest.raises(VerifyError, match="no such kernel"):
        providers.placements(tmp_path, None, 1)

"""Which provider ran: never a silent run on the CPU."""

from __future__ import annotations

import json
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


def profile(folder: Path, *nodes: tuple[str, str]) -> Path:
    events = [{"cat": "Session", "name": "model_loading", "args": {}}]
    events += [
        {"cat": "Node", "name": f"{i}", "args": {"op_name": kind, "provider": where}}
        for i, (kind, where) in enumerate(nodes)
    ]
    path = folder / "profile.json"
    path.write_text(json.dumps(events))
    return path


def test_the_profile_tells_operator_and_provider_of_each_node(tmp_path: Path) -> None:
    path = profile(tmp_path, ("Conv", CUDA), ("Shape", CPU))
    assert providers.read_profile(path) == [("Conv", CUDA), ("Shape", CPU)]


@pytest.mark.parametrize(
    ("nodes", "proved"),
    [
        ([("Conv", CUDA), ("Shape", CPU)], True),
        ([("Conv", CUDA), ("PRelu", CPU)], False),
        ([], False),
    ],
    ids=["only the arithmetic of shapes elsewhere", "a computing node elsewhere", "no node at all"],
)
def test_one_computing_node_elsewhere_is_no_proof(
    nodes: list[tuple[str, str]], proved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def run(self, *_: object) -> None: ...

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

        def end_profiling(self) -> str:
            return str(profile(tmp_path, *nodes))

    monkeypatch.setattr(providers, "open_session", lambda *_, **__: Session())
    placement = providers.place(tmp_path, CUDA, 1, asked=False)
    assert placement.proved is proved
    if nodes and not proved:
        assert placement.message == "these nodes ran elsewhere: PRelu"

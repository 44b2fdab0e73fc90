"""Which provider ran: never a silent run on the CPU."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from edgesr.errors import ModelError, VerifyError
from edgesr.inference.session import CPU, CUDA, NO_FALLBACK, cuda_device_present
from edgesr.variant import file_of
from edgesr.verify import providers


def test_on_the_cpu_every_file_of_the_bundle_is_proved(with_variants: Path) -> None:
    files = {name: with_variants / file_of(name) for name in ("fp32", "fp16", "uint8-io")}
    found = providers.placements(files, ["cpu"], 1)
    assert [placement.variant for placement in found] == list(files)
    for placement in found:
        assert placement.proved
        assert placement.requested
        assert set(placement.nodes) == {CPU}
        assert placement.nodes[CPU] >= 4


def test_without_a_request_a_missing_cuda_is_told_and_no_fault(exported: Path) -> None:
    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    cpu, cuda = providers.placements({"fp32": exported / "small/model.onnx"}, None, 1)
    assert cpu.proved
    assert not cuda.available
    assert "not available" in cuda.message
    assert providers.running([cpu, cuda]) == ["cpu"]


def test_cuda_asked_for_and_not_there_is_an_error(exported: Path) -> None:
    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    with pytest.raises(VerifyError, match=CUDA):
        providers.placements({"fp32": exported / "small/model.onnx"}, ["cuda"], 1)


def test_an_unknown_provider_is_answered_with_the_known_ones(exported: Path) -> None:
    with pytest.raises(VerifyError, match="--provider npu: expected one of cpu, cuda"):
        providers.placements({"fp32": exported / "small/model.onnx"}, ["npu"], 1)


Shape = list[int] | None
PICTURE, HALF_PICTURE = [1, 3, 24, 32], [1, 3, 12, 16]


def event(operator: str, provider: str, shape: Shape, dtype: str = "float") -> dict[str, Any]:
    """One node as ONNX Runtime's profile has it; a shape of None is one that it left out."""
    outputs = [] if shape is None else [{dtype: shape}]
    facts = {
        "op_name": operator,
        "provider": provider,
        "node_index": "3",
        "input_type_shape": [{"float": [1, 3, 24, 32]}],
        "output_type_shape": outputs,
        "output_size": "9216",
        "parameter_size": "0",
        "activation_size": "9216",
        "thread_scheduling_stats": "",
    }
    stamp = {"cat": "Node", "pid": 17, "tid": 17, "dur": 19, "ts": 7105, "ph": "X"}
    # The optimiser names what it inserts after the operator, so that names are not unique.
    return stamp | {"name": f"{operator}_kernel_time", "args": facts}


def profile(folder: Path, *events: dict[str, Any]) -> Path:
    loading = {"cat": "Session", "pid": 17, "tid": 17, "name": "model_loading_uri", "args": {}}
    kernel = {"cat": "Kernel", "name": "implicit_convolve_sgemm", "args": {"stream": "7"}}
    path = folder / "profile.json"
    path.write_text(json.dumps([loading, *events, kernel]))
    return path


def test_the_profile_tells_operator_provider_and_size_of_each_node(tmp_path: Path) -> None:
    shapes = [PICTURE, [4], [], None]
    path = profile(tmp_path, *(event("Cast", CUDA, shape) for shape in shapes))
    found = providers.read_profile(path)
    assert found == [("Cast", CUDA, elements) for elements in (2304, 4, 1, None)]
    assert [node.is_small for node in found] == [False, True, True, False]


def test_a_node_whose_provider_is_not_recorded_is_not_taken_for_proved(tmp_path: Path) -> None:
    bare = event("Conv", CUDA, PICTURE)
    del bare["args"]["provider"]
    assert providers.read_profile(profile(tmp_path, bare)) == [("Conv", "unknown", 2304)]


@dataclass
class Session:
    """Stands for one of ONNX Runtime's on a machine with CUDA."""

    profile: Path
    providers: list[str] = field(default_factory=lambda: [CUDA, CPU])
    fault: str = ""

    def run(self, *_: object) -> list[None]:
        if self.fault:
            raise RuntimeError(self.fault)
        return [None]

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(type="tensor(float)", shape=["batch", 3, "height", "width"])]

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={})

    def get_providers(self) -> list[str]:
        return self.providers

    def end_profiling(self) -> str:
        return str(self.profile)


CONV = event("Conv", CUDA, PICTURE)
NODES = {
    "all on cuda": ([CONV], True, ""),
    "arithmetic of shapes elsewhere": (
        [CONV, event("Shape", CPU, [4], "int64"), event("Gather", CPU, [], "int64")],
        True,
        "shapes and scalars elsewhere: Gather, Shape",
    ),
    "a scalar that is copied": ([CONV, event("MemcpyToHost", CUDA, [4], "int64")], True, ""),
    "a computing node elsewhere": (
        [CONV, event("PRelu", CPU, PICTURE)],
        False,
        f"these nodes ran elsewhere: PRelu (2,304 elements, {CPU})",
    ),
    "a picture cast elsewhere, in integers as shapes are": (
        [CONV, event("Cast", CPU, PICTURE, "uint8")],
        False,
        f"these nodes ran elsewhere: Cast (2,304 elements, {CPU})",
    ),
    "pictures joined and cut elsewhere": (
        [CONV, event("Concat", CPU, PICTURE), event("Slice", CPU, HALF_PICTURE, "int32")],
        False,
        f"these nodes ran elsewhere: Concat (2,304 elements, {CPU}), Slice (576 elements, {CPU})",
    ),
    "a node without recorded shape elsewhere": (
        [CONV, event("Gather", CPU, None)],
        False,
        f"these nodes ran elsewhere: Gather (no size recorded, {CPU})",
    ),
    "a picture copied to the host, by the provider itself": (
        [CONV, event("MemcpyToHost", CUDA, PICTURE)],
        False,
        f"pictures were copied between devices: MemcpyToHost (2,304 elements, {CUDA})",
    ),
    "nothing but shapes": (
        [event("Shape", CUDA, [4], "int64")],
        False,
        "ONNX Runtime's profile shows no node that makes a picture",
    ),
    "no node": ([], False, "ONNX Runtime's profile shows no node that makes a picture"),
}


@pytest.mark.parametrize(("nodes", "proved", "message"), NODES.values(), ids=list(NODES))
def test_a_node_is_excused_by_what_it_moves_not_by_its_type(
    nodes: list[dict[str, Any]],
    proved: bool,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session(profile(tmp_path, *nodes))
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, requested=False)
    assert placement.proved is proved
    assert placement.message == message


def test_a_session_that_lost_the_provider_is_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path, CONV), providers=[CPU])
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, requested=False)
    assert not placement.proved
    assert placement.message == f"the session runs on {CPU}"
    with pytest.raises(VerifyError, match=f"{CUDA} was asked for, but the session runs on {CPU}"):
        providers.placements({"fp32": tmp_path}, ["cuda"], 1)


def test_cuda_that_opens_and_cannot_run_is_not_available_and_a_fault_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path), fault="cuDNN is too old\nstack")
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    placement = providers.place(tmp_path, CUDA, 1, requested=False)
    assert not placement.available
    assert placement.message.endswith("cannot run it: cuDNN is too old")
    with pytest.raises(VerifyError, match="cuDNN is too old"):
        providers.place(tmp_path, CUDA, 1, requested=True)


def test_a_cpu_that_cannot_run_the_model_is_a_fault_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(profile(tmp_path), providers=[CPU], fault="no such kernel")
    monkeypatch.setattr(providers, "open_session", lambda *_, **__: session)
    with pytest.raises(VerifyError, match="no such kernel"):
        providers.placements({"fp32": tmp_path}, None, 1)


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A CUDA that runs fp32 whole and int8 in part; says whether each session was strict.

    As ONNX Runtime does, it refuses a strict session for a graph with any node on the CPU.
    """
    shape = event("Shape", CPU, [4], "int64")
    graphs = {
        "fp32": [CONV],
        "shapes": [CONV, shape],
        "int8": [CONV, event("QLinearConv", CPU, PICTURE, "uint8")],
    }
    strict: list[bool] = []

    def opened(path: Path, **requested: Any) -> Session:
        strict.append(requested.get("strict", False))
        nodes = graphs[path.stem]
        if strict[-1] and any(node["args"]["provider"] == CPU for node in nodes):
            raise ModelError(f"ONNX Runtime cannot open {path}: assigned to the CPU, {NO_FALLBACK}")
        return Session(profile(tmp_path, *nodes))

    monkeypatch.setattr(providers, "open_session", opened)
    monkeypatch.setattr(providers, "cuda_device_present", lambda: True)
    return strict


def test_a_provider_that_is_asked_for_is_opened_without_fallback_where_the_graph_lets(
    sessions: list[bool],
) -> None:
    found = providers.placements({"fp32": Path("fp32"), "fp16": Path("shapes")}, ["cuda"], 1)
    assert sessions == [True, True, False]
    assert [(row.fallback_off, row.proved) for row in found] == [(True, True), (False, True)]
    assert found[1].message == "shapes and scalars elsewhere: Shape"


def test_a_further_file_that_runs_in_part_elsewhere_is_not_measured_under_the_name(
    sessions: list[bool],
) -> None:
    files = {"fp32": Path("fp32"), "int8": Path("int8")}
    found = providers.placements(files, None, 1)
    assert True not in sessions  # nobody asked
    assert providers.running(found) == ["cpu", "cuda"]
    why = f"these nodes ran elsewhere: QLinearConv (2,304 elements, {CPU})"
    assert providers.unproved(found)["cuda", "int8"] == why


def test_onnx_runtime_refuses_a_strict_session_in_the_words_that_are_looked_for(
    exported: Path,
) -> None:
    """CUDA that cannot start leaves all nodes to the CPU, as shape arithmetic leaves some."""
    if cuda_device_present() or CUDA not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu and no GPU")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with pytest.raises(Exception, match=NO_FALLBACK):
        onnxruntime.InferenceSession(str(exported / "small/model.onnx"), options, providers=[CUDA])

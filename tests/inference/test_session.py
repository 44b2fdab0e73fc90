"""Sessions: the provider that was meant, and nothing printed that the user cannot use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgesr.errors import ModelError, VerifyError
from edgesr.inference import session as sessions
from edgesr.inference.session import CPU, CUDA, CudaSettings, cuda_device_present, open_session


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])
        for name in ("lr", "sr")
    ]
    graph = helper.make_graph([helper.make_node("Relu", ["lr"], ["sr"])], "g", value[:1], value[1:])
    opset = [helper.make_opsetid("", 17)]
    path = tmp_path_factory.mktemp("session") / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


@pytest.fixture
def broken_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build with CUDA on a machine that claims a device which does not start."""
    if CUDA not in onnxruntime.get_available_providers() or cuda_device_present():
        pytest.skip("needs onnxruntime-gpu and no GPU")
    monkeypatch.setattr(sessions, "cuda_device_present", lambda: True)


@pytest.mark.parametrize("provider", ["cpu", None])
def test_a_model_opens_and_runs(model: Path, provider: sessions.Provider | None) -> None:
    session = open_session(model, provider=provider, threads=1)
    lr = np.ones((1, 3, 2, 2), np.float32)
    assert np.array_equal(session.run(["sr"], {"lr": lr})[0], lr)
    assert session.get_providers()[0] == (CPU if not cuda_device_present() else CUDA) or provider


def test_the_cpu_asked_for_is_the_cpu_alone(model: Path) -> None:
    assert open_session(model, provider="cpu", threads=1).get_providers() == [CPU]


def test_threads_spinning_and_profile_reach_the_session(model: Path, tmp_path: Path) -> None:
    session = open_session(
        model, provider="cpu", threads=1, spinning=False, profile=tmp_path / "profile"
    )
    options = session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    written = Path(session.end_profiling())
    assert written.parent == tmp_path
    assert written.name.startswith("profile")


def test_a_missing_or_unreadable_file_is_a_model_error_without_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        open_session(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot open"):
        open_session(tmp_path / "broken.onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(cuda_device_present(), reason="this machine has a CUDA device")
def test_cuda_asked_for_where_there_is_none_is_an_error(model: Path) -> None:
    with pytest.raises(VerifyError, match=f"{CUDA} was asked for, but") as caught:
        open_session(model, provider="cuda")
    assert "--provider cpu" in caught.value.remedy


@pytest.mark.usefixtures("broken_cuda")
def test_cuda_that_does_not_start_is_an_error_where_asked_for(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(VerifyError, match=f"{CUDA} was asked for, but its libraries"):
        open_session(model, provider="cuda")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("broken_cuda")
def test_cuda_that_does_not_start_leaves_the_cpu_and_one_warning(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert open_session(model).get_providers() == [CPU]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"{CUDA} is not available" in err


@pytest.mark.usefixtures("broken_cuda")
def test_a_broken_model_is_not_blamed_on_cuda(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot open"):
        open_session(tmp_path / "broken.onnx", provider="cuda")


def test_a_build_without_cuda_says_which_has_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(VerifyError, match="onnxruntime-gpu does"):
        open_session(model, provider="cuda")


@pytest.mark.skipif(not cuda_device_present(), reason="needs a CUDA device")
def test_cuda_asked_for_where_it_works_is_used(model: Path) -> None:
    assert open_session(model, provider="cuda").get_providers()[0] == CUDA


OURS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}
ASKED = CudaSettings(tf32=True, search="exhaustive", memory_mb=1500, grows_by_powers=True)
THEIRS = {
    "use_tf32": "1",
    "cudnn_conv_algo_search": "EXHAUSTIVE",
    "arena_extend_strategy": "kNextPowerOfTwo",
    "gpu_mem_limit": "1500000000",
}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, OURS), ({"cuda": ASKED}, THEIRS), ({"cuda": None}, {})],
    ids=["unasked", "asked", "as it comes"],
)
def test_cuda_gets_what_is_asked_for_and_no_tf32_otherwise(
    model: Path,
    settings: dict[str, Any],
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requested: list[object] = []

    def opened(path: str, options: object, *, providers: object, **_: object) -> object:
        requested.append(providers)
        return original(path, options, providers=[CPU])

    original = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(sessions, "cuda_device_present", lambda: True)
    open_session(model, **settings)
    assert requested == [[(CUDA, expected), CPU]]

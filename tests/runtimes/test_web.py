"""ONNX Runtime Web under Node, for real where both are there; nothing is downloaded."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.web import Web, WebFile, find_package


@pytest.fixture(scope="session")
def web() -> Web:
    if shutil.which("node") is None:
        pytest.skip("node is not on the path")
    try:
        return Web()
    except VerifyError as error:
        pytest.skip(str(error))


@pytest.fixture
def running(web: Web, network) -> Iterator[WebFile]:
    with closing(web.open(network.file, threads=1)) as file:
        yield file


def test_the_function_is_pytorchs_at_every_size_and_batch(web: Web, network) -> None:
    found = network.parity(web)
    assert found["max_abs_diff"] < 1e-5
    assert found["unsupported"] == []


def test_a_file_with_float16_ends_gets_and_gives_float16(web: Web, network, half: Path) -> None:
    found = network.half_parity(web, half)
    assert 1e-6 < found["max_abs_diff"] < 5e-3
    assert found["unsupported"] == []


def test_it_states_its_version_and_times_inside_node(running: WebFile) -> None:
    facts = running.describe()
    assert facts.version[0].isdigit()
    assert (facts.precision, facts.note) == ("float32", "WebAssembly under Node")
    _, seconds = running.run(np.zeros((1, 3, 4, 4), np.float32))
    assert seconds > 0
    assert running.open_seconds > 0


def test_two_threads_give_the_same(web: Web, running: WebFile, network) -> None:
    lr = np.random.default_rng(0).random((1, 3, 40, 56), dtype=np.float32)
    with closing(web.open(network.file, threads=2)) as other:
        assert np.allclose(running.run(lr)[0], other.run(lr)[0], atol=1e-6)


def test_bytes_go_in_and_come_out(web: Web, tmp_path: Path) -> None:
    kind = onnx.TensorProto.UINT8
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Transpose", ["lr"], ["sr"], perm=[0, 2, 1, 3])],
        "turned",
        [onnx.helper.make_tensor_value_info("lr", kind, ["b", "h", "w", 3])],
        [onnx.helper.make_tensor_value_info("sr", kind, ["b", "w", "h", 3])],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10
    )
    onnx.save(model, tmp_path / "bytes.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 5, 7, 3), dtype=np.uint8)
    with closing(web.open(tmp_path / "bytes.onnx", threads=1)) as file:
        turned, _ = file.run(pixels)
    assert np.array_equal(turned, pixels.transpose(0, 2, 1, 3))


def test_a_file_that_is_no_model_is_not_taken(web: Web, broken: Path) -> None:
    with pytest.raises(Unsupported, match="ONNX Runtime Web cannot open it: "):
        web.open(broken, threads=1)


def test_after_an_input_that_is_not_taken_the_next_one_is(running: WebFile) -> None:
    with pytest.raises(Unsupported, match="ONNX Runtime Web cannot run it: "):
        running.run(np.zeros((1, 5, 4, 4), np.float32))
    assert running.run(np.zeros((1, 3, 4, 4), np.float32))[0].shape == (1, 3, 16, 16)


def test_without_the_package_the_remedy_is_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESR_ORT_WEB", str(tmp_path))
    with pytest.raises(VerifyError, match=r"holds no node_modules/onnxruntime-web") as caught:
        find_package()
    assert "npm install" in caught.value.remedy


def test_without_node_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(VerifyError, match="there is no node on the path"):
        Web()


OPENED = """
import os, sys, time
print('{"version": "%d"}' % os.getpid(), flush=True)
sys.stdin.readline()
print('{"seconds": 1.0}', flush=True)
"""
"""What a Node process says as it opens a file; this one gives its process id for its version."""


def test_a_node_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops a command in the middle of a run must not leave the run behind."""
    monkeypatch.setattr("edgesr.runtimes.web.GRACE", 0.1)
    file = WebFile([sys.executable, "-c", f"{OPENED}time.sleep(60)"], 1)
    node = psutil.Process(int(file.describe().version))
    file.close()
    assert not node.is_running()


def test_a_node_that_dies_is_told_and_not_taken_for_a_reader_that_closed_its_pipe() -> None:
    file = WebFile([sys.executable, "-c", OPENED], 1)
    node = psutil.Process(int(file.describe().version))
    while node.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with pytest.raises(VerifyError, match="node ended with status 0"):
        file.run(np.zeros((1, 3, 4, 4), np.float32))

"""ncnn by way of pnnx, for real where both are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("ncnn", reason="ncnn is not installed: pip install edgesr[ncnn]")
if importlib.util.find_spec("pnnx") is None:
    pytest.skip("pnnx is not installed: pip install edgesr[ncnn]", allow_module_level=True)

from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.ncnn import Ncnn, convert, find_pnnx


def test_the_function_is_pytorchs_one_picture_at_a_time(network) -> None:
    found = network.parity(Ncnn())
    assert found["max_abs_diff"] < 1e-5
    assert {case["batch"] for case in found["unsupported"]} == {3}
    assert {case["reason"] for case in found["unsupported"]} == {"ncnn takes one picture at a time"}
    assert (1, 1) in {(case["width"], case["height"]) for case in found["cases"]}


def test_a_picture_that_is_not_contiguous_is_read_as_it_is_meant(network) -> None:
    running = Ncnn().open(network.file, threads=1)
    lr = np.random.default_rng(0).random((1, 3, 8, 12), dtype=np.float32)
    turned = np.ascontiguousarray(lr.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    assert not turned.flags.c_contiguous
    assert np.array_equal(running.run(lr)[0], running.run(turned)[0])


def test_half_precision_is_off_and_that_is_said(network) -> None:
    facts = Ncnn().open(network.file, threads=2).describe()
    assert (facts.threads, facts.precision) == (2, "float32")
    assert facts.note == "half precision off, Winograd convolutions on"


def test_converting_leaves_the_models_folder_as_it_was(network) -> None:
    Ncnn().open(network.file, threads=1)
    assert [path.name for path in network.file.parent.iterdir()] == ["model.onnx"]


def test_a_file_that_is_no_model_is_not_taken(broken: Path) -> None:
    with pytest.raises(Unsupported, match="pnnx cannot convert it"):
        Ncnn().open(broken, threads=1)


def test_an_operator_that_ncnn_lacks_is_named(network, tmp_path: Path) -> None:
    model = onnx.load(network.file)
    model.graph.node.append(onnx.helper.make_node("Cast", ["sr"], ["half"], to=10))
    model.graph.node.append(onnx.helper.make_node("Cast", ["half"], ["full"], to=1))
    model.graph.output[0].name = "full"
    onnx.save(model, tmp_path / "cast.onnx")
    folder = tmp_path / "converted"
    folder.mkdir()
    with pytest.raises(Unsupported, match=r"layers of it that ncnn lacks: Tensor\.to"):
        convert(tmp_path / "cast.onnx", folder, find_pnnx())


def test_a_file_with_float16_ends_is_not_taken_and_the_reason_names_the_type(half: Path) -> None:
    with pytest.raises(Unsupported, match=r"pnnx cannot convert it: .* expect .*f16 but got"):
        Ncnn().open(half, threads=1)


def test_without_the_converter_the_remedy_is_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(VerifyError, match="converter pnnx is not installed") as caught:
        Ncnn()
    assert "pip install 'edgesr[ncnn]'" in caught.value.remedy

"""Files of other integers than int8's, made of it: bytes at both ends, signed, 16 bits,
zero points of 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgesr.bundle.card import read_card
from edgesr.bundle.check import check, open_on_cpu
from edgesr.deploy.bytes_io import to_bytes_io
from edgesr.deploy.signed import to_s8s8
from edgesr.deploy.variants import completed
from edgesr.inference.tiling import to_bytes, to_values
from edgesr.verify.stage import verify
from edgesr.verify.targets import check_target

ALL = ("fp32", "int8", "int8-uint8-io", "s8s8", "a16w8", "s8s8-symmetric")


def pixels(height: int = 20, width: int = 33) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


def floats(path: Path, rgb: np.ndarray) -> np.ndarray:
    return open_on_cpu(path).run(["sr"], {"lr": to_values(rgb)})[0]


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def zeros(path: Path) -> set[str]:
    """The types of integers that activations have."""
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    return {str(constants[node.input[2]].dtype) for node in makers}


def test_int8_comes_along_where_another_is_made_of_it(integers: Path) -> None:
    assert completed(["s8s8", "fp16"]) == ("fp16", "int8", "s8s8")
    assert completed(["uint8-io"]) == ("uint8-io",)
    assert tuple(read_card(integers).variants) == ALL


def test_bytes_in_and_out_are_those_of_int8_and_no_float_is_at_an_end(integers: Path) -> None:
    rgb, path = pixels(), integers / "model.int8-uint8-io.onnx"
    found = open_on_cpu(path).run(["sr"], {"lr": rgb})[0]
    expected = to_bytes(floats(integers / "model.int8.onnx", rgb)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found, expected)
    assert not {"Cast", "Div", "Clip", "Floor"} & set(operators(path))
    assert operators(path)[-1] == "Transpose"


def test_an_int8_graph_whose_ends_stay_in_float_gets_bytes_by_casts(integers: Path) -> None:
    """As where the last convolution is kept in float, or a network has no end on 256 levels."""
    model = onnx.load(integers / "model.int8.onnx")
    last = model.graph.node[-1]
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half_of_it")
    model.graph.initializer.append(half)
    last.output[0] = "twice"
    model.graph.node.append(onnx.helper.make_node("Mul", ["twice", "half_of_it"], ["sr"]))
    made = to_bytes_io(model)
    onnx.checker.check_model(made, full_check=True)
    names = [node.op_type for node in made.graph.node]
    assert names.count("Cast") == 1  # behind; before, the bytes are the integers
    session = open_on_cpu(integers / "model.int8.onnx")
    rgb = pixels()
    expected = to_bytes(session.run(["sr"], {"lr": to_values(rgb)})[0] * np.float32(0.5))
    path = integers.parent / "halved.onnx"
    onnx.save_model(made, path)
    found = open_on_cpu(path).run(["sr"], {"lr": rgb})[0]
    np.testing.assert_array_equal(found, expected.transpose(0, 2, 3, 1))


def test_signed_activations_give_the_very_values(integers: Path) -> None:
    rgb, signed = pixels(), integers / "model.s8s8.onnx"
    assert zeros(integers / "model.int8.onnx") == {"uint8"}
    assert zeros(signed) == {"int8"}
    expected = floats(integers / "model.int8.onnx", rgb)
    np.testing.assert_allclose(floats(signed, rgb), expected, atol=1e-6)
    assert to_s8s8(onnx.load(signed)) == onnx.load(signed)


def test_xnnpack_takes_the_convolutions_of_the_signed_file_alone(integers: Path) -> None:
    taken = {}
    for name in ("int8", "s8s8"):
        (delegate,) = check_target(integers / f"model.{name}.onnx", "xnnpack")["delegates"]
        refused = [row["operator"] for row in delegate["fixed"]["falls_back"]]
        taken[name] = "Conv" not in refused
    assert taken == {"int8": False, "s8s8": True}


def test_sixteen_bits_lose_less_than_eight(integers: Path) -> None:
    rgb = pixels()
    assert zeros(integers / "model.a16w8.onnx") == {"uint16"}
    plain, eight, sixteen = (
        floats(integers / file, rgb).clip(0, 1)
        for file in ("model.onnx", "model.int8.onnx", "model.a16w8.onnx")
    )
    assert np.square(sixteen - plain).mean() < np.square(eight - plain).mean()
    card = read_card(integers).variants
    assert card["a16w8"].calibration == card["int8"].calibration
    assert card["a16w8"].needs != card["int8"].needs


def test_their_golden_vectors_hold(integers: Path) -> None:
    rows = check(integers)
    assert {row.variant for row in rows} == set(ALL)
    assert all(row.passed for row in rows)


def test_gates_of_int8_judge_all_of_them(integers: Path, tmp_path: Path) -> None:
    evidence = verify(integers, providers=["cpu"], output=tmp_path, quick=True)
    kinds = {gate.where for gate in evidence.gates if gate.gate == "min_text_db"}
    assert kinds == {f"cpu, {name}" for name in ALL[1:]}
    (row,) = [row for row in evidence.parity if row.variant == "int8-uint8-io"]
    assert row.bytes_off == 0


@pytest.mark.parametrize("name", ALL[1:])
def test_what_each_asks_of_a_processor_is_said(integers: Path, name: str) -> None:
    assert read_card(integers).variants[name].needs

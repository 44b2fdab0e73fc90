"""LiteRT files, for real where the converter is installed: the shipped edge-xs and a tiny one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

pytest.importorskip("litert_torch", reason="litert-torch is not installed: edgesr[litert]")

from edgesr.bundle.card import read_card
from edgesr.bundle.check import read_golden
from edgesr.deploy import litert
from edgesr.deploy.others import Made, facts, prove
from edgesr.deploy.tflite import Operators, TfLite
from edgesr.errors import ExportError
from edgesr.inference.tiling import to_bytes
from edgesr.models import zoo
from edgesr.recipe import Edge, Srgan
from edgesr.runtimes.litert import LiteRt
from edgesr.verify.jobs import float_run
from edgesr.verify.parity import expected, parity

SHIPPED = Path(__file__).parents[2] / "exports" / "edge-xs"
pytestmark = pytest.mark.filterwarnings("ignore")
"""The converters' libraries warn of their own."""


@pytest.fixture(scope="module")
def fp32() -> bytes:
    module = zoo.load(SHIPPED / "weights.safetensors").module
    return litert.to_litert(module, (32, 24), clip=False)


def test_the_graph_is_convolutions_and_one_depth_to_space(fp32: bytes) -> None:
    graph = TfLite(fp32)
    kinds = {graph.kind(each) for each in graph.graph.operators}
    assert kinds == {Operators.CONV_2D, Operators.ADD, Operators.DEPTH_TO_SPACE}
    assert len(graph.of_kind(Operators.DEPTH_TO_SPACE)) == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_function_is_pytorchs_at_every_size_and_scale(tmp_path: Path, scale: int) -> None:
    """Block 4 of DepthToSpace is what converters get wrong."""
    module = zoo.build(Edge(channels=4, depth=1, scale=scale)).eval()
    file = tmp_path / "model.tflite"
    file.write_bytes(litert.to_litert(module, (32, 24), clip=False))
    found = parity(expected(module), float_run(LiteRt().open(file, threads=1)))
    assert found["max_abs_diff"] < 1e-5
    assert {case["batch"] for case in found["unsupported"]} == {3}


@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_the_copies_of_floats_hold_the_golden_vectors(
    fp32: bytes, variant: str, tmp_path: Path
) -> None:
    data = fp32 if variant == "fp32" else litert.to_fp16(fp32)
    file = tmp_path / "model.tflite"
    file.write_bytes(data)
    prove(file, facts(Made(variant, data), "tflite", 4), SHIPPED, 4)


def test_int8_gives_the_very_bytes_of_the_onnx_file(fp32: bytes, tmp_path: Path) -> None:
    card = read_card(SHIPPED)
    file = tmp_path / "model.int8.tflite"
    file.write_bytes(litert.to_int8(fp32, onnx.load(SHIPPED / card.variants["int8"].file)))
    running = LiteRt().open(file, threads=1)
    for golden in read_golden(SHIPPED / "golden", card.scale)[1]:
        sr, _ = running.run(golden.pixels[None])
        theirs = to_bytes(golden.expected["int8"]).transpose(0, 2, 3, 1)
        assert abs(sr.astype(int) - theirs).max() <= 1
    assert len(file.read_bytes()) < 0.4 * len(fp32)


def test_other_networks_are_refused() -> None:
    with pytest.raises(ExportError, match="no LiteRT file of Generator"):
        litert.to_litert(zoo.build(Srgan(blocks=1)), (32, 24), clip=False)

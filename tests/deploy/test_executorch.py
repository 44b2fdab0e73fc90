"""ExecuTorch files, for real where the converter is installed: edge students and a Generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

pytest.importorskip("executorch", reason="executorch is not installed: edgesr[executorch]")

from torch import nn

from edgesr.bundle.card import read_card
from edgesr.bundle.check import read_golden
from edgesr.deploy import executorch
from edgesr.deploy.others import Made, facts, prove
from edgesr.errors import ExportError, Unsupported
from edgesr.inference.tiling import to_bytes, to_values
from edgesr.models import zoo
from edgesr.recipe import Edge, Model, Srgan
from edgesr.runtimes.executorch import ExecuTorch
from edgesr.verify.jobs import Job, float_run
from edgesr.verify.parity import expected, parity

SHIPPED = Path(__file__).parents[2] / "exports" / "edge-xs"


@pytest.fixture(scope="module")
def fp32() -> bytes:
    module = zoo.load(SHIPPED / "weights.safetensors").module
    return executorch.to_executorch(module, 160, clip=False)


@pytest.fixture(scope="module")
def file(fp32: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("executorch") / "model.pte"
    path.write_bytes(fp32)
    return path


def operators(data: bytes) -> tuple[int, int]:
    """Calls of a delegate, and operators that ExecuTorch runs itself."""
    from executorch.exir._serialize import _deserialize_pte_binary

    (plan,) = _deserialize_pte_binary(data).program.execution_plan
    return len(plan.delegates), len(plan.operators)


@pytest.mark.parametrize("spec", [Edge(channels=4, depth=1, scale=3), Srgan(blocks=1)])
def test_xnnpack_takes_the_whole_network_in_one_call(spec: Model) -> None:
    module = zoo.build(spec).eval()
    assert operators(executorch.to_executorch(module, 64, clip=True)) == (1, 0)


@pytest.mark.parametrize("r", [2, 3, 4])
def test_spread_is_pixel_shuffle(r: int) -> None:
    """Bit for bit: the others of a sum's terms are products with 0."""
    x = torch.randn(1, 3 * r * r, 5, 7)
    assert torch.equal(executorch.Spread(3 * r * r, r)(x), nn.PixelShuffle(r)(x))


@pytest.mark.parametrize(
    "spec", [*(Edge(channels=4, depth=1, scale=scale) for scale in (2, 3, 4)), Srgan(blocks=1)]
)
def test_the_function_is_pytorchs_at_every_size_and_scale(tmp_path: Path, spec: Model) -> None:
    module = zoo.build(spec).eval()
    file = tmp_path / "model.pte"
    file.write_bytes(executorch.to_executorch(module, 160, clip=False))
    found = parity(expected(module), float_run(ExecuTorch().open(file, threads=1)))
    assert found["max_abs_diff"] < 1e-5
    assert {case["batch"] for case in found["unsupported"]} == {3}


def test_the_copy_holds_the_golden_vectors(fp32: bytes, file: Path) -> None:
    other = facts(Made("fp32", fp32, largest=160), "pte", 4)
    assert (other.file, other.input.layout, other.largest) == ("model.pte", "NCHW", 160)
    prove(file, other, SHIPPED, 4)


def test_int8_gives_the_very_bytes_of_the_onnx_file_in_one_call(tmp_path: Path) -> None:
    card = read_card(SHIPPED)
    int8 = onnx.load(SHIPPED / card.variants["int8"].file)
    data = executorch.to_int8(zoo.load(SHIPPED / "weights.safetensors").module, int8, 160)
    assert operators(data) == (1, 0)
    file = tmp_path / "model.int8.pte"
    file.write_bytes(data)
    prove(file, facts(Made("int8", data, clipped=True, largest=160), "pte", 4), SHIPPED, 4)
    running = ExecuTorch().open(file, threads=1)
    for golden in read_golden(SHIPPED / "golden", card.scale)[1]:
        sr, _ = running.run(to_values(golden.pixels[None]))
        theirs = to_bytes(golden.expected["int8"]).astype(int)
        assert abs(to_bytes(np.asarray(sr, np.float32)) - theirs).max() <= 1


def test_int8_is_of_edge_students_alone() -> None:
    with pytest.raises(ExportError, match="no int8 ExecuTorch file of Generator"):
        executorch.to_int8(zoo.build(Srgan(blocks=1)), onnx.ModelProto(), 160)


def test_the_file_of_another_network_is_refused(fp32: bytes, file: Path) -> None:
    other = facts(Made("fp32", fp32, largest=160), "pte", 4)
    with pytest.raises(ExportError, match=r"model\.pte is not the network: off by"):
        prove(file, other, SHIPPED.with_name("edge-s"), 4)


def test_larger_pictures_are_refused_by_the_runtime_and_cut_by_verify(file: Path) -> None:
    module = zoo.load(SHIPPED / "weights.safetensors").module
    lr = to_values(np.random.default_rng(0).integers(0, 256, (1, 40, 170, 3), dtype=np.uint8))
    running = ExecuTorch().open(file, threads=1)
    with pytest.raises(Unsupported, match="takes at most 160x160 of this file, not 170x40"):
        running.run(lr)
    job = Job("executorch", "fp32", file, "float32", 1, single=True, halo=12, largest=160)
    with job.opened() as (run, _), torch.no_grad():
        assert np.abs(run(lr) - module(torch.from_numpy(lr)).numpy()).max() < 1e-5


def test_files_that_are_open_keep_what_they_gave(file: Path) -> None:
    """ExecuTorch's outputs lie in memory that the next run writes to, unless they are copied."""
    running = ExecuTorch().open(file, threads=1)
    black, white = (np.full((1, 3, 8, 9), value, np.float32) for value in (0, 1))
    first, _ = running.run(black)
    kept = first.copy()
    running.run(white)
    assert np.array_equal(first, kept)


def test_a_file_that_is_none_is_told_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.pte"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(Unsupported, match="ExecuTorch cannot open it: "):
        ExecuTorch().open(file, threads=1)
    assert capfd.readouterr() == ("", "")


def test_the_threads_are_those_that_are_asked_for(file: Path) -> None:
    from executorch.extension.pybindings import portable_lib

    for threads in (2, 1):
        assert ExecuTorch().open(file, threads=threads).describe().threads == threads
        assert portable_lib._threadpool_get_thread_count() == threads


def test_other_networks_are_refused() -> None:
    with pytest.raises(ExportError, match="no ExecuTorch file of Conv2d"):
        executorch.to_executorch(nn.Conv2d(3, 3, 1), 64, clip=False)

"""Core ML packages, for real where coremltools is installed: converted, and their graph read back.

Core ML itself runs on Apple's machines alone, so no test here runs a package.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("coremltools", reason="coremltools is not installed: edgesr[coreml]")

from torch import nn

from edgesr.bundle.card import read_card
from edgesr.deploy import coreml, stage
from edgesr.deploy.mil import MlProgram
from edgesr.deploy.others import Made, facts, prove
from edgesr.errors import ExportError, VerifyError
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.recipe import Edge, Int8, Model, Rewrites, Srgan
from edgesr.verify.jobs import check_requested, plan
from edgesr.workspace import Workspace
from tests.runs import write_run

SHIPPED = Path(__file__).parents[2] / "exports" / "edge-xs"
DTYPES = {"fp32": "float32", "fp16": "float16"}


def made(variant: str, bits: int | None = None) -> bytes:
    module = zoo.load(SHIPPED / "weights.safetensors").module
    half = variant == "fp16"
    return coreml.to_coreml(module, (96, 64), 160, clip=False, half=half, bits=bits)


@pytest.fixture(scope="module")
def fp32() -> bytes:
    return made("fp32")


@pytest.fixture(scope="module")
def file(fp32: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coreml") / "model.mlpackage.zip"
    path.write_bytes(fp32)
    return path


def program(tmp_path: Path, spec: Model) -> tuple[nn.Module, MlProgram]:
    module, file = zoo.build(spec).eval(), tmp_path / "model.mlpackage.zip"
    file.write_bytes(coreml.to_coreml(module, (32, 32), 64, clip=True, half=False))
    return module, MlProgram(file)


@pytest.mark.parametrize(
    "spec",
    [
        *(Edge(channels=4, depth=1, scale=scale) for scale in (2, 3, 4)),
        *(Srgan(blocks=1, channels=4, prelu=slopes) for slopes in ("channel", "layer")),
    ],
)
def test_the_graph_that_is_read_back_computes_what_pytorch_does(
    tmp_path: Path, spec: Model
) -> None:
    """At sizes other than those that it was traced or prepared for; weights and order with it."""
    module, read = program(tmp_path, spec)
    for height, width in ((1, 1), (7, 40)):
        lr = torch.rand(1, 3, height, width)
        with torch.no_grad():
            expected = module(lr).clamp(0, 1).numpy()
        assert np.abs(read.run(lr.numpy()) - expected).max() < 1e-5


def test_pixel_shuffle_stays_one_operation(tmp_path: Path) -> None:
    _, read = program(tmp_path, Edge(channels=4, depth=1))
    body = ["conv", "relu"] * 2
    assert read.operations == [*body, "conv", "conv", "add", "pixel_shuffle", "clip"]


@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_the_graph_holds_the_golden_vectors_of_its_variant(variant: str, tmp_path: Path) -> None:
    """What the card says, names, types, sizes from 1 to the bound, is what the package says."""
    data = made(variant)
    other = facts(Made(variant, data, DTYPES[variant], largest=160), "mlpackage", 4)
    assert (other.input.layout, other.input.dtype) == ("NCHW", DTYPES[variant])
    assert other.proved_by is None
    file = tmp_path / other.file
    file.write_bytes(data)
    prove(file, other, SHIPPED, 4)


@pytest.mark.parametrize("variant", ["fp32", "fp16"])
def test_the_weights_are_the_networks_to_the_bit(variant: str, tmp_path: Path) -> None:
    """Of fp16 rounded once; the golden vectors alone would let a coarser rounding pass."""
    file = tmp_path / "model.mlpackage.zip"
    file.write_bytes(made(variant))
    found = [op.inputs["weight"].val for op in MlProgram(file)._computed if op.op_type == "conv"]
    network = deployable(zoo.load(SHIPPED / "weights.safetensors").module, Rewrites())
    layers = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    layers.append(network.get_buffer("end.repeat"))
    assert len(found) == len(layers) == 10
    for theirs, ours in zip(found, layers, strict=True):
        assert theirs.dtype == DTYPES[variant]
        assert np.array_equal(theirs, ours.detach().numpy().astype(DTYPES[variant]))


def test_palettised_weights_are_indices_into_the_best_tables(tmp_path: Path) -> None:
    """Of layers with more than 2048 weights; the others are as fp16 has them. k-means that had
    begun badly left 33 dB here, of a picture half a decibel less."""
    file = tmp_path / "model.palettised.mlpackage.zip"
    file.write_bytes(made("fp16"))
    plain = MlProgram(file)
    file.write_bytes(made("fp16", bits=8))
    read, power, noise = MlProgram(file), 0.0, 0.0
    for ours, theirs in zip(plain._computed, read._computed, strict=True):
        if ours.op_type == "conv":
            weights = ours.inputs["weight"].val.astype(np.float32)
            if weights.size <= 2048:
                assert np.array_equal(theirs.inputs["weight"].val, weights)
            else:
                found = read._palettised[theirs.inputs["weight"].name].numpy()
                assert len(np.unique(found)) <= 256
                power, noise = power + (weights**2).sum(), noise + ((found - weights) ** 2).sum()
    assert read.tables == 8
    assert 10 * np.log10(power / noise) > 47


def test_palettised_weights_shrink_the_file_and_are_the_same_bytes_each_time() -> None:
    once = made("fp16", bits=8)
    assert len(once) < 0.75 * len(made("fp16"))
    assert len(made("fp16", bits=6)) < len(once)
    assert made("fp16", bits=8) == once


def test_half_precision_halves_the_file(fp32: bytes) -> None:
    assert len(made("fp16")) < 0.6 * len(fp32)


def test_the_same_network_gives_the_same_bytes(fp32: bytes) -> None:
    """Else every export would change the bundle's sums: no date, no identifier drawn by chance."""
    assert made("fp32") == fp32


def test_the_zip_holds_a_package_and_no_more(fp32: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(fp32)) as archive:
        assert archive.namelist() == [
            "model.mlpackage/Data/com.apple.CoreML/model.mlmodel",
            "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
            "model.mlpackage/Manifest.json",
        ]
        assert b"conversion_date" not in archive.read(archive.namelist()[0])


def test_the_package_is_one_that_coremltools_opens(file: Path, tmp_path: Path) -> None:
    """Identifiers and description were changed; its own reader follows them."""
    import coremltools as ct

    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path)
    model = ct.models.MLModel(str(tmp_path / "model.mlpackage"), skip_model_load=True)
    (lr,) = model.get_spec().description.input
    assert list(lr.type.multiArrayType.shape) == [1, 3, 64, 96]
    assert model.input_description["lr"] == "RGB, 0..1"


def test_the_file_of_another_network_is_refused(fp32: bytes, file: Path) -> None:
    other = facts(Made("fp32", fp32, largest=160), "mlpackage", 4)
    with pytest.raises(ExportError, match=r"model\.mlpackage\.zip is not the network: off by"):
        prove(file, other, SHIPPED.with_name("edge-s"), 4)


@pytest.mark.parametrize("wrong", [{"largest": 512}, {"dtype": "float16"}])
def test_a_card_that_says_something_else_is_refused(
    fp32: bytes, file: Path, wrong: dict[str, object]
) -> None:
    said = facts(Made("fp32", fp32, **{"largest": 160} | wrong), "mlpackage", 4)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"of itself, expected \(7, \[\('lr'"):
        prove(file, said, SHIPPED, 4)


def test_an_operation_that_no_network_has_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = MlProgram(file)
    monkeypatch.setattr(type(read._computed[0]), "op_type", "reshape")
    with pytest.raises(ExportError, match="operation reshape is not one that a network of edgesr"):
        read.run(np.zeros((1, 3, 4, 4), np.float32))


def test_other_networks_are_refused() -> None:
    with pytest.raises(ExportError, match="no Core ML file of Conv2d"):
        coreml.to_coreml(nn.Conv2d(3, 3, 1), (32, 32), 64, clip=False, half=False)


def test_a_bundle_has_it_and_verify_asks_for_no_runtime_of_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = write_run(workspace, {"name": "small", "model": Edge(channels=4, depth=1).model_dump()})
    (folder,) = stage.export(run, workspace, formats=("mlpackage",))
    card = read_card(folder)
    (other,) = card.others
    assert (other.runtime, other.file, other.largest) == ("coreml", "model.mlpackage.zip", 512)
    assert other.made_by.startswith("coremltools ")
    jobs, _ = plan(folder, card.variants, ["cpu"], 1, others=card.others)
    assert [(job.runtime, job.variant) for job in jobs] == [("cpu", "fp32")]
    with pytest.raises(VerifyError, match="--runtime coreml: expected one of"):
        check_requested(["coreml"])
    before = (folder / other.file).read_bytes()
    stage.again(folder, workspace)
    assert (folder / other.file).read_bytes() == before


def test_a_bundle_with_fp16_has_the_shortest_tables_that_its_limits_allow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path)
    spec = Edge(channels=16, depth=1).model_dump()
    run = write_run(workspace, {"name": "small", "model": spec})
    (folder,) = stage.export(run, workspace, formats=("mlpackage",), variants=("fp16",))
    card = read_card(folder)
    palettised = card.others[-1]
    assert palettised.file == "model.palettised.mlpackage.zip"
    assert (palettised.variant, palettised.input.dtype) == ("fp16", "float16")
    palette = palettised.palette
    assert palette is not None
    assert palette.psnr_loss_db_shipped <= Int8().max_psnr_loss_db
    assert [each.palette for each in card.others[:-1]] == [None, None]
    said = (folder / "README.md").read_text()
    assert (
        f"`{palettised.file}` is fp16's copy with weights as indices of {palette.bits} bits" in said
    )

    strict = ["gates.int8.min_photograph_db=99"]
    stage.again(folder, workspace, strict)
    assert [each.variant for each in read_card(folder).others] == ["fp32", "fp16"]
    assert not (folder / palettised.file).exists()
    assert "palettised weights lose" in capsys.readouterr().err

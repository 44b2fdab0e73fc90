"""Copies for runtimes that open no ONNX: their names, their place in the card, their refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesr.bundle.card import read_card
from edgesr.bundle.check import open_on_cpu
from edgesr.bundle.readme import readme
from edgesr.bundle.records.card import Card, Other
from edgesr.deploy import others, stage
from edgesr.deploy.formats import check_formats, of_formats
from edgesr.deploy.others import Made, prove
from edgesr.errors import ExportError, Unsupported, VerifyError
from edgesr.recipe import Edge
from edgesr.runtimes.base import Name, Tensor, Values
from edgesr.variant import file_of
from edgesr.verify.jobs import plan
from edgesr.workspace import Workspace
from tests.runs import write_run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace(tmp_path_factory.mktemp("work"))
    run = write_run(workspace, {"name": "small", "model": Edge(channels=4, depth=1).model_dump()})
    (folder,) = stage.export(run, workspace)
    return folder


class StandIn:
    """A runtime whose files are model.onnx by ONNX Runtime, changed by `wrong`."""

    def __init__(self, folder: Path, wrong: Callable[[Values], Values]) -> None:
        self._session, self._wrong = open_on_cpu(folder / "model.onnx"), wrong

    def open(self, *_: Path, **__: int) -> StandIn:
        return self

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        return self._wrong(self._session.run(["sr"], {"lr": lr})[0]), 0.0

    def close(self) -> None:
        pass


@pytest.fixture
def proved_with(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hold a copy of fp32 whose runtime gives `wrong(the right answer)` against golden vectors."""

    def use(wrong: Callable[[Values], Values]) -> None:
        monkeypatch.setattr(others, "load", lambda _: StandIn(bundle, wrong))
        prove(bundle / "model.tflite", other(), bundle, read_card(bundle).scale)

    return use


def other(variant: str = "fp32", dtype: str = "float32") -> Other:
    """As a converter's file stands in the card."""
    picture = {
        **{"colour": "RGB", "dtype": dtype, "layout": "NHWC"},
        **{"range": [0, 255 if dtype == "uint8" else 1]},
    }
    return Other.model_validate(
        {
            "runtime": "litert",
            "variant": variant,
            "file": file_of(variant, "tflite"),
            "bytes": 1_000_000,
            "input": picture | {"name": "lr", "shape": [1, "height", "width", 3]},
            "output": picture
            | {"name": "sr", "shape": [1, "4*height", "4*width", 3], "clipped": False},
            "made_by": "a converter 1.0",
            "proved_by": "a runtime 1.0",
        }
    )


def test_a_copy_is_called_as_its_variant_is() -> None:
    assert of_formats(("fp32", "int8", "uint8-io"), ("tflite",)) == [
        "model.tflite",
        "model.int8.tflite",
    ]
    assert of_formats(("fp32", "int8", "uint8-io"), ("pte",)) == ["model.pte", "model.int8.pte"]
    assert of_formats(("fp32", "fp16", "int8"), ("mlpackage",)) == [
        "model.mlpackage.zip",
        "model.fp16.mlpackage.zip",
        "model.palettised.mlpackage.zip",
    ]
    assert of_formats(("fp32",), ("mlpackage",)) == ["model.mlpackage.zip"]


def test_a_copy_that_computes_the_same_holds(proved_with: Callable[..., None]) -> None:
    proved_with(lambda sr: sr)


def test_channels_in_another_order_are_refused(proved_with: Callable[..., None]) -> None:
    """What DepthToSpace in the wrong order gives: the right colours, in the wrong sub-pixels."""

    def wrong(sr: Values) -> Values:
        batch, colours, height, width = sr.shape
        blocks = sr.reshape(batch, colours, height // 4, 4, width // 4, 4)
        return blocks.swapaxes(3, 5).reshape(sr.shape)

    with pytest.raises(
        ExportError, match=r"model\.tflite is not the network: off by .* photograph"
    ):
        proved_with(wrong)


def test_not_a_number_is_refused(proved_with: Callable[..., None]) -> None:
    with pytest.raises(ExportError, match="off by nan"):
        proved_with(lambda sr: np.full_like(sr, np.nan))


def test_another_size_is_refused(proved_with: Callable[..., None]) -> None:
    with pytest.raises(ExportError, match=r"gives \(1, 3, 63, 96\) of photograph, expected"):
        proved_with(lambda sr: sr[:, :, 1:])


def test_what_its_own_runtime_does_not_take_is_refused(proved_with: Callable[..., None]) -> None:
    def wrong(_: Values) -> Values:
        raise Unsupported("no such operator")

    with pytest.raises(ExportError, match="refused on golden vector photograph: no such operator"):
        proved_with(wrong)


def test_a_missing_converter_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("litert", "litert_values", "tflite"):
        monkeypatch.delitem(sys.modules, f"edgesr.deploy.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ModuleNotFoundError):
        stage.export(tmp_path / "no run", Workspace(tmp_path), formats=("tflite",))
    with pytest.raises(ModuleNotFoundError):
        check_formats(("tflite",))


@pytest.mark.parametrize("name", ["pte", "mlpackage"])
def test_another_projects_network_is_refused_before_anything_is_done(name: str) -> None:
    with pytest.raises(ExportError, match=f"--{name} is of networks whose layers edgesr knows"):
        check_formats((name,), own=False)


def test_a_bundle_with_copies_is_read_verified_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter is a stand-in; card, sums, page, what verify looks for, what may be lost."""
    made = [Made("fp32", b"a network")]
    monkeypatch.setattr(others, "_tflite", lambda *_: iter(made))
    monkeypatch.setattr(others, "prove", lambda *_: None)
    monkeypatch.setattr(stage, "check_formats", lambda *_, **__: None)
    monkeypatch.setattr(others.metadata, "version", lambda _: "1.0")
    workspace = Workspace(tmp_path)
    run = write_run(workspace, {"name": "small", "model": Edge(channels=4, depth=1).model_dump()})
    (folder,) = stage.export(run, workspace, formats=("tflite",))
    card = read_card(folder)
    assert [(each.runtime, each.variant, each.file) for each in card.others] == [
        ("litert", "fp32", "model.tflite")
    ]
    assert "| `model.tflite` | 0.00 MB | LiteRT" in (folder / "README.md").read_text()
    assert "  model.tflite\n" in (folder / "SHA256SUMS").read_text()
    with pytest.raises(ExportError, match=r"also has model\.tflite, not asked for now"):
        stage.export(run, workspace)
    stage.again(folder, workspace)
    assert read_card(folder).others == card.others


@pytest.mark.parametrize(
    ("runtime", "label", "flag"),
    [("litert", "LiteRT", "--tflite"), ("executorch", "ExecuTorch", "--pte")],
)
def test_verify_says_which_command_makes_the_file_that_it_needs(
    runtime: Name, label: str, flag: str
) -> None:
    with pytest.raises(VerifyError, match=f"edge has no file for {label}") as caught:
        plan(Path("edge"), {}, [runtime], 1)
    assert caught.value.remedy == f"Export it with one: edgesr export edge {flag}"


def test_cards_without_copies_are_read_and_the_page_is_silent(bundle: Path) -> None:
    assert "others" not in json.loads((bundle / "card.json").read_text())
    assert "Other runtimes" not in (bundle / "README.md").read_text()


def test_the_page_names_what_each_copy_takes(bundle: Path) -> None:
    card = Card.read(bundle / "card.json").model_copy(
        update={"others": [other(), other("int8", "uint8")]}
    )
    page = readme(card, invents=False)
    assert (
        "| `model.tflite` | 1.00 MB | LiteRT (TensorFlow Lite) | NHWC, RGB 0..1, float32 |" in page
    )
    assert "| `model.int8.tflite` | 1.00 MB | LiteRT (TensorFlow Lite) | NHWC, RGB bytes |" in page


def test_the_page_says_of_core_ml_that_nothing_ran_it(bundle: Path) -> None:
    apart = other().model_copy(update={"runtime": "coreml", "proved_by": None})
    card = Card.read(bundle / "card.json")
    both = readme(card.model_copy(update={"others": [other(), apart]}), invents=False)
    assert "golden vectors below, Core ML's aside, before they" in both
    assert "and **not run**" in both
    alone = readme(card.model_copy(update={"others": [apart]}), invents=False)
    assert "before they were written" not in alone
    assert "and **not run**" in alone
    assert "not run" not in readme(card.model_copy(update={"others": [other()]}), invents=False)

"""ONNX Runtime's own format: what a build that opens nothing else gets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgesr.bundle.card import read_card
from edgesr.deploy import others, stage
from edgesr.deploy.ort import OPERATORS, to_ort
from edgesr.errors import ExportError
from edgesr.inference.session import open_session
from edgesr.recipe import Edge
from edgesr.workspace import Workspace
from tests.runs import write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace(tmp_path_factory.mktemp("ort"))
    run = write_run(workspace, {"name": "small", "model": Edge(channels=4, depth=1).model_dump()})
    (made,) = stage.export(run, workspace, ("uint8-io",), formats=("ort",))
    return made


def test_a_bundle_has_a_copy_of_floats_and_one_of_bytes_in_its_card_and_sums(folder: Path) -> None:
    found = {each.file: each for each in read_card(folder).others}
    assert list(found) == ["model.ort", "model.uint8-io.ort"]
    floats, pixels = found.values()
    assert (floats.runtime, floats.input.layout, floats.input.dtype) == (
        *("onnxruntime", "NCHW", "float32"),
    )
    assert (pixels.input.layout, pixels.input.dtype, pixels.output.clipped) == (
        *("NHWC", "uint8", True),
    )
    assert floats.proved_by is not None
    sums = (folder / "SHA256SUMS").read_text()
    assert all(f"  {name}\n" in sums for name in (*found, OPERATORS))
    assert (
        "| `model.ort` | 0.02 MB | ONNX Runtime's smallest builds | NCHW"
        in (folder / "README.md").read_text()
    )


def test_onnx_runtime_opens_it_as_it_opens_the_file_that_it_copies(folder: Path) -> None:
    lr = np.random.default_rng(0).random((2, 3, 9, 17), dtype=np.float32)
    copy, original = (
        open_session(folder / name, provider="cpu").run(None, {"lr": lr})[0]
        for name in ("model.ort", "model.onnx")
    )
    assert np.abs(copy - original).max() <= 1e-6


def test_the_operators_are_named_without_the_folder_in_which_they_were_found(folder: Path) -> None:
    lines = (folder / OPERATORS).read_text().splitlines()
    assert lines
    assert all(re.match(r"[a-z.]+;\d+;[A-Z]", line) for line in lines)
    named = " ".join(lines)
    assert all(name in named for name in ("Conv", "DepthToSpace", "Cast"))


def test_it_is_made_anew_with_the_bundle(folder: Path) -> None:
    before = {each.file for each in read_card(folder).others}
    with pytest.raises(
        ExportError, match=r"also has .*model\.ort, model\.uint8-io\.ort, not asked"
    ):
        stage.export(folder, Workspace(folder.parent.parent), ())
    stage.again(folder, Workspace(folder.parent.parent))
    assert {each.file for each in read_card(folder).others} == before
    assert (folder / OPERATORS).is_file()


def test_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    """A file of bytes is held to levels, as its ONNX file is."""
    workspace = Workspace(tmp_path)
    spec = Edge(channels=4, depth=2).model_dump()
    run = write_run(workspace, {"name": "other", "model": spec})
    (strange,) = stage.export(run, workspace, ("uint8-io",), formats=("ort",))
    (_, pixels) = read_card(strange).others
    with pytest.raises(ExportError, match=r"model\.uint8-io\.ort is not the network: off by"):
        others.prove(strange / pixels.file, pixels, folder, 4)


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ExportError, match="cannot write its own format"):
        to_ort([path])

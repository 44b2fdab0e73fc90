"""ONNX files of any convention behind edgesr's contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesr import Upscaler
from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.deploy.foreign import export_onnx_file
from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.models.adapt import Convention, adapt
from edgesr.verify import stage
from edgesr.workspace import Workspace

BYTES = "model.uint8-io.onnx"


def test_layout_range_and_scale_of_a_file_of_bytes_are_found(made: Path) -> None:
    found = adapt(made / BYTES, Convention()).convention
    assert (found.layout, found.range, found.scale) == ("nhwc", 255, 4)


def test_the_range_of_a_float_file_is_found(made: Path) -> None:
    found = adapt(made / "model.onnx", Convention()).convention
    assert (found.layout, found.range, found.scale) == ("nchw", 1, 4)


def test_what_is_stated_is_not_tried_otherwise(made: Path) -> None:
    with pytest.raises(ModelError, match="enlarges x4, stated was x2"):
        adapt(made / "model.onnx", Convention(scale=2))
    assert adapt(made / BYTES, Convention(colour="bgr")).convention.colour == "bgr"


def test_its_bundle_does_what_the_file_did_and_is_verified(
    made: Path, workspace: Workspace
) -> None:
    gates = workspace.root / "gates.toml"
    gates.write_text("max_mb = 0.000001")
    folder = export_onnx_file(
        made / "model.onnx",
        workspace,
        Convention(colour="rgb"),  # to a network of random weights it is all one
        name="theirs",
        licence="MIT",
        gates=gates,
    )
    lr = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    theirs, own = Upscaler(folder)(lr), Upscaler(made)(lr)
    assert np.abs(theirs.astype(int) - own).max() <= 1
    assert all(row.passed for row in check(folder))
    assert read_card(folder).halo == read_card(made).halo
    evidence = stage.verify(folder, quick=True)
    assert [row.gate for row in evidence.gates if row.state == "fails"] == ["max_mb"]
    assert evidence.parity[0].max_abs_diff <= 1e-4


def test_an_onnx_file_with_a_contract_is_a_network_that_can_teach(made: Path) -> None:
    model = zoo.load(made / "model.onnx")
    assert (model.scale, model.spec) == (4, None)


def test_a_file_that_is_not_onnx_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="plain"):
        zoo.load(plain)

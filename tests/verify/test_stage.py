"""verify() as a whole, on a tiny real bundle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest
from rich.console import Console

from edgesr import recipe_io
from edgesr.deploy.card import read_card
from edgesr.deploy.sums import write_sums
from edgesr.errors import VerifyError
from edgesr.recipe import Gates, Recipe
from edgesr.verify import present, stage
from edgesr.workspace import sha256, write_json, write_text


def set_gates(folder: Path, **gates: float) -> None:
    """Rewrite the bundle's recipe with other gates, and its sum in the card."""
    recipe = recipe_io.load(folder / "recipe.toml")
    raw = recipe.model_dump(exclude_none=True) | {"gates": gates}
    write_text(folder / "recipe.toml", recipe_io.dumps(Recipe.model_validate(raw)))
    card = json.loads((folder / "card.json").read_text())
    card["sha256"]["recipe.toml"] = sha256(folder / "recipe.toml")
    write_json(folder / "card.json", card)
    write_sums(folder)


def test_the_evidence_is_written_and_all_gates_of_a_good_bundle_hold(exports: Path) -> None:
    folder = exports / "small"
    evidence = stage.verify(folder)
    assert evidence["passed"]
    assert json.loads((folder / "verify.json").read_text()) == evidence
    assert xml.fromstring((folder / "junit.xml").read_text()).get("failures") == "0"
    assert evidence["parity"][0]["max_abs_diff"] < 1e-5
    assert evidence["cost"]["reduction_percent"] > 0
    assert evidence["quality"][0]["images"] == 1


def shown(evidence: stage.Evidence) -> str:
    """What a terminal of 80 columns shows; nothing in it is cut off."""
    out = io.StringIO()
    console = Console(file=out, width=80)
    for part in present.tables(evidence):
        console.print(part)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…" not in out.getvalue()
    return out.getvalue()


def test_80_columns_hold_every_gate_in_full(exports: Path) -> None:
    names = [name for name in Gates.model_fields if name != "min_reduction_percent"]
    set_gates(exports / "big", min_reduction_percent=55.0, **dict.fromkeys(names, 0.123))
    evidence = stage.verify(exports / "big", providers=["cpu"])
    text = shown(evidence)
    assert all(gate["gate"] in text for gate in evidence["gates"])
    assert "missing" in text  # the reduction of a network without a teacher
    assert "9.09 G" in text  # N=16 beside the paper's 56.58 G
    assert "56.58 G" in text


def test_a_provider_that_is_not_there_is_shown_with_the_reason(exports: Path) -> None:
    evidence = stage.verify(exports / "small", providers=["cpu"])
    missing = {"provider": "CUDAExecutionProvider", "message": "not available: no [device]"}
    evidence["providers"].append(missing)
    assert "CUDA: not available: no [device]" in shown(evidence)


def test_a_gate_that_fails_fails_the_bundle(exports: Path) -> None:
    set_gates(exports / "big", max_mb=1e-6)
    evidence = stage.verify(exports / "big", providers=["cpu"])
    assert not evidence["passed"]
    assert [g["gate"] for g in evidence["gates"] if not g["passed"]] == ["max_mb"]


def test_a_bundle_that_was_tampered_with_is_refused_naming_every_file(exports: Path) -> None:
    folder = exports / "small"
    for name in ("model.onnx", "recipe.toml"):
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    with pytest.raises(VerifyError, match=r"model\.onnx was changed, recipe\.toml was changed"):
        stage.verify(folder)
    assert not (folder / "verify.json").exists()


def test_the_figures_get_into_the_card_and_the_bundle_can_be_verified_again(
    exports: Path,
) -> None:
    folder = exports / "small"
    for _ in range(2):
        evidence = stage.verify(folder, providers=["cpu"])
        found = read_card(folder)["evidence"]["variants"]["fp32"]
        assert found["parity"][0]["max_abs_diff"] == evidence["parity"][0]["max_abs_diff"]
        assert found["speed"][0]["p50_ms"] == evidence["speed"][0]["p50_ms"]


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="is no bundle"):
        stage.verify(tmp_path)


def test_an_empty_exports_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="edgesr export --onnx"):
        stage.bundles(tmp_path)


def test_bundles_are_found_by_their_cards(exported: Path) -> None:
    assert [folder.name for folder in stage.bundles(exported)] == ["big", "small"]

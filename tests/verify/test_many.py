"""Several bundles verified in one command: each gets its line, whatever is wrong with another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.bundle.checksums import write_checksums
from edgesr.bundle.records.evidence import FAILS, HOLDS, NOT_JUDGED, Evidence
from edgesr.errors import BundleError, MachineError, RecipeError, VerifyError
from edgesr.verify import many, stage
from edgesr.verify.many import Outcome
from edgesr.workspace import sha256

ROW = {"runtime": "cpu", "variant": "fp32", "exact": True}


def outcome(construct: Callable[..., Evidence], faults: dict[str, object]):
    """What stands for `verify`: of each folder whether it passes, or its error."""

    def verify(folder: Path) -> Outcome:
        fault = faults[folder.name]
        if isinstance(fault, Exception):
            raise fault
        gate = {"gate": "max_mb", "where": "model.onnx", "limit": 5.0, "measured": 6.2}
        gates = [
            gate | {"state": HOLDS if fault else FAILS, "reason": ""},
            gate | {"gate": "max_lpips", "state": NOT_JUDGED, "reason": "no weights"},
        ]
        scores = ROW | {"kind": "photographs", "psnr_db": 27.0, "bicubic_psnr_db": 26.5}
        stated = {
            "parity": [ROW | {"max_abs_diff": 1.2e-6}],
            "speed": [ROW | {"p50_ms": 12.3}],
            "quality": [
                scores | {"loss_db": 0.0},
                scores | {"variant": "fp16", "loss_db": -0.001},
                scores | {"variant": "int8", "loss_db": 0.07},
            ],
            "file": {"bytes": 6_200_000},
        }
        return Outcome(construct(stated | {"passed": bool(fault), "gates": gates}), "a note")

    return verify


@pytest.mark.parametrize(
    ("fault", "code", "last"),
    [
        (True, 0, "PASSED: 3 of 3 bundles hold."),
        (False, 1, "FAILED: 2 of 3 bundles hold; falls short: b."),
        (BundleError("b does not match"), 1, "FAILED: 2 of 3 bundles hold; not verified: b."),
        (VerifyError("no provider"), 2, "FAILED: 2 of 3 bundles hold; not verified: b."),
        (MachineError("disk full"), 3, "FAILED: 2 of 3 bundles hold; not verified: b."),
    ],
)
def test_the_last_line_is_the_verdict_over_all(
    construct, capsys: pytest.CaptureFixture[str], fault: object, code: int, last: str
) -> None:
    """It was the last bundle's PASSED."""
    faults = {"a": True, "b": fault, "c": True}
    assert many.verify_all([Path(name) for name in faults], outcome(construct, faults)) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_bundle_is_a_line_of_figures_and_what_does_not_hold(
    construct, capsys: pytest.CaptureFixture[str]
) -> None:
    many.verify_all([Path("a"), Path("b")], outcome(construct, {"a": True, "b": False}))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "bundle verdict max diff p50 ms PSNR dB gain loss MB",
        "a PASSED 1.2e-06 12.3 27.00 +0.50 0.07 6.20",
        "a note",
        "not judged: max_lpips (no weights)",
        "b FAILED 1.2e-06 12.3 27.00 +0.50 0.07 6.20",
        "a note",
        "FAILS: max_mb (model.onnx): 6.2, at most 5",
        "not judged: max_lpips (no weights)",
        "FAILED: 1 of 2 bundles hold; falls short: b.",
    ]


def test_a_bundle_that_could_not_be_verified_is_named_in_a_line_with_the_reason(
    construct, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = {"a": True, "b": RecipeError("b has 1 fault(s):\n  verify.x", "Mend it.")}
    many.verify_all([Path("a"), Path("b")], outcome(construct, faults))
    said = capsys.readouterr().err
    assert "warning: b is not verified: b has 1 fault(s): verify.x Mend it." in said


def test_the_fault_of_a_single_bundle_is_the_commands_own(construct) -> None:
    with pytest.raises(RecipeError):
        many.verify_all([Path("a")], outcome(construct, {"a": RecipeError("nonsense")}))


def test_a_bundle_without_its_card_is_said_and_not_passed_over(exports: Path) -> None:
    (exports / "small/card.json").unlink()
    assert [folder.name for folder in stage.bundles(exports)] == ["big", "small"]
    with pytest.raises(BundleError, match=r"small .*: it has no card\.json"):
        stage.verify(exports / "small")


def damage(folder: Path, recipe: str) -> Path:
    """A bundle whose recipe is `recipe`, and whose sums say that it should be."""
    (folder / "recipe.toml").write_text(recipe)
    card = json.loads((folder / "card.json").read_text())
    card["sha256"]["recipe.toml"] = sha256(folder / "recipe.toml")
    (folder / "card.json").write_text(json.dumps(card))
    write_checksums(folder)
    return folder


RECIPE = 'name = "small"\n[model]\narch = "edge"\n[verify]\n'


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (f"{RECIPE}runs = 1000000000", "verify.runs = 1000000000"),
        (f"{RECIPE}threads = 100000", "verify.threads = 100000"),
        (f'{RECIPE}size = "99999x99999"', "verify.size = '99999x99999'"),
        (f"{RECIPE}runs = 1e999", "verify.runs = inf"),
        ("[[[", "recipe.toml cannot be read"),
    ],
)
def test_a_received_recipe_of_nonsense_is_refused_before_any_work(
    exports: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, said: str
) -> None:
    """It ran for ever, or crashed the process; the other bundles are verified all the same."""
    monkeypatch.setattr(stage.proof, "placements", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(RecipeError) as caught:
        stage.verify(damage(exports / "small", recipe))
    assert said in caught.value.message
    assert len(caught.value.message) < 400

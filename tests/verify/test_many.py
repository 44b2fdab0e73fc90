"""Several bundles verified in one command: each gets its line, whatever is wrong with another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.bundle.checksums import write_checksums
from edgesr.bundle.records.evidence import Evidence
from edgesr.errors import BundleError, MachineError, RecipeError, VerifyError
from edgesr.verify import many, stage
from edgesr.workspace import sha256


@pytest.fixture(autouse=True)
def no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many.present, "print_evidence", lambda _: None)


def outcome(construct: Callable[..., Evidence], faults: dict[str, object]):
    """What stands for `verify`: of each folder whether it passes, or its error."""

    def verify(folder: Path) -> Evidence:
        fault = faults[folder.name]
        if isinstance(fault, Exception):
            raise fault
        return construct({"passed": fault})

    return verify


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (True, 0, "holds: b"),
        (False, 1, "falls short: b"),
        (BundleError("b does not match"), 1, "not verified: b: b does not match"),
        (VerifyError("no provider"), 2, "not verified: b: no provider"),
        (
            RecipeError("b has 1 fault(s):\n  verify.x"),
            2,
            "not verified: b: b has 1 fault(s): verify.x",
        ),
        (MachineError("disk full"), 3, "not verified: b: disk full"),
    ],
)
def test_all_are_verified_and_a_line_each_ends_it(
    construct, capsys: pytest.CaptureFixture[str], fault: object, code: int, line: str
) -> None:
    faults = {"a": True, "b": fault, "c": True}
    assert many.verify_all([Path(name) for name in faults], outcome(construct, faults)) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "holds: a"
    assert lines[1].startswith(line)
    assert lines[2] == "holds: c"


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

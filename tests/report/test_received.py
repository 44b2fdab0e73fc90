"""A bundle that somebody received: nonsense ends in one line, and no path in it is opened."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import Environment
from PIL import Image

from edgesr.bundle.records.base import Record
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.rows import Scores
from edgesr.bundle.records.run import Run
from edgesr.data import judges, photos
from edgesr.errors import BundleError
from edgesr.models import zoo
from edgesr.recipe import Edge
from edgesr.report import bundles, gallery, stage
from edgesr.report.pictures import Pictures
from edgesr.workspace import sha256

EVIL: tuple[Any, ...] = (
    *(None, [], {}, "", "../../etc/passwd", "a\nb\x1b[2J\x00", "/dev/zero"),
    *(-1, 0.5, 10**40, 1e300, True, float("nan"), float("-inf")),
)
DEEP = "[" * 1000 + "]" * 1000
DROPPED = "dropped"

Facts = dict[str, Any]


@pytest.fixture
def records(card, evidence, run_facts) -> dict[str, tuple[type[Record], Facts]]:
    """Each record of a bundle, with one of everything in it."""
    verify = evidence("n4", True)
    (row,) = verify["quality"]
    scores = {key: row[key] for key in Scores.model_fields}
    row["pictures"] = [scores | {"image": "p", "width": 4, "height": 4, "sha256": "ab" * 32}]
    verify["parity"][0]["cases"] = verify["parity"][0]["cases"][:1]
    verify["gates"] = verify["gates"][:1]
    card, run = card("n4", "student"), run_facts("n4")
    return {"card": (Card, card), "verify": (Evidence, verify), "run": (Run, run)}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a JSON value but the whole."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(facts: Facts, place: tuple[Any, ...], value: Any) -> str:
    """The text of `facts` with another value in one place; `DEEP` is put in as it is."""
    other = copy.deepcopy(facts)
    table: Any = other
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    if value == DROPPED:
        del table[place[-1]]
    return json.dumps(other).replace('"deep"', DEEP)


def told(kind: type[Record], text: str) -> str:
    """The message for a record of that text; empty where it is taken."""
    try:
        kind.parse(text, Path("received.json"))
    except BundleError as error:
        return error.message
    return ""


@pytest.mark.parametrize("name", ["card", "verify", "run"])
def test_every_value_replaced_and_every_key_dropped_is_taken_or_told_in_a_line(
    records, name: str
) -> None:
    """28 kinds of nonsense ended in a traceback."""
    kind, facts = records[name]
    kind.parse(json.dumps(facts), Path("whole.json"))
    messages = []
    for place in places(facts):
        for value in (*EVIL, DROPPED):
            messages.append(told(kind, changed(facts, place, value)))
        assert told(kind, changed(facts, place, "deep")), place
    assert all(message.isprintable() and len(message) < 1000 for message in messages)
    assert len(messages) > 5 * messages.count("") > 0


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return stage.pictures({}, 4)


def test_what_is_taken_without_a_value_is_shown(
    records, make_bundle, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be left out, or be null, must not be missed by the page."""
    made: list[Environment] = []

    def once(**how: Any) -> Environment:  # compiling the page's templates takes longest
        made.append(made[0] if made else Environment(**how))
        return made[0]

    monkeypatch.setattr(stage, "Environment", once)
    folder = make_bundle("n4", model=False)
    whole = bundles.read(folder)
    for name, (kind, facts) in records.items():
        for text in (changed(facts, place, v) for place in places(facts) for v in (None, DROPPED)):
            if not told(kind, text):
                record = kind.parse(text, Path("received.json"))
                assert stage.render(replace(whole, **{name: record}), None, pictures, None)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder of pictures that nobody has offered."""
    folder = tmp_path / "private"
    folder.mkdir()
    noise = np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "diary.png")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every picture that is decoded, and every folder that is searched for pictures."""
    seen: list[Path] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *rest: Any, **how: Any) -> Any:
            seen.append(path.resolve())
            return function(path, *rest, **how)

        return call

    for name in ("decode", "find"):
        monkeypatch.setattr(photos, name, watched(getattr(photos, name)))
    return seen


def test_pictures_that_received_evidence_names_are_not_opened(
    records, make_bundle, private: Path, opened: list[Path]
) -> None:
    """It named a folder, and the report embedded the private pictures in it."""
    _, verify = records["verify"]
    diary = private / "diary.png"
    (row,) = verify["quality"]
    row["data"], row["pictures"][0]["image"] = str(private), str(diary)
    row["pictures"][0]["sha256"] = photos.digest(photos.decode(diary))
    opened.clear()
    folder = make_bundle("n4", verify=verify)
    page = stage.report(folder, folder.parent).read_text(encoding="utf-8")
    ours = {path.resolve() for path in judges.photographs()}
    assert opened
    assert set(opened) <= ours
    assert "diary, student" not in page
    assert "edgesr report --data" in page


def test_of_the_folder_that_the_user_names_other_pictures_are_not_shown(
    records, make_bundle, private: Path
) -> None:
    _, verify = records["verify"]
    verify["quality"][0]["data"] = "private"
    folder = make_bundle("n4", verify=verify)
    found = gallery.source_of(bundles.read(folder).verify, private)
    assert found.files == judges.photographs()
    assert "None of the pictures that verify measured on" in found.note


def test_a_teacher_that_a_received_run_names_by_its_path_is_refused(
    make_bundle, run_facts, tmp_path: Path
) -> None:
    path = tmp_path / "private.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    run = run_facts("n4")
    run["teacher"] |= {"path": str(path), "sha256": sha256(path)}
    folder = make_bundle("n4", run=run)
    with pytest.raises(BundleError, match=r"run\.json cannot be used: teacher\.path"):
        stage.report(folder, folder.parent)


@pytest.mark.parametrize("name", ["../private", "/etc", ".", "a/b"])
def test_a_teachers_name_is_no_path(make_bundle, card, name: str) -> None:
    """The teacher's bundle is looked for beside this one, by its name alone."""
    facts = card("n4", "student")
    facts["teacher"]["name"] = name
    folder = make_bundle("n4", card=facts)
    with pytest.raises(BundleError, match=r"card\.json cannot be used: teacher\.name"):
        stage.report(folder, folder.parent)


def test_a_teachers_file_that_only_a_received_recipe_names_is_not_opened(
    make_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "private.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    recipe = f'name = "n4"\n[model]\narch = "edge"\n[teacher]\npath = "{path}"\n'
    folder = make_bundle("n4", recipe=recipe, model=False)
    monkeypatch.setattr(zoo, "load", lambda *_: pytest.fail("a model file was opened"))
    page = stage.report(folder, folder.parent).read_text(encoding="utf-8")
    assert "The teacher’s picture is missing" in page

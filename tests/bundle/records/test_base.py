"""Records that somebody received: nonsense ends in one line, whatever JSON holds it."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgesr.bundle.records.golden import Golden
from edgesr.errors import BundleError
from edgesr.verify.junit import written

GOLDEN: dict[str, Any] = {
    "format": 1,
    "cases": [
        {"name": "a", "width": 2, "height": 2, "input": "a.rgb", "output": {"fp32": "a.f32"}}
    ],
    "tolerance": {"fp32": {"max_abs": 1e-4}},
}
EVIL = (None, [], {}, "x", -1, 1e300, 10**40, "../../secret", "/etc/passwd", True)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


def told(text: str) -> str:
    """The message for a golden.json of that text; empty where it is taken."""
    try:
        Golden.parse(text, Path("golden.json"))
    except BundleError as error:
        return error.message
    return ""


def test_every_value_replaced_and_every_key_dropped_is_taken_or_told_in_a_line() -> None:
    for place in places(GOLDEN)[1:]:
        for value in (*EVIL, "dropped"):
            changed = copy.deepcopy(GOLDEN)
            table: Any = changed
            for key in place[:-1]:
                table = table[key]
            table[place[-1]] = value
            if value == "dropped":
                del table[place[-1]]
            assert "\n" not in told(json.dumps(changed))


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a":' * 10**5, "", "{", "9" * 5000, '{"format": NaN}', b"\xff\xfe"]
)
def test_what_is_no_record_is_told_however_it_is_broken(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r"golden\.json cannot be used"):
        Golden.parse(text, Path("golden.json"))


def test_no_cases_and_a_generous_tolerance_are_refused() -> None:
    """A golden file without cases would hold whatever the models give."""
    for change in ({"cases": []}, {"tolerance": {"fp32": {"max_abs": 1e300}}}):
        with pytest.raises(BundleError):
            Golden.parse(json.dumps(GOLDEN | change), Path("golden.json"))


def test_a_pipe_or_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(json.dumps(GOLDEN))
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("link.json", "pipe.json"):
        with pytest.raises(BundleError, match="not a regular file"):
            Golden.read(tmp_path / name)


def test_junit_has_only_characters_that_xml_has() -> None:
    assert written("a\x00\x1b[0m\ufffeb") == "a\\x00\\x1b[0m\\ufffeb"

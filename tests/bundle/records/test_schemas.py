"""The published schemas: they are of the files that ship, and refuse what the records refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgesr.bundle.records.schemas import PUBLISHED, schema
from edgesr.cli import app
from edgesr.errors import EdgesrError

EXPORTS = Path(__file__).resolve().parents[3] / "exports"
FILES = {"card": "card.json", "golden": "golden/golden.json", "verify": "verify.json"}
SHIPPED = [
    (record, path) for record, name in FILES.items() for path in sorted(EXPORTS.glob(f"*/{name}"))
]
KINDS: dict[str, type | tuple[type, ...]] = {
    **{"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)},
    **{"integer": int, "number": (int, float)},
}


def faults(value: Any, rule: dict[str, Any], whole: dict[str, Any], place: str = "") -> list[str]:
    """Where `value` does not keep to `rule`; as much of JSON schema as pydantic writes here."""
    if "$ref" in rule:
        return faults(value, whole["$defs"][rule["$ref"].rpartition("/")[2]], whole, place)
    if ways := rule.get("anyOf") or rule.get("oneOf"):
        return min((faults(value, way, whole, place) for way in ways), key=len)
    kind = KINDS[rule["type"]] if "type" in rule else object
    if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
        return [f"{place} is no {rule['type']}"]
    if value not in rule.get("enum", [value]) or value != rule.get("const", value):
        return [f"{place} = {value!r}"]
    if isinstance(value, str):
        return [] if re.search(rule.get("pattern", ""), value) else [f"{place} = {value!r}"]
    if isinstance(value, dict):
        return _of_object(value, rule, whole, place)
    if isinstance(value, list):
        each = rule.get("items", {})
        return [
            fault for n, x in enumerate(value) for fault in faults(x, each, whole, f"{place}.{n}")
        ]
    return []


def _of_object(
    value: dict[str, Any], rule: dict[str, Any], whole: dict[str, Any], place: str
) -> list[str]:
    known, other = rule.get("properties", {}), rule.get("additionalProperties", True)
    found = [f"{place}.{key} is missing" for key in rule.get("required", []) if key not in value]
    for key, inner in value.items():
        if key not in known and other is False:
            found.append(f"{place}.{key} is not known")
        own = known.get(key, other if isinstance(other, dict) else {})
        found += faults(inner, own, whole, f"{place}.{key}")
    return found


@pytest.mark.parametrize("record", PUBLISHED)
def test_the_command_prints_the_schema(record: str) -> None:
    result = CliRunner().invoke(app, ["schema", record])
    assert result.exit_code == 0
    assert json.loads(result.output) == schema(record)


@pytest.mark.parametrize("record", PUBLISHED)
def test_every_reference_is_there_and_every_key_is_typed(record: str) -> None:
    found = schema(record)
    assert found["type"] == "object"
    assert found["additionalProperties"] is False
    named = set(re.findall(r"#/\$defs/(\w+)", json.dumps(found)))
    assert named == set(found.get("$defs", {}))
    assert all(found["properties"].values())


@pytest.mark.parametrize(
    ("record", "path"), SHIPPED, ids=[f"{path.parts[-2]}-{record}" for record, path in SHIPPED]
)
def test_what_ships_keeps_to_it(record: str, path: Path) -> None:
    value, rule = json.loads(path.read_text(encoding="utf-8")), schema(record)
    assert faults(value, rule, rule) == []
    assert faults(value | {"other": 1}, rule, rule) == [".other is not known"]
    assert faults(value | {"format": 0}, rule, rule) == [".format = 0"]
    del value["format"]
    assert faults(value, rule, rule) == [".format is missing"]


def test_there_is_something_shipped_to_hold_them_to() -> None:
    assert {record for record, _ in SHIPPED} >= {"card", "golden"}


def test_an_unknown_record_is_answered_with_the_known_ones() -> None:
    with pytest.raises(EdgesrError, match="no schema 'run': expected one of card, golden, verify"):
        schema("run")

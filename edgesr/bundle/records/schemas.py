"""The published schemas of a bundle's JSON files, made from their types."""

from __future__ import annotations

from typing import Any

from edgesr.bundle.records.base import Record
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.device import Device
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.golden import Golden
from edgesr.errors import EdgesrError, shortened

PUBLISHED: dict[str, type[Record]] = {
    "card": Card,
    "golden": Golden,
    "verify": Evidence,
    "device": Device,
}


def schema(record: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of card.json, golden.json, verify.json or device.json.

    Raises:
        EdgesrError: `record` is none of these.
    """
    if record not in PUBLISHED:
        raise EdgesrError(
            f"no schema {shortened(record)}: expected one of {', '.join(PUBLISHED)}",
            "A recipe's is printed by edgesr recipe schema.",
        )
    return PUBLISHED[record].model_json_schema()

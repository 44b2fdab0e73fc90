"""card.json: what an app must know to call a bundle's files, and what verify found out of them.

Imports nothing but the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgesr.deploy.sums import check_sums, renew_sum
from edgesr.errors import BundleError
from edgesr.workspace import write_json

Card = dict[str, Any]
FORMAT = 2
FACTS = ("name", "architecture", "role", "spec", "scale", "min_size", "halo", "teacher")
FILES = ("weights.safetensors", "recipe.toml")
AGAIN = "Export the bundle again with this version of edgesr: edgesr export --onnx"


def read_card(folder: Path) -> Card:
    """card.json of a bundle whose files are those that it was written with.

    Raises:
        BundleError: there is none, it is incomplete, or a file does not match SHA256SUMS.
    """
    path = folder / "card.json"
    try:
        card: Card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder} is no bundle: {error}", "Make one: edgesr export --onnx"
        ) from None
    _check(path, card)
    sums = check_sums(folder)
    for name, digest in card["sha256"].items():
        if sums.get(name) != digest:
            raise BundleError(
                f"{folder / name} is not the file that card.json was written for", AGAIN
            )
    return card


def _check(path: Path, card: object) -> None:
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise BundleError(f"{path} is no card of format {FORMAT}", AGAIN)
    variants, sums = (_table(card.get(key)) for key in ("variants", "sha256"))
    files = [_table(variant).get("file", f"{name}'s file") for name, variant in variants.items()]
    missing = [fact for fact in FACTS if fact not in card]
    missing += [] if "fp32" in variants else ["the variant fp32"]
    missing += [f"SHA-256 of {name}" for name in (*files, *FILES) if name not in sums]
    if missing:
        raise BundleError(f"{path} does not state: {', '.join(missing)}", AGAIN)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def record_evidence(folder: Path, evidence: dict[str, Any]) -> None:
    """Write a summary of verify's evidence into card.json, and the card's new sum.

    Args:
        evidence: as in verify.json; a row that names no variant is of fp32.
    """
    path = folder / "card.json"
    card: Card = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, card | {"evidence": summary(evidence, list(card["variants"]))})
    renew_sum(folder, path.name)


def summary(evidence: dict[str, Any], variants: list[str]) -> dict[str, Any]:
    """Per variant: parity and speed on each provider, and quality; whether all gates hold."""
    kept = {
        "parity": ("runtime", "provider", "precision", "max_abs_diff"),
        "speed": (
            *("runtime", "provider", "precision", "size", "threads"),
            *("p50_ms", "p95_ms", "peak_memory_mb"),
        ),
        "quality": ("runtime", "data", "psnr_db", "bicubic_psnr_db", "loss_db"),
    }
    return {
        "passed": evidence["passed"],
        "machine": evidence["machine"],
        "versions": evidence["versions"],
        "variants": {
            variant: {
                part: [_pick(row, keys) for row in evidence[part] if _variant(row) == variant]
                for part, keys in kept.items()
            }
            for variant in variants
        },
    }


def _variant(row: dict[str, Any]) -> str:
    name: str = row.get("variant", "fp32")
    return name


def _pick(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: row[key] for key in keys if key in row}

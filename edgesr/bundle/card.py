"""card.json of a bundle whose files are those that it was written with. No torch."""

from __future__ import annotations

from pathlib import Path

from edgesr.bundle.checksums import NAME as SUMS
from edgesr.bundle.checksums import check_checksums
from edgesr.bundle.records.card import Card
from edgesr.errors import BundleError, NoBundleError

AGAIN = "Export the bundle again with this version of edgesr: edgesr export"


def read_card(folder: Path) -> Card:
    """The card of the bundle in `folder`, every file of which is compared with its sum.

    Raises:
        NoBundleError: there is none.
        BundleError: it is not a card of this format, or a file does not match SHA256SUMS.
    """
    if not folder.is_dir() or not (folder / "card.json").exists():
        raise NoBundleError(
            f"{folder} is not a bundle: it has no card.json", "Make one: edgesr export"
        )
    card = Card.read(folder / "card.json", AGAIN)
    sums = check_checksums(folder)
    for name, digest in card.sha256.items():
        if sums.get(name) != digest:
            raise BundleError(
                f"{folder / name} is not the file that card.json was written for", AGAIN
            )
    return card


def bundles(exports: Path) -> list[Path]:
    """Every bundle's folder in `exports`, by name; also one that has lost its card or its sums."""
    found = {path.parent for name in ("card.json", SUMS) for path in exports.glob(f"*/{name}")}
    return sorted(folder for folder in found if not folder.name.startswith("."))

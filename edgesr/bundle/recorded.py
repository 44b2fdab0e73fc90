"""Model files of runs and bundles, compared with the sums that stand beside them; no torch."""

from __future__ import annotations

from pathlib import Path

from edgesr.bundle import checksums
from edgesr.errors import BundleError, ModelError
from edgesr.workspace import BEST, WEIGHTS, read_json, sha256


def check_recorded(path: Path) -> str:
    """The SHA-256 of a model file; a run or a bundle around it must state the same.

    A run states the sum of its weights in run.json, a bundle that of every file in SHA256SUMS.
    A file that lies elsewhere has nothing to be compared with.

    Raises:
        BundleError: the file is another one than was written into a bundle.
        ModelError: likewise, into a run.
        EdgesrError: the record cannot be read.
    """
    found = sha256(path)
    for record, stated in _stated(path).items():
        if stated != found:
            kind = BundleError if record == checksums.NAME else ModelError
            raise kind(
                f"{path} is not the file that was written there: its SHA-256 is {found}, "
                f"{record} states {stated}",
                "It was changed or is damaged. Restore it from a copy, or make it again: "
                "edgesr distill or train with --resume for a run, edgesr export for a bundle.",
            )
    return found


def _stated(path: Path) -> dict[str, str]:
    """What is stated of the file `path` beside it, by the record's name."""
    folder, stated = path.parent, {}
    run = folder / "run.json"
    if path.name in (*WEIGHTS, BEST) and run.is_file():
        record = read_json(run, "Restore it from a copy, or train again.")
        of = record if path.name in WEIGHTS else record.get("best")
        if isinstance(of, dict) and (digest := of.get("sha256")):
            stated["run.json"] = str(digest)
    if (folder / checksums.NAME).is_file() and (
        digest := checksums.read_checksums(folder).get(path.name)
    ):
        stated[checksums.NAME] = digest
    return stated

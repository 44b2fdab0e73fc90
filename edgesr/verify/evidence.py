"""Evidence read again: it counts for the bundle that it names, as that bundle is now. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from edgesr.bundle.checksums import check_checksums, digest
from edgesr.bundle.records.evidence import Evidence
from edgesr.errors import BundleError


class Found(NamedTuple):
    """The evidence of a bundle; None where there is none that counts.

    Attributes:
        stale: why what is there does not count; empty where nothing is there, or it counts.
    """

    evidence: Evidence | None
    stale: str = ""


def evidence_folder(folder: Path, output: Path | None) -> Path:
    """Where the evidence of the bundle in `folder` lies."""
    folder = folder.resolve()
    return output.resolve() / folder.name if output else folder


def find(bundle: Path, place: Path) -> Found:
    """The evidence in `place` of the bundle in the folder `bundle`.

    Raises:
        BundleError: verify.json is there, and is not evidence.
    """
    path = place / "verify.json"
    if not os.path.lexists(path):
        return Found(None)
    evidence = Evidence.read(path, f"Verify again: edgesr verify {bundle}")
    try:
        check_checksums(bundle)
        current = digest(bundle)
    except BundleError as error:
        return Found(None, error.message)
    if evidence.bundle_sha256 != current:
        return Found(None, f"{path} is of another bundle than {bundle} is now")
    return Found(evidence)


def counting(bundle: Path, place: Path) -> Evidence | None:
    """`find`, where what is no evidence at all counts as none, too."""
    try:
        return find(bundle, place).evidence
    except BundleError:
        return None


def when(evidence: Evidence) -> str:
    """`2026-01-31 09:30 UTC`, or that it is not stated."""
    if evidence.measured_at is None:
        return "an unknown date"
    return f"{evidence.measured_at[:16].replace('T', ' ')} UTC"

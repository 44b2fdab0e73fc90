"""Figures that a device has measured, put beside a bundle's evidence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.table import Table
from rich.text import Text

from edgesr.bundle.card import AGAIN, read_card
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.device import Device, HandedIn
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.golden import Golden
from edgesr.errors import BundleError, VerifyError
from edgesr.folders import locked
from edgesr.places import check_writable
from edgesr.verify.evidence import evidence_folder, find
from edgesr.verify.measured import ORT
from edgesr.verify.sidebyside import table

REMEDY = "Let the device measure the bundle: docs/embedding.md, Evidence from the device"


def merge(folder: Path, files: list[Path], output: Path | None = None) -> Evidence:
    """Put what devices measured into a bundle's evidence, marked as handed in; nothing is measured,
    and no gate is judged anew.

    Args:
        folder: the bundle.
        files: device.json of each device. What an earlier one says of the same variant on the same
            device and runtime is replaced.
        output: where the evidence is, as of `stage.verify`.

    Returns:
        The evidence, which is also written.

    Raises:
        VerifyError: there is no evidence of the bundle yet.
        BundleError: a file is no device.json, or not of the bundle's files and golden vectors.
    """
    card = read_card(folder)
    golden = Golden.read(folder / "golden/golden.json", AGAIN)
    rows = [row for path in files for row in _rows(Device.read(path, REMEDY), path, card, golden)]
    place = evidence_folder(folder, output)
    check_writable(place, f"the evidence of {folder.name} (elsewhere: --output DIR)")
    with locked(place, f"edgesr verify {folder.name}"):
        found = find(folder, place)
        if found.evidence is None:
            raise VerifyError(
                f"{place} has no evidence of {folder.name} to put a device's figures beside"
                + (f": {found.stale}" if found.stale else ""),
                f"Measure it here first: edgesr verify {folder.name}",
            )
        kept = {_key(row): row for row in [*found.evidence.handed_in, *rows]}
        by_device = sorted(kept.values(), key=lambda row: (row.device, row.runtime))
        evidence = found.evidence.model_copy(update={"handed_in": by_device})
        evidence.write(place / "verify.json")
    return evidence


def _key(row: HandedIn) -> tuple[str, str, str]:
    return row.device, row.runtime, row.variant


def _rows(device: Device, path: Path, card: Card, golden: Golden) -> Iterator[HandedIn]:
    """What `device`, read from `path`, says of each file, where it is of the bundle's."""
    for row in device.files:
        facts = card.variants.get(row.variant)
        if facts is None:
            raise BundleError(
                f"{path} is of {row.variant}, which {card.name} does not have", REMEDY
            )
        if row.sha256 != card.sha256[facts.file]:
            raise BundleError(
                f"{path} is of another {facts.file} than {card.name}'s: "
                f"SHA-256 {row.sha256} there, {card.sha256[facts.file]} in the bundle",
                REMEDY,
            )
        if lacking := {case.name for case in golden.cases} ^ set(row.golden):
            raise BundleError(
                f"{path} and {card.name} do not have the same golden vectors: "
                f"{', '.join(sorted(lacking))} in one alone",
                REMEDY,
            )
        levels, tolerance = facts.input.dtype == "uint8", golden.tolerance[row.variant]
        limit = (tolerance.max_levels if levels else tolerance.max_abs) or 0
        yield HandedIn(
            **dict(row),
            device=device.device,
            runtime=device.runtime,
            levels=levels,
            holds=all(off is not None and off <= limit for off in row.golden.values()),
        )


def tables(evidence: Evidence) -> Iterator[Table]:
    """What was handed in, a table for each device and runtime, beside the evidence's latencies."""
    for (device, runtime), rows in groupby(
        evidence.handed_in, lambda row: (row.device, row.runtime)
    ):
        columns = ("variant", "LR size", "its p50 ms", "ours", "off by", "golden")
        view = table("", *columns, left=2)
        view.title = Text(f"Handed in: {device}, {runtime}")
        view.caption = Text(f"ours: ONNX Runtime, {evidence.machine.cpu}")
        view.caption_justify = "left"
        for row in rows:
            view.add_row(
                row.variant,
                row.size,
                "-" if row.p50_ms is None else f"{row.p50_ms:.1f}",
                "-" if (ours := p50_of(evidence, row)) is None else f"{ours:.1f}",
                off_by(row),
                Text("holds") if row.holds else Text("FAILS", style="bold red"),
            )
        yield view


def p50_of(evidence: Evidence, row: HandedIn) -> float | None:
    """ONNX Runtime's median latency in the evidence, of the same file at the same size."""
    like = ((s.p50_ms, s) for s in evidence.speed if s.runtime in ORT)
    return next((ms for ms, s in like if (s.variant, s.size) == (row.variant, row.size)), None)


def off_by(row: HandedIn) -> str:
    """The largest difference over the golden vectors, or that there is none."""
    found = [difference for difference in row.golden.values() if difference is not None]
    if len(found) < len(row.golden):
        return "no result"
    most = max(found)
    return f"{most:.0f} levels" if row.levels else f"{most:.1e}" if most else "0"

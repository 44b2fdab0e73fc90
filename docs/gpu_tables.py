"""Write the tables of docs/gpu.md from docs/gpu.json, which `make gpu` writes.

python docs/gpu_tables.py [GPU.JSON [GPU.MD]]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK = "<!-- Below this line: python docs/gpu_tables.py -->"
NOTHING = "Nothing has been measured on a card yet."


def page(report: dict[str, Any] | None, before: str) -> str:
    """`before` up to its mark, and the tables of `report`; without one, that there is none."""
    text = before.partition(MARK)[0] + MARK + "\n"
    return text + "\n" + "\n".join(tables(report) if report else [NOTHING]) + "\n"


def tables(report: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {value}" for name, value in report["versions"].items())
    where = "A dry run on the CPU" if report["dry"] else f"On one {report['card']}"
    yield f"{where}: {versions}.\n"
    yield from ("| job | outcome | seconds |", "|---|---|--:|")
    for job in report["jobs"]:
        reason = f": {_cell(job['reason'])}" if job["reason"] else ""
        yield f"| {job['name']} | {job['outcome']}{reason} | {job['seconds']:.0f} |"
    yield from evidence([row for job in report["jobs"] for row in job.get("read", [])])
    for job in report["jobs"]:
        if lines := printed(job):
            yield f"\n`{_cell(job['command'])}`:\n"
            yield from lines


def evidence(read: list[dict[str, Any]]) -> Iterator[str]:
    """Where each file ran and how near to PyTorch it came; how far the training went."""
    bundles = [row for row in read if "providers" in row]
    if bundles:
        yield "\n| bundle | file | provider | proved | largest difference | ms |"
        yield "|---|---|---|---|--:|--:|"
    for bundle in bundles:
        for place in bundle["providers"]:
            yield _placed(bundle, place)
    for run in (row for row in read if "log" in row):
        scores = [line["validation"]["psnr_db"] for line in run["log"] if "validation" in line]
        best = f", at best {max(scores):.2f} dB on the held-out photographs" if scores else ""
        yield f"\nThe training went {run['steps']:,} steps far{best}."


def _placed(bundle: dict[str, Any], place: dict[str, Any]) -> str:
    runtime = "cuda" if place["provider"].startswith("CUDA") else "cpu"
    same = {"runtime": runtime, "variant": place["variant"], "exact": True}
    parity, speed = (_first(bundle[key], same) for key in ("parity", "speed"))
    proved = "yes" if place["proved"] else f"no: {_cell(place['message'])}"
    apart = f"{parity['max_abs_diff']:.1e}" if parity else ""
    ms = f"{speed['p50_ms']:.2f} at {speed['size']}" if speed else ""
    where = f"{bundle['bundle']} | {place['variant']} | {place['provider']}"
    return f"| {where} | {proved} | {apart} | {ms} |"


def _first(rows: list[dict[str, Any]], same: dict[str, Any]) -> dict[str, Any] | None:
    return next((row for row in rows if same.items() <= row.items()), None)


def printed(job: dict[str, Any]) -> list[str]:
    """What a benchmark printed, if it printed tables."""
    lines: list[str] = job.get("output", "").strip().splitlines()
    return lines if any(line.startswith("|--") for line in lines) else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gpu.json"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "gpu.md"
    report = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else None
    before = target.read_text(encoding="utf-8") if target.is_file() else ""
    target.write_text(page(report, before), encoding="utf-8")


if __name__ == "__main__":
    main()

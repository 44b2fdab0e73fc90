"""The evidence as tables for an 80-column terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from edgesr import console
from edgesr.bundle.records.evidence import FAILS, HOLDS, NOT_JUDGED, Evidence, Gate
from edgesr.bundle.records.rows import Cost, Counts, Quality, TeacherCost
from edgesr.recipe import Srgan
from edgesr.targets import present as targets
from edgesr.verify import cost as counting
from edgesr.verify import gates, handed_in, likeness, sidebyside
from edgesr.verify.cost import PAPER, REMARK, total
from edgesr.verify.measured import ORT, fp32
from edgesr.verify.sidebyside import table

PAPER_SIZE = "64x64"
VERDICTS = {
    HOLDS: Text("holds"),
    FAILS: Text("FAILS", style="bold red"),
    NOT_JUDGED: Text("not judged", style="dim"),
}


def print_evidence(evidence: Evidence) -> None:
    """Print what `verify` found, the gates last."""
    for part in tables(evidence):
        console.out.print(part)
    verdict = "PASSED" if evidence.passed else "FAILED"
    sentence = f"{verdict}: {gates.in_words(evidence.gates)}"
    for line in textwrap.wrap(sentence, 80, break_on_hyphens=False):
        console.say(line)


def tables(evidence: Evidence) -> Iterator[Table | str]:
    """Cost, runtimes, quality, gates."""
    distilled = ", distilled" if evidence.role == "student" else ""
    title = f"{evidence.bundle}: {evidence.architecture}{distilled}"
    yield _cost(evidence.cost, title)
    if evidence.architecture.startswith("SRGAN"):
        yield _paper()
        yield REMARK
    yield from sidebyside.tables(evidence)
    yield likeness.in_words(evidence)
    yield _quality(fp32(evidence.quality, runtimes=ORT))
    if evidence.targets:
        yield from targets.tables(evidence.targets)
    yield from handed_in.tables(evidence)
    yield _gates(evidence.gates)


def _cost(cost: Cost, title: str) -> Table:
    teacher = cost.teacher
    columns = ["part", "parameters", "MACs", "FLOPs"]
    if teacher:
        columns += ["teacher's par.", "teacher's MACs"]
    view = table(f"{title}, cost at {cost.size} LR", *columns)
    names = list(cost.parts) + [
        n for n in (teacher.parts if teacher else {}) if n not in cost.parts
    ]
    for name in names:
        view.add_row(name, *_cells(cost.parts.get(name), teacher, name))
    view.add_section()
    view.add_row("total", *_cells(cost.total, teacher, "total"))
    view.caption = f"float32 weights: {_mib(cost.total)}"
    if teacher and cost.reduction_percent is not None:
        view.caption += (
            f", the teacher's {_mib(teacher.total)}\n{cost.reduction_percent:.1f} % fewer "
            f"parameters and {cost.mac_ratio:.2f} x fewer MACs than {teacher.name}"
        )
    return view


def _mib(counts: Counts | counting.Cost) -> str:
    return f"{counts.bytes / 2**20:.2f} MiB"


def _cells(own: Counts | None, teacher: TeacherCost | None, name: str) -> list[str]:
    cells = [f"{own.parameters:,}", _giga(own.macs), _giga(own.flops)] if own else ["-"] * 3
    if teacher:
        theirs = teacher.total if name == "total" else teacher.parts.get(name)
        cells += [f"{theirs.parameters:,}", _giga(theirs.macs)] if theirs else ["-"] * 2
    return cells


def _giga(count: int) -> str:
    return f"{count / 1e9:.3f} G"


def _paper() -> Table:
    """The paper's figures beside ours, at the LR size that its student's follow from."""
    columns = ("network", "GFLOPs", "size", "our MACs", "our FLOPs", "our float32")
    view = table(f"The paper's table 1, ours counted at {PAPER_SIZE} LR", *columns)
    for name, row in PAPER.items():
        ours = total(counting.cost(Srgan(blocks=row.blocks), PAPER_SIZE))
        view.add_row(
            f"{name}, N={row.blocks}",
            f"{row.gflops} G",
            f"{row.mb} MB",
            f"{ours.macs / 1e9:.2f} G",
            f"{ours.flops / 1e9:.2f} G",
            _mib(ours),
        )
    return view


def _quality(rows: list[Quality]) -> Table:
    view = table(
        "Quality, 4 pixels shaved", "", "PSNR on Y", "gain", "RGB", "SSIM", "LPIPS", "grid"
    )
    view.columns[0].ratio = 1
    for row in rows:
        view.add_row(
            row.data,
            f"{row.psnr_db:.2f} dB",
            f"{row.psnr_db - row.bicubic_psnr_db:+.2f} dB",
            f"{row.psnr_rgb_db:.2f} dB",
            f"{row.ssim:.4f}",
            _lpips(row.lpips),
            _grid(row.grid),
        )
        control = (f"{row.bicubic_psnr_db:.2f} dB", "", f"{row.bicubic_psnr_rgb_db:.2f} dB")
        seen = (_lpips(row.bicubic_lpips), _grid(row.bicubic_grid))
        view.add_row("  bicubic", *control, f"{row.bicubic_ssim:.4f}", *seen)
    return view


def _grid(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _lpips(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _gates(rows: list[Gate]) -> Table:
    view = table("Gates", "gate", "where", "measured", "limit", "")
    view.columns[0].no_wrap = True
    view.columns[1].min_width = 11
    for row in rows:
        measured = "missing" if row.measured is None else f"{row.measured:.4g}"
        limit = "-" if row.limit is None else f"{row.limit:g}"
        if row.gate == "provider_proof":  # some arithmetic of shapes may rightly run elsewhere
            measured, limit = f"{100 * (row.measured or 0):.0f} %", "proved"
        view.add_row(row.gate, row.where, measured, limit, VERDICTS[row.state])
    return view

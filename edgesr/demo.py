"""The chain on the embedded photographs, from the teacher that ships: student, ONNX, evidence,
report."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from edgesr import console
from edgesr.bundle.family import present
from edgesr.bundle.records.evidence import Evidence
from edgesr.data import named, photos
from edgesr.data.degrade import enlarge, pair
from edgesr.deploy.stage import export
from edgesr.errors import EdgesrError
from edgesr.inference.suited import CLEAN, REAL
from edgesr.inference.upscaler import Upscaler
from edgesr.recipe import io as recipe_io
from edgesr.report import stage as report
from edgesr.report.sheet import sheet
from edgesr.training import stage as training
from edgesr.verify import stage as verify
from edgesr.verify.evidence import find
from edgesr.workspace import Workspace, atomic

JPEG = "jpeg50"
"""How the JPEG that is shown is made: a name of `edgesr.data.named`."""
SCALE = 4


def run(workspace: Workspace) -> None:
    """Distil, export, verify and report under the name `demo-edge`.

    Raises:
        EdgesrError: this is no checkout, or the exported student falls short of its gates.
    """
    file = workspace.root / "recipes/demo-edge.toml"
    if not file.is_file():
        raise EdgesrError(
            f"the demo is run in a checkout of edgesr, whose exports/teacher teaches: {file} is "
            "not there",
            "Go there; what works anywhere: edgesr upscale photo.jpg, edgesr models",
        )
    recipe = recipe_io.load(file)
    console.say("Distilling a student that stays at low resolution (one or two minutes).")
    run_folder = training.distill(recipe, workspace, fresh=True)
    student, teacher = export(run_folder, workspace, force=True)
    console.say("Verifying the ONNX file against PyTorch.")
    # The teacher ships with what was found when it was made; it is measured where that is gone.
    shipped = find(teacher, teacher).evidence or verify.verify(teacher)
    evidence = [verify.verify(student), shipped]
    page = report.report(student, workspace.exports)
    console.out.print(table(evidence))
    console.say(f"Report: {page}")
    shown = show_jpeg(workspace, run_folder)
    console.say(
        f"A JPEG enlarged: {shown}. Blocks are detail to a student of clean pictures; {REAL} was "
        "trained on JPEGs."
    )
    failed = [e.bundle for e in evidence if not e.passed]
    if failed:
        raise EdgesrError(f"the demo's gates do not hold for: {', '.join(failed)}")


def show_jpeg(workspace: Workspace, run: Path) -> Path:
    """The held-out photograph as a small JPEG, enlarged by bicubic, by the demo's student and by
    what else is in exports/ for it, side by side; returns the picture's file, in the run's folder.
    """
    chain = named.parse(JPEG)
    hr, lr = pair(photos.decode(photos.embedded().validation[0]), SCALE, chain)
    shown = {"bicubic": enlarge(lr, SCALE)}
    for name, bundle in present(workspace.exports, (run.name, CLEAN, REAL)).items():
        shown[name] = Upscaler(bundle, provider="cpu")(lr)
    path = run / "samples" / f"{JPEG}.png"
    with atomic(path) as temporary:
        sheet(shown | {"ground truth": hr}, columns=3).save(temporary)
    return path


def table(evidence: list[Evidence]) -> Table:
    """One column per bundle: size, cost, latency, parity and quality."""
    result = Table(title="The demo's bundles, ONNX Runtime on the CPU")
    result.add_column("")
    for one in evidence:
        result.add_column(f"{one.bundle}\n{one.architecture}", justify="right")
    for name, cells in rows(evidence):
        result.add_row(name, *cells)
    return result


def rows(evidence: list[Evidence]) -> list[tuple[str, list[str]]]:
    """The lines of the table: a name, and a figure per bundle."""
    speed = evidence[0].speed[0]
    where = f"{speed.size}, {speed.threads} threads"
    return [
        ("file", [f"{e.file.bytes / 1e6:.2f} MB" for e in evidence]),
        ("parameters", [f"{e.cost.total.parameters:,}" for e in evidence]),
        ("MACs", [f"{e.cost.total.macs / 1e9:.2f} G" for e in evidence]),
        (f"latency p50, {where}", [f"{e.speed[0].p50_ms:.1f} ms" for e in evidence]),
        ("max |PyTorch - ONNX|", [f"{e.parity[0].max_abs_diff:.1e}" for e in evidence]),
        ("PSNR on Y, 7 photographs", [f"{e.quality[0].psnr_db:.2f} dB" for e in evidence]),
        ("bicubic", [f"{e.quality[0].bicubic_psnr_db:.2f} dB" for e in evidence]),
        ("gates", ["hold" if e.passed else "FALL SHORT" for e in evidence]),
    ]

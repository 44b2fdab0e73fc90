"""Commands that help to choose among many: runs, compare, benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesr import console, shipped
from edgesr.choose import table
from edgesr.cli import completion
from edgesr.cli.app import app
from edgesr.cli.options import (
    Quiet,
    Threads,
    expanded,
    opened,
    path,
)
from edgesr.cli.usage import command
from edgesr.places import check_file
from edgesr.recipe import Verify

if TYPE_CHECKING:
    from edgesr.bundle.records.card import VariantName

VERIFY = Verify()


def table_path(text: str) -> Path:
    """A file that a table can be written to."""
    file = path(text)
    check_file(file, table.SUFFIXES, "--output")
    return file


TableFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        parser=table_path,
        help="Also write a .md, .csv or .json file.",
    ),
]


@command(app, "edgesr runs")
def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", autocompletion=completion.models, help="All that are finished if none."
        ),
    ] = None,
    output: TableFile = None,
) -> None:
    """List runs, a line each: what differs in their recipes, and what came of it."""
    from edgesr.choose import runs as finished

    rows = finished.listed(opened(), names or [])
    if output is not None:
        table.write(rows, output)
    finished.show(rows)


@command(app, "edgesr compare edge-xs edge-s --int8 --data Set5 --data Set14 -o table.md")
def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL",
            parser=path,
            autocompletion=completion.models,
            help="Runs or bundles, by name or folder; files.",
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", parser=path, help="HR images, e.g. Set5. May be repeated."),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Bundles' fp16 files, too.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Bundles' int8 files, too.")] = False,
    degradation: Annotated[
        str,
        typer.Option(metavar="NAMES", help="How LR is made, e.g. clean,jpeg40: a column for each."),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Time nothing.")] = False,
    size: Annotated[str, typer.Option(help="LR size of the latency.")] = VERIFY.size,
    threads: Threads = VERIFY.threads,
    weights: Annotated[
        str, typer.Option(metavar="DIR", parser=expanded, help="Folder of LPIPS weights.")
    ] = "",
    output: TableFile = None,
    quiet: Quiet = False,
) -> None:
    """Put models side by side: cost, size, latency in turns, and quality on every set."""
    from edgesr.choose import models as several
    from edgesr.data import named

    console.configure(quiet=quiet)
    workspace = opened()
    found = [workspace.find_model(model) for model in models]
    asked = several.Asked(
        data or [],
        named.parse_all(degradation) if degradation else [None],
        size=None if quick else size,
        threads=threads or VERIFY.threads,
        weights_folder=weights,
    )
    requested: dict[VariantName, bool] = {"fp32": True, "fp16": fp16, "int8": int8}
    variants = [name for name, wanted in requested.items() if wanted]
    rows = several.compared(found, asked, variants)
    if output is not None:
        table.write(rows, output)
    table.show(rows)


@command(app, "edgesr benchmark edge-s --size 320x180")
def benchmark(
    bundle: Annotated[
        Path,
        typer.Argument(parser=path, autocompletion=completion.bundles, help="By name or folder."),
    ],
    size: Annotated[str, typer.Option(help="LR size that is timed.")] = VERIFY.size,
    threads: Threads = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.all_runtimes,
            help="Only cpu, cuda, openvino, ncnn, web, litert, executorch. May be repeated.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=path, help="On which losses are seen; a golden one unless given."
        ),
    ] = None,
    output: TableFile = None,
    quiet: Quiet = False,
) -> None:
    """Time every runtime and variant of a bundle that works here, in turns, fastest first.

    Beside each stands how like fp32's its picture is, and below the line of Python that opens the
    fastest.
    """
    from edgesr.benchmark import benchmark as measured
    from edgesr.runtimes.base import LABELS
    from edgesr.verify.quiet import cores

    console.configure(quiet=quiet)
    folder = shipped.find(opened().find_bundle(bundle))
    threads = threads or len(cores())
    found = measured(folder, size=size, threads=threads, runtimes=runtime or (), picture=picture)
    rows = found.rows()
    if output is not None:
        table.write(rows, output)
    table.show(rows)
    base = LABELS[found.reference.job.runtime]
    console.say(f"{size} LR, batch 1, CPU threads: {threads}; times: against {base}, fp32")
    for line in found.absent:
        console.say(f"not here: {line}")
    if found.noisy:
        console.warn(f"the machine was busy: {found.noisy}")
    for line in found.winners(str(bundle)):
        console.say(line)

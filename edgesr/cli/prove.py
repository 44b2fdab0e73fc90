"""Commands that prove a bundle: verify, report, bundle check."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from edgesr import console, shipped
from edgesr.cli import completion
from edgesr.cli.app import app, bundle_app
from edgesr.cli.options import (
    Colour,
    Evidence,
    GatesFile,
    InferenceRuntime,
    Layout,
    Quiet,
    Times,
    White,
    opened,
    path,
)
from edgesr.cli.ship import convention
from edgesr.cli.usage import command
from edgesr.errors import EdgesrError
from edgesr.workspace import Workspace


@command(app, "edgesr verify edge-s --runtime openvino --target coreml --target nnapi")
def verify(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            parser=path,
            autocompletion=completion.bundles,
            help="A bundle, by name or folder; all of exports/ if none. Or any FILE.onnx.",
        ),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROVIDER",
            autocompletion=completion.providers,
            help="cpu or cuda; asked for, it must really run. May be repeated.",
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUNTIME",
            autocompletion=completion.runtimes,
            help="openvino, ncnn, web, litert or executorch, measured beside onnxruntime, which "
            "always runs. May be repeated.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=path, help="Photographs to measure quality on."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            autocompletion=completion.targets,
            help="coreml, nnapi, xnnpack, qnn, tensorrt or web: which nodes it would take, by its "
            "documentation. May be repeated.",
        ),
    ] = None,
    output: Evidence = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Time nothing, and write nothing without --output.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what is measured already.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print all tables, not a line a bundle.")
    ] = False,
    merge: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DEVICE.json",
            parser=path,
            help="What a device measured, beside the evidence; nothing else is. May be repeated.",
        ),
    ] = None,
    gates: GatesFile = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            parser=path,
            help="The network that FILE.onnx is said to be: any model file, or a bundle.",
        ),
    ] = None,
    scale: Times = None,
    layout: Layout = None,
    white: White = None,
    colour: Colour = None,
    quiet: Quiet = False,
) -> None:
    """Compare bundles with PyTorch, time them, count their cost, check their gates."""
    if merge:
        others = (provider, runtime, data, target, quick, again, gates, reference)
        if bundle is None or bundle.suffix == ".onnx" or any(others):
            raise EdgesrError(
                "--merge measures nothing: it goes with a bundle and --output alone",
                "For example: edgesr verify edge-s --merge device.json",
            )
        return _merge(opened().find_bundle(bundle), merge, output)
    from edgesr.verify import many, stage
    from edgesr.verify.request import Request

    console.configure(quiet=quiet)
    workspace = opened()
    request = Request.of(
        providers=provider, runtimes=runtime, data=data, targets=target, quick=quick
    )
    failed = False
    if reference and not (bundle and bundle.suffix == ".onnx"):
        raise EdgesrError(
            "--reference is for a FILE.onnx: a bundle is held against the network that it carries"
        )
    with ExitStack() as held:
        if bundle and bundle.suffix == ".onnx":
            from edgesr.deploy.foreign import export_onnx_file

            place = Workspace(Path(held.enter_context(TemporaryDirectory())))
            known = convention(scale, layout, white, colour)
            folders = [export_onnx_file(bundle, place, known, gates=gates)]
            failed = _falls_short(folders[0], reference and workspace.find_weights(str(reference)))
        elif bundle:
            folders = [workspace.find_bundle(bundle)]
        else:
            folders = stage.bundles(workspace.exports)
        one = partial(many.verify_or_keep, request=request, output=output, again=again)
        code = many.verify_all(folders, one, verbose=verbose)
    if quick and output is None:
        console.say("Nothing was timed and no evidence written: --quick without --output.")
    if code or failed:
        raise typer.Exit(code or 1)


def _merge(folder: Path, devices: list[Path], output: Path | None) -> None:
    """Print what was handed in; the command ends with 1 where a golden vector does not hold."""
    from edgesr.verify import handed_in

    evidence = handed_in.merge(folder, devices, output)
    for table in handed_in.tables(evidence):
        console.out.print(table)
    failed = [row for row in evidence.handed_in if not row.holds]
    for row in failed:
        console.say(f"FAILED: {row.variant} on {row.device}, {row.runtime}")
    if failed:
        raise typer.Exit(1)


def _falls_short(folder: Path, reference: Path | None) -> bool:
    """Whether the bundle computes something else than `reference`; what was found is said."""
    from edgesr.recipe import io
    from edgesr.verify.reference import against

    if reference is None:
        console.say("no reference: parity is with FILE.onnx itself (--reference MODEL)")
        return False
    found, limit = against(folder, reference), io.load_any(folder / "recipe.toml").gates
    console.say(f"against {reference}: {found.words()}")
    if limit.max_abs_diff is None or found.max_abs_diff <= limit.max_abs_diff:
        return False
    console.say(f"FAILED: it differs from {reference} by more than {limit.max_abs_diff:g}")
    return True


@command(app, "edgesr report edge-s")
def report(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            parser=path,
            autocompletion=completion.bundles,
            help="A bundle, by name or folder; the latest run's if none.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", parser=path, help="Where the photographs are that were measured on."
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=path, help="The teacher, where it has no bundle."),
    ] = None,
    output: Evidence = None,
) -> None:
    """Write exports/<name>/report.html, one page that needs no network."""
    from edgesr.report import stage

    workspace = opened()
    folder = workspace.find_bundle(bundle or workspace.bundle(workspace.find_run().name))
    page = stage.report(folder, folder.resolve().parent, data=data, teacher=teacher, output=output)
    console.say(f"{page}")


@command(bundle_app, "edgesr bundle check edge-s", "check")
def bundle_check(
    bundle: Annotated[
        Path,
        typer.Argument(parser=path, autocompletion=completion.bundles, help="By name or folder."),
    ],
    runtime: InferenceRuntime = "onnxruntime",
) -> None:
    """Compare a bundle's files with their sums and run its golden vectors."""
    from edgesr.bundle import check

    rows = check.check(shipped.find(opened().find_bundle(bundle)), runtime)
    console.out.print(check.table(rows))
    if not all(row.passed for row in rows):
        console.say("FAILED: a golden vector does not hold")
        raise typer.Exit(1)
    console.say("PASSED: all files match their sums, all golden vectors hold")

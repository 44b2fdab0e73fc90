"""Commands that make a bundle and prove it: export, verify, report, bundle check."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

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
from edgesr.cli.usage import command
from edgesr.errors import EdgesrError
from edgesr.workspace import Workspace

if TYPE_CHECKING:
    from edgesr.models.adapt import Convention


@command(app, "edgesr export edge-s --onnx --int8 --uint8-io")
def export(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=completion.models,
            help="A run, or a bundle to write anew; else the latest run. Or another project's "
            "model file, any that spandrel opens.",
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx alone.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="And model.fp16.onnx.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="And model.int8.onnx.")] = False,
    uint8_io: Annotated[
        bool, typer.Option("--uint8-io", help="And model.uint8-io.onnx: RGB bytes in and out.")
    ] = False,
    int8_uint8_io: Annotated[
        bool,
        typer.Option("--int8-uint8-io", help="And model.int8-uint8-io.onnx: int8, and bytes."),
    ] = False,
    s8s8: Annotated[
        bool, typer.Option("--s8s8", help="And model.s8s8.onnx: int8, activations signed too.")
    ] = False,
    a16w8: Annotated[
        bool, typer.Option("--a16w8", help="And model.a16w8.onnx: activations of 16 bits.")
    ] = False,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--fixed",
            metavar="WxH",
            help="Of each file a copy for LR pictures of that size alone, e.g. 256x256. May be "
            "repeated.",
        ),
    ] = None,
    tflite: Annotated[
        bool, typer.Option("--tflite", help="Of fp32, fp16 and int8 a copy for LiteRT, too.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="All files that the bundle has, anew; of every bundle if none is named."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Files that are not asked for may go, and be lost.")
    ] = False,
    checkpoint: Annotated[
        Literal["last", "best"],
        typer.Option("--checkpoint", help="Of a run: its last weights, or its best."),
    ] = "last",
    bundle: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of a model file's bundle; else the file's."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="TEXT", help="Of a model file's weights."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of export, verify or gates. May be repeated.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Export a run's student and teacher, or another project's model file, to exports/."""
    requested = {"fp16": fp16, "int8": int8, "uint8-io": uint8_io}
    requested |= {"int8-uint8-io": int8_uint8_io, "s8s8": s8s8, "a16w8": a16w8}
    variants = tuple(variant for variant, wanted in requested.items() if wanted)
    formats = ("tflite",) if tflite else ()
    settings = list(overrides or [])
    if fixed:
        settings.append(f"export.fixed={json.dumps(fixed)}")
    file = path(name) if name else Path()
    from edgesr.bundle.card import bundles
    from edgesr.deploy import stage

    console.configure(quiet=quiet)
    workspace = opened()
    if checkpoint == "best" and (again or file.is_file()):
        raise EdgesrError(
            "--checkpoint best is of a run", "Name a run: edgesr export RUN --checkpoint best"
        )
    if file.is_file() and formats:
        raise EdgesrError(
            f"--tflite is of edge students that edgesr trained, not of {file}",
            "Leave it out.",
        )
    if file.is_file():
        from edgesr.deploy.foreign import export_file

        folders = [
            export_file(
                file, workspace, variants, settings, name=bundle, licence=licence, force=force
            )
        ]
    elif again:
        named = [workspace.find_bundle(Path(name))] if name else bundles(workspace.exports)
        folders = [stage.again(folder, workspace, settings) for folder in named]
    else:
        run = workspace.find_run(name)
        asked = variants if onnx or variants else None
        folders = stage.export(
            run,
            workspace,
            asked,
            settings,
            formats=formats,
            checkpoint=checkpoint,
            force=force,
        )
    for folder in folders:
        for file in sorted(folder.glob("model*")):
            size = file.stat().st_size
            console.say(f"exports/{folder.name}/{file.name}  {size / 1e6:.2f} MB")


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
            help="openvino, ncnn, web or litert, measured beside onnxruntime, which always runs. "
            "May be repeated.",
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


@command(bundle_app, "edgesr bundle make contractors.onnx --name theirs --licence MIT", "make")
def bundle_make(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", parser=path, help="An ONNX file.")],
    name: Annotated[str | None, typer.Option("--name", help="Else the file's.")] = None,
    licence: Annotated[str, typer.Option("--licence", metavar="TEXT", help="Of its weights.")] = "",
    gates: GatesFile = None,
    scale: Times = None,
    layout: Layout = None,
    white: White = None,
    colour: Colour = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another network's.")] = False,
) -> None:
    """Make a bundle of an ONNX file of any project; how it is called is found out."""
    from edgesr.deploy.foreign import export_onnx_file

    if not licence:
        raise EdgesrError(
            f"the licence of the weights in {file} is not stated",
            'Look where it was published, and say so: --licence "CC-BY-4.0".',
        )
    known = convention(scale, layout, white, colour)
    folder = export_onnx_file(
        file, opened(), known, name=name, licence=licence, gates=gates, force=force
    )
    console.say(f"exports/{folder.name}/model.onnx")


def convention(
    scale: str | None,
    layout: Literal["nchw", "nhwc"] | None,
    white: str | None,
    colour: Literal["rgb", "bgr"] | None,
) -> Convention:
    """What a user states of a file."""
    from edgesr.models.adapt import Convention

    white_is: Literal[1, 255] | None = None if white is None else 1 if white == "1" else 255
    return Convention(int(scale) if scale else None, layout, white_is, colour)


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

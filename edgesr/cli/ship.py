"""Commands that make a bundle: export, bundle make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgesr import console
from edgesr.cli import completion
from edgesr.cli.app import app, bundle_app
from edgesr.cli.options import (
    Colour,
    GatesFile,
    Layout,
    Quiet,
    Times,
    White,
    opened,
    path,
)
from edgesr.cli.usage import command
from edgesr.errors import EdgesrError

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
    s8s8_symmetric: Annotated[
        bool,
        typer.Option(
            "--s8s8-symmetric",
            help="And model.s8s8-symmetric.onnx: zero points of 0, for TensorRT.",
        ),
    ] = False,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--fixed",
            metavar="WxH",
            help="Of each file a copy for LR pictures of that size alone, e.g. 256x256; of one "
            "alone: int8-256x256. May be repeated.",
        ),
    ] = None,
    tflite: Annotated[
        bool, typer.Option("--tflite", help="Of fp32, fp16 and int8 a copy for LiteRT, too.")
    ] = False,
    pte: Annotated[
        bool, typer.Option("--pte", help="Of fp32 and int8 one for ExecuTorch.")
    ] = False,
    ort: Annotated[
        bool,
        typer.Option(
            "--ort",
            help="Of all but fp16 one in ONNX Runtime's own format, and the operators that its "
            "smallest build needs.",
        ),
    ] = False,
    mlpackage: Annotated[
        bool,
        typer.Option(
            "--mlpackage",
            help="Of fp32 and fp16 one for Core ML, zipped; of fp16 one with palettised weights, "
            "too.",
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="All files that the bundle has, anew, beside those asked for; of every bundle if "
            "none is named.",
        ),
    ] = False,
    keep_int8: Annotated[
        bool,
        typer.Option(
            "--keep-int8",
            help="The int8 graph that the bundle has stays, and all that is made of it: nothing "
            "is calibrated.",
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
    requested |= {"s8s8-symmetric": s8s8_symmetric}
    variants = tuple(variant for variant, wanted in requested.items() if wanted)
    formats = ("tflite",) * tflite + ("pte",) * pte + ("ort",) * ort + ("mlpackage",) * mlpackage
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
    if file.is_file() and keep_int8:
        raise EdgesrError(f"--keep-int8 is of bundles, not of {file}", "Leave it out.")
    if file.is_file():
        from edgesr.deploy.foreign import export_file

        folders = [
            export_file(
                file,
                workspace,
                variants,
                settings,
                formats=formats,
                name=bundle,
                licence=licence,
                force=force,
            )
        ]
    elif again:
        named = [workspace.find_bundle(Path(name))] if name else bundles(workspace.exports)
        folders = [
            stage.again(
                folder,
                workspace,
                settings,
                variants=variants,
                formats=formats,
                keep_int8=keep_int8,
            )
            for folder in named
        ]
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
            keep_int8=keep_int8,
        )
    for folder in folders:
        for file in sorted(folder.glob("model*")):
            size = file.stat().st_size
            console.say(f"exports/{folder.name}/{file.name}  {size / 1e6:.2f} MB")


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

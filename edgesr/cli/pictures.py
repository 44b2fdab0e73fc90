"""Commands that take pictures: upscale, evaluate."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from edgesr import console, shipped
from edgesr.cli import completion, folder, video
from edgesr.cli.app import app
from edgesr.cli.options import (
    InferenceRuntime,
    Quiet,
    Threads,
    expanded,
    one_model,
    opened,
    path,
    write_scores,
)
from edgesr.cli.usage import command
from edgesr.errors import DataError
from edgesr.inference.memory import BUDGET
from edgesr.places import check_file, check_writable


@command(app, "edgesr evaluate edge-s --data Set5 --against edge-xs --output compared.json")
def evaluate(
    model: Annotated[
        Path | None,
        typer.Argument(
            parser=path,
            autocompletion=completion.models,
            show_default=False,
            help="A run or a bundle, by name or folder; a file. Or a video.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=path,
            help="HR images, or a set by name. Or the video as it should look.",
        ),
    ] = None,
    no_reference: Annotated[
        Path | None,
        typer.Option(
            "--no-reference",
            metavar="DIR",
            parser=path,
            help="Pictures that have no truth: how blurred, how noisy, whether blocks show.",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            parser=path,
            autocompletion=completion.models,
            help="A second model, compared picture by picture.",
        ),
    ] = None,
    degradation: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="How LR is made, e.g. clean,jpeg40,blur-jpeg60.",
        ),
    ] = "",
    weights: Annotated[
        str, typer.Option(metavar="DIR", parser=expanded, help="Folder of LPIPS weights.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=path, help="Also write a .json or .csv file."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """PSNR, SSIM and LPIPS on a folder of images, with bicubic and Lanczos as the controls.

    Of two videos the same, frame by frame.
    """
    from edgesr.data import named
    from edgesr.quality import compare, degraded, present
    from edgesr.quality import evaluate as quality
    from edgesr.quality.scores import Evaluation

    console.configure(quiet=quiet)
    if output is not None:
        check_file(output, (".json", ".csv"), "--output")
    if no_reference is not None:
        _look(no_reference, output, others=any((model, data, against, degradation, weights)))
        return
    if model is None or data is None:
        raise DataError(
            "there is nothing to be measured" if model is None else "there are no photographs",
            "Name a model and what its pictures should be: edgesr evaluate edge-s --data DIR; or "
            "pictures without a truth: --no-reference DIR",
        )
    if video.is_video(model):
        for_models = bool(against or degradation)
        video.evaluate(model, data, weights, output, other_options=for_models)
        return
    workspace = opened()
    model = workspace.find_model(model)
    chains = named.parse_all(degradation) if degradation else []
    result: Evaluation | compare.Comparison | degraded.Degraded
    if against is not None:
        other = workspace.find_model(against)
        compared = compare.compare_each(model, other, data, chains or [None], weights)
        result = degraded.Degraded(chains, compared) if chains else compared[0]
    else:
        scored = quality.evaluate_each(model, data, chains or [None], weights)
        result = degraded.Degraded(chains, scored) if chains else scored[0]
    present.print_result(result)
    console.say(result.protocol)
    write_scores(result, output)


def _look(pictures: Path, output: Path | None, *, others: bool) -> None:
    from edgesr.quality.unreferenced import look

    if others:
        raise DataError(
            "--no-reference looks at pictures as they are: no model, and --output alone beside it"
        )
    looks = look(pictures)
    console.out.print(looks.table())
    console.say(looks.protocol)
    write_scores(looks, output)


@command(app, "edgesr upscale photo.jpg")
def upscale(
    *,  # only so may an argument that can be left out stand before one that cannot
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            parser=path,
            autocompletion=completion.bundles,
            show_default=False,
            help="A bundle, by name or folder, or an ONNX file; by the picture unless given.",
        ),
    ] = None,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", parser=path, help="An image, a folder of images, or a video."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", parser=path, autocompletion=completion.bundles, help="The same."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            parser=path,
            help="The result; photo-large.png beside photo.jpg unless given.",
        ),
    ] = None,
    provider: Annotated[
        str | None, typer.Option(autocompletion=completion.providers, help="cpu or cuda.")
    ] = None,
    runtime: InferenceRuntime = "onnxruntime",
    threads: Threads = None,
    variant: Annotated[
        str,
        typer.Option(
            autocompletion=completion.variants,
            help="Of a bundle: fp32, int8, uint8-io, fp32-256x256, ...",
        ),
    ] = "fp32",
    scale: Annotated[
        float | None, typer.Option(help="How many times larger; the model's own unless given.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="At most so many pixels wide.")] = None,
    height: Annotated[int | None, typer.Option(help="At most so many pixels high.")] = None,
    max_side: Annotated[int | None, typer.Option(help="Longer side, at most.")] = None,
    tile: Annotated[str, typer.Option(help="Side of a tile in LR pixels; auto fits.")] = "auto",
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            help=f"What the process may hold; {BUDGET} above what it holds at first unless given.",
        ),
    ] = None,
    quality: Annotated[int, typer.Option(help="Of JPEG and WebP output.")] = 95,
    wrap: Annotated[bool, typer.Option("--wrap", help="Of textures that tile.")] = False,
    skip_existing: folder.SkipExisting = False,
    jobs: folder.JobCount = 1,
    manifest: folder.Manifest = None,
    name: folder.Name = folder.SAME,
    codec: video.Codec = "",
    crf: video.Crf = None,
    preset: video.Preset = "",
    pixels: video.Pixels = "",
    size: video.FrameSize = "",
    damaged: video.OfDamaged = "repeat",
    segment: video.Segment = None,
    quiet: Quiet = False,
) -> None:
    """Enlarge images and videos by a model's scale, tile by tile, or to any size below that.

    Where a size is asked for and a tier has bundles of several scales (edge-s, edge-s-x2), the
    smallest that reaches it is taken. Without a model, each picture that was a JPEG or has noise is
    enlarged by edge-s-real, a clean one by edge-s; a video by edge-s-video.
    """
    from edgesr.bundle.family import present
    from edgesr.inference import upscale_files
    from edgesr.inference.planning import parse_tile
    from edgesr.inference.sized import TargetSize
    from edgesr.inference.suited import CLEAN, REAL
    from edgesr.inference.upscaler import Upscaler

    console.configure(quiet=quiet)
    named = one_model(models or [], model)
    is_video = video.is_video(source) or bool(size)
    output = output or (video if is_video else upscale_files).beside(source)
    if output == video.PIPE:
        console.aside()
    check_writable(output if source.is_dir() else output.parent, "--output")
    workspace = opened()
    open_ = partial(
        Upscaler,
        variant=variant,
        runtime=runtime,
        threads=threads,
        provider=provider,
        tile=parse_tile(tile),
        memory=memory,
        wrap=wrap,
    )
    asked = (scale, width, height, max_side)
    wanted = TargetSize(*asked) if any(value is not None for value in asked) else None
    if wrap and wanted:
        raise DataError("--wrap is exact at the model's own factor alone", "Leave the size out.")
    if is_video:
        opening = folder.Opening({}, wanted, open_)
        bundle = shipped.find(workspace.find_bundle(named)) if named else video.suited(workspace)
        encoding = video.Encoding(codec, crf, preset, pixels, threads or 0)
        raw = video.raw(size, pixels)
        video.upscale(opening.one(bundle), source, output, encoding, damaged, raw, segment)
        return
    bundles = (
        {"": shipped.find(workspace.find_bundle(named))}
        if named
        else present(workspace.exports, (CLEAN, REAL))
        or present(shipped.root() / "exports", (CLEAN, REAL))
    )
    opening = folder.Opening(bundles, wanted, open_)
    if not source.is_dir():
        upscale_files.upscale_file(opening(), source, output, quality=quality, bar=console.bar)
        console.say(f"{output}")
        return
    folder.upscale(
        opening,
        source,
        output,
        quality,
        pattern=name,
        skip_existing=skip_existing,
        jobs=jobs,
        manifest=manifest,
    )

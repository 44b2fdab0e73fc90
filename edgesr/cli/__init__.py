"""The command line: parse, call one stage, print. No logic lives here.

edgesr distill recipes/n4.toml && edgesr export --onnx && edgesr verify
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edgesr import __version__, console, ending, recipe_io
from edgesr.bounds import MAX_THREADS
from edgesr.cli import completion
from edgesr.cli.usage import Group, command
from edgesr.errors import EdgesrError
from edgesr.folders import settle
from edgesr.inference.memory import BUDGET
from edgesr.places import check_file, check_writable
from edgesr.recipe import Recipe
from edgesr.workspace import Workspace, write_json, write_text

app = typer.Typer(
    name="edgesr",
    cls=Group,
    help="Distil super-resolution networks, export them to ONNX, prove what ships.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipe_app = typer.Typer(cls=Group, help="Look at recipes.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")
bundle_app = typer.Typer(cls=Group, help="Look at bundles.", no_args_is_help=True)
app.add_typer(bundle_app, name="bundle")


def path(text: str) -> Path:
    """What a user names: `~` is their home folder also where no shell has seen it, as in
    `--data=~/photos`. Of an unknown user it stays as it is, where Path.expanduser fails."""
    return Path(os.path.expanduser(text))  # noqa: PTH111


def expanded(text: str) -> str:
    """`path` where a recipe's key, or a folder of weights, takes it."""
    return str(path(text)) if text else ""


RecipePath = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        parser=path,
        autocompletion=completion.recipes,
        help="A TOML file, see recipes/.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key, e.g. training.steps=2000. May be repeated.",
    ),
]
# The backslash: brackets in a help text are markup to Rich.
Small = Annotated[bool, typer.Option("--small", help="Apply the recipe's \\[small] table.")]
Photos = Annotated[
    str | None,
    typer.Option("--data", metavar="DIR", parser=expanded, help="Photographs: data.photos."),
]
TeacherPath = Annotated[
    str | None,
    typer.Option("--teacher", metavar="FILE", parser=expanded, help="The teacher: teacher.path."),
]
Threads = Annotated[int | None, typer.Option(min=1, max=MAX_THREADS, help="CPU threads.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Delete an earlier run of this name.")]
Evidence = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        parser=path,
        help="Evidence and report go into DIR/NAME, not into the bundle's folder.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines instead of bars.")]


def main() -> NoReturn:
    """Run the command line; see `ending.run` for what its exit code says."""
    ending.run(app)


def opened() -> Workspace:
    """The current folder's workspace, in which nothing is left half replaced."""
    workspace = Workspace()
    for parent in (workspace.runs, workspace.exports):
        settle(parent)
    return workspace


def _version(requested: bool) -> None:
    if requested:
        console.say(f"edgesr {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Distil super-resolution networks, export them to ONNX, prove what ships."""


def _recipe(
    path: Path,
    overrides: list[str] | None,
    small: bool,
    photos: str | None = None,
    teacher: str | None = None,
) -> Recipe:
    return recipe_io.load(
        path, overrides=overrides or (), small=small, photos=photos, teacher=teacher
    )


@command(app, "edgesr train recipes/teacher.toml --small --data photographs")
def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    small: Small = False,
    data: Photos = None,
    resume: Resume = False,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> None:
    """Train a network without a teacher, e.g. the teacher itself."""
    console.configure(quiet=quiet)
    resolved = _recipe(recipe, overrides, small, data)
    from edgesr.training import stage

    stage.train(resolved, opened(), resume=resume, fresh=fresh)


@command(app, "edgesr distill recipes/edge-s.toml --teacher teacher --set training.steps=2000")
def distill(
    recipe: RecipePath,
    overrides: Overrides = None,
    small: Small = False,
    data: Photos = None,
    teacher: TeacherPath = None,
    resume: Resume = False,
    fresh: Fresh = False,
    quiet: Quiet = False,
) -> None:
    """Train a student from its teacher."""
    console.configure(quiet=quiet)
    resolved = _recipe(recipe, overrides, small, data, teacher)
    from edgesr.training import stage

    stage.distill(resolved, opened(), resume=resume, fresh=fresh)


@command(app, "edgesr blend edge-s edge-s-gan --alpha 0.5")
def blend(
    one: Annotated[
        str,
        typer.Argument(
            metavar="A",
            autocompletion=completion.models,
            help="A run, a bundle or a safetensors file.",
        ),
    ],
    other: Annotated[
        str,
        typer.Argument(
            metavar="B", autocompletion=completion.models, help="Another, of the same model table."
        ),
    ],
    alpha: Annotated[float, typer.Option(help="B's share: 0 is A, 1 is B.")],
    name: Annotated[str | None, typer.Option(help="Of the run; A-B-alpha unless given.")] = None,
) -> None:
    """Interpolate the weights of two networks of the same shape; the result is a run."""
    from edgesr import blend as blending

    blending.blend(one, other, alpha, opened(), name)


@command(app, "edgesr export edge-s --onnx --int8 --uint8-io")
def export(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=completion.models,
            help="A run, or a bundle to write anew; else the latest run.",
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="And model.fp16.onnx.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="And model.int8.onnx.")] = False,
    uint8_io: Annotated[
        bool, typer.Option("--uint8-io", help="And model.uint8-io.onnx: RGB bytes in and out.")
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
    """Export a run's student and its teacher as bundles in exports/."""
    requested = {"fp16": fp16, "int8": int8, "uint8-io": uint8_io}
    variants = tuple(variant for variant, wanted in requested.items() if wanted)
    if not onnx and not variants and not again:
        raise EdgesrError("no format to export to", "Give one: edgesr export --onnx")
    from edgesr.bundle.card import bundles
    from edgesr.deploy import stage

    console.configure(quiet=quiet)
    workspace = opened()
    if again:
        named = [workspace.find_bundle(Path(name))] if name else bundles(workspace.exports)
        folders = [stage.again(folder, workspace, overrides or []) for folder in named]
    else:
        run = workspace.find_run(name)
        folders = stage.export(run, workspace, variants, overrides or [], force=force)
    for folder in folders:
        for file in sorted(folder.glob("*.onnx")):
            size = file.stat().st_size
            console.say(f"exports/{folder.name}/{file.name}  {size / 1e6:.2f} MB")


@command(app, "edgesr verify edge-s --runtime openvino --target coreml --target nnapi")
def verify(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            parser=path,
            autocompletion=completion.bundles,
            help="A bundle, by name or folder; all of exports/ if none.",
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
            help="openvino, ncnn or web, measured beside onnxruntime, which always runs. May be "
            "repeated.",
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
    quiet: Quiet = False,
) -> None:
    """Compare bundles with PyTorch, time them, count their cost, check their gates."""
    from edgesr.verify import many, stage

    console.configure(quiet=quiet)
    workspace = opened()
    folders = [workspace.find_bundle(bundle)] if bundle else stage.bundles(workspace.exports)
    one = partial(
        stage.verify,
        providers=provider,
        runtimes=runtime,
        data=data,
        targets=target,
        output=output,
    )
    if code := many.verify_all(folders, one):
        raise typer.Exit(code)


@command(app, 'edgesr fit --budget "p95 8 ms @ 320x180" --output recipes/mine.toml')
def fit(
    budget: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help='What the student may take, e.g. "p95 8 ms @ 320x180" (LR).'
        ),
    ],
    provider: Annotated[
        str,
        typer.Option(autocompletion=completion.providers, help="cpu or cuda; it must really run."),
    ] = "cpu",
    threads: Threads = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=path, help="The recipe; its stem is its name."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="FILE may be there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Time candidate students on this machine; write the recipe of the largest inside a budget."""
    from edgesr.fit import present, stage
    from edgesr.fit.budget import parse

    console.configure(quiet=quiet)
    found = stage.fit(
        parse(budget), provider=provider, threads=threads, output=output, overwrite=overwrite
    )
    present.print_fit(found)


@command(app, "edgesr evaluate edge-s --data Set5 --against edge-xs --output compared.json")
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            parser=path,
            autocompletion=completion.models,
            help="A run or a bundle, by name or folder; a file.",
        ),
    ],
    data: Annotated[Path, typer.Option(metavar="DIR", parser=path, help="HR images, e.g. Set5.")],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            parser=path,
            autocompletion=completion.models,
            help="A second model, compared picture by picture.",
        ),
    ] = None,
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
    """PSNR, SSIM and LPIPS on a folder of images, with bicubic as the control."""
    from edgesr.quality import compare, present
    from edgesr.quality import evaluate as quality

    console.configure(quiet=quiet)
    if output is not None:
        check_file(output, (".json", ".csv"), "--output")
    workspace = opened()
    model = workspace.find_model(model)
    result: quality.Evaluation | compare.Comparison
    if against is None:
        result = quality.evaluate_model(model, data, weights)
        console.out.print(quality.table(result))
    else:
        result = compare.compare_models(model, workspace.find_model(against), data, weights)
        present.print_comparison(result)
    console.say(quality.PROTOCOL)
    if output is not None:
        if output.suffix.lower() == ".csv":
            write_text(output, result.csv())
        else:
            write_json(output, result.as_dict())


@command(app, "edgesr upscale edge-s photo.jpg --output big.png")
def upscale(
    model: Annotated[
        Path,
        typer.Argument(
            parser=path,
            autocompletion=completion.bundles,
            help="A bundle, by name or folder, or an ONNX file.",
        ),
    ],
    source: Annotated[Path, typer.Argument(parser=path, help="An image, or a folder of images.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="PATH", parser=path, help="An image, or a folder."),
    ],
    provider: Annotated[
        str | None, typer.Option(autocompletion=completion.providers, help="cpu or cuda.")
    ] = None,
    threads: Threads = None,
    variant: Annotated[
        str,
        typer.Option(
            autocompletion=completion.variants, help="Of a bundle: fp32, fp16, int8, uint8-io."
        ),
    ] = "fp32",
    tile: Annotated[str, typer.Option(help="Side of a tile in LR pixels; auto fits.")] = "auto",
    memory: Annotated[str, typer.Option(help="What auto keeps to.")] = BUDGET,
    quality: Annotated[int, typer.Option(help="Of JPEG and WebP output.")] = 95,
    quiet: Quiet = False,
) -> None:
    """Enlarge images four times, tile by tile."""
    from edgesr.inference import upscale_files
    from edgesr.inference.upscaler import Upscaler, parse_tile

    console.configure(quiet=quiet)
    check_writable(output if source.is_dir() else output.parent, "--output")
    upscaler = Upscaler(
        opened().find_bundle(model),
        variant=variant,
        threads=threads,
        provider=provider,
        tile=parse_tile(tile),
        memory=memory,
    )
    if not source.is_dir():
        upscale_files.upscale_file(upscaler, source, output, quality=quality)
        console.say(f"{output}")
        return
    summary = upscale_files.upscale_folder(upscaler, source, output, quality=quality)
    console.say(f"{output}: {summary.done} images")
    for path, reason in summary.failed.items():
        console.warn(f"{path}: {reason}")
    if summary.failed:
        raise typer.Exit(1)


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


@command(app, "edgesr weights --fetch vgg16 alexnet")
def weights(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK",
            autocompletion=completion.networks,
            help="vgg16, vgg19, alexnet; all of them if none is named.",
        ),
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Get what of them is missing.")] = False,
    folder: Annotated[
        str, typer.Option(metavar="DIR", parser=expanded, help="Look here first.")
    ] = "",
) -> None:
    """Show the perceptual weights that losses and LPIPS need, and where they were found."""
    from edgesr import weights as perceptual

    named = perceptual.known(networks or [])
    if fetch:
        from edgesr.weights_fetch import fetch_missing

        fetch_missing(folder, named)
    console.out.print(perceptual.table(perceptual.status(folder, named)))


@command(app, "edgesr doctor")
def doctor() -> None:
    """Show what this machine can do: devices, execution providers, weights, versions."""
    from edgesr import doctor as checks

    console.out.print(checks.table())


@command(app, "edgesr demo")
def demo(quiet: Quiet = False) -> None:
    """Run the whole chain on the embedded photographs in a few minutes."""
    from edgesr import demo as chain

    console.configure(quiet=quiet)
    chain.run(opened())


@command(recipe_app, "edgesr recipe show recipes/n4.toml --small", "show")
def recipe_show(
    recipe: RecipePath,
    overrides: Overrides = None,
    small: Small = False,
    data: Photos = None,
    teacher: TeacherPath = None,
) -> None:
    """Print a recipe with every default written out."""
    console.page(recipe_io.dumps(_recipe(recipe, overrides, small, data, teacher)).rstrip())


@command(recipe_app, "edgesr recipe schema > recipe.schema.json", "schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes."""
    console.out.print_json(data=Recipe.model_json_schema())


@command(app, "edgesr schema card")
def schema(
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD", autocompletion=completion.records, help="card, golden or verify."
        ),
    ],
) -> None:
    """Print the JSON schema of a bundle's card.json, golden.json or verify.json."""
    from edgesr.bundle.records import schemas

    console.out.print_json(data=schemas.schema(record))


@command(bundle_app, "edgesr bundle check edge-s", "check")
def bundle_check(
    bundle: Annotated[
        Path,
        typer.Argument(parser=path, autocompletion=completion.bundles, help="By name or folder."),
    ],
) -> None:
    """Compare a bundle's files with their sums and run its golden vectors."""
    from edgesr.bundle import check

    rows = check.check(opened().find_bundle(bundle))
    console.out.print(check.table(rows))
    if not all(row.passed for row in rows):
        console.say("FAILED: a golden vector does not hold")
        raise typer.Exit(1)
    console.say("PASSED: all files match their sums, all golden vectors hold")

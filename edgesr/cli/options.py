"""Arguments and options that several commands take, and what they become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import typer

from edgesr import shipped
from edgesr.bounds import MAX_THREADS
from edgesr.cli import completion
from edgesr.errors import DataError
from edgesr.folders import settle
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace, write_json, write_text


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
        help="A TOML file, or the name of a recipe that comes along.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key, e.g. training.steps=2000; a list, lr=1e-3,2e-3, trains once for each "
        "value. May be repeated.",
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
InferenceRuntime = Annotated[
    Literal["onnxruntime", "openvino"],
    typer.Option("--runtime", help="What runs the model: onnxruntime or openvino."),
]
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
Times = Annotated[
    Literal["2", "3", "4"] | None,
    typer.Option("--scale", help="Of FILE.onnx; found out unless given, as all of these."),
]
Layout = Annotated[
    Literal["nchw", "nhwc"] | None, typer.Option("--layout", help="Of FILE.onnx's pictures.")
]
White = Annotated[
    Literal["1", "255"] | None, typer.Option("--range", help="What white is to FILE.onnx.")
]
Colour = Annotated[
    Literal["rgb", "bgr"] | None, typer.Option("--colour", help="Order of FILE.onnx's channels.")
]
GatesFile = Annotated[
    Path | None,
    typer.Option("--gates", metavar="FILE", parser=path, help="TOML of gates for FILE.onnx."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines instead of bars.")]


def opened() -> Workspace:
    """The current folder's workspace, in which nothing is left half replaced."""
    workspace = Workspace()
    for parent in (workspace.runs, workspace.exports):
        settle(parent)
    return workspace


def one_model(before: list[Path], option: Path | None) -> Path | None:
    """The model that stands before a picture or behind --model; None where neither does.

    Raises:
        DataError: several are named.
    """
    named = [*before, *([option] if option else [])]
    if len(named) > 1:
        raise DataError(
            f"{len(named)} models are named, {named[0]} first: expected one at most",
            "Several pictures are enlarged by naming their folder.",
        )
    return named[0] if named else None


def load_recipe(
    path: Path,
    overrides: list[str] | None,
    small: bool,
    photos: str | None = None,
    teacher: str | None = None,
) -> Recipe:
    """The recipe in `path`, or of that name, as the options change it."""
    return recipe_io.load(
        shipped.recipe(path), overrides=overrides or (), small=small, photos=photos, teacher=teacher
    )


class Scores(Protocol):
    """What can be written as a table or as a record."""

    def csv(self) -> str:
        """A line each."""

    def as_dict(self) -> dict[str, Any]:
        """All of it."""


def write_scores(scores: Scores, output: Path | None) -> None:
    """Write the file that --output names, if it does: by its suffix CSV or JSON."""
    if output is None:
        return
    if output.suffix.lower() == ".csv":
        write_text(output, scores.csv())
    else:
        write_json(output, scores.as_dict())

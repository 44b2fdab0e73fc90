"""Commands that make a network: train, distill, blend, fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgesr import console
from edgesr.choose import sweep
from edgesr.cli import completion
from edgesr.cli.app import app
from edgesr.cli.options import (
    Fresh,
    Overrides,
    Photos,
    Quiet,
    RecipePath,
    Resume,
    Small,
    TeacherPath,
    Threads,
    load_recipe,
    opened,
    path,
)
from edgesr.cli.usage import command
from edgesr.recipe import Edge, Recipe


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

    def load(changes: list[str]) -> Recipe:
        return load_recipe(recipe, changes, small, data)

    _each("train", load, overrides or [], resume=resume, fresh=fresh)


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

    def load(changes: list[str]) -> Recipe:
        return load_recipe(recipe, changes, small, data, teacher)

    _each("distill", load, overrides or [], resume=resume, fresh=fresh)


def _each(
    command: Literal["train", "distill"],
    load: Callable[[list[str]], Recipe],
    overrides: list[str],
    *,
    resume: bool,
    fresh: bool,
) -> None:
    """One run after the other, for every value that an option lists; then all in one table."""
    found = sweep.recipes(load, overrides)
    from edgesr.training import stage

    workspace = opened()
    for each in found:
        getattr(stage, command)(each, workspace, resume=resume, fresh=fresh)
    if len(found) > 1:
        from edgesr.choose import runs

        runs.show(runs.listed(workspace, [each.name for each in found]))


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
    scale: Annotated[int, typer.Option(help="Of the student: 2, 3 or 4.")] = Edge().scale,
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
    from edgesr.fit.candidates import scale_of

    console.configure(quiet=quiet)
    found = stage.fit(
        parse(budget),
        provider=provider,
        threads=threads,
        scale=scale_of(scale),
        output=output,
        overwrite=overwrite,
    )
    present.print_fit(found)

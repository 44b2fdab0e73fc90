"""Commands that show what there is: recipes, schemas, weights, this machine; and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgesr import console, shipped
from edgesr.cli import completion
from edgesr.cli.app import app, recipe_app
from edgesr.cli.options import (
    Overrides,
    Photos,
    Quiet,
    RecipePath,
    Small,
    TeacherPath,
    expanded,
    load_recipe,
    opened,
    path,
)
from edgesr.cli.usage import command
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io


@command(app, "edgesr demo")
def demo(quiet: Quiet = False) -> None:
    """Run the whole chain on the embedded photographs in a few minutes."""
    from edgesr import demo as chain

    console.configure(quiet=quiet)
    chain.run(opened())


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


@command(app, "edgesr data --fetch DIV2K")
def data(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SET",
            autocompletion=completion.sets,
            help="Set5, Set14, BSD100, Urban100, Manga109, DIV2K (its validation images).",
        ),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Get those that are named into the folder.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=path, help="Where they are; data unless given."),
    ] = None,
) -> None:
    """Show the benchmark sets: where each was found, whence it is had, on what terms."""
    from edgesr.data import benchmarks

    if fetch:
        benchmarks.fetch_all(sets or [], folder or benchmarks.PLACES[0])
    console.out.print(benchmarks.table(folder, sets or ()))
    console.page(benchmarks.sources(sets or ()))


@command(app, "edgesr models --time")
def models(
    timed: Annotated[
        bool, typer.Option("--time", help="Also ms for a picture of 128 x 128 here.")
    ] = False,
) -> None:
    """List the bundles that come with edgesr: name, scale, for which pictures, size, licence."""
    from edgesr.bundle import listing

    console.out.print(listing.table(shipped.bundles(), timed=timed))


@command(app, "edgesr doctor")
def doctor() -> None:
    """Show what this machine can do: devices, execution providers, weights, versions."""
    from edgesr import doctor as checks

    console.out.print(checks.table())


@command(recipe_app, "edgesr recipe show recipes/n4.toml --small", "show")
def recipe_show(
    recipe: RecipePath,
    overrides: Overrides = None,
    small: Small = False,
    data: Photos = None,
    teacher: TeacherPath = None,
) -> None:
    """Print a recipe with every default written out."""
    console.page(recipe_io.dumps(load_recipe(recipe, overrides, small, data, teacher)).rstrip())


@command(recipe_app, "edgesr recipe schema > recipe.schema.json", "schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes."""
    console.out.print_json(data=Recipe.model_json_schema())


@command(app, "edgesr schema card")
def schema(
    record: Annotated[
        str,
        typer.Argument(
            metavar="RECORD",
            autocompletion=completion.records,
            help="card, golden, verify or device.",
        ),
    ],
) -> None:
    """Print the JSON schema of card.json, golden.json, verify.json or device.json."""
    from edgesr.bundle.records import schemas

    console.out.print_json(data=schemas.schema(record))

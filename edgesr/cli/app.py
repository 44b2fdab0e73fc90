"""The Typer app that the commands join."""

from __future__ import annotations

from typing import Annotated

import typer

from edgesr import __version__, console
from edgesr.cli.usage import Group

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


def _version(requested: bool) -> None:
    if requested:
        console.say(f"edgesr {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Distil super-resolution networks, export them to ONNX, prove what ships."""
    console.listen()

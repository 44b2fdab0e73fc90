"""How commands show themselves in a terminal: an example each, no type beside a flag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def command(
    group: typer.Typer, example: str, name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function to `group` as a command whose help ends with `example`."""
    return group.command(name, cls=Command, epilog=f"Example: {example}")


class Command(TyperCommand):
    """A command whose flags, which take nothing, show no type."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """Commands under one word; as `Command`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params

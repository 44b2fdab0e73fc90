"""The command line: parse, call one stage, print. No logic lives here.

edgesr distill recipes/n4.toml && edgesr export && edgesr verify
"""

from __future__ import annotations

from typing import NoReturn

from edgesr import ending

from edgesr.cli import train, ship, prove, choose, pictures, inspect  # isort: skip: as the help lists them
from edgesr.cli.app import app

__all__ = ["app", "choose", "inspect", "main", "pictures", "prove", "ship", "train"]


def main() -> NoReturn:
    """Run the command line; see `ending.run` for what its exit code says."""
    ending.run(app)

"""The command `edgesr`, and `python -m edgesr`, which is what torchrun starts."""

from __future__ import annotations

from typing import NoReturn

from edgesr import ending


def main() -> NoReturn:
    """Run the command line; see `ending.run` for what its exit code says."""
    ending.run(_command)


def _command() -> None:
    """Loaded inside, so that a Ctrl-C of the first half second is no traceback either."""
    from edgesr.cli import app

    app()


if __name__ == "__main__":
    main()

"""What `upscale` takes and does where its source is a folder, and how it opens its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from edgesr import console
from edgesr.bundle.family import family
from edgesr.cli.options import path
from edgesr.inference.picture_folder import SAME
from edgesr.inference.shares import Jobs
from edgesr.inference.sized import Sized, TargetSize
from edgesr.inference.suited import Suited
from edgesr.inference.upscale_files import Chooser, Enlarge
from edgesr.inference.upscale_folder import upscale_folder
from edgesr.inference.upscaler import Upscaler

__all__ = ["SAME"]

PANEL = "Folders"
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing", help="Leave out what is there, in its size.", rich_help_panel=PANEL
    ),
]
JobCount = Annotated[
    int,
    typer.Option(
        "--jobs", min=1, max=256, help="Processes that share the images.", rich_help_panel=PANEL
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        parser=path,
        help="JSON lines: what was done, what failed.",
        rich_help_panel=PANEL,
    ),
]
Name = Annotated[
    str,
    typer.Option(
        "--name", metavar="PATTERN", help="E.g. {stem}-large{suffix}.", rich_help_panel=PANEL
    ),
]


@dataclass(frozen=True)
class Opening:
    """Opens models as they are asked for; a process that shares the work gets a copy of it.

    Attributes:
        bundles: by name, those that suit a picture each; or the one that is meant, by "".
        size: what every picture is to become; None for the model's own factor.
        open: opens one file or bundle.
    """

    bundles: Mapping[str, Path]
    size: TargetSize | None
    open: Callable[[Path], Upscaler]

    def __call__(self) -> Enlarge:
        if "" in self.bundles:
            return self.one(self.bundles[""])
        return Suited(self.bundles, self.one)

    def one(self, bundle: Path) -> Chooser:
        """What enlarges by this bundle, or by its family where a size is asked for."""
        return Sized(family(bundle), self.size, self.open) if self.size else self.open(bundle)


def upscale(
    opening: Opening,
    source: Path,
    target: Path,
    quality: int,
    *,
    pattern: str,
    skip_existing: bool,
    jobs: int,
    manifest: Path | None,
) -> None:
    """Enlarge a folder; name what failed, and end with 1 then."""
    summary = upscale_folder(
        opening(),
        source,
        target,
        quality=quality,
        pattern=pattern,
        skip_existing=skip_existing,
        jobs=Jobs(jobs, opening, console.listen) if jobs > 1 else None,
        manifest=manifest,
        bar=console.bar,
    )
    there = f", {summary.skipped} were there" if summary.skipped else ""
    console.say(f"{target}: {summary.done} images{there}")
    for failed, reason in summary.failed.items():
        console.warn(f"{failed}: {reason}")
    if summary.failed:
        raise typer.Exit(1)

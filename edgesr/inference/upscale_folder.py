"""The upscale command for folders: what is done already is skipped, what failed is named."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from PIL import Image, UnidentifiedImageError

from edgesr.errors import DataError
from edgesr.inference import imagefile, picture_folder
from edgesr.inference.picture_metadata import orientation
from edgesr.inference.progress import OpenBar, unseen
from edgesr.inference.shares import Jobs, Told, in_processes, one_by_one
from edgesr.inference.suited import Suited
from edgesr.inference.upscale_files import Enlarge


@dataclass(frozen=True)
class Summary:
    """What became of a folder: how many images were enlarged, how many were there already, and why
    the others were not."""

    done: int
    failed: dict[Path, str]
    skipped: int = 0


def upscale_folder(
    enlarge: Enlarge,
    source: Path,
    target: Path,
    *,
    quality: int = 95,
    pattern: str = picture_folder.SAME,
    skip_existing: bool = False,
    jobs: Jobs | None = None,
    manifest: Path | None = None,
    bar: OpenBar = unseen,
) -> Summary:
    """Enlarge every image under `source` into the same place under `target`.

    See `picture_folder.plan` for which are taken, and their names. One bad file does not stop the
    rest. While one image is enlarged, the next is decoded and the one before it written.

    Args:
        enlarge: see `upscale_file`.
        quality: of JPEG and WebP, 1..100.
        pattern: of the names, see `picture_folder.plan`.
        skip_existing: whether an image is left out whose result is there, of the size that it
            would have; files are written whole or not at all.
        jobs: processes that share the images, with models of their own; None for this one alone.
        manifest: a file of JSON lines to which every image is added once it is dealt with.
        bar: shows how many images are done.

    Raises:
        DataError: there is no image in `source`, `target` lies inside it, the quality is out of
            range, or the pattern names no file.
    """
    imagefile.check_quality(quality)
    if target.is_file():
        raise DataError(f"{target} is a file, expected a folder", "Give another name.")
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target} lies inside {source}", "Give a folder outside it.")
    plan = picture_folder.plan(source, target, pattern)
    with ExitStack() as stack:
        log = _Log(stack.enter_context(_appended(manifest)) if manifest else None, plan.jobs)
        for path, reason in plan.failed.items():
            log.write(path, "failed", reason=reason)
        left = plan.jobs
        if skip_existing:
            left = _left(enlarge, plan.jobs, log)
        shown = stack.enter_context(bar(str(source), len(left), unit="images"))
        speed = _Speed()
        told = in_processes(jobs, left, quality) if jobs else one_by_one(enlarge, left, quality)
        for path, outcome in told:
            log.add(path, outcome)
            shown.advance(1, speed.of(path, outcome))
    failed = plan.failed | log.failed
    return Summary(len(left.keys() - failed.keys()), failed, len(plan.jobs) - len(left))


def _left(enlarge: Enlarge, jobs: dict[Path, Path], log: _Log) -> dict[Path, Path]:
    """The images whose results are not there yet, in their size."""
    chooser = enlarge.either() if isinstance(enlarge, Suited) else enlarge
    left = {}
    for path, written in jobs.items():
        before, there = _size(path), _size(written)
        if before and there and chooser.choose(*before)[1] == there:
            log.write(path, "skipped", size=there)
        else:
            left[path] = written
    return left


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height as an image is shown; None where it is not there or cannot be read."""
    try:
        with Image.open(path) as image:
            turned = orientation(image) >= 5
            return (image.height, image.width) if turned else image.size
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _appended(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")


class _Log:
    """What became of each image, for the manifest and the summary."""

    def __init__(self, file: TextIO | None, jobs: dict[Path, Path]) -> None:
        self._file, self._jobs = file, jobs
        self.failed: dict[Path, str] = {}

    def add(self, path: Path, outcome: Told) -> None:
        if isinstance(outcome, str):
            self.failed[path] = outcome
            self.write(path, "failed", reason=outcome)
        else:
            self.write(path, "done", size=outcome)

    def write(self, path: Path, state: str, **facts: Any) -> None:
        if self._file is None:
            return
        written = str(self._jobs[path]) if path in self._jobs else None
        line = {"source": str(path), "target": written, "state": state} | facts
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()  # a run that is killed leaves what it knew


class _Speed:
    """Megapixels of the results a second, since the first was begun."""

    def __init__(self) -> None:
        self._start, self._pixels = time.monotonic(), 0

    def of(self, path: Path, outcome: Told) -> str:
        if not isinstance(outcome, str):
            self._pixels += outcome[0] * outcome[1]
        rate = self._pixels / 1e6 / (time.monotonic() - self._start)
        return f"{path.name}, {rate:.2f} megapixels/s"

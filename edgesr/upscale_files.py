"""The upscale command: image files decoded, enlarged and written side by side; no torch."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from edgesr import console, imagefile
from edgesr.ahead import ahead
from edgesr.data.photos import PhotoError
from edgesr.deploy.memory import Windows, megabytes
from edgesr.deploy.tiling import OnTile, Pixels, ignore
from edgesr.errors import DataError, EdgesrError
from edgesr.upscale import Upscaler

FAULTS = (EdgesrError, OSError, MemoryError)
"""What keeps one image from being enlarged, and not the next."""


@dataclass(frozen=True)
class Summary:
    """What became of a folder: how many images were enlarged, and why the others were not."""

    done: int
    failed: dict[Path, str]


@dataclass(frozen=True)
class Result:
    """The file that is to be written, before its pixels come. Size: width and height."""

    path: Path
    mode: str
    size: tuple[int, int]
    profile: bytes | None


Decoded = tuple[Result, Pixels]
Part = Result | Pixels | Exception


def upscale_file(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> None:
    """Enlarge the image file `source` into `target`; the suffix names the format.

    While one row of windows is in the model, the one before it is compressed. A PNG is written as
    the rows come; for JPEG and WebP the result is held whole.

    Args:
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: the source cannot be read; the target's format is not PNG, JPEG or WebP, cannot
            hold the result, or is the source; the quality is out of range; the upscaler's memory
            does not suffice.
    """
    imagefile.check_quality(quality)
    imagefile.check_target(source, target)
    with console.bar(source.name, 1) as bar:

        def show(done: int, total: int) -> None:
            bar.resize(total)
            bar.advance(done - bar.done, "tiles")

        for _, fault in _write_all(upscaler, {source: target}, quality, show):
            if fault is not None:
                raise fault


def upscale_folder(upscaler: Upscaler, source: Path, target: Path, *, quality: int = 95) -> Summary:
    """Enlarge every image under `source` into the same place under `target`.

    Names are kept; a format that is not written becomes PNG. One bad file does not stop the rest.
    Of two images that would get the same name only the first is enlarged. While one image is
    enlarged, the next is decoded and the one before it written.

    Args:
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: there is no image in `source`, `target` lies inside it, or the quality is out
            of range.
    """
    imagefile.check_quality(quality)
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target} lies inside {source}", "Give a folder outside it.")
    jobs, failed = imagefile.plan(source, target), dict[Path, str]()
    # Where `source` lies inside `target`, a result may fall on an image that is still to be read.
    taken = {path.resolve() for path in jobs}
    free = {}
    for path, written in jobs.items():
        if written.resolve() in taken:
            failed[path] = f"{written} belongs to another image\nRename one of them."
        else:
            free[path] = written
        taken.add(written.resolve())
    with console.bar(str(source), len(free)) as bar:
        for path, fault in _write_all(upscaler, free, quality, ignore):
            if fault is not None:
                failed[path] = fault.reason if isinstance(fault, PhotoError) else str(fault)
            bar.advance(1, path.name)
    return Summary(len(jobs) - len(failed), failed)


def _write_all(
    upscaler: Upscaler, jobs: dict[Path, Path], quality: int, on_tile: OnTile
) -> Iterator[tuple[Path, Exception | None]]:
    """Enlarge each file into its target; gives each once it is written, and what was wrong."""
    stop = threading.Event()

    def watched(done: int, total: int) -> None:
        if stop.is_set():
            raise InterruptedError
        on_tile(done, total)

    stream = ahead(_enlarged(upscaler, ahead(_decoded(jobs, upscaler.scale)), watched))
    try:
        for source, parts in groupby(stream, itemgetter(0)):
            try:
                _write((part for _, part in parts), quality)
                yield source, None
            except FAULTS as fault:
                yield source, fault
    finally:
        stop.set()


def _decoded(jobs: dict[Path, Path], scale: int) -> Iterator[tuple[Path, Decoded | Exception]]:
    for source, target in jobs.items():
        try:
            yield source, _read(source, target, scale)
        except FAULTS as fault:
            yield source, fault


def _read(source: Path, target: Path, scale: int) -> Decoded:
    image = imagefile.read(source)
    size = scale * image.width, scale * image.height
    imagefile.check_size(*size, target)
    return Result(target, image.mode, size, image.info.get("icc_profile")), np.asarray(image)


def _enlarged(
    upscaler: Upscaler, images: Iterable[tuple[Path, Decoded | Exception]], on_tile: OnTile
) -> Iterator[tuple[Path, Part]]:
    """Of each image its `Result`, then its bands; or, in the place of either, what is wrong."""
    for source, image in images:
        if isinstance(image, Exception):
            yield source, image
            continue
        result, lr = image
        try:
            held = imagefile.held(result.mode, result.size, result.path)
            windows = upscaler.windows(lr, held=held)
            _say(source, lr, windows, upscaler)
            yield source, result
            for band in upscaler.bands(lr, windows, on_tile):
                yield source, band
        except FAULTS as fault:
            yield source, fault


def _say(source: Path, lr: Pixels, windows: Windows, upscaler: Upscaler) -> None:
    if windows.count == 1:
        return
    within = f" within {megabytes(upscaler.budget)}" if upscaler.tile == "auto" else ""
    console.say(
        f"{source}: {lr.shape[1]} x {lr.shape[0]} pixels in {windows.count} windows of"
        f" {windows.sides[1]} x {windows.sides[0]}{within}, {windows.work:.2f} times the work"
    )


def _write(parts: Iterator[Part], quality: int) -> None:
    """Write one image: its `Result`, then its bands."""
    sound = map(_sound, parts)
    result: Result = next(sound)
    imagefile.write(
        sound,
        result.path,
        mode=result.mode,
        size=result.size,
        profile=result.profile,
        quality=quality,
    )


def _sound(part: Part) -> Any:
    if isinstance(part, Exception):
        raise part
    return part

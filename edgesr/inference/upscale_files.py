"""The upscale command: image files decoded, enlarged and written side by side; no torch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from edgesr.errors import DataError, EdgesrError
from edgesr.inference import decode, imagefile
from edgesr.inference.decode import PhotoError
from edgesr.inference.memory import Windows, megabytes
from edgesr.inference.picture_metadata import Metadata
from edgesr.inference.prefetch import prefetch
from edgesr.inference.progress import OpenBar, unseen
from edgesr.inference.sized import reduced
from edgesr.inference.suited import Suited
from edgesr.inference.tiling import OnTile, Pixels
from edgesr.inference.upscaler import Upscaler
from edgesr.refusals import as_refusal

log = logging.getLogger(__name__)

FAULTS = (EdgesrError, OSError, MemoryError)
"""What keeps one image from being enlarged, and not the next."""


@dataclass(frozen=True)
class Result:
    """The file that is to be written, before its pixels come. Size: width and height."""

    path: Path
    mode: str
    size: tuple[int, int]
    metadata: Metadata
    depth: int


Decoded = tuple[Result, Pixels, Upscaler]
Part = Result | Pixels | Exception
Outcome = tuple[int, int] | Exception


class Chooser(Protocol):
    """An Upscaler, or `Sized`."""

    def choose(self, width: int, height: int) -> tuple[Upscaler, tuple[int, int]]:
        """What enlarges a picture of `width` x `height`, and the size of the result."""


Enlarge = Chooser | Suited[Chooser]
"""The one, or what finds it for each picture."""


def upscale_file(
    enlarge: Enlarge, source: Path, target: Path, *, quality: int = 95, bar: OpenBar = unseen
) -> None:
    """Enlarge the image file `source` into `target`; the suffix names the format.

    While one row of windows is in the model, the one before it is compressed. A PNG is written as
    the rows come; for JPEG and WebP the result is held whole.

    Args:
        enlarge: an Upscaler, or `Sized` for another size than the model's own; `Suited` takes
            the one or the other by the picture.
        quality: of JPEG and WebP, 1..100.
        bar: shows how many tiles are done.

    Raises:
        DataError: the source cannot be read; the target's format is not PNG, JPEG or WebP, cannot
            hold the result, or is the source; the quality is out of range; the upscaler's memory
            does not suffice.
        ModelError: the model cannot be run, or returns NaN.
        OSError: the target cannot be written.
    """
    imagefile.check_quality(quality)
    imagefile.check_target(source, target)
    with bar(source.name, 1, unit="tiles") as shown:

        def show(done: int, total: int) -> None:
            shown.resize(total)
            shown.advance(done - shown.done)

        for _, outcome in write_all(enlarge, {source: target}, quality, show):
            if isinstance(outcome, Exception):
                raise outcome


def beside(source: Path) -> Path:
    """Where the result goes where nobody says so: `photo-large.png`, or the folder `photos-large`.

    Raises:
        DataError: something is there already.
    """
    name = f"{source.resolve().stem}-large.png"
    target = source.parent / (f"{source.resolve().name}-large" if source.is_dir() else name)
    if target.exists():
        raise DataError(f"{target} is there already", "Name the result: --output PATH")
    return target


def reason(fault: Exception) -> str:
    """Why an image was not enlarged, in one line, for a list of them."""
    if isinstance(fault, PhotoError):
        return fault.reason
    told = as_refusal(fault) or fault
    return str(told).replace("\n", ". ")


def write_all(
    enlarge: Enlarge, jobs: dict[Path, Path], quality: int, on_tile: OnTile
) -> Iterator[tuple[Path, Outcome]]:
    """Enlarge each file into its target; gives each once it is written, with the width and height
    of the result, or what was wrong."""
    stop = threading.Event()

    def watched(done: int, total: int) -> None:
        if stop.is_set():
            raise InterruptedError
        on_tile(done, total)

    stream = prefetch(_enlarged(prefetch(_decoded(jobs, enlarge)), watched))
    try:
        for source, parts in groupby(stream, itemgetter(0)):
            try:
                yield source, _write((part for _, part in parts), quality)
            except FAULTS as fault:
                yield source, fault
    finally:
        stop.set()


def _decoded(
    jobs: dict[Path, Path], enlarge: Enlarge
) -> Iterator[tuple[Path, Decoded | Exception]]:
    for source, target in jobs.items():
        try:
            yield source, _read(source, target, enlarge)
        except FAULTS as fault:
            yield source, fault


def _read(source: Path, target: Path, enlarge: Enlarge) -> Decoded:
    picture = decode.read(source)
    height, width = picture.pixels.shape[:2]
    if isinstance(enlarge, Suited):
        enlarge = enlarge.model(source, picture.pixels)
    upscaler, size = enlarge.choose(width, height)
    imagefile.check_size(*size, target)
    if picture.deep and (reason := _why_shallow(target, upscaler)):
        log.warning(f"{source}: 16 bits are reduced to 8: {reason}")
        picture = picture.shallow()
    depth = 16 if picture.deep else 8
    return Result(target, picture.mode, size, picture.metadata, depth), picture.pixels, upscaler


def _why_shallow(target: Path, upscaler: Upscaler) -> str:
    """Why a picture of 16 bits has to become one of 8; empty where it need not."""
    if not upscaler.takes_16_bits:
        return "the model takes bytes (the variants of floats do not)"
    if target.suffix.lower() != ".png":
        return "only a PNG holds more"
    return ""


def _enlarged(
    images: Iterable[tuple[Path, Decoded | Exception]], on_tile: OnTile
) -> Iterator[tuple[Path, Part]]:
    """Of each image its `Result`, then its bands; or, in the place of either, what is wrong."""
    for source, image in images:
        if isinstance(image, Exception):
            yield source, image
            continue
        result, lr, upscaler = image
        try:
            _, large = upscaler.choose(lr.shape[1], lr.shape[0])
            held = imagefile.held(result.mode, result.size, result.path)
            if result.size != large:  # it is reduced as a whole
                held += upscaler.scale**2 * lr.nbytes
            windows = upscaler.windows(lr, held=held)
            _say(source, lr, windows, upscaler)
            bands = upscaler.bands(lr, windows, on_tile)
            if result.size != large:
                log.info(f"{source}: x{upscaler.scale}, then reduced to {_by(result.size)}")
                bands = iter([reduced(bands, result.size)])
            yield source, result
            for band in bands:
                yield source, band
        except FAULTS as fault:
            yield source, fault


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _say(source: Path, lr: Pixels, windows: Windows, upscaler: Upscaler) -> None:
    if windows.count == 1:
        return
    within = f" within {megabytes(upscaler.budget)}" if upscaler.tile == "auto" else ""
    log.info(
        f"{source}: {lr.shape[1]} x {lr.shape[0]} pixels in {windows.count} windows of"
        f" {windows.sides[1]} x {windows.sides[0]}{within}, {windows.work:.2f} times the work"
    )


def _write(parts: Iterator[Part], quality: int) -> tuple[int, int]:
    """Write one image: its `Result`, then its bands; returns its width and height."""
    sound = map(_sound, parts)
    result: Result = next(sound)
    imagefile.write(
        sound,
        result.path,
        mode=result.mode,
        size=result.size,
        metadata=result.metadata,
        quality=quality,
        depth=result.depth,
    )
    return result.size


def _sound(part: Part) -> Any:
    if isinstance(part, Exception):
        raise part
    return part

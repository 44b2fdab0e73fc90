"""Image files written whole or not at all, in the format that their suffix names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from edgesr.errors import DataError
from edgesr.inference import picture_metadata
from edgesr.inference.picture_metadata import Metadata
from edgesr.inference.png import write_png
from edgesr.inference.tiling import Pixels
from edgesr.workspace import atomic

log = logging.getLogger(__name__)

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP"}
LONGEST = {"JPEG": 65500, "WEBP": 16383}
"""The longest side that a format, or the library that writes it, can hold."""
HELD = {("JPEG", "L"): 2, ("JPEG", "RGB"): 6, ("WEBP", "RGB"): 27, ("WEBP", "RGBA"): 27}
"""Bytes per pixel that Pillow holds while it writes: picture and encoder, measured on noise."""
CHROMA = {"JPEG": {"subsampling": 0}}
"""4:4:4: at half the resolution, Pillow's default, coloured edges lose what was just gained."""


def check_target(source: Path, target: Path) -> None:
    """Refuse a target that cannot be written, or that is the source.

    Raises:
        DataError: it is the source itself, no regular file, or of a format that is not written.
    """
    if target.suffix.lower() not in WRITTEN:
        raise DataError(
            f"{target}: '{target.suffix}' is not written, expected one of {', '.join(WRITTEN)}",
            f"Name it {target.with_suffix('.png')}.",
        )
    if target.exists() and not target.is_file() and not target.is_dir():
        raise DataError(f"{target} is not a regular file", "Give another name.")
    if target.is_dir():
        raise DataError(f"{target} is a folder, expected a file", f"Name it {target / source.name}")
    if target.exists() and source.exists() and target.samefile(source):
        raise DataError(f"{target} would overwrite its source", "Give another name.")


def check_size(width: int, height: int, target: Path) -> None:
    """Refuse, before any work is done, what the format of `target` cannot hold.

    Raises:
        DataError: a side of the result is too long.
    """
    kind = WRITTEN[target.suffix.lower()]
    longest = LONGEST.get(kind)
    if longest is not None and max(width, height) > longest:
        raise DataError(
            f"{target} would be {width} x {height} pixels, {kind} holds at most {longest} a side",
            "Write a PNG.",
        )


def check_quality(quality: int) -> None:
    """Refuse a quality outside 1..100.

    Raises:
        DataError: it is.
    """
    if not 1 <= quality <= 100:
        raise DataError(f"quality = {quality}: expected 1..100")


def held(mode: str, size: tuple[int, int], path: Path) -> int:
    """Bytes that `write` holds beside a band: none in PNG, the whole picture in other formats."""
    kind = WRITTEN[path.suffix.lower()]
    return 0 if kind == "PNG" else HELD[kind, _stored(mode, kind)] * size[0] * size[1]


def write(
    bands: Iterable[Pixels],
    path: Path,
    *,
    mode: str,
    size: tuple[int, int],
    metadata: Metadata,
    quality: int,
    depth: int = 8,
) -> None:
    """Write a picture atomically in the format that the suffix of `path` names.

    Args:
        bands: from top to bottom, (rows, width, C), or (rows, width) for L. A PNG takes each as it
            comes; for JPEG and WebP, which Pillow writes, the picture is held whole.
        mode: L, RGB or RGBA. JPEG shows transparency on white, with a warning.
        size: width and height.
        metadata: what does not fit into the format is left out, with a warning.
        quality: of JPEG and WebP, 1..100. JPEG keeps colours at full resolution.
        depth: 8 for uint8 or, in a PNG, 16 for uint16.

    Raises:
        OSError: the file cannot be written; nothing of it is left.
    """
    kind = WRITTEN[path.suffix.lower()]
    if kind == "JPEG" and mode == "RGBA":
        log.warning(f"{path}: JPEG has no transparency, the image is laid on white")
    kept = picture_metadata.fitting(metadata, kind, _stored(mode, kind), path)
    with atomic(path) as temporary:
        if kind == "PNG":
            with temporary.open("wb") as file:
                write_png(file, bands, mode=mode, size=size, depth=depth, chunks=kept.chunks())
        else:
            whole = _gather(bands, size, _stored(mode, kind))
            said = picture_metadata.options(kept, kind)
            whole.save(temporary, kind, quality=quality, **CHROMA.get(kind, {}), **said)


def _stored(mode: str, kind: str) -> str:
    """JPEG has no alpha, WebP no grey."""
    return "RGB" if (kind, mode) in (("JPEG", "RGBA"), ("WEBP", "L")) else mode


def _gather(bands: Iterable[Pixels], size: tuple[int, int], mode: str) -> Image.Image:
    whole, top = Image.new(mode, size), 0
    for band in bands:
        part = Image.fromarray(band)
        if part.mode == "RGBA" and mode == "RGB":
            part = Image.alpha_composite(Image.new("RGBA", part.size, "white"), part)
        whole.paste(part.convert(mode), (0, top))
        top += part.height
    return whole

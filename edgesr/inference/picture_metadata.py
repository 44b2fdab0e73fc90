"""What a picture file says beside its pixels: carried to the enlarged file, or said to be lost."""

from __future__ import annotations

import logging
import re
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

log = logging.getLogger(__name__)


ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
KEPT = (270, 271, 272, 305, 306, 315, 33432)
"""EXIF's title, camera, software, date, artist and copyright; the rest describes the old pixels."""
STALE = (0x927C, 0xA002, 0xA003, 0xA005)
"""Of the photograph's own table: the maker's notes, which point into the old file; the size."""
RESOLUTION_X, RESOLUTION_Y, UNIT, INCHES = 282, 283, 296, 2
METRES = 0.0254
MOST = {
    ("PNG", "profile"): 1 << 20,
    ("PNG", "xmp"): 1 << 20,
    ("JPEG", "exif"): 65533,
    ("JPEG", "xmp"): 65504,
}
"""Bytes that a format, or Pillow and libraries like it when they read it again, can take."""
NAMES = {"profile": "ICC profile", "exif": "EXIF", "xmp": "XMP"}
SRGB_GAMMA = struct.pack(">I", 45455)
SRGB_COLOURS = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@dataclass(frozen=True)
class Metadata:
    """Attributes:
    profile: an ICC profile.
    exif: as JPEG has it, of a picture that is upright.
    xmp: likewise.
    dpi: pixels an inch, across and down.
    colour: the chunks gAMA, cHRM and sRGB of a PNG, name and content.
    """

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour: tuple[tuple[bytes, bytes], ...] = ()

    def info(self) -> dict[str | tuple[int, int], Any]:
        """As Pillow names it in `Image.info`."""
        named = {"icc_profile": self.profile, "exif": self.exif, "xmp": self.xmp, "dpi": self.dpi}
        return {name: value for name, value in named.items() if value}

    def chunks(self) -> list[tuple[bytes, bytes]]:
        """As chunks of a PNG, name and content, in an order that readers take."""
        found = [] if self.profile else list(self.colour)
        if self.profile:
            found.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(self.profile)))
        if self.dpi:
            across, down = (round(value / METRES) for value in self.dpi)
            found.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
        if self.exif:
            found.append((b"eXIf", self.exif.removeprefix(b"Exif\0\0")))
        if self.xmp:
            found.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + self.xmp))
        return found


def orientation(image: Image.Image) -> int:
    """EXIF's 1..8; 1 is upright."""
    turned = image.getexif().get(ORIENTATION, 1)
    return turned if turned in range(1, 9) else 1


def read(image: Image.Image, path: Path) -> Metadata:
    """What an open image says; what is not carried over is said in a warning.

    Args:
        path: names the image in messages.
    """
    dpi = _dpi(image)
    if dpi and orientation(image) >= 5:  # turned by a quarter
        dpi = dpi[::-1]
    lost = [key for key in ("comment", "aspect") if key in image.info]
    lost += [key for key in getattr(image, "text", {}) if not key.startswith("XML:")]
    if lost:
        log.warning(f"{path}: not carried over: {', '.join(map(str, lost[:10]))}")
    return Metadata(
        profile=image.info.get("icc_profile") or None,
        exif=_exif(image, dpi, path),
        xmp=_xmp(image.info.get("xmp")),
        dpi=dpi,
        colour=_colour(image.info),
    )


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = map(float, image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 65535 and 1 <= down <= 65535 else None


def _exif(image: Image.Image, dpi: tuple[float, float] | None, path: Path) -> bytes | None:
    old, new = image.getexif(), Image.Exif()
    try:
        for tag in KEPT:
            if tag in old:
                new[tag] = old[tag]
        for table in (EXIF_IFD, GPS_IFD):
            if values := {k: v for k, v in old.get_ifd(table).items() if k not in STALE}:
                new[table] = values
        if not len(new):
            return None
        return new.tobytes() if dpi is None else _with_resolution(new, dpi)
    except Exception as error:  # damage makes Pillow raise nearly anything
        log.warning(f"{path}: the EXIF data are damaged and left out: {error}")
        return None


def _with_resolution(exif: Image.Exif, dpi: tuple[float, float]) -> bytes:
    exif[RESOLUTION_X], exif[RESOLUTION_Y], exif[UNIT] = *dpi, INCHES
    return exif.tobytes()


def _xmp(xmp: bytes | str | None) -> bytes | None:
    """XMP may say as well how the old picture lay."""
    data = xmp.encode() if isinstance(xmp, str) else xmp
    return re.sub(rb'(tiff:Orientation(?:="|>))[2-8]', rb"\g<1>1", data) if data else None


def _colour(info: dict[Any, Any]) -> tuple[tuple[bytes, bytes], ...]:
    """Pillow has the chunks' numbers, as 100,000ths."""
    found = []
    if "gamma" in info:
        found.append((b"gAMA", struct.pack(">I", round(1e5 * info["gamma"]))))
    if "chromaticity" in info:
        points = (round(1e5 * value) for value in info["chromaticity"])
        found.append((b"cHRM", struct.pack(">8I", *points)))
    if "srgb" in info:
        found.append((b"sRGB", struct.pack(">B", info["srgb"])))
    return tuple(found)


def fitting(metadata: Metadata, kind: str, mode: str, path: Path) -> Metadata:
    """What of `metadata` a file of format `kind` can hold; the rest is said in warnings.

    Args:
        kind: PNG, JPEG or WEBP.
        mode: of the pixels that are stored: L, RGB or RGBA.
        path: names the file in messages.
    """
    kept = replace(metadata, profile=fitting_profile(metadata.profile, mode, path))
    for name, words in NAMES.items():
        size, most = len(getattr(kept, name) or b""), MOST.get((kind, name))
        if most is not None and size > most:
            log.warning(
                f"{path}: the {words} of {size} bytes is left out: with more than {most} bytes a "
                f"{kind} could not be opened again"
            )
            kept = _without(kept, name)
    if kind != "PNG" and metadata.colour and not (metadata.profile or _is_srgb(metadata.colour)):
        names = " and ".join(name.decode() for name, _ in metadata.colour)
        log.warning(f"{path}: {names} are left out, {kind} has no place for them: write a PNG")
    return kept


def _without(metadata: Metadata, name: str) -> Metadata:
    changes: dict[str, Any] = {name: None}
    return replace(metadata, **changes)


def _is_srgb(colour: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Whether it says what holds where nothing is said."""
    said = dict(colour)
    gamma, primaries = said.get(b"gAMA", SRGB_GAMMA), said.get(b"cHRM", SRGB_COLOURS)
    return b"sRGB" in said or (gamma, primaries) == (SRGB_GAMMA, SRGB_COLOURS)


def fitting_profile(profile: bytes | None, mode: str, path: Path) -> bytes | None:
    """`profile` where it is one for pixels of `mode`; otherwise None, with a warning."""
    if not profile:
        return None
    space = profile[16:20]  # ICC.1, 7.2.6: the data colour space
    if space == b"RGB " or (space == b"GRAY" and mode == "L"):
        return profile
    name = space.decode("ascii", "replace").strip() or "unknown"
    log.warning(f"{path}: the ICC profile is left out: it is of {name} colours, not of {mode}")
    return None


def options(metadata: Metadata, kind: str) -> dict[str, Any]:
    """What Pillow takes to save a JPEG or WebP with `metadata`, which fits it."""
    named: dict[str, Any] = {"icc_profile": metadata.profile, "exif": metadata.exif}
    if metadata.xmp:
        named["xmp"] = metadata.xmp
    if metadata.dpi and kind == "JPEG":
        named["dpi"] = metadata.dpi
    if metadata.dpi and kind == "WEBP" and not metadata.exif:  # it has no other place for them
        named["exif"] = _with_resolution(Image.Exif(), metadata.dpi)
    return {name: value for name, value in named.items() if value}

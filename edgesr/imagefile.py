"""Image files for upscaling: read with alpha and ICC profile, written whole or not at all.

Training reads photographs its own way (`data.photos`): it has no use for either.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edgesr import console
from edgesr.data import photos
from edgesr.data.photos import PhotoError
from edgesr.deploy.tiling import Pixels
from edgesr.errors import DataError
from edgesr.png import write_png
from edgesr.workspace import atomic

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
LONGEST = {"JPEG": 65500, "WEBP": 16383}
"""The longest side that a format, or the library that writes it, can hold."""
HELD = {("JPEG", "L"): 2, ("JPEG", "RGB"): 6, ("WEBP", "RGB"): 27, ("WEBP", "RGBA"): 27}
"""Bytes per pixel that Pillow holds while it writes: picture and encoder, measured on noise."""


def read(path: Path) -> Image.Image:
    """Decode an image file; see `prepare` for what becomes of it.

    Raises:
        PhotoError: it is missing, damaged, animated, so large that it may be a trap, or of pixels
            whose range is unknown.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = _decode(path)
        except PhotoError:
            raise
        except FileNotFoundError:
            raise PhotoError(path, "does not exist") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PhotoError(path, f"refused: {error}") from None
        except Exception as error:  # damage makes Pillow raise nearly anything
            raise PhotoError(path, f"cannot be read: {error or type(error).__name__}") from None
    for warning in caught:
        console.warn(f"{path}: {warning.message}")
    return image


def _decode(path: Path) -> Image.Image:
    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        # A phone's JPEG may carry further pictures (MPO); its first is the photograph.
        if frames > 1 and image.format != "MPO":
            raise PhotoError(path, f"{frames} frames or pages, expected a single picture")
        # Pillow halves 16-bit colour while it decodes; only the raw mode still tells.
        halved = image.mode in ("RGB", "RGBA") and any(";16" in str(t.args) for t in image.tile)
        image.load()
        plain = prepare(image, path)
    if halved:
        console.warn(f"{path}: 16 bits are reduced to 8")
    return plain


def prepare(image: Image.Image, path: Path) -> Image.Image:
    """Turn an image upright as its EXIF says and make it L, RGB or RGBA of 8 bits.

    Of its metadata the ICC profile is kept, where it still describes the colours. What is lost is
    said in a warning.

    Args:
        path: names the image in messages.

    Raises:
        PhotoError: floating-point pixels, or 32-bit ones beyond 65535.
    """
    upright = ImageOps.exif_transpose(image)
    plain = _eight_bit(upright, path)
    profile = _fitting_profile(upright.info.get("icc_profile"), plain.mode, path)
    plain.info = {"icc_profile": profile} if profile else {}
    return plain


def _eight_bit(image: Image.Image, path: Path) -> Image.Image:
    if image.mode == "F":
        raise PhotoError(path, "floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):
        return _from_integers(image, path)
    if image.mode != "RGBA" and image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if image.mode not in ("1", "P", "RGBX"):
        console.warn(f"{path}: {image.mode} is converted to RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _from_integers(image: Image.Image, path: Path) -> Image.Image:
    """Grey of 0..65535 as 0..255, rounded."""
    wide = np.asarray(image).astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise PhotoError(path, f"32-bit pixels, {wide.min()}..{wide.max()}, expected 0..65535")
    console.warn(f"{path}: 16 bits are reduced to 8")
    return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))


def _fitting_profile(profile: bytes | None, mode: str, path: Path) -> bytes | None:
    """`profile` where it is one for pixels of `mode`; otherwise None, with a warning."""
    if not profile:
        return None
    space = profile[16:20]  # ICC.1, 7.2.6: the data colour space
    if space == b"RGB " or (space == b"GRAY" and mode == "L"):
        return profile
    name = space.decode("ascii", "replace").strip() or "unknown"
    console.warn(f"{path}: the ICC profile is left out: it is of {name} colours, not of {mode}")
    return None


def check_target(source: Path, target: Path) -> None:
    """Refuse a target that cannot be written, or that is the source.

    Raises:
        DataError: it is the source itself, a folder, or of a format that is not written.
    """
    if target.suffix.lower() not in WRITTEN:
        raise DataError(
            f"{target}: '{target.suffix}' is not written, expected one of {', '.join(WRITTEN)}",
            f"Name it {target.with_suffix('.png')}.",
        )
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
    profile: bytes | None,
    quality: int,
) -> None:
    """Write a picture atomically in the format that the suffix of `path` names.

    Args:
        bands: from top to bottom, uint8 (rows, width, C), or (rows, width) for L. A PNG takes each
            as it comes; for JPEG and WebP, which Pillow writes, the picture is held whole.
        mode: L, RGB or RGBA. JPEG shows transparency on white, with a warning.
        size: width and height.
        profile: an ICC profile; left out, with a warning, where it does not fit what is stored.
        quality: of JPEG and WebP, 1..100.

    Raises:
        DataError: the file cannot be written.
    """
    kind = WRITTEN[path.suffix.lower()]
    if kind == "JPEG" and mode == "RGBA":
        console.warn(f"{path}: JPEG has no transparency, the image is laid on white")
    profile = _fitting_profile(profile, _stored(mode, kind), path)
    try:
        with atomic(path) as temporary:
            if kind == "PNG":
                with temporary.open("wb") as file:
                    write_png(file, bands, mode=mode, size=size, profile=profile)
            else:
                whole = _gather(bands, size, _stored(mode, kind))
                whole.save(temporary, kind, icc_profile=profile, quality=quality)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from None


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


def plan(source: Path, target: Path) -> dict[Path, Path]:
    """For every image under `source` the file under `target` that it becomes.

    Raises:
        DataError: no such folder, or no image in it.
    """
    jobs = {}
    for path in photos.find(source):
        written = target / path.relative_to(source)
        known = written.suffix.lower() in WRITTEN
        jobs[path] = written if known else written.with_suffix(".png")
    return jobs

"""Image files for upscaling: read with alpha and ICC profile, written whole or not at all."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgesr import console
from edgesr.errors import DataError
from edgesr.workspace import atomic

READ = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def read(path: Path) -> Image.Image:
    """Open and decode an image file.

    Raises:
        DataError: it is missing, damaged, animated, or so large that it may be a trap.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                frames = getattr(image, "n_frames", 1)
                if frames > 1 and image.format != "MPO":  # a phone's JPEG with a second picture
                    raise DataError(f"{path} is animated: {frames} frames")
                image.load()
                return image
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} is refused: {error}") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is no image that can be read: {error}") from None


def to_eight_bit(image: Image.Image) -> Image.Image:
    """As L, RGB or RGBA; where that loses something, a warning says so."""
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    if image.mode.startswith(("I", "F")):
        console.warn(f"{_name(image)}: {image.mode} pixels are reduced to 8 bits")
        return _scaled_to_eight_bit(image)
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        console.warn(f"{_name(image)}: {image.mode} is converted to RGB")
        image.info.pop("icc_profile", None)  # it describes the old colours
        return image.convert("RGB")
    if image.mode in ("LA", "PA", "La") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _scaled_to_eight_bit(image: Image.Image) -> Image.Image:
    """16 bits by their upper byte's value, floats from 0..1."""
    values = np.asarray(image, np.float64)
    full = 1.0 if image.mode == "F" else 65535.0
    return Image.fromarray(np.floor(np.clip(values / full, 0, 1) * 255 + 0.5).astype(np.uint8))


def _name(image: Image.Image) -> str:
    return str(getattr(image, "filename", "") or "image")


def check_target(source: Path, target: Path) -> None:
    """Refuse a target that cannot be written, or that is the source.

    Raises:
        DataError: it is the source itself, a folder, or of a format that is not written.
    """
    if target.suffix.lower() not in WRITTEN:
        raise DataError(f"{target}: expected one of {', '.join(WRITTEN)}")
    if target.is_dir() or target.resolve() == source.resolve():
        raise DataError(f"{target} would overwrite what is there", "Give another name.")


def write(image: Image.Image, path: Path, *, quality: int) -> None:
    """Write `image` atomically in the format that the suffix of `path` names.

    Args:
        quality: of JPEG and WebP, 1..100.
    """
    kind = WRITTEN[path.suffix.lower()]
    profile = image.info.get("icc_profile")
    if kind == "JPEG" and image.mode == "RGBA":
        console.warn(f"{path}: JPEG has no transparency, the image is laid on white")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    options = {} if kind == "PNG" else {"quality": quality}
    with atomic(path) as temporary:
        image.save(temporary, kind, icc_profile=profile, **options)


def plan(source: Path, target: Path) -> dict[Path, Path]:
    """For every image under `source` the file under `target` that it becomes.

    Raises:
        DataError: there is no image in `source`.
    """
    found = sorted(p for p in source.rglob("*") if p.suffix.lower() in READ and p.is_file())
    if not found:
        raise DataError(f"no image in {source}", f"Looked for {', '.join(sorted(READ))}.")
    jobs = {}
    for path in found:
        written = target / path.relative_to(source)
        known = written.suffix.lower() in WRITTEN
        jobs[path] = written if known else written.with_suffix(".png")
    return jobs

"""Image files for upscaling: read with alpha and what else they say, written whole or not at all.

Training reads photographs its own way (`data.photos`): it has no use for either.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edgesr import console, picture_metadata, sixteen
from edgesr.data.photos import PhotoError
from edgesr.deploy.tiling import Pixels
from edgesr.errors import DataError
from edgesr.picture_metadata import Metadata
from edgesr.png import write_png
from edgesr.workspace import atomic

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP"}
LONGEST = {"JPEG": 65500, "WEBP": 16383}
"""The longest side that a format, or the library that writes it, can hold."""
HELD = {("JPEG", "L"): 2, ("JPEG", "RGB"): 6, ("WEBP", "RGB"): 27, ("WEBP", "RGBA"): 27}
"""Bytes per pixel that Pillow holds while it writes: picture and encoder, measured on noise."""
CHROMA = {"JPEG": {"subsampling": 0}}
"""4:4:4: at half the resolution, Pillow's default, coloured edges lose what was just gained."""


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright.

    Attributes:
        pixels: uint8, or uint16 where the file holds 16 bits: (H, W), (H, W, 3) or (H, W, 4).
        metadata: what the file says beside them.
    """

    pixels: Pixels
    metadata: Metadata

    @property
    def mode(self) -> str:
        """L, RGB or RGBA."""
        return "L" if self.pixels.ndim == 2 else ("RGB", "RGBA")[self.pixels.shape[2] - 3]

    @property
    def deep(self) -> bool:
        """Whether its pixels have 16 bits."""
        return self.pixels.dtype == np.uint16

    def shallow(self) -> Picture:
        """The same in 8 bits, rounded."""
        if not self.deep:
            return self
        wide = self.pixels.astype(np.uint32)
        return replace(self, pixels=((wide * 255 + 32767) // 65535).astype(np.uint8))


def read(path: Path) -> Picture:
    """Decode an image file; see `prepare` for what becomes of it. A PNG of 16 bits keeps them.

    Raises:
        PhotoError: it is missing, no regular file, damaged, animated, so large that it may be a
            trap, or of pixels whose range is unknown.
    """
    if not path.is_file():  # opening a FIFO would wait for its writer
        raise PhotoError(path, "is no regular file" if path.exists() else "does not exist")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = _decode(path)
        except PhotoError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PhotoError(path, f"refused: {error}") from None
        except Exception as error:  # damage makes Pillow raise nearly anything
            raise PhotoError(path, f"cannot be read: {error or type(error).__name__}") from None
    for warning in caught:
        console.warn(f"{path}: {warning.message}")
    return picture


def _decode(path: Path) -> Picture:
    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        # A phone's JPEG may carry further pictures (MPO); its first is the photograph.
        if frames > 1 and image.format != "MPO":
            raise PhotoError(path, f"{frames} frames or pages, expected a single picture")
        deep = sixteen.decode(path, image)
        # Pillow halves other 16-bit colour while it decodes; only the raw mode still tells.
        halved = image.mode in ("RGB", "RGBA") and any(";16" in str(t.args) for t in image.tile)
        image.load()
        picture = prepare(image, path, deep)
    if halved and deep is None:
        console.warn(f"{path}: 16 bits are reduced to 8")
    return picture


def prepare(image: Image.Image, path: Path, deep: Pixels | None = None) -> Picture:
    """Turn an image upright as its EXIF says and make it grey, RGB or RGBA.

    Grey of more than 8 bits gets 16. Of its metadata the ICC profile is kept where it still
    describes the colours, and see `picture_metadata`. What is lost is said in a warning.

    Args:
        path: names the image in messages.
        deep: its pixels, where they were decoded in 16 bits, as they lie in the file.

    Raises:
        PhotoError: floating-point pixels, or 32-bit ones beyond 65535.
    """
    pixels = _pixels(image, path) if deep is None else deep
    said = picture_metadata.read(image, path)
    picture = Picture(_upright(pixels, picture_metadata.orientation(image)), said)
    profile = picture_metadata.fitting_profile(said.profile, picture.mode, path)
    return replace(picture, metadata=replace(said, profile=profile))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """TIFF 6.0, Orientation: from 5 on rows are columns; then left and right, top and bottom."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _pixels(image: Image.Image, path: Path) -> Pixels:
    if image.mode == "F":
        raise PhotoError(path, "floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):
        return _integers(image, path)
    if image.mode != "RGBA" and image.has_transparency_data:
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("L", "RGB", "RGBA"):
        return np.asarray(image)
    if image.mode not in ("1", "P", "RGBX"):
        console.warn(f"{path}: {image.mode} is converted to RGB")
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))


def _integers(image: Image.Image, path: Path) -> Pixels:
    """Grey of 0..65535; with alpha where one level is transparent."""
    wide = np.asarray(image).astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise PhotoError(path, f"32-bit pixels, {wide.min()}..{wide.max()}, expected 0..65535")
    grey = wide.astype(np.uint16)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    return np.dstack([grey, grey, grey, np.where(grey == clear, 0, 65535).astype(np.uint16)])


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
        raise DataError(f"{target} is no regular file", "Give another name.")
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
        console.warn(f"{path}: JPEG has no transparency, the image is laid on white")
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

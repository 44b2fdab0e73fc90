"""Image files decoded: what Pillow reads, 8 or 16 bits, with alpha, orientation and metadata."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgesr.errors import DataError
from edgesr.inference import picture_metadata, sixteen
from edgesr.inference.picture_metadata import Metadata
from edgesr.inference.tiling import Pixels

log = logging.getLogger(__name__)

T = TypeVar("T")
EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
"""What image files are called."""


class PhotoError(DataError):
    """One file that cannot be used, and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


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
        return replace(self, pixels=to_8_bits(self.pixels))


def to_8_bits(pixels: Pixels) -> Pixels:
    """uint16 as uint8, rounded; uint8 as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def read(path: Path) -> Picture:
    """Decode an image file; see `prepare` for what becomes of it. A PNG of 16 bits keeps them.

    Raises:
        PhotoError: it is missing, not a regular file, damaged, animated, so large that it may be a
            trap, or of pixels whose range is unknown.
    """
    return _decoded(path, lambda image, deep: prepare(image, path, deep))


def read_pixels(path: Path, data: bytes | None = None) -> Pixels:
    """The pixels of `read` alone: nothing is said of metadata that a caller has no use for.

    Args:
        data: what is in the file, which `path` then only names.

    Raises:
        PhotoError: see `read`.
    """
    return _decoded(path, lambda image, deep: _upright_pixels(image, path, deep), data)


def _decoded(
    path: Path, use: Callable[[Image.Image, Pixels | None], T], data: bytes | None = None
) -> T:
    """What `use` makes of the image in `path`, and of its pixels if they have 16 bits a channel."""
    if data is None and not path.is_file():  # opening a FIFO would wait for its writer
        raise PhotoError(path, "is not a regular file" if path.exists() else "does not exist")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            found = _decode(path, use, path if data is None else data)
        except PhotoError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PhotoError(path, f"refused: {error}") from None
        except UnidentifiedImageError:
            raise PhotoError(
                path, "cannot be read: not an image, or damaged at its beginning"
            ) from None
        except Exception as error:  # damage makes Pillow raise nearly anything
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise PhotoError(path, f"cannot be read: {reason}") from None
    for warning in caught:
        log.warning(f"{path}: {warning.message}")
    return found


def _decode(path: Path, use: Callable[[Image.Image, Pixels | None], T], source: Path | bytes) -> T:
    with sixteen.opened(source) as image:
        frames = getattr(image, "n_frames", 1)
        # A phone's JPEG may carry further pictures (MPO); its first is the photograph.
        if frames > 1 and image.format != "MPO":
            raise PhotoError(path, f"{frames} frames or pages, expected a single picture")
        deep = sixteen.decode(source, image)
        # Pillow halves other 16-bit colour while it decodes; only the raw mode still tells.
        halved = image.mode in ("RGB", "RGBA") and any(";16" in str(t.args) for t in image.tile)
        image.load()
        found = use(image, deep)
    if halved and deep is None:
        log.warning(f"{path}: 16 bits are reduced to 8")
    return found


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
    said = picture_metadata.read(image, path)
    picture = Picture(_upright_pixels(image, path, deep), said)
    profile = picture_metadata.fitting_profile(said.profile, picture.mode, path)
    return replace(picture, metadata=replace(said, profile=profile))


def _upright_pixels(image: Image.Image, path: Path, deep: Pixels | None) -> Pixels:
    """TIFF 6.0, Orientation: from 5 on rows are columns; then left and right, top and bottom."""
    pixels = _pixels(image, path) if deep is None else deep
    orientation = picture_metadata.orientation(image)
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
        log.warning(f"{path}: {image.mode} is converted to RGB")
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

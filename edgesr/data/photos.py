"""Photographs: found, checked, decoded to 8-bit RGB, and split into training and validation."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr import console
from edgesr.data import benchmarks
from edgesr.errors import DataError
from edgesr.inference.decode import EXTENSIONS, PhotoError, read_pixels, to_8_bits

if TYPE_CHECKING:  # what enlarges pictures in an app needs no recipes, nor pydantic
    from edgesr import recipe

Pixels = NDArray[np.uint8]

# Files that the scikit-image wheel carries; where each is from stands in docs/data.md.
EMBEDDED_TRAIN = (
    "coffee.png",
    "chelsea.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "motorcycle_left.png",
)
EMBEDDED_VALIDATION = ("astronaut.png",)


@dataclass(frozen=True)
class Photo:
    """A decoded photograph.

    Attributes:
        name: its file's name without the extension.
        pixels: uint8 (H, W, 3), RGB.
    """

    name: str
    path: Path
    pixels: Pixels


@dataclass(frozen=True)
class Encoded:
    """A photograph as its file has it; the name is for messages."""

    name: Path
    data: bytes


@dataclass(frozen=True)
class Split:
    """Files to train on, and files that are held out."""

    train: list[Path]
    validation: list[Path]


def find(folder: Path, remedy: str = "") -> list[Path]:
    """Every image file under `folder`, however deep, by its extension; sorted.

    A folder that cannot be read and one that is a link are left out with a warning each, and so is
    what has an image's name but is not a file.

    Args:
        remedy: what to do where the folder is missing.

    Raises:
        DataError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        state = "a file" if folder.exists() else "missing"
        raise DataError(f"{folder} is {state}, expected a folder of images", remedy)
    found = []
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        here = Path(parent)
        for linked in (here / name for name in sorted(folders) if (here / name).is_symlink()):
            warn_left_out(linked, f"a linked folder; its photographs are in {linked.resolve()}")
        found += [path for name in files if (path := here / name).suffix.lower() in EXTENSIONS]
    for path in [path for path in found if not path.is_file()]:
        warn_left_out(path, "no file, or a link to nothing")
        found.remove(path)
    if not found:
        raise DataError(f"no image in {folder}", f"Looked for {', '.join(sorted(EXTENSIONS))}.")
    return sorted(found)


def _unreadable(error: OSError) -> None:
    warn_left_out(Path(error.filename), f"cannot be read: {error.strerror}")


def decode(path: Path, *, smallest: int = 1, data: bytes | None = None) -> Pixels:
    """Read an image file as uint8 (H, W, 3) RGB, turned upright as its EXIF data say.

    Grey, palette and CMYK become RGB; 16 bits become 8. Transparency is dropped with a warning,
    the colours below it are kept. A colour profile is ignored.

    Args:
        smallest: the shortest side that is of use, in pixels.
        data: what is in the file, which `path` then only names.

    Raises:
        PhotoError: unreadable, truncated, more pixels than Pillow's limit against decompression
            bombs, several frames, pixels of an unknown range, or too small.
    """
    pixels = to_8_bits(read_pixels(path, data))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 4:
        if pixels[..., 3].min() < 255:
            console.warn(f"{path}: transparency dropped, the colours below it are kept")
        pixels = pixels[..., :3]
    pixels = np.array(pixels)  # what Pillow gives may not be written to
    height, width = pixels.shape[:2]
    if min(height, width) < smallest:
        raise PhotoError(path, too_small(width, height, smallest))
    return pixels


def digest(pixels: Pixels) -> str:
    """The SHA-256 of a picture's size and RGB bytes, by which it is known whatever its file."""
    height, width, _ = pixels.shape
    return hashlib.sha256(f"{width}x{height} ".encode() + pixels.tobytes()).hexdigest()


def area(path: Path) -> int:
    """Pixels of an image file by its header; 0 where `decode` will say what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.width * image.height
    except Exception:  # damage makes Pillow raise nearly anything
        return 0


def too_small(width: int, height: int, smallest: int) -> str:
    """Why a photograph of this size is left out."""
    return f"{width} x {height} pixels, at least {smallest} x {smallest} are needed"


def decode_all(paths: Iterable[Path], *, smallest: int) -> Iterator[Photo]:
    """Decode one file after the other; what is of no use is left out with a warning that says why.

    Raises:
        DataError: at the end, where no file could be used.
    """
    usable = 0
    for path in paths:
        try:
            photo = Photo(path.stem, path, decode(path, smallest=smallest))
        except PhotoError as error:
            warn_left_out(path, error.reason)
        else:
            usable += 1
            yield photo
    if not usable:
        raise nothing_usable(smallest)


def warn_left_out(path: Path, reason: str) -> None:
    """Say that a file is not used, and why."""
    console.warn(f"left out {path}: {reason}")


def nothing_usable(smallest: int) -> DataError:
    """The error where every file was left out."""
    return DataError(
        "none of the photographs can be used",
        f"See the warnings above; give photographs of at least {smallest} x {smallest} pixels.",
    )


def embedded() -> Split:
    """The photographs in the scikit-image package; the astronaut is held out.

    Raises:
        DataError: the installed package does not carry them.
    """
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("scikit-image is not installed", 'Install it: pip install "edgesr[train]"')
    folder = Path(spec.submodule_search_locations[0]) / "data"
    missing = [n for n in EMBEDDED_TRAIN + EMBEDDED_VALIDATION if not (folder / n).is_file()]
    if missing:
        raise DataError(
            f"the scikit-image package in {folder.parent} lacks {', '.join(missing)}",
            "Install scikit-image from its wheel, or name a folder: --set data.photos=FOLDER",
        )
    return Split([folder / n for n in EMBEDDED_TRAIN], [folder / n for n in EMBEDDED_VALIDATION])


def split(data: recipe.Data) -> Split:
    """The files that `data` names: embedded, a folder in DIV2K's layout, or any folder; of what is
    streamed the first ones, see `shards.split`.

    DIV2K's layout is `DIV2K_train_HR` and, for validation, `DIV2K_valid_HR`. Of any other folder
    `data.validation` images, evenly spaced over the sorted list, are held out: at most a tenth of
    them, but one.

    Raises:
        DataError: the folder is missing, empty, too small for the split, or a benchmark set.
    """
    from edgesr.data import shards  # which reads photographs as this module does

    if sources := shards.find(data):
        return shards.split(sources, data.validation)
    if data.photos == "embedded":
        return embedded()
    folder = Path(data.photos).expanduser()
    train, valid = folder / "DIV2K_train_HR", folder / "DIV2K_valid_HR"
    if train.is_dir() and valid.is_dir():
        return Split(_trainable(train), find(valid))
    return _hold_out(_trainable(train if train.is_dir() else folder), data.validation)


def _trainable(folder: Path) -> list[Path]:
    paths = find(folder, "Name photographs: --data DIR. A trial on embedded ones: --small.")
    for parent in dict.fromkeys(path.parent for path in paths):
        if name := benchmarks.is_benchmark(parent):
            raise DataError(
                f"{parent} is the benchmark set {name}, which measures and never trains",
                "Name a folder of other photographs: --set data.photos=FOLDER",
            )
    return paths


def _hold_out(paths: list[Path], requested: int) -> Split:
    if len(paths) < 2:
        raise DataError(
            "one image alone, expected at least 2: one is held out for validation",
            "Add photographs.",
        )
    count = min(requested, max(1, len(paths) // 10))
    held_out = {(2 * k + 1) * len(paths) // (2 * count) for k in range(count)}
    return Split(
        [path for n, path in enumerate(paths) if n not in held_out],
        [path for n, path in enumerate(paths) if n in held_out],
    )

"""Pictures of one's own that belong to photographs: found by their names, and LR looked at.

Of a pair that lies aside, a student learns to move what it sees; so LR's place is found by phase
correlation with HR reduced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesr.data import photos
from edgesr.data.degrade import crop_to_multiple, reduce
from edgesr.errors import DataError
from edgesr.inference.decode import PhotoError
from edgesr.recipe import Data

Pixels = NDArray[np.uint8]

SHOWN = 3
"""Of the names in an error."""
SHIFT = 0.5
"""LR pixels that a pair may lie aside. What is found is right to 0.2, also of a JPEG of quality 40,
under blur or under noise of 10 levels (Kodak and BSD100, shifted by 0 to 3 pixels)."""
STEPS = 10
"""A shift is found to a tenth of a pixel."""
CORRELATION = 0.5
"""Of LR with HR reduced: the least where both show the same."""
FLAT = 2.0
"""Standard deviation in levels below which nothing can be told."""


def match(
    photographs: Sequence[Path],
    files: Sequence[Path],
    scale: int,
    *,
    what: str,
    folder: Path,
    remedy: str,
) -> dict[Path, Path]:
    """Which of `files` belongs to each of `photographs`: that of the same name without extension,
    or of that name and `x4`.

    Args:
        what, folder: what `files` are, and where they are, for an error.
        remedy: what to do where one is missing.

    Raises:
        DataError: a photograph has none, or two of either are called the same.
    """
    named, suffix = _by_name(files, f"{what}s in {folder}"), f"x{scale}"
    own = _by_name(photographs, "photographs")
    found = {path: named.get(stem) or named.get(stem + suffix) for stem, path in own.items()}
    if missing := [path.name for path, picture in found.items() if picture is None]:
        raise DataError(
            f"{len(missing)} of {len(found)} photographs have no {what} in {folder}: "
            f"{', '.join(missing[:SHOWN])}{' ...' if len(missing) > SHOWN else ''}",
            f"{remedy} One is called as its photograph is, in any format: 0001.png is of 0001.jpg, "
            f"and so is 0001{suffix}.png.",
        )
    return {path: picture for path, picture in found.items() if picture is not None}


def _by_name(paths: Sequence[Path], what: str) -> dict[str, Path]:
    """`paths` by their names without extension."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise DataError(
                f"two {what} are called {path.stem}: {found[path.stem]} and {path}",
                "Pictures are matched to photographs by name: give each its own.",
            )
        found[path.stem] = path
    return found


def find(data: Data, scale: int, split: photos.Split) -> dict[Path, Path]:
    """The LR picture of each photograph in `split`, where `data` says that there are any; else
    nothing.

    Raises:
        DataError: the folder is missing, a photograph has no LR picture, one is left over, or two
            have one name.
    """
    if data.degradation.kind != "pairs":
        return {}
    folder = Path(data.lr).expanduser()
    files = photos.find(folder, "Name the folder of LR pictures: data.lr.")
    remedy = "Every photograph needs its LR picture: data.lr."
    both = [*split.train, *split.validation]
    found = match(both, files, scale, what="LR picture", folder=folder, remedy=remedy)
    if left := sorted(set(files) - set(found.values())):
        names = ", ".join(path.name for path in left[:SHOWN])
        raise DataError(
            f"{len(files)} LR pictures in {folder} for {len(both)} photographs: of none of them is "
            f"{names}{' ...' if len(left) > SHOWN else ''}",
            "Take what is left over out of the folder, or add its photographs.",
        )
    return found


def of(photo: photos.Photo, lr: Mapping[Path, Path], scale: int) -> Pixels | None:
    """`read` for a photograph that has a picture in `lr`; None for another.

    Raises:
        DataError: see `read`.
    """
    path = lr.get(photo.path)
    return None if path is None else read(path, photo.path, photo.pixels, scale)


def read(path: Path, photograph: Path, hr: Pixels, scale: int) -> Pixels:
    """The LR picture at `path`, (H, W, 3) bytes, of a photograph whose pixels are `hr`; what HR has
    beyond a multiple of `scale` is not in it.

    Raises:
        PhotoError: it cannot be read; names the photograph.
        DataError: it has another size than HR over `scale`, lies aside, or shows something else.
    """
    try:
        lr = photos.decode(path)
    except PhotoError as error:
        raise PhotoError(photograph, f"its LR picture {path} {error.reason}") from None
    expected = tuple(side // scale for side in hr.shape[:2])
    if lr.shape[:2] != expected:
        raise DataError(
            f"{path} has {_size(lr)} pixels, its photograph {photograph} {_size(hr)}: expected "
            f"{expected[1]} x {expected[0]}, 1/{scale} of it",
            "Reduce the photograph by the scale, or set model.scale.",
        )
    _check_place(path, photograph, lr, reduce(crop_to_multiple(hr, scale), scale))
    return lr


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _check_place(path: Path, photograph: Path, lr: Pixels, reduced: Pixels) -> None:
    ours, expected = lr.mean(2), reduced.mean(2)
    if min(ours.std(), expected.std()) < FLAT:
        return
    down, right = shift(ours, expected)
    if max(abs(down), abs(right)) > SHIFT:
        raise DataError(
            f"{path} lies {down:+.1f} pixels down and {right:+.1f} right of its photograph "
            f"{photograph}, reduced: expected at most {SHIFT:g} either way",
            "Align the pair, or take both out of their folders.",
        )
    alike = float(np.corrcoef(ours.ravel(), expected.ravel())[0, 1])
    if alike < CORRELATION:
        raise DataError(
            f"{path} does not show what its photograph {photograph} shows: their correlation is "
            f"{alike:.2f}, expected {CORRELATION:g} at least",
            "Pictures are matched by name: look whether the names are right.",
        )


def shift(picture: NDArray[np.floating], other: NDArray[np.floating]) -> tuple[float, float]:
    """How far `picture` lies down and right of `other`, in pixels; both (H, W)."""
    from skimage.registration import phase_cross_correlation

    found, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        _windowed(picture), _windowed(other), upsample_factor=STEPS, normalization=None
    )
    return float(found[0]), float(found[1])


def _windowed(picture: NDArray[np.floating]) -> NDArray[np.floating]:
    """Without its mean, and faded out towards its border, which is no edge to be aligned."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in picture.shape))
    return np.asarray((picture - picture.mean()) * window)

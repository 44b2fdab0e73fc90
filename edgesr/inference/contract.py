"""What the metadata of an ONNX file promise, and whether one small run keeps to it; no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import ModelError
from edgesr.inference.infer import Session, infer

COLOURS = {3: "RGB", 1: "Y"}
"""What a file takes and gives, by its number of channels."""
LAYOUTS = {("NCHW", "0..1"): False, ("NHWC", "0..255"): True}
"""Layout and range of what edgesr's files take, and whether that is bytes."""
BOUNDS = {"scale": (1, 16), "halo": (0, 1024), "min_size": (1, 1024)}
SINCE_OTHERS = {"multiple": (1, 1024), "tileable": (0, 1)}
"""Of networks of other projects; a file that does not state them takes every size, and tiles."""
"""What a file may state: beyond it a picture of one pixel would take all memory."""
WINDOW = r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})"
"""How a file of one size states it: width and height."""
SIDE = 8
"""Height in LR pixels of the picture that a file is tried on; it is wider by one."""


@dataclass(frozen=True)
class Contract:
    """What the metadata of a file say.

    Attributes:
        scale: how many times larger the result is.
        halo: radius of the receptive field, in LR pixels.
        min_size: the shortest side that the model takes, in LR pixels.
        multiple: of which a picture's sides are in LR pixels; tiles begin at multiples too.
        tileable: whether a pixel is decided by those within the halo; else the network sees the
            whole picture.
        takes_bytes: (batch, height, width, colours) uint8, in and out; else the same as floats,
            NCHW, of the type that the session takes.
        window: height and width of the one size that the file takes; None where it takes any.
        colours: channels: 3 of RGB, 1 of Y, see `inference.luma`.
    """

    scale: int
    halo: int
    min_size: int
    takes_bytes: bool
    multiple: int = 1
    tileable: bool = True
    window: tuple[int, int] | None = None
    colours: int = 3


def is_stated(session: Session) -> bool:
    """Whether the metadata of a file state a contract, or part of one."""
    return any(key.startswith("edgesr.") for key in session.get_modelmeta().custom_metadata_map)


def read(session: Session, path: Path) -> Contract:
    """The contract in the metadata of the file `path`, which `session` holds.

    Raises:
        ModelError: there is none, or one that edgesr does not write.
    """
    facts = session.get_modelmeta().custom_metadata_map
    try:
        scale, halo, smallest = (_number(facts, key, path) for key in BOUNDS)
        multiple, tileable = (
            _number({f"edgesr.{key}": "1"} | facts, key, path) for key in SINCE_OTHERS
        )
        taken = facts["edgesr.layout"], facts["edgesr.range"]
        window = _window(facts.get("edgesr.window", ""))
        colour = facts.get("edgesr.colour", "RGB")
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is not an edgesr model: its metadata state no contract ({error})",
            "Export one: edgesr export",
        ) from None
    if taken not in LAYOUTS:
        known = " or ".join(" ".join(each) for each in LAYOUTS)
        raise ModelError(f"{path} takes {' '.join(taken)}, expected {known}")
    if colour not in COLOURS.values():
        raise ModelError(f"{path} takes {colour[:20]}, expected {' or '.join(COLOURS.values())}")
    found = Contract(
        scale,
        halo,
        smallest,
        LAYOUTS[taken],
        multiple,
        bool(tileable),
        window,
        colours=1 if colour == "Y" else 3,
    )
    if window and (min(window) <= 2 * halo or any(side % multiple for side in window)):
        raise ModelError(
            f"{path}: its metadata say edgesr.window = {window[1]}x{window[0]}, expected multiples "
            f"of {multiple} above {2 * halo}"
        )
    return found


def _window(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(WINDOW, text)
    if found is None:
        raise ValueError(f"edgesr.window = {text[:20]!r}")
    return int(found[2]), int(found[1])


def _number(facts: dict[str, str], key: str, path: Path) -> int:
    number = int(facts[f"edgesr.{key}"][:20])
    least, most = (BOUNDS | SINCE_OTHERS)[key]
    if not least <= number <= most:
        raise ModelError(
            f"{path}: its metadata say edgesr.{key} = {number}, expected {least}..{most}"
        )
    return number


def prove(session: Session, contract: Contract, path: Path) -> None:
    """Compare what a file says of itself with what it returns of a small grey picture.

    Raises:
        ModelError: another shape or type than its metadata promise, NaN, infinity, or no run.
    """
    least = max(SIDE, contract.min_size)
    height, width = contract.window or (least, least + 1)
    shape = (1, height, width, 3) if contract.takes_bytes else (1, 3, height, width)
    lr = np.full(shape, 128, np.uint8) if contract.takes_bytes else np.full(shape, 0.5, np.float32)
    colour = COLOURS[contract.colours]
    claim = f"{path} is not the x{contract.scale} {colour} model that its metadata say"
    try:
        sr = infer(session, lr)
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        raise ModelError(f"{claim}: of {_kind(lr)} it fails: {_first_line(error)}") from None
    kind = _kind(np.empty(_expected(shape, contract), lr.dtype))
    if not isinstance(sr, np.ndarray) or _kind(sr) != kind:
        found = _kind(sr) if isinstance(sr, np.ndarray) else type(sr).__name__
        raise ModelError(f"{claim}: of {_kind(lr)} it returned {found}, expected {kind}")
    if not np.isfinite(sr).all():
        raise ModelError(f"{path} returns NaN or infinity of a grey picture")


def _expected(shape: tuple[int, ...], contract: Contract) -> tuple[int, ...]:
    sides = slice(1, 3) if contract.takes_bytes else slice(2, 4)
    large = list(shape)
    large[sides] = [contract.scale * side for side in shape[sides]]
    return tuple(large)


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]

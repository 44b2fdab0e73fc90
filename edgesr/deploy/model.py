"""A model file as an app sees it: RGB bytes in, RGB bytes `scale` times larger out; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr.deploy import feed, memory
from edgesr.deploy.session import CPU, Provider, open_session
from edgesr.deploy.tiling import Pixels, to_picture
from edgesr.errors import ModelError

LAYOUTS = {("NCHW", "0..1"): False, ("NHWC", "0..255"): True}
"""Layout and range of what edgesr's files take, and whether that is bytes."""


@dataclass(frozen=True)
class Contract:
    """What the metadata of a file say.

    Attributes:
        scale: how many times larger the result is.
        halo: radius of the receptive field, in LR pixels.
        min_size: the shortest side that the model takes, in LR pixels.
        takes_bytes: (batch, height, width, 3) uint8, in and out; else the same as floats, NCHW,
            of the type that the session takes.
    """

    scale: int
    halo: int
    min_size: int
    takes_bytes: bool


class Model:
    """The ONNX file `path`, open in ONNX Runtime.

    Args:
        provider, threads: see `open_session`.

    Raises:
        ModelError: no such file, or none of edgesr's.
        VerifyError: the provider that was asked for does not work here.
    """

    def __init__(self, path: Path, *, provider: Provider | None, threads: int | None) -> None:
        self.path, self._provider, self._threads = path, provider, threads
        self.reopen()
        self.contract = _contract(self._session.get_modelmeta().custom_metadata_map, path)
        self.on_cpu = self._session.get_providers()[0] == CPU

    def reopen(self) -> None:
        """Give back the memory that ONNX Runtime keeps for windows of earlier shapes."""
        # Threads that spin would take the cores from decoding and encoding. A planned pattern is a
        # second block of memory beside what the first run took.
        self._session = open_session(
            self.path,
            provider=self._provider,
            threads=self._threads,
            spinning=False,
            memory_pattern=False,
        )
        memory.give_back()

    def __call__(self, lr: Pixels) -> Pixels:
        """(h, w, 3) -> (scale * h, scale * w, 3).

        Raises:
            ModelError: the model cannot be run, e.g. for lack of memory.
        """
        if self.contract.takes_bytes:
            sr: Pixels = self._run(np.ascontiguousarray(lr)[None])[0]
            return sr
        values = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32)
        values /= 255
        return to_picture(self._run(values)[0])

    def grey(self, lr: Pixels) -> Pixels:
        """(h, w, 1) -> (scale * h, scale * w, 1): the luma of what the model makes."""
        sr = Image.fromarray(self(np.repeat(lr, 3, axis=2)))
        return np.asarray(sr.convert("L"))[..., None]

    @cached_property
    def bytes_per_pixel(self) -> float:
        """By which memory grows for each LR pixel of a window, measured on a session of its own."""
        fresh = Model(self.path, provider="cpu", threads=self._threads)
        lr = np.zeros((memory.PROBE, memory.PROBE, 3), np.uint8)
        grown = memory.growth(partial(fresh, lr))
        del fresh
        memory.give_back()
        return grown / memory.PROBE**2

    def _run(self, lr: NDArray[Any]) -> NDArray[Any]:
        try:
            return feed.run(self._session, lr)
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            height, width = lr.shape[1:3] if self.contract.takes_bytes else lr.shape[2:]
            raise ModelError(
                f"the model failed on a window of {width} x {height} pixels: {error}",
                "Where memory ran out, try smaller windows: --memory 256MB, or --tile 64",
            ) from None


def _contract(facts: dict[str, str], path: Path) -> Contract:
    try:
        scale, halo, smallest = (int(facts[f"edgesr.{k}"]) for k in ("scale", "halo", "min_size"))
        taken = facts["edgesr.layout"], facts["edgesr.range"]
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is not an edgesr model: its metadata state no contract ({error})",
            "Export one: edgesr export --onnx",
        ) from None
    if taken not in LAYOUTS:
        known = " or ".join(" ".join(each) for each in LAYOUTS)
        raise ModelError(f"{path} takes {' '.join(taken)}, expected {known}")
    return Contract(scale, halo, smallest, LAYOUTS[taken])

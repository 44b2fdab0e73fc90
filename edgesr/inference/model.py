"""A model file as an app sees it: RGB bytes in, RGB bytes `scale` times larger out; no torch."""

from __future__ import annotations

from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr.errors import ModelError
from edgesr.inference import contract, memory
from edgesr.inference.infer import infer
from edgesr.inference.session import CPU, EXACT, CudaSettings, Provider, open_session
from edgesr.inference.tiling import NotFinite, Pixels, to_picture

RED, GREEN, BLUE, HALF = (np.uint32(weight) for weight in (19595, 38470, 7471, 1 << 15))
"""Luma of BT.601 in 65536ths, as Pillow has it; with 16-bit pixels it just fits 32 bits."""


class Model:
    """The ONNX file `path`, open in ONNX Runtime.

    Args:
        provider, threads, cuda: see `open_session`.

    Raises:
        ModelError: no such file, or none of edgesr's, or one that does not keep to its metadata.
        VerifyError: the provider that was asked for does not work here.
    """

    def __init__(
        self,
        path: Path,
        *,
        provider: Provider | None,
        threads: int | None,
        cuda: CudaSettings = EXACT,
    ) -> None:
        self.path, self._provider, self._threads, self._cuda = path, provider, threads, cuda
        self.reopen()
        self.contract = contract.read(self._session, path)
        contract.prove(self._session, self.contract, path)
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
            cuda=self._cuda,
            memory_pattern=False,
        )
        memory.give_back()

    def __call__(self, lr: Pixels) -> Pixels:
        """(h, w, 3) -> (scale * h, scale * w, 3), of the same type: uint8 or, where the file takes
        floats, uint16.

        Raises:
            NotFinite: a value is NaN or infinite.
            ModelError: the model cannot be run, e.g. for lack of memory.
        """
        if self.contract.takes_bytes:
            sr: Pixels = self._run(np.ascontiguousarray(lr)[None])[0]
            return sr
        values = np.ascontiguousarray(lr.transpose(2, 0, 1)[None], np.float32)
        values /= np.iinfo(lr.dtype).max
        large = self._run(values)[0]
        _refuse_what_is_not_finite(large, self.path)
        return to_picture(large, lr.dtype)

    def grey(self, lr: Pixels) -> Pixels:
        """(h, w, 1) -> (scale * h, scale * w, 1): the luma of what the model makes."""
        return _luma(self(np.repeat(lr, 3, axis=2)))[..., None]

    @cached_property
    def bytes_per_pixel(self) -> float:
        """By which memory grows for each LR pixel of a window, measured on a session of its own."""
        fresh = copy(self)
        fresh._provider = "cpu"
        fresh.reopen()
        lr = np.zeros((memory.PROBE, memory.PROBE, 3), np.uint8)
        grown = memory.growth(partial(fresh, lr))
        del fresh
        memory.give_back()
        return grown / memory.PROBE**2

    def _run(self, lr: NDArray[Any]) -> NDArray[Any]:
        try:
            return infer(self._session, lr)
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            height, width = lr.shape[1:3] if self.contract.takes_bytes else lr.shape[2:]
            raise ModelError(
                f"the model failed on a window of {width} x {height} pixels: {error}",
                "Where memory ran out, try smaller windows: --memory 256MB, or --tile 64",
            ) from None


def _luma(sr: Pixels) -> Pixels:
    """(H, W, 3) -> (H, W) of the same type."""
    if sr.dtype == np.uint8:
        return np.asarray(Image.fromarray(sr).convert("L"))
    red, green, blue = (sr[..., channel] for channel in range(3))
    luma: NDArray[Any] = red * RED + green * GREEN + blue * BLUE + HALF
    return (luma >> np.uint32(16)).astype(sr.dtype)


def _refuse_what_is_not_finite(sr: NDArray[np.float32], path: Path) -> None:
    """Values (3, H, W): what is not a number would become a black pixel."""
    with np.errstate(all="ignore"):
        if np.isfinite(sr.sum()):  # one pass without a copy; NaN and infinity stay in the sum
            return
    places = np.argwhere(~np.isfinite(sr).all(axis=0))
    if len(places):
        y, x = map(int, places[0])
        raise NotFinite(path, x, y)

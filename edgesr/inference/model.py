"""A model file as an app sees it: RGB bytes in, RGB bytes `scale` times larger out; no torch."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr.errors import ModelError
from edgesr.inference import contract, memory
from edgesr.inference.contract import Contract
from edgesr.inference.infer import Session, infer
from edgesr.inference.openvino import OpenVinoSession
from edgesr.inference.session import (
    CUDA,
    EXACT,
    CudaSettings,
    Provider,
    Runtime,
    open_session,
)
from edgesr.inference.tiling import NotFinite, Pixels, to_picture

RED, GREEN, BLUE, HALF = (np.uint32(weight) for weight in (19595, 38470, 7471, 1 << 15))
"""Luma of BT.601 in 65536ths, as Pillow has it; with 16-bit pixels it just fits 32 bits."""


@dataclass(frozen=True)
class Opened:
    """A session of the file `path`, which several threads may use at once."""

    path: Path
    session: Session
    contract: Contract

    def __call__(self, lr: Pixels) -> Pixels:
        """One picture of a `batch`, (h, w, C) -> (scale * h, scale * w, C)."""
        return self.batch(lr[None])[0]

    def batch(self, lr: Pixels) -> list[Pixels]:
        """(n, h, w, C) -> n of (scale * h, scale * w, C), in one run where the file takes batches.

        Args:
            lr: uint8 or, where the file takes floats, uint16; the result is of the same type. Of
                one channel, which is grey, the result is the luma of what the model makes.

        Raises:
            NotFinite: a value is NaN or infinite.
            ModelError: the model cannot be run, e.g. for lack of memory.
        """
        if lr.shape[-1] == 1 and self.contract.colours == 3:
            return [_luma(sr)[..., None] for sr in self.batch(np.repeat(lr, 3, axis=-1))]
        if self.contract.takes_bytes:
            return list(self._run(np.ascontiguousarray(lr)))
        values = np.ascontiguousarray(lr.transpose(0, 3, 1, 2), np.float32)
        values /= np.iinfo(lr.dtype).max
        large = self._run(values)
        for each in large:
            _refuse_what_is_not_finite(each, self.path)
        return [to_picture(each, lr.dtype) for each in large]

    def _run(self, lr: NDArray[Any]) -> NDArray[Any]:
        try:
            return infer(self.session, lr)
        except Exception as error:  # a runtime raises classes of its own for each way to fail
            height, width = lr.shape[1:3] if self.contract.takes_bytes else lr.shape[2:]
            raise ModelError(
                f"the model failed on a window of {width} x {height} pixels: {error}",
                "Where memory ran out, try smaller windows: --memory 256MB, or --tile 64",
            ) from None


class Model:
    """The ONNX file `path`, open in a runtime.

    Args:
        runtime: "onnxruntime" or "openvino".
        provider, threads, cuda: see `open_session`.
        exact: see `openvino.settings`.

    Attributes:
        opened: the session of now.

    Raises:
        ModelError: no such file, or none of edgesr's, or one that does not keep to its metadata.
        VerifyError: the provider that was asked for does not work here.
    """

    def __init__(
        self,
        path: Path,
        *,
        runtime: Runtime = "onnxruntime",
        provider: Provider | None,
        threads: int | None,
        exact: bool = True,
        cuda: CudaSettings = EXACT,
    ) -> None:
        self.path, self._provider, self._threads, self._cuda = path, provider, threads, cuda
        self._runtime, self._exact = runtime, exact
        session = self._session()
        self.contract = contract.read(session, path)
        contract.prove(session, self.contract, path)
        self.on_cpu = session.get_providers()[0] != CUDA
        self.opened = Opened(path, session, self.contract)

    def _session(self) -> Session:
        if self._runtime == "openvino":
            return OpenVinoSession(self.path, threads=self._threads, exact=self._exact)
        # Threads that spin would take the cores from decoding and encoding. A planned pattern is a
        # second block of memory beside what the first run took.
        session: Session = open_session(
            self.path,
            provider=self._provider,
            threads=self._threads,
            spinning=False,
            cuda=self._cuda,
            memory_pattern=False,
        )
        return session

    def reopen(self) -> None:
        """Give back the memory that a runtime keeps for windows of earlier shapes, as soon as
        nobody works with the session that was."""
        self.opened = Opened(self.path, self._session(), self.contract)
        memory.give_back()

    @cached_property
    def bytes_per_pixel(self) -> float:
        """By which memory grows for each LR pixel of a window, measured on a session of its own."""
        fresh = copy(self)
        fresh._provider = "cpu"
        fresh.reopen()
        sides = self.contract.window or (memory.PROBE, memory.PROBE)
        grown = memory.growth(partial(fresh.opened, np.zeros((*sides, 3), np.uint8)))
        del fresh
        memory.give_back()
        return grown / (sides[0] * sides[1])


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

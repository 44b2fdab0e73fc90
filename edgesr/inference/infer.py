"""One run of a model file's session, floats in float32 whatever type the file takes; no torch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesr.inference.luma import by_luma
from edgesr.inference.padding import fitting, one_by_one
from edgesr.inference.windows import in_windows

HALF = "tensor(float16)"


class Session(Protocol):
    """What is asked of an open file: ONNX Runtime's InferenceSession has all of it."""

    def run(self, names: list[str], feeds: dict[str, Any]) -> Any:
        """The outputs called `names` of the inputs `feeds`."""

    def get_inputs(self) -> Any:
        """Each input's `shape` and `type`, e.g. "tensor(float)"."""

    def get_modelmeta(self) -> Any:
        """`custom_metadata_map`: text by name."""

    def get_providers(self) -> list[str]:
        """What runs it, the first choice first."""


def infer(session: Session, lr: NDArray[Any]) -> NDArray[Any]:
    """`sr` of `lr`, as the file's layout and range have them: both float32, or both bytes.

    A file with float16 inputs and outputs gets `lr` rounded to that, and its output widened. Where
    the file takes multiples of a size alone, as its metadata say, or windows of one size, or one
    picture at a time, `lr` is padded or taken apart for it, see `inference.padding` and
    `inference.windows`; where it takes Y alone, so are colours, see `inference.luma`. ONNX
    Runtime's own errors pass through.
    """
    facts = session.get_modelmeta().custom_metadata_map
    axes = (1, 2) if facts.get("edgesr.layout") == "NHWC" else (2, 3)
    multiple, least = (int(facts.get(f"edgesr.{key}", "1")) for key in ("multiple", "min_size"))

    def run(large: NDArray[Any]) -> NDArray[Any]:
        return _run(session, large)

    if window := facts.get("edgesr.window"):
        width, height = map(int, window.split("x"))
        fitted = in_windows(run, axes, (height, width), int(facts["edgesr.halo"]), multiple)
    else:
        single = len(lr) > 1 and session.get_inputs()[0].shape[0] == 1
        fitted = fitting(one_by_one(run) if single else run, axes, multiple, least)
    return (by_luma(fitted, axes) if facts.get("edgesr.colour") == "Y" else fitted)(lr)


def _run(session: Session, lr: NDArray[Any]) -> NDArray[Any]:
    if session.get_inputs()[0].type != HALF:
        sr: NDArray[Any] = session.run(["sr"], {"lr": lr})[0]
        return sr
    sr = session.run(["sr"], {"lr": lr.astype(np.float16)})[0]
    return sr.astype(np.float32)

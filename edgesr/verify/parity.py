"""Is the ONNX file the same function as the PyTorch network? A grid of sizes and contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgesr import console
from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, to_tensor
from edgesr.deploy.tiling import to_bytes
from edgesr.errors import VerifyError

Batch = NDArray[np.float32]

# Height, width and batch at LR. The file is traced at 24 x 32, batch 1.
SIZES = [(1, 1, 1), (24, 32, 1), (33, 17, 1), (40, 56, 3), (96, 64, 1)]
SMALL = [(24, 32, 1), (33, 17, 3)]


@dataclass(frozen=True)
class Case:
    """One input of the grid: `lr` (B, 3, H, W), RGB 0..1."""

    name: str
    lr: Batch


def grid() -> Iterator[Case]:
    """Photograph and noise at every size; black, white and checkerboard at two of them."""
    photograph = _photograph()
    rng = np.random.default_rng(0)
    for height, width, batch in SIZES:
        yield Case("photograph", _crops(photograph, height, width, batch))
        yield Case("noise", rng.random((batch, 3, height, width), dtype=np.float32))
    for height, width, batch in SMALL:
        shape = (batch, 3, height, width)
        board = np.indices((height, width)).sum(axis=0) % 2
        yield Case("black", np.zeros(shape, np.float32))
        yield Case("white", np.ones(shape, np.float32))
        yield Case("checkerboard", np.broadcast_to(board, shape).astype(np.float32))


def parity(module: nn.Module, run: Callable[[Batch], Batch]) -> dict[str, Any]:
    """Compare `module`, as it was trained, with `run`, which executes the exported file.

    Args:
        module: in eval mode on the CPU.
        run: (B, 3, H, W) float32 -> (B, 3, 4H, 4W) float32.

    Returns:
        The worst absolute difference, the worst share of 8-bit values that differ, every case.

    Raises:
        VerifyError: the outputs differ in shape, or one of them is not finite.
    """
    inputs = list(grid())
    cases = [compare(case, module, run) for case in console.track(inputs, "parity", len(inputs))]
    return {
        "max_abs_diff": max(case["max_abs_diff"] for case in cases),
        "max_pixels_changed": max(case["changed"] / case["values"] for case in cases),
        "cases": cases,
    }


@torch.no_grad()
def compare(case: Case, module: nn.Module, run: Callable[[Batch], Batch]) -> dict[str, Any]:
    """One line of the grid."""
    batch, _, height, width = case.lr.shape
    expected, found = module(torch.from_numpy(case.lr)).numpy(), run(case.lr)
    where = f"parity on {case.name}, {width}x{height}, batch {batch}"
    if expected.shape != found.shape:
        raise VerifyError(f"{where}: PyTorch gives {expected.shape}, the file {found.shape}")
    for side, values in (("PyTorch", expected), ("the file", found)):
        if not np.isfinite(values).all():
            raise VerifyError(f"{where}: {side} gives values that are not finite")
    mse = float(np.mean(np.square(expected.astype(np.float64) - found)))
    return {
        "case": case.name,
        "height": height,
        "width": width,
        "batch": batch,
        "max_abs_diff": float(np.abs(expected - found).max()),
        "psnr_db": -10 * float(np.log10(mse)) if mse else None,
        "changed": int((to_bytes(expected) != to_bytes(found)).sum()),
        "values": expected.size,
    }


def _photograph() -> Batch:
    """The held-out embedded photograph at LR, (3, H, W) in 0..1."""
    pixels = photos.decode(photos.embedded().validation[0])
    lr: Batch = bicubic_down(to_tensor(pixels))[0].clamp(0, 1).numpy()
    return lr


def _crops(photograph: Batch, height: int, width: int, batch: int) -> Batch:
    """`batch` different crops of the photograph, from its middle on."""
    top, left = photograph.shape[1] // 4, photograph.shape[2] // 4
    crops = [photograph[:, top : top + height, left + i : left + i + width] for i in range(batch)]
    return np.ascontiguousarray(np.stack(crops))

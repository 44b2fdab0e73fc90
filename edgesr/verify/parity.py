"""Is an exported file the same function as the PyTorch network? A grid of sizes and contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgesr.bundle.likeness import likeness_db, tint
from edgesr.data import photos
from edgesr.data.degrade import pair
from edgesr.deploy import fidelity
from edgesr.errors import Unsupported, VerifyError
from edgesr.inference.luma import luma
from edgesr.inference.padding import fitting
from edgesr.inference.tiling import to_bytes, to_values
from edgesr.inference.windows import in_windows
from edgesr.models.zoo import Network, colours_of

Batch = NDArray[np.float32]
Run = Callable[[Batch], Batch]

# Height, width and batch at LR. The file is traced at 24 x 32, batch 1.
SIZES = [(1, 1, 1), (24, 32, 1), (33, 17, 1), (40, 56, 3), (96, 64, 1)]
SMALL = [(24, 32, 1), (33, 17, 3)]


@dataclass(frozen=True)
class Case:
    """One input of the grid.

    Attributes:
        lr: (B, 3, H, W), RGB 0..1, or (B, 1, H, W), Y.
        kind: of picture, see `deploy.fidelity`; "flat"; or empty where the size is what counts.
    """

    name: str
    lr: Batch
    kind: str = ""


def grid(scale: int) -> Iterator[Case]:
    """Photograph and noise at every size; black, white and checkerboard at two of them; then a
    picture of each kind, and flat colours."""
    photograph = _photograph(scale)
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
    for kind, lr in fidelity.pictures(scale).items():
        yield Case(kind, lr, kind)
    for colour, lr in zip(fidelity.FLAT, fidelity.flats(), strict=True):
        yield Case(f"flat {colour[0]},{colour[1]},{colour[2]}", lr, "flat")


@dataclass(frozen=True)
class Expected:
    """An input and what PyTorch makes of it, (B, C, scale * H, scale * W)."""

    case: Case
    sr: Batch

    def clipped(self) -> Expected:
        """What is expected of a file that holds its output to 0..1."""
        return Expected(self.case, np.clip(self.sr, 0, 1))


@torch.no_grad()
def expected(
    module: Network,
    *,
    bytes_io: bool = False,
    multiple: int = 1,
    least: int = 1,
    window: tuple[int, int] | None = None,
    halo: int = 0,
) -> list[Expected]:
    """The grid through `module`, as it was trained; of Y alone where that is what it takes.

    Args:
        module: in eval mode on the CPU.
        bytes_io: round inputs and outputs to multiples of 1/255, as a file of bytes does.
        multiple, least: of the sides of pictures that the file takes; others are padded.
        window, halo: where the file takes one size alone: PyTorch sees the same windows.
    """
    cases = list(grid(module.scale))
    if colours_of(module) == 1:
        cases = [replace(case, lr=luma(case.lr)) for case in cases]
    inputs = [replace(case, lr=_rounded(case.lr)) if bytes_io else case for case in cases]

    def forward(lr: Batch) -> Batch:
        sr: Batch = module(torch.from_numpy(lr)).numpy()
        return sr

    run = fitting(forward, (2, 3), multiple, least)
    if window:
        run = in_windows(forward, (2, 3), window, halo, multiple)
    found = []
    for case in inputs:
        sr: Batch = run(case.lr)
        found.append(Expected(case, _rounded(sr) if bytes_io else sr))
    return found


def parity(references: list[Expected], run: Run) -> dict[str, Any]:
    """Compare what PyTorch makes of the grid with `run`, which executes an exported file.

    Args:
        references: of `expected`; `clipped` where the file's output is.
        run: (B, C, H, W) float32 -> (B, C, scale * H, scale * W) float32.

    Returns:
        The worst absolute difference, the worst share of 8-bit values that differ, the worst PSNR
        (None where nothing differs), the PSNR of each kind of picture and the most 8-bit levels
        that a flat colour moves, every case, and the cases that the runtime does not take.

    Raises:
        VerifyError: the outputs differ in shape, one of them is not finite, or no case was taken.
    """
    cases, refused, kinds, flat = [], [], {}, []
    for reference in references:
        try:
            case = compare(reference, run)
            cases.append(case)
            if reference.case.kind == "flat":
                flat.append(case["tint"])
            elif reference.case.kind:
                kinds[reference.case.kind] = case["shown_db"]
        except Unsupported as error:
            refused.append(_named(reference.case) | {"reason": error.message})
    if not cases:
        raise VerifyError(f"no input of the parity grid was taken: {refused[0]['reason']}")
    distances = [case["psnr_db"] for case in cases if case["psnr_db"] is not None]
    return {
        "max_abs_diff": max(case["max_abs_diff"] for case in cases),
        "max_pixels_changed": max(case["changed"] / case["values"] for case in cases),
        "min_psnr_db": min(distances, default=None),
        "kinds_db": kinds,
        "flat_levels": max(flat, default=None),
        "cases": cases,
        "unsupported": refused,
    }


def compare(reference: Expected, run: Run) -> dict[str, Any]:
    """One line of the grid."""
    case, expected = reference.case, reference.sr
    found = run(case.lr)
    where = f"parity on {case.name}, {_shape(case)}"
    if expected.shape != found.shape:
        raise VerifyError(f"{where}: PyTorch gives {expected.shape}, the file {found.shape}")
    for side, values in (("PyTorch", expected), ("the file", found)):
        if not np.isfinite(values).all():
            raise VerifyError(f"{where}: {side} gives values that are not finite")
    mse = float(np.mean(np.square(expected.astype(np.float64) - found)))
    return _named(case) | {
        "max_abs_diff": float(np.abs(expected - found).max()),
        "psnr_db": -10 * float(np.log10(mse)) if mse else None,
        "shown_db": likeness_db(expected, found),
        "tint": tint(expected, found),
        "changed": int((to_bytes(expected) != to_bytes(found)).sum()),
        "values": expected.size,
    }


def bytes_off(references: list[Expected], run: Run, float_run: Run) -> int:
    """How many bytes of a file of bytes are not those of the float file, over the grid.

    Args:
        references: their inputs hold multiples of 1/255.
        run, float_run: both files, each from floats to floats.
    """
    inputs = [reference.case.lr for reference in references]
    return sum(int((to_bytes(run(lr)) != to_bytes(float_run(lr))).sum()) for lr in inputs)


def _named(case: Case) -> dict[str, Any]:
    batch, _, height, width = case.lr.shape
    return {"case": case.name, "height": height, "width": width, "batch": batch}


def _shape(case: Case) -> str:
    batch, _, height, width = case.lr.shape
    return f"{width}x{height}, batch {batch}"


def _rounded(values: Batch) -> Batch:
    """To multiples of 1/255."""
    return to_bytes(values).astype(np.float32) / np.float32(255)


def _photograph(scale: int) -> Batch:
    """The held-out embedded photograph at LR, (3, H, W) in 0..1."""
    _, lr = pair(photos.decode(photos.embedded().validation[0]), scale)
    values: Batch = to_values(lr[None])[0]
    return values


def _crops(photograph: Batch, height: int, width: int, batch: int) -> Batch:
    """`batch` different crops of the photograph, from its middle on."""
    top, left = photograph.shape[1] // 4, photograph.shape[2] // 4
    crops = [photograph[:, top : top + height, left + i : left + i + width] for i in range(batch)]
    return np.ascontiguousarray(np.stack(crops))

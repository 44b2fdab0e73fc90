"""Golden vectors: three small inputs and what the fp32 file makes of them, for any app to repeat.

`golden/golden.json` names the cases and the tolerance of each variant; `NAME.rgb` holds rows of RGB
bytes, `NAME.f32` the expected output, float32 little-endian, (1, 3, 4H, 4W), not clipped.
`deploy.check` is the reader.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, to_image, to_tensor
from edgesr.deploy.check import Golden, deviations, open_on_cpu, to_values
from edgesr.deploy.tiling import Pixels
from edgesr.errors import ExportError
from edgesr.workspace import write_bytes, write_json

FORMAT = 1
FP32 = {"max_abs": 1e-4}
BYTES = {"max_levels": 1}
# Kernels of low precision differ between processors: twice what is measured, at least this.
FLOORS = {"fp16": 1e-3, "int8": 1 / 255}


def inputs() -> dict[str, Pixels]:
    """The cases: a piece of the held-out photograph, noise, a checkerboard; (H, W, 3) each."""
    photograph = photos.decode(photos.embedded().validation[0])
    lr = to_image(bicubic_down(to_tensor(photograph)))
    top, left = lr.shape[0] // 4, lr.shape[1] // 2
    board = np.indices((16, 16)).sum(axis=0) % 2 * np.uint8(255)
    return {
        "photograph": lr[top : top + 16, left : left + 24],
        "noise": np.random.default_rng(0).integers(0, 256, (9, 17, 3), dtype=np.uint8),
        "checkerboard": np.repeat(board[..., None], 3, axis=2).astype(np.uint8),
    }


def write_golden(folder: Path, variants: dict[str, dict[str, Any]]) -> None:
    """Write `golden/` into a bundle whose model files are there.

    Args:
        folder: the bundle.
        variants: as in card.json; fp32 makes what is expected, by ONNX Runtime on the CPU.

    Raises:
        ExportError: an output is not finite.
    """
    session = open_on_cpu(folder / variants["fp32"]["file"])
    goldens = [
        Golden(name, pixels, session.run(["sr"], {"lr": to_values(pixels)})[0])
        for name, pixels in inputs().items()
    ]
    target = folder / "golden"
    for golden in goldens:
        write_bytes(target / f"{golden.name}.rgb", golden.pixels.tobytes())
        write_bytes(target / f"{golden.name}.f32", golden.expected.astype("<f4").tobytes())
    tolerance = {
        name: _tolerance(name, folder / facts["file"], goldens) for name, facts in variants.items()
    }
    cases = [_case(golden) for golden in goldens]
    write_json(target / "golden.json", {"format": FORMAT, "cases": cases, "tolerance": tolerance})


def _case(golden: Golden) -> dict[str, Any]:
    height, width, _ = golden.pixels.shape
    files = {"input": f"{golden.name}.rgb", "output": f"{golden.name}.f32"}
    return {"name": golden.name, "width": width, "height": height, **files}


def _tolerance(variant: str, model: Path, goldens: list[Golden]) -> dict[str, float]:
    if variant == "uint8-io":
        return dict(BYTES)
    measured = float(np.max(deviations(model, goldens, levels=False)))
    if not math.isfinite(measured):
        raise ExportError(f"{model.name} gives values that are not finite on a golden vector")
    return dict(FP32) if variant == "fp32" else {"max_abs": tolerated(measured, FLOORS[variant])}


def tolerated(measured: float, floor: float) -> float:
    """Twice `measured`, at least `floor`, rounded up to two significant digits."""
    limit = max(2 * measured, floor)
    return float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(limit)))

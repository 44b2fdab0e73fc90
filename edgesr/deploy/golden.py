"""Golden vectors: three small inputs and what the fp32 file makes of them, for any app to repeat.

`golden/golden.json` names the cases, the file that each variant is held against, its tolerance, and
for int8 the float answer: how far off it is where the bundle is made, and the least that is taken;
`NAME.rgb` holds rows of RGB bytes, `NAME.f32` and `NAME.int8.f32` the expected output, float32
little-endian, (1, 3, 4H, 4W), not clipped.
`deploy.check` is the reader.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context
from pathlib import Path

import numpy as np

from edgesr.bundle.check import Golden, Values, deviations, open_on_cpu
from edgesr.bundle.likeness import likeness_db
from edgesr.bundle.records import golden as record
from edgesr.bundle.records.card import Card, Variant, VariantName
from edgesr.data import photos
from edgesr.data.degrade import pair
from edgesr.errors import ExportError
from edgesr.inference.padding import padded
from edgesr.inference.tiling import Pixels, to_values
from edgesr.workspace import write_bytes

# The least that is tolerated. Half precision is held against fp32: twice what is measured. Eight
# bits are held against what the file itself gave, and kernels of other processors round otherwise.
TOLERANCE: dict[str, dict[str, float]] = {
    "fp32": {"max_abs": 1e-4},
    "fp16": {"max_abs": 1e-3},
    "int8": {"max_abs": 8 / 255},
    "uint8-io": {"max_levels": 1},
}


SLACK_DB, ENOUGH_DB = 3.0, 40.0
"""Eight bits may be this much less like the float answer than where the bundle was made, or than
what hardly an eye tells from it: other kernels round otherwise, and cut off sums are far below."""


def inputs(scale: int) -> dict[str, Pixels]:
    """The cases: a piece of the held-out photograph, noise, a checkerboard; (H, W, 3) each."""
    photograph = photos.decode(photos.embedded().validation[0])
    _, lr = pair(photograph, scale)
    top, left = lr.shape[0] // 4, lr.shape[1] // 2
    board = np.indices((16, 16)).sum(axis=0) % 2 * np.uint8(255)
    return {
        "photograph": lr[top : top + 16, left : left + 24],
        "noise": np.random.default_rng(0).integers(0, 256, (9, 17, 3), dtype=np.uint8),
        "checkerboard": np.repeat(board[..., None], 3, axis=2).astype(np.uint8),
    }


def write_golden(folder: Path, card: Card) -> None:
    """Write `golden/` into a bundle whose model files are there.

    Args:
        folder: the bundle; ONNX Runtime on the CPU makes what is expected.
        card: its card. Where the network takes multiples of a size alone, so are the inputs.

    Raises:
        ExportError: an output is not finite.
    """
    variants = card.variants
    cases = {
        name: padded(pixels, (0, 1), card.multiple, card.min_size)
        for name, pixels in inputs(card.scale).items()
    }
    goldens = [
        Golden(name, pixels, _expected(folder, variants, pixels)) for name, pixels in cases.items()
    ]
    for golden in goldens:
        write_bytes(folder / "golden" / f"{golden.name}.rgb", golden.pixels.tobytes())
        for variant, values in golden.expected.items():
            path = folder / "golden" / _file(golden, variant)
            write_bytes(path, values.astype("<f4").tobytes())
    record.Golden.model_validate(
        {
            "format": record.FORMAT,
            "cases": [_case(golden) for golden in goldens],
            "tolerance": {
                name: _tolerance(name, folder / facts.file, goldens)
                for name, facts in variants.items()
            },
        }
    ).write(folder / "golden" / "golden.json")


def _expected(
    folder: Path, variants: dict[VariantName, Variant], pixels: Pixels
) -> dict[str, Values]:
    """What each variant should give: fp32's output, but int8 its own."""
    own: dict[str, Values] = {
        name: open_on_cpu(folder / facts.file).run(["sr"], {"lr": to_values(pixels[None])})[0]
        for name, facts in variants.items()
        if name in ("fp32", "int8")
    }
    return {name: own.get(name, own["fp32"]) for name in variants}


def _file(golden: Golden, variant: str) -> str:
    return f"{golden.name}.int8.f32" if variant == "int8" else f"{golden.name}.f32"


def _case(golden: Golden) -> dict[str, object]:
    height, width, _ = golden.pixels.shape
    outputs = {variant: _file(golden, variant) for variant in golden.expected}
    files = {"input": f"{golden.name}.rgb", "output": outputs}
    facts = {"name": golden.name, "width": width, "height": height, **files}
    return facts | ({"reference": _reference(golden)} if "int8" in outputs else {})


def _reference(golden: Golden) -> dict[str, object]:
    """What int8 stands in for, and how like it is."""
    found = likeness_db(golden.expected["fp32"], golden.expected["int8"])
    least = min(found, ENOUGH_DB) - SLACK_DB
    file = _file(golden, "fp32")
    return {"file": file, "psnr_db": round(found, 2), "min_psnr_db": round(max(least, 0.0), 2)}


def _tolerance(variant: str, model: Path, goldens: list[Golden]) -> dict[str, float]:
    least = TOLERANCE[variant]
    if variant == "uint8-io":
        return least
    measured = float(np.max(deviations(open_on_cpu(model), variant, goldens, levels=False)))
    if not math.isfinite(measured):
        raise ExportError(f"{model.name} gives values that are not finite on a golden vector")
    return {"max_abs": tolerated(measured, least["max_abs"])} if variant == "fp16" else least


def tolerated(measured: float, floor: float) -> float:
    """Twice `measured`, at least `floor`, rounded up to two significant digits."""
    limit = max(2 * measured, floor)
    return float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(limit)))

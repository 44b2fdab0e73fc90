"""Golden vectors: three small inputs and what the fp32 file makes of them, for any app to repeat.

`golden/golden.json` names the cases, the file that each variant is held against, its tolerance, and
for int8 the float answer: how far off it is where the bundle is made, and the least that is taken;
`NAME.rgb` holds rows of RGB bytes, `NAME.f32` and `NAME.int8.f32` the expected output, float32
little-endian, (1, 3, 4H, 4W), not clipped. A file that takes one size alone, `fp32-256x256`, gets
the input mirrored up to that, and `NAME.256x256.f32` is what it then should give of it.
`bundle.check` is the reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, Context
from functools import cache, partial
from pathlib import Path

import numpy as np

from edgesr.bounds import parse_size
from edgesr.bundle.check import Golden, Values, deviations, open_on_cpu
from edgesr.bundle.likeness import likeness_db
from edgesr.bundle.records import golden as record
from edgesr.bundle.records.card import Card
from edgesr.data import photos
from edgesr.data.degrade import pair
from edgesr.errors import ExportError
from edgesr.inference.infer import infer
from edgesr.inference.luma import luma, rounded
from edgesr.inference.padding import padded
from edgesr.inference.tiling import Pixels, to_values
from edgesr.inference.windows import in_windows
from edgesr.variant import parse
from edgesr.workspace import write_bytes

# The least that is tolerated. Half precision is held against fp32: twice what is measured. Eight
# bits are held against what the file itself gave, and kernels of other processors round otherwise.
FLOATS = {"fp32": 1e-4, "fp16": 1e-3}
LEVELS, EIGHT_BITS = 1, 8
"""8-bit levels of files of bytes, and of those that compute with integers."""
Run = Callable[[Values], Values]
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
    seen = inputs(card.scale)
    if variants["fp32"].input.colour == "Y":
        seen = {name: _grey(pixels) for name, pixels in seen.items()}
    cases = {
        name: padded(pixels, (0, 1), card.multiple, card.min_size) for name, pixels in seen.items()
    }
    goldens = [
        Golden(name, pixels, _expected(folder, card, pixels)) for name, pixels in cases.items()
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


def _grey(pixels: Pixels) -> Pixels:
    """Y in all three channels: whoever calls a file of Y by itself takes one of them."""
    y = rounded(luma(pixels.astype(np.float32), 2), pixels.dtype)
    return np.repeat(y, 3, axis=2)


def _expected(folder: Path, card: Card, pixels: Pixels) -> dict[str, Values]:
    """What each variant should give: fp32's output, but int8 its own; of windows what these files
    give of any size make of them."""

    @cache
    def answer(name: str) -> Values:
        free = str(replace(parse(name), window=""))
        session = open_on_cpu(folder / card.variants[free].file)
        run: Run = partial(infer, session)
        if window := parse(name).window:
            width, height = parse_size(window)
            run = in_windows(run, (2, 3), (height, width), card.halo, card.multiple)
        return run(to_values(pixels[None]))

    return {name: answer(str(parse(name).answer())) for name in card.variants}


def _file(golden: Golden, variant: str) -> str:
    answer = parse(variant).answer()
    kind = answer.window if answer.numbers == "fp32" else str(answer)
    return ".".join(filter(None, (golden.name, kind, "f32")))


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
    kind = parse(variant)
    if kind.bytes_io:
        return {"max_levels": EIGHT_BITS if kind.quantised else LEVELS}
    measured = float(np.max(deviations(open_on_cpu(model), variant, goldens, levels=False)))
    if not math.isfinite(measured):
        raise ExportError(f"{model.name} gives values that are not finite on a golden vector")
    if kind.quantised:
        return {"max_abs": EIGHT_BITS / 255}
    least = FLOATS[kind.numbers]
    return {"max_abs": tolerated(measured, least) if kind.numbers == "fp16" else least}


def tolerated(measured: float, floor: float) -> float:
    """Twice `measured`, at least `floor`, rounded up to two significant digits."""
    limit = max(2 * measured, floor)
    return float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(limit)))

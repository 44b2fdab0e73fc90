"""Palettised weights for Core ML: indices into tables, as short as the recipe's limits allow."""

from __future__ import annotations

import io
from math import ceil
from pathlib import Path
from typing import Protocol

import onnx

from edgesr import console
from edgesr.bundle.check import read_golden
from edgesr.bundle.records.base import MAX_ABS
from edgesr.bundle.records.card import Card, Palette
from edgesr.deploy.fidelity import off
from edgesr.deploy.heldout import heldout
from edgesr.deploy.int8 import Court, lost
from edgesr.deploy.mil import MlProgram
from edgesr.errors import ExportError
from edgesr.inference.tiling import to_values
from edgesr.recipe import AnyRecipe

BITS = 4, 6, 8


class Make(Protocol):
    """Converts the network, see `coreml.to_coreml`."""

    def __call__(self, *, bits: int) -> bytes: ...


def shortest(
    make: Make, folder: Path, card: Card, recipe: AnyRecipe, *, clipped: bool
) -> tuple[bytes, Palette]:
    """The package with the shortest indices that loses no more than `export.int8.max_psnr_loss_db`
    and `gates.int8` allow, which hold for its weights as for int8's.

    Args:
        folder: of the bundle, whose model.onnx and golden vectors are there.
        clipped: whether the package holds its output to 0..1.

    Raises:
        ExportError: even the longest lose more.
        DataError: the recipe's photographs are not there.
    """
    judges = heldout(recipe.data, card.scale)
    court = Court(onnx.load(folder / card.variants["fp32"].file), judges, recipe, card.scale)
    _, goldens = read_golden(folder / "golden", card.scale)
    for bits in BITS:
        data = make(bits=bits)
        program = MlProgram(io.BytesIO(data))
        loss = court(program.run)
        most = max(
            off(program.run(to_values(each.pixels[None])), each.expected["fp16"], clipped=clipped)
            for each in goldens
        )
        most = ceil(most * 1e4) / 1e4
        if loss.strain <= 1 and most <= MAX_ABS:
            console.say(f"palettised: {loss.psnr_db:.3f} dB lost by tables of {2**bits} weights")
            return data, Palette.model_validate(
                {
                    "bits": bits,
                    "layers": program.tables,
                    "max_abs": most,
                    "judged_on": f"{len(judges)} held-out photographs",
                    **lost(loss),
                }
            )
    raise ExportError(
        f"palettised weights lose {loss.psnr_db:.2f} dB even by tables of {2 ** BITS[-1]}, or fall "
        f"short of gates.int8 on a kind of picture, or are off by {most:.2g} on a golden vector of "
        f"{MAX_ABS:g} at most: they are left out"
    )

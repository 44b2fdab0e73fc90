"""A bundle against the network that its file is said to be: parity over the same grid."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgesr.bundle.card import read_card
from edgesr.bundle.check import open_on_cpu
from edgesr.errors import VerifyError
from edgesr.inference.infer import infer
from edgesr.inference.padding import fitting, one_by_one
from edgesr.models import zoo
from edgesr.models.zoo import Network
from edgesr.verify import parity


class Found(NamedTuple):
    """What lies between both: the worst PSNR in dB (None where nothing differs), the largest
    difference of values in 0..1."""

    min_psnr_db: float | None
    max_abs_diff: float

    def words(self) -> str:
        """For people."""
        db = "no difference" if self.min_psnr_db is None else f"at least {self.min_psnr_db:.2f} dB"
        return f"{db}, {self.max_abs_diff:.2g} at most"


def against(folder: Path, reference: Path) -> Found:
    """The bundle's float file against the network in `reference`, both held to 0..1.

    Args:
        reference: any file that `zoo.load` takes.

    Raises:
        VerifyError: it is of another scale.
        ModelError: it cannot be opened.
    """
    card, model = read_card(folder), zoo.load(reference)
    assert isinstance(model.module, Network), "zoo.load gives these"
    if model.scale != card.scale:
        raise VerifyError(
            f"reference {reference} enlarges x{model.scale}, {card.name} x{card.scale}",
            "Name the network that the file was exported from.",
        )
    session = open_on_cpu(folder / card.variants["fp32"].file)
    alone = one_by_one(lambda lr: infer(session, lr))
    run = fitting(alone, (2, 3), card.multiple, card.min_size)
    expected = parity.expected(model.module, multiple=card.multiple, least=card.min_size)
    row = parity.parity([each.clipped() for each in expected], lambda lr: run(lr).clip(0, 1))
    return Found(row["min_psnr_db"], row["max_abs_diff"])

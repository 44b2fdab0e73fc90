"""A model, or two, over the same pictures with several named degradations, and its files."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from edgesr.data.named import Chain
from edgesr.quality.compare import Comparison
from edgesr.quality.scores import Evaluation, Scores, protocol


@dataclass(frozen=True)
class Degraded:
    """What was measured with each of `chains`, in their order; at least one."""

    chains: list[Chain]
    results: list[Evaluation] | list[Comparison]

    def pairs(self) -> list[tuple[Chain, Evaluation | Comparison]]:
        """Each degradation and what was measured with it."""
        return list(zip(self.chains, self.results, strict=True))

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        return protocol(evaluation(self.results[0]).scale, self.chains)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what `edgesr evaluate` writes without degradations, below each one's name."""
        each = {
            chain.name: {k: v for k, v in found.as_dict().items() if k != "protocol"}
            for chain, found in self.pairs()
        }
        return {"protocol": self.protocol, "degradations": each}

    def csv(self) -> str:
        """The lines of each degradation, its name in a first column."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for i, (chain, found) in enumerate(self.pairs()):
            titles, *lines = csv.reader(io.StringIO(found.csv()))
            if not i:
                writer.writerow(["degradation", *titles])
            writer.writerows([chain.name, *line] for line in lines)
        return text.getvalue()


def evaluation(found: Evaluation | Comparison) -> Evaluation:
    """The model's, also where another one is beside it."""
    return found.one if isinstance(found, Comparison) else found


def means(found: Evaluation | Comparison) -> dict[str, Scores]:
    """Of the model or models and of the controls."""
    own = evaluation(found)
    models = (
        {"A": own.mean, "B": found.other.mean}
        if isinstance(found, Comparison)
        else {"model": own.mean}
    )
    lanczos = {"Lanczos": own.lanczos} if own.lanczos else {}
    return models | {"bicubic": own.bicubic} | lanczos

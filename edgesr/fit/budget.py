"""`"p95 8 ms @ 320x180"`: how long an enlargement may take, and at which size."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgesr.bounds import MAX_NUMBER, check_size
from edgesr.errors import EdgesrError, cut

EXAMPLE = 'For example --budget "p95 8 ms @ 320x180".'
FORM = re.compile(r"(p50|p95)\s+(\d+(?:\.\d+)?)\s*ms\s*@\s*(\S+)")


@dataclass(frozen=True)
class Latency:
    """Of one network, batch 1.

    Attributes:
        p50_ms: the median in ms.
        p95_ms: the 95th percentile in ms.
    """

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Budget:
    """What a student may take.

    Attributes:
        percentile: of the latency: "p50" or "p95".
        ms: that it may be at most.
        size: the LR input, "WIDTHxHEIGHT" in pixels.
    """

    percentile: str
    ms: float
    size: str

    def __str__(self) -> str:
        return f"{self.percentile} {self.ms:g} ms @ {self.size}"

    def of(self, latency: Latency) -> float:
        """The percentile that counts, in ms."""
        return latency.p50_ms if self.percentile == "p50" else latency.p95_ms

    def holds(self, latency: Latency) -> bool:
        """Whether `latency` is inside."""
        return self.of(latency) <= self.ms


def parse(text: str) -> Budget:
    """The budget that `text` states.

    Raises:
        EdgesrError: it has another form.
    """
    found = FORM.fullmatch(text.strip())
    if found is None or not 0 < float(found[2]) <= MAX_NUMBER:
        raise EdgesrError(
            f'--budget "{cut(text)}": expected a percentile (p50 or p95), ms and an LR size',
            EXAMPLE,
        )
    try:
        size = check_size(found[3])
    except ValueError as error:
        raise EdgesrError(f'--budget "{cut(text)}": {error}', EXAMPLE) from None
    return Budget(found[1], float(found[2]), size)

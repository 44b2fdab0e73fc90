"""Numbers as the report prints them."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.bundle.records.rows import Measured
from edgesr.verify.likeness import Likeness, likeness
from edgesr.verify.likeness import decibels as shown_db
from edgesr.verify.sidebyside import names, unsigned_zero

UNKNOWN = "–"

UNITS = {"_mb": " MB", "_ms": " ms", "_db": " dB", "_percent": " %"}


def count(n: float) -> str:
    """`1549462` as `1,549,462`."""
    return f"{n:,.0f}"


def megabytes(n: float) -> str:
    """Bytes as `2.66 MB`, 10^6 bytes each."""
    return f"{n / 1e6:.2f} MB"


def giga(n: float) -> str:
    """`21848000000` as `21.8 G`."""
    return f"{three(n / 1e9)} G"


def three(value: float) -> str:
    """About three significant digits; a power of ten only below 0.001."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-")
    digits = next((d for d, least in ((0, 100), (1, 10), (2, 1)) if abs(value) >= least), 3)
    return f"{value:,.{digits}f}"


def milliseconds(value: float) -> str:
    return f"{three(value)} ms"


def decibels(value: float | None) -> str:
    """PSNR; that of identical pictures is infinite, and None in JSON."""
    return "identical" if value is None or math.isinf(value) else f"{value:.2f} dB"


def distance(value: float | None) -> str:
    """LPIPS; None where its weights are missing."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference in dB with its sign; what rounds to zero has none."""
    rounded = round(value, 2)
    return f"{rounded:+.2f} dB".replace("-", "−") if rounded else "0.00 dB"


def loss(value: float | None) -> str:
    """What is lost in dB, of three digits."""
    return UNKNOWN if value is None else f"{unsigned_zero(value, 3)} dB".replace("-", "−")


def ssim(value: float) -> str:
    return f"{value:.4f}"


def as_shown(found: Likeness) -> str:
    """The worst PSNR as pictures are shown, and of which input."""
    if found.worst_db >= IDENTICAL_DB:
        return shown_db(found.worst_db)
    return f"{shown_db(found.worst_db)}, {size(found.least_like)}"


def most_changed(found: Likeness) -> str:
    """The largest share of 8-bit values that differ, and of which input."""
    if not found.worst_changed:
        return percent(0)
    return f"{percent(found.worst_changed)}, {size(found.most_changed)}"


def percent(share: float) -> str:
    """A share of one in percent."""
    return f"{three(100 * share)} %" if share else "0 %"


def size(text: str) -> str:
    """`128x128` with a multiplication sign."""
    return text.replace("x", "×")


def provider(name: str) -> str:
    """`CPUExecutionProvider` as `CPU`."""
    return name.removesuffix("ExecutionProvider")


def place(row: Measured) -> str:
    """Runtime, variant and, where it is not float32, precision: `CPU, int8`."""
    return ", ".join(names(row))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def gate_value(value: float | None, gate: str) -> str:
    """A gate's limit or measurement in the unit that the gate's name ends in."""
    if value is None:
        return UNKNOWN
    if gate == "max_pixels_changed":
        return f"{100 * value:.4g} %"
    unit = next((unit for end, unit in UNITS.items() if gate.endswith(end)), "")
    return f"{value:.4g}{unit}".replace("e-0", "e-")


FILTERS: dict[str, Callable[..., object]] = {
    "count": count,
    "megabytes": megabytes,
    "giga": giga,
    "three": three,
    "milliseconds": milliseconds,
    "decibels": decibels,
    "distance": distance,
    "signed": signed,
    "loss": loss,
    "ssim": ssim,
    "likeness": likeness,
    "as_shown": as_shown,
    "most_changed": most_changed,
    "shown_db": shown_db,
    "percent": percent,
    "provider": provider,
    "place": place,
    "duration": duration,
    "size": size,
}
"""For the template, under the functions' names."""

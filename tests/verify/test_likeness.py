"""How like PyTorch's pictures a file's are: median and worst, and of which input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.verify import likeness, measure
from edgesr.verify.jobs import Job
from edgesr.verify.parity import Case, Expected


def case(name: str, shown_db: float, changed: int) -> dict[str, Any]:
    return {"case": name, "width": 9, "height": 7, "shown_db": shown_db} | {
        "changed": changed,
        "values": 100,
    }


def row(*cases: dict[str, Any]) -> dict[str, Any]:
    place = {"runtime": "cpu", "variant": "int8", "exact": True, "precision": "float32"}
    return place | {"cases": list(cases)}


def test_the_worst_is_named_beside_the_median(construct) -> None:
    """It said "6.0 dB", "93.75 % changed" and PASSED, of a picture of one pixel of noise."""
    cases = [case("noise", 6.0, 30), case("photograph", 45.0, 94), case("black", 100.0, 0)]
    (_, line) = likeness.in_words(construct({"parity": [row(*cases)]})).splitlines()
    assert line == (
        "- CPU, int8: PSNR 45.0 dB in the median, 6.0 dB at worst (noise 9x7); 8-bit values "
        "changed: 30 % in the median, 94 % at most (photograph 9x7)"
    )


def test_what_cannot_be_seen_to_differ_has_no_worst_input(construct) -> None:
    text = likeness.in_words(construct({"parity": [row(case("black", 100.0, 0))]}))
    assert "PSNR 100 dB or more in the median, on each of them" in text


def test_eight_bits_are_compared_clipped_with_clipped() -> None:
    """A value that both show as white was 0.9 apart, where the file's range ends at 1."""
    white = np.ones((1, 3, 2, 2), np.float32)
    beyond = Expected(Case("white", white), 1.9 * white.repeat(4, 2).repeat(4, 3))
    job = Job("cpu", "int8", Path("model.int8.onnx"), "float32", threads=1)
    found = measure._compared(job, [beyond], lambda lr: lr.repeat(4, 2).repeat(4, 3))
    assert found["max_abs_diff"] == 0
    plain = measure._compared(replace(job, variant="fp32"), [beyond], lambda _: 0 * beyond.sr)
    assert plain["max_abs_diff"] > 1

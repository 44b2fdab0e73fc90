"""Run a bundle's golden vectors: does ONNX Runtime, on this device, do what was verified?

    pip install onnxruntime numpy pillow
    python golden.py ../../exports/edge-s

Exits with 1 where a variant differs by more than golden.json tolerates. Apache-2.0.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from upscale import Model, read_card, to_bytes


def check(bundle: Path, model: Model, variant: str, case: dict[str, Any], limit: float) -> bool:
    """Whether one variant gives what it should for one input; prints how far off it is."""
    height, width = case["height"], case["width"]
    rgb = np.fromfile(bundle / "golden" / case["input"], np.uint8).reshape(height, width, 3)
    expected = np.fromfile(bundle / "golden" / case["output"][variant], "<f4")
    expected = expected.reshape(3, model.scale * height, model.scale * width)
    if model.bytes:
        expected = to_bytes(expected).astype(np.float32)
    difference = np.abs(model.infer(rgb) - expected).max()
    verdict = "passes" if difference <= limit else "FAILS"
    print(f"{variant} {case['name']}: {difference:.2g} of {limit:.2g} allowed, {verdict}")
    return bool(difference <= limit)


def main(bundle: Path) -> int:
    variants = read_card(bundle)["variants"]
    golden = json.loads((bundle / "golden" / "golden.json").read_text(encoding="utf-8"))
    passed = []
    for variant in variants:
        model = Model(bundle, variant)
        limit = golden["tolerance"][variant]["max_levels" if model.bytes else "max_abs"]
        passed += [check(bundle, model, variant, case, limit) for case in golden["cases"]]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a bundle's golden vectors.")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    given = parser.parse_args()
    try:
        sys.exit(main(given.bundle))
    except Exception as error:
        sys.exit(f"error: {error}")

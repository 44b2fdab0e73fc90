"""Run a bundle's golden vectors: does ONNX Runtime, on this device, do what was verified?

    pip install onnxruntime numpy
    python check_golden.py ../../exports/n4

Exits with 1 where a variant differs by more than golden.json tolerates. Apache-2.0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def check(bundle: Path, variant: str, facts: dict, case: dict, tolerance: dict) -> bool:
    """Whether one variant gives what it should for one input; prints how far off it is."""
    height, width = case["height"], case["width"]
    lr = np.fromfile(bundle / "golden" / case["input"], np.uint8).reshape(1, height, width, 3)
    sr = np.fromfile(bundle / "golden" / case["output"][variant], "<f4").reshape(
        1, 3, 4 * height, -1
    )
    if "max_levels" in tolerance:  # bytes in, bytes out
        sr = np.floor(np.clip(sr, 0, 1) * 255 + 0.5).transpose(0, 2, 3, 1)
    else:
        lr = np.ascontiguousarray(lr.transpose(0, 3, 1, 2) / np.float32(255))
    lr = lr.astype(facts["input"]["dtype"])  # float32, float16 or uint8
    path = bundle / facts["file"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    difference = np.abs(session.run(["sr"], {"lr": lr})[0] - sr).max()
    (limit,) = tolerance.values()
    verdict = "passes" if difference <= limit else "FAILS"
    print(f"{variant} {case['name']}: {difference:.2g} of {limit:g} allowed, {verdict}")
    return bool(difference <= limit)


def main(bundle: Path) -> int:
    variants = json.loads((bundle / "card.json").read_text())["variants"]
    golden = json.loads((bundle / "golden" / "golden.json").read_text())
    passed = [
        check(bundle, variant, facts, case, golden["tolerance"][variant])
        for variant, facts in variants.items()
        for case in golden["cases"]
    ]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python check_golden.py BUNDLE")
    try:
        sys.exit(main(Path(sys.argv[1])))
    except Exception as error:
        sys.exit(f"error: {error}")

"""Run a bundle's golden vectors: does ONNX Runtime, on this device, do what was verified?

    pip install onnxruntime numpy pillow
    python golden.py ../../exports/edge-s
    python golden.py ../../exports/edge-s --json "Raspberry Pi 5" > device.json

Exits with 1 where a variant differs by more than golden.json tolerates. --json prints the figures,
with latencies, for `edgesr verify --merge`. Apache-2.0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from upscale import Model, read_card, tiles, to_bytes

SIZE = 128  # pixels of the picture that is timed
RUNS = 10


def check(bundle: Path, model: Model, variant: str, case: dict[str, Any]) -> float:
    """The largest difference of one variant from what is expected for one input."""
    height, width = case["height"], case["width"]
    rgb = np.fromfile(bundle / "golden" / case["input"], np.uint8).reshape(height, width, 3)
    planes = np.fromfile(bundle / "golden" / case["output"][variant], "<f4")
    planes = planes.reshape(3, model.scale * height, model.scale * width)
    expected = planes.transpose(1, 2, 0)
    if model.bytes:
        expected = to_bytes(expected).astype(np.float32)
    off = [np.abs(sr - expected[rows, columns]).max() for sr, rows, columns in tiles(model, rgb)]
    return float(np.max(off))


def timed(model: Model) -> dict[str, Any]:
    """The median latency for a picture of `SIZE` pixels a side, or of the next multiple, or of the
    one size that the file takes."""
    side = -(-SIZE // model.multiple) * model.multiple
    height, width = model.window or (side, side)
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    model.infer(rgb)
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        model.infer(rgb)
        taken.append(1000 * (time.perf_counter() - start))
    return {"size": f"{width}x{height}", "runs": RUNS, "p50_ms": round(median(taken), 3)}


def main(bundle: Path, device: str | None) -> int:
    card = read_card(bundle)
    golden = json.loads((bundle / "golden" / "golden.json").read_text(encoding="utf-8"))
    passed, files = True, []
    for variant, facts in card["variants"].items():
        model = Model(bundle, variant)
        limit = golden["tolerance"][variant]["max_levels" if model.bytes else "max_abs"]
        found = {case["name"]: check(bundle, model, variant, case) for case in golden["cases"]}
        passed = passed and all(off <= limit for off in found.values())
        if device is None:
            for name, off in found.items():
                verdict = "passes" if off <= limit else "FAILS"
                print(f"{variant} {name}: {off:.2g} of {limit:.2g} allowed, {verdict}")
        else:
            sha256 = hashlib.sha256((bundle / facts["file"]).read_bytes()).hexdigest()
            numbers = {name: off if np.isfinite(off) else None for name, off in found.items()}
            row = {"variant": variant, "sha256": sha256, "golden": numbers}
            files.append(row | timed(model))
    if device is not None:
        runtime = f"ONNX Runtime {onnxruntime.__version__}"
        said = {"format": 1, "bundle": card["name"], "device": device, "runtime": runtime}
        print(json.dumps(said | {"files": files}, indent=2))
    return 0 if passed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a bundle's golden vectors.")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="its folder")
    parser.add_argument("--json", metavar="DEVICE", help="print figures; the device's name")
    given = parser.parse_args()
    try:
        sys.exit(main(given.bundle, given.json))
    except Exception as error:
        sys.exit(f"error: {error}")

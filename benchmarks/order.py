"""What DepthToSpace's channel order costs on the CPU: a bundle's file in CRD and in DCR order.

    python benchmarks/order.py exports/edge-s exports/n4
    python benchmarks/order.py exports/* --threads 1 --size 320x180

Both float graphs of a bundle take turns, and in which order changes from turn to turn; the ratio is
the median of those of neighbouring runs. Their outputs must be equal to the bit.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from command import in_words

from edgesr.bounds import parse_size
from edgesr.inference.session import open_session
from edgesr.runtimes.channel_order import use_crd, use_dcr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    print(
        f"ONNX Runtime {onnxruntime.__version__}, CPU, {options.threads} threads, {options.size} LR"
        f", fp32, {options.runs} turns"
    )
    print("| bundle | CRD, ms | DCR, ms | DCR / CRD |")
    print("|---|--:|--:|--:|")
    for folder in options.bundles:
        if (folder / "card.json").exists():
            print(row(folder, options), flush=True)


def row(folder: Path, options: argparse.Namespace) -> str:
    """One bundle's line of the table."""
    with tempfile.TemporaryDirectory() as place:
        model, sessions = onnx.load(folder / "model.onnx"), []
        for order in (use_crd, use_dcr):
            path = Path(place) / f"{order.__name__}.onnx"
            onnx.save(order(model), path)
            sessions.append(
                open_session(path, provider="cpu", threads=options.threads, spinning=False)
            )
    (taken,) = sessions[0].get_inputs()
    width, height = parse_size(options.size)
    feed = {"lr": np.random.default_rng(0).random((1, taken.shape[1], height, width), np.float32)}
    one, other = (session.run(None, feed)[0] for session in sessions)
    if not np.array_equal(one, other):
        raise SystemExit(f"{folder.name}: the two orders compute different pictures")
    times: list[dict[int, float]] = []
    for turn in range(options.runs):
        found = {}
        for order in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            sessions[order].run(None, feed)
            found[order] = 1e3 * (time.perf_counter() - start)
        times.append(found)
    crd_ms, dcr_ms = (statistics.median(each[order] for each in times) for order in (0, 1))
    ratio = statistics.median(each[1] / each[0] for each in times)
    return f"| {folder.name} | {crd_ms:.2f} | {dcr_ms:.2f} | {ratio:.3f} |"


if __name__ == "__main__":
    in_words(main)

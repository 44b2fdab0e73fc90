"""Large images: what tiling costs in time and saves in memory, and whether a budget holds.

    python benchmarks/upscale.py            a table, some minutes; N=4 takes 8 GB
    python benchmarks/upscale.py --runs 1 --nets "edge 32x8" --no-huge

An LR photograph of 1024 x 1024 goes from file to PNG, whole and within two budgets, in turn and
each in a process of its own; then one with a result of 100 megapixels, within 512MB. Random
weights: the arithmetic does not depend on them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from command import in_words
from PIL import Image

from edgesr import console
from edgesr.inference.upscale_files import upscale_file
from edgesr.inference.upscaler import Upscaler
from edgesr.recipe import Edge, Export, Srgan
from edgesr.runtimes.base import peak_memory_mb

WHOLE, QUARTER, BUDGET = "whole", "a quarter", "512MB"
NETS = {"edge 32x8": Edge(), "N=4": Srgan(blocks=4)}
SIDE, HUGE = 1024, 2500

Result = dict[str, Any]


def work(model: str, source: str, target: str, memory: str, threads: int) -> Result:
    """What the worker does: one image from file to file."""
    console.configure(quiet=True)
    upscaler = Upscaler(
        model,
        provider="cpu",
        threads=threads,
        tile=10**6 if memory == WHOLE else "auto",
        memory=BUDGET if memory == WHOLE else memory,
    )
    start = time.perf_counter()
    upscale_file(upscaler, Path(source), Path(target))
    seconds = time.perf_counter() - start
    peak = peak_memory_mb()
    with Image.open(source) as image:
        windows = upscaler.windows(np.asarray(image))
    height, width = windows.sides
    cut = f"{windows.count} of {width}x{height}, work {windows.work:.2f}"
    return {"seconds": seconds, "peak_mb": peak, "windows": cut}


def run(model: Path, source: Path, memory: str, threads: int) -> Result:
    """`work` in a process of its own, and the digest of the pixels that it wrote."""
    target = model.with_suffix(".png")
    job = json.dumps([str(model), str(source), str(target), memory, threads])
    done = subprocess.run(
        [sys.executable, __file__, "--job", job], stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout.decode().splitlines()[-1])
    with Image.open(target) as image:
        return found | {"pixels": hashlib.sha256(image.tobytes()).hexdigest()}


def export(folder: Path, net: str) -> Path:
    """The net with random weights, as `edgesr export` writes it."""
    import torch  # not above: the workers are to hold what an app would

    from edgesr.deploy.export import export_onnx
    from edgesr.models import zoo

    torch.manual_seed(0)
    module = zoo.build(NETS[net]).eval()
    facts = {"scale": module.scale, "halo": module.halo, "min_size": 1}
    facts |= {"layout": "NCHW", "range": "0..1"}
    metadata = {f"edgesr.{key}": str(value) for key, value in facts.items()}
    export_onnx(module, folder / "model.onnx", Export(), metadata=metadata)
    return folder / "model.onnx"


def photograph(folder: Path, side: int) -> Path:
    from skimage import data

    path = folder / f"{side}.png"
    Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.LANCZOS).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--huge", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(work(*json.loads(options.job))))
        return
    Image.MAX_IMAGE_PIXELS = None  # the result of 100 megapixels is its own
    version = onnxruntime.__version__
    print(f"ONNX Runtime {version}, CPU, {options.threads} threads, median of {options.runs}")
    print("| network | LR | memory | windows | s | / whole | peak MB | / whole | same pixels |")
    print("|---|--:|--:|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, huge = photograph(folder, SIDE), photograph(folder, HUGE)
        for net in options.nets:
            model = export(folder, net)
            compare(net, model, source, options.runs, options.threads)
            if options.huge:
                show(net, huge, BUDGET, [run(model, huge, BUDGET, options.threads)], [])


def compare(net: str, model: Path, source: Path, runs: int, threads: int) -> None:
    """The rows of one net: whole, within a quarter of the memory that took, within BUDGET."""
    whole = [run(model, source, WHOLE, threads)]
    budgets = {QUARTER: f"{int(whole[0]['peak_mb'] / 4)}MB", BUDGET: BUDGET}
    found: dict[str, list[Result]] = {label: [] for label in budgets}
    for turn in range(runs):
        for label, results in found.items():
            results.append(run(model, source, budgets[label], threads))
        if turn:
            whole.append(run(model, source, WHOLE, threads))
    for label, results in {WHOLE: whole, **found}.items():
        memory = f"{label}, {budgets[label]}" if label == QUARTER else label
        show(net, source, memory, results, whole)


def show(net: str, source: Path, memory: str, results: list[Result], whole: list[Result]) -> None:
    """Print a row: medians, and what they are of those in one piece."""
    cells = []
    for key, digits in (("seconds", 1), ("peak_mb", 0)):
        middle = statistics.median(result[key] for result in results)
        cells.append(f"{middle:.{digits}f}")
        ratio = middle / statistics.median(r[key] for r in whole) if whole else None
        cells.append(f"{ratio:.2f}" if ratio else "-")
    same = {result["pixels"] for result in results + whole}
    cells.append("-" if not whole else "yes" if len(same) == 1 else "NO")
    head = f"| {net} | {source.stem}x{source.stem} | {memory} | {results[0]['windows']} | "
    print(head + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    in_words(main)

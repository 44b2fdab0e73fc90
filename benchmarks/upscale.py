"""Large images: what tiling costs in time and saves in memory, and whether a budget holds.

    python benchmarks/upscale.py                        a table, some minutes
    python benchmarks/upscale.py --runs 1 --nets edge --side 512

An LR photograph of side x side goes from file to PNG, whole and under several budgets, in turn and
each in a process of its own. Then one with a result of 100 megapixels, under 512MB. Random weights:
the arithmetic does not depend on them.
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

import onnxruntime
from PIL import Image

from edgesr.upscale import Upscaler
from edgesr.upscale_files import upscale_file
from edgesr.runtimes.base import peak_memory_mb

WHOLE = "whole"
BUDGETS = {"edge 32x8": ("512MB", "256MB"), "N=4": ("2GB", "1GB", "512MB")}
HUGE = 2500


def work(model: str, source: str, target: str, memory: str, threads: int) -> dict[str, float | str]:
    """What the worker does: one image from file to file."""
    options = {"tile": 10**6} if memory == WHOLE else {"memory": memory}
    upscaler = Upscaler(model, provider="cpu", threads=threads, **options)
    start = time.perf_counter()
    upscale_file(upscaler, Path(source), Path(target))
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_memory_mb() or 0}


def run(model: Path, source: Path, memory: str, threads: int) -> dict[str, float | str]:
    """`work` in a process of its own, and the digest of the pixels that it wrote."""
    target = model.with_suffix(".png")
    job = json.dumps([str(model), str(source), str(target), memory, threads])
    done = subprocess.run(
        [sys.executable, __file__, "--job", job], stdout=subprocess.PIPE, check=True
    )
    said, found = done.stdout.decode().strip().rpartition("\n")[::2]
    with Image.open(target) as image:
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
    return {**json.loads(found), "said": said.partition(": ")[2], "pixels": pixels}


def export(folder: Path) -> dict[str, Path]:
    """The nets of the table, with random weights."""
    import torch

    from edgesr.deploy.export import export_onnx
    from edgesr.models import zoo
    from edgesr.recipe import Edge, Export, Srgan

    torch.manual_seed(0)
    paths = {}
    for name, spec in (("edge 32x8", Edge()), ("N=4", Srgan(blocks=4))):
        module = zoo.build(spec).eval()
        facts = {"scale": "4", "halo": str(module.halo), "min_size": "1"}
        facts |= {"layout": "NCHW", "range": "0..1"}
        paths[name] = folder / f"{len(paths)}.onnx"
        metadata = {f"edgesr.{key}": value for key, value in facts.items()}
        export_onnx(module, paths[name], Export(), metadata=metadata)
    return paths


def photograph(folder: Path, side: int) -> Path:
    from skimage import data

    path = folder / f"{side}.png"
    Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.LANCZOS).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--nets", nargs="+", default=list(BUDGETS), choices=list(BUDGETS))
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(work(*json.loads(options.job))))
        return
    version = onnxruntime.__version__
    print(f"ONNX Runtime {version}, CPU, {options.threads} threads, median of {options.runs}")
    print("| network | LR | memory | windows | s | / whole | peak MB | / whole | same pixels |")
    print("|---|--:|--:|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models, source = export(folder), photograph(folder, options.side)
        huge = photograph(folder, HUGE)
        for net in options.nets:
            compare(net, models[net], source, options.runs, options.threads)
            show(net, HUGE, "512MB", [run(models[net], huge, "512MB", options.threads)], None)


def compare(net: str, model: Path, source: Path, runs: int, threads: int) -> None:
    """The rows of one net, whole and under its budgets in turn."""
    found: dict[str, list[dict[str, float | str]]] = {m: [] for m in (WHOLE, *BUDGETS[net])}
    for _ in range(runs):
        for memory, results in found.items():
            results.append(run(model, source, memory, threads))
    for memory, results in found.items():
        show(net, int(source.stem), memory, results, found[WHOLE])


def show(net: str, side: int, memory: str, results: list, whole: list | None) -> None:
    """Print a row: medians, and what they are of those in one piece."""
    seconds, peak = (statistics.median(r[k] for r in results) for k in ("seconds", "peak_mb"))
    ratios, same = ["", ""], ""
    if whole:
        ratios = [
            f"{now / statistics.median(r[k] for r in whole):.2f}"
            for now, k in ((seconds, "seconds"), (peak, "peak_mb"))
        ]
        same = "yes" if {r["pixels"] for r in results + whole} == {whole[0]["pixels"]} else "NO"
    print(
        f"| {net} | {side}x{side} | {memory} | {results[0]['said']} | {seconds:.2f} | {ratios[0]}"
        f" | {peak:.0f} | {ratios[1]} | {same} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""What the exact rewrites are worth: plain simplified export against rewritten, interleaved.

    python benchmarks/rewrite.py            a table of medians and ratios, a few minutes
    python benchmarks/rewrite.py --runs 5 --sizes 64

Random weights: the arithmetic does not depend on them. All sessions of a row are open at once with
their spinning off, and take turns, so that a drift of the machine meets all of them alike.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from command import in_words
from turns import medians

from edgesr.deploy.export import export_onnx
from edgesr.inference.session import open_session
from edgesr.models import zoo
from edgesr.recipe import Export, Rewrites, Srgan

PLAIN = Rewrites(leaky_relu=False, prelu_before_shuffle=False, low_resolution_tail=False)
VARIANTS = {
    "plain": PLAIN,
    "+ LeakyReLU": PLAIN.model_copy(update={"leaky_relu": True}),
    "+ low-resolution tail": PLAIN.model_copy(update={"low_resolution_tail": True}),
    "all": Rewrites(),
}


def latencies(paths: list[Path], size: int, threads: int, runs: int) -> list[float]:
    """Median latency in ms of each file on noise of size x size, taking turns."""
    sessions = [open_session(p, provider="cpu", threads=threads, spinning=False) for p in paths]
    lr = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    calls = {i: partial(session.run, None, {"lr": lr}) for i, session in enumerate(sessions)}
    return list(medians(calls, runs=runs, warm_up=1).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"ONNX Runtime {onnxruntime.__version__}, CPU, median of {options.runs} in turn, ms")
    print("| network | LR | threads | " + " | ".join(VARIANTS) + " | plain / all |")
    print("|---|--:|--:|" + "--:|" * (len(VARIANTS) + 1))
    with tempfile.TemporaryDirectory() as folder:
        for blocks in (16, 4):
            module = zoo.build(Srgan(blocks=blocks)).eval()
            paths = [Path(folder) / f"{blocks}-{i}.onnx" for i in range(len(VARIANTS))]
            for path, rewrites in zip(paths, VARIANTS.values(), strict=True):
                export_onnx(module, path, Export(rewrites=rewrites), metadata={})
            for size in options.sizes:
                for threads in options.threads:
                    found = latencies(paths, size, threads, options.runs)
                    cells = " | ".join(f"{ms:.1f}" for ms in found)
                    ratio = f"**{found[0] / found[-1]:.2f} x**"
                    head = f"| N={blocks} | {size}x{size} | {threads} |"
                    print(f"{head} {cells} | {ratio} |", flush=True)


if __name__ == "__main__":
    in_words(main)

"""The same ONNX file on every runtime that is installed, in turn.

    python benchmarks/runtimes.py             a table of medians and ratios, a few minutes
    python benchmarks/runtimes.py --rounds 3 --sizes 64x64 --threads 1 --networks "edge 32x8"

Random weights: the arithmetic does not depend on them. In each round every runtime opens the file
in a process of its own, warms up and is timed, then the next one; so a drift of the machine meets
all of them alike. It must be idle otherwise: OpenMP's threads, which ncnn uses, wait busily; where
it is not, `--least` takes each round's least time, which others' work moves less than its median.
What is not installed is left out, which is said. LiteRT and ExecuTorch open copies of their own.
ONNX Runtime Web is looked for in EDGESR_ORT_WEB.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from command import in_words

from edgesr.bounds import parse_size
from edgesr.deploy.export import export_onnx
from edgesr.errors import VerifyError
from edgesr.inference.session import cuda_device_present
from edgesr.models import zoo
from edgesr.models.zoo import Student
from edgesr.recipe import Edge, Export, Srgan
from edgesr.runtimes.base import OWN_FILES, Name
from edgesr.runtimes.onnxruntime import OnnxRuntime
from edgesr.runtimes.registry import load
from edgesr.verify.speed import WARMUP, speed

NETWORKS = {
    "edge 32x8": Edge(),
    "N=4": Srgan(blocks=4),
    "edge 48x8": Edge(channels=48),
    "edge 16x7": Edge(channels=16, depth=7),
}
COLUMNS: dict[str, tuple[Name, bool]] = {
    "ONNX Runtime": ("cpu", True),
    "OpenVINO": ("openvino", True),
    "OpenVINO, as it comes": ("openvino", False),
    "ncnn": ("ncnn", True),
    "ONNX Runtime Web": ("web", True),
    "LiteRT": ("litert", True),
    "ExecuTorch": ("executorch", True),
    "CUDA": ("cuda", True),
    "CUDA, as it comes": ("cuda", False),
}


def installed(wanted: list[str]) -> dict[str, tuple[Name, bool]]:
    """The columns whose runtime is there, ONNX Runtime and those that are wanted."""
    found = {}
    for title in (title for title in COLUMNS if title in ("ONNX Runtime", *wanted)):
        name, exact = COLUMNS[title]
        try:
            if name == "cuda" and not cuda_device_present():
                raise VerifyError("no CUDA device was found")
            load(name)
        except VerifyError as error:
            print(f"left out: {title}: {error.message}", file=sys.stderr)
        else:
            found[title] = (name, exact)
    return found


def medians(
    model: Path, columns: dict[str, tuple[Name, bool]], size: str, options: argparse.Namespace
) -> tuple[dict[str, float], dict[str, str]]:
    """Median over the rounds of each runtime's p50, or least, in ms; version and precision."""
    times: dict[str, list[float]] = {title: [] for title in columns}
    facts = {}
    for _ in range(options.rounds):
        for title, (name, exact) in columns.items():
            found = speed(
                name,
                _own(model, name),
                sizes=[size],
                threads=options.threads,
                runs=options.runs,
                exact=exact,
            )
            times[title].append(found["min_ms" if options.least else "p50_ms"])
            facts[title] = f"{found['version']}, {found['precision']}"
    return {title: statistics.median(values) for title, values in times.items()}, facts


def _own(model: Path, name: Name) -> Path:
    """The copy that the runtime opens."""
    return model.with_suffix(f".{OWN_FILES[name]}") if name in OWN_FILES else model


def bound(model: Path, size: str, options: argparse.Namespace) -> float:
    """Median ms on CUDA of input and output that lie on the card."""
    running = OnnxRuntime("cuda").open(model, threads=options.threads)
    width, height = parse_size(size)
    lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    return 1e3 * statistics.median(running.run_bound(lr)[1] for _ in range(WARMUP + options.runs))


def _copy(columns: dict[str, tuple[Name, bool]], built: Student, model: Path) -> None:
    """Make the files of `OWN_FILES` beside `model`."""
    if "LiteRT" in columns:
        from edgesr.deploy.litert import to_litert

        data, _ = to_litert(onnx.load(model), (128, 128))
        _own(model, "litert").write_bytes(data)
    if "ExecuTorch" in columns:
        from edgesr.deploy.executorch import to_executorch

        _own(model, "executorch").write_bytes(to_executorch(built, 512, clip=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10, help="timed runs of a round")
    parser.add_argument("--sizes", nargs="+", default=["64x64", "128x128"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=["edge 32x8", "N=4"], choices=NETWORKS)
    parser.add_argument("--least", action="store_true", help="not the median of a round's runs")
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), choices=COLUMNS)
    options = parser.parse_args()
    torch.manual_seed(0)
    columns = installed(options.columns)
    figure = "least" if options.least else "p50"
    print(f"{figure} in ms, {options.threads} threads; in brackets ONNX Runtime's divided by it")
    print("| network | LR | " + " | ".join(columns) + " |")
    print("|---|--:|" + "--:|" * len(columns))
    facts: dict[str, str] = {}
    on_card: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks:
            model, built = Path(folder) / "model.onnx", zoo.build(NETWORKS[network]).eval()
            export_onnx(built, model, Export(), metadata={})
            _copy(columns, built, model)
            for size in options.sizes:
                found, facts = medians(model, columns, size, options)
                base = found["ONNX Runtime"]
                cells = [
                    f"{found[title]:.1f} (**{base / found[title]:.2f} x**)" for title in columns
                ]
                print(f"| {network} | {size} | {' | '.join(cells)} |", flush=True)
                if "CUDA" in columns:
                    on_card[f"{network}, {size}"] = bound(model, size, options)
    for case, ms in on_card.items():
        print(f"CUDA, without the copies to the card and back: {case}: {ms:.2f} ms")
    for title, text in facts.items():
        print(f"{title}: {text}")


if __name__ == "__main__":
    in_words(main)

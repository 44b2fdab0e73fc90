"""What eight bits and half precision are worth: the files of bundles, interleaved.

    python benchmarks/variants.py exports/edge-s exports/n4-psnr
    python benchmarks/variants.py exports/edge-s --data Set5 --size 320x180 --threads 1

All files are open at once with their spinning off, and take turns, so that a drift of the machine
meets all of them alike. Files of fixed shapes take part where --size is theirs. With --data it also
says what each loses of PSNR there.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import onnxruntime
from command import in_words
from turns import medians

from edgesr.bounds import parse_size
from edgesr.bundle.card import read_card
from edgesr.bundle.records.card import Picture
from edgesr.inference.session import open_session
from edgesr.inference.upscaler import Upscaler
from edgesr.quality.evaluate import evaluate, load_images
from edgesr.runtimes.base import Tensor
from edgesr.verify.speed import noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    width, height = parse_size(options.size)
    facts = {
        (folder, name): each
        for folder in options.bundles
        for name, each in read_card(folder).variants.items()
        if each.window in (None, (height, width))
    }
    files = {(folder, name): folder / each.file for (folder, name), each in facts.items()}
    inputs = {files[key]: _input(each.input, options.size) for key, each in facts.items()}
    times = latencies(inputs, options.threads, options.runs)
    print(
        f"ONNX Runtime {onnxruntime.__version__}, CPU, {options.threads} threads, {options.size} LR"
        f", median of {options.runs} in turn"
    )
    quality = options.data and {key: psnr_db(path, options.data) for key, path in files.items()}
    measured = " PSNR dB | lost dB |" if quality else ""
    print(f"| bundle | variant | MB | ms | times as fast as fp32 |{measured}")
    print(f"|---|---|--:|--:|--:|{'--:|--:|' if quality else ''}")
    for (folder, name), path in files.items():
        own, plain = times[path], times[files[folder, "fp32"]]
        megabytes = path.stat().st_size / 1e6
        row = f"| {folder.name} | {name} | {megabytes:.2f} | {own:.1f} | {plain / own:.2f} |"
        if quality:
            psnr, reference = quality[folder, name], quality[folder, "fp32"]
            row += f" {psnr:.2f} | {reference - psnr:.3f} |"
        print(row)


def _input(picture: Picture, size: str) -> Tensor:
    return noise(size, picture.dtype, 1 if picture.colour == "Y" else 3)


def latencies(inputs: dict[Path, Tensor], threads: int, runs: int) -> dict[Path, float]:
    """Median latency in ms of each file, taking turns."""
    calls = {}
    for path, lr in inputs.items():
        session = open_session(path, provider="cpu", threads=threads, spinning=False)
        calls[path] = partial(session.run, None, {"lr": lr})
    return medians(calls, runs=runs, warm_up=1)


def psnr_db(path: Path, data: Path) -> float:
    """Mean PSNR on Y of a file over a folder of HR images."""
    return evaluate(Upscaler(path, provider="cpu"), load_images(data), lpips=None).mean.psnr_db


if __name__ == "__main__":
    in_words(main)

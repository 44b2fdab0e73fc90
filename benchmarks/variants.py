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

import numpy as np
import onnxruntime
from command import in_words
from turns import medians

from edgesr.bounds import parse_size
from edgesr.bundle.card import read_card
from edgesr.inference.session import open_session
from edgesr.inference.upscaler import Upscaler
from edgesr.quality.evaluate import evaluate, load_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    files = {
        (folder, name): folder / facts.file
        for folder in options.bundles
        for name, facts in read_card(folder).variants.items()
        if facts.window in (None, parse_size(options.size))
    }
    times = latencies(list(files.values()), options)
    print(
        f"ONNX Runtime {onnxruntime.__version__}, CPU, {options.threads} threads, {options.size} LR"
        f", median of {options.runs} in turn"
    )
    print("| bundle | variant | MB | ms | times as fast as fp32 | PSNR dB | lost dB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    quality = {key: psnr_db(path, options.data) for key, path in files.items()}
    for (folder, name), path in files.items():
        own, plain = times[path], times[files[folder, "fp32"]]
        psnr, reference = quality[folder, name], quality[folder, "fp32"]
        print(
            f"| {folder.name} | {name} | {path.stat().st_size / 1e6:.2f} | {own:.1f} "
            f"| {plain / own:.2f} | {psnr:.2f} | {reference - psnr:.3f} |"
        )


def latencies(paths: list[Path], options: argparse.Namespace) -> dict[Path, float]:
    """Median latency in ms of each file on noise, taking turns."""
    sessions = {
        path: open_session(path, provider="cpu", threads=options.threads, spinning=False)
        for path in paths
    }
    width, height = parse_size(options.size)
    noise = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    floats = np.ascontiguousarray(noise.transpose(0, 3, 1, 2), dtype=np.float32) / 255
    inputs = {
        "tensor(uint8)": noise,
        "tensor(float)": floats,
        "tensor(float16)": floats.astype(np.float16),
    }
    calls = {
        path: partial(session.run, None, {"lr": inputs[session.get_inputs()[0].type]})
        for path, session in sessions.items()
    }
    return medians(calls, runs=options.runs, warm_up=1)


def psnr_db(path: Path, data: Path | None) -> float:
    """Mean PSNR on Y of a file over a folder of HR images; NaN where none is given."""
    if data is None:
        return float("nan")
    return evaluate(Upscaler(path, provider="cpu"), load_images(data), lpips=None).mean.psnr_db


if __name__ == "__main__":
    in_words(main)

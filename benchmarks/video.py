"""Videos from file to file: frames a second, what the network alone takes, and memory.

    python benchmarks/video.py                            every case, some minutes
    python benchmarks/video.py --cases 320x180 --frames 60 --runs 1
    python benchmarks/video.py --long 5000                memory over 5,000 frames as well

Each run is a process of its own; all cases take turns. Wall time depends on who else is at work;
processor time, of all threads, hardly does, and says what one frame costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import moving
import numpy as np
import onnxruntime
import psutil
from command import in_words

from edgesr import console
from edgesr.bounds import parse_size
from edgesr.inference.upscaler import Upscaler
from edgesr.video import stage
from edgesr.video.encoding import Encoding
from edgesr.video.facts import Picture
from edgesr.video.frames import Frames
from edgesr.video.reading import Clip
from edgesr.video.writing import Writer

CASES = {
    "320x180": ("edge-s:int8", "edge-s-luma:int8", "edge-xs:int8", "edge-s:fp32", "edge-m:int8"),
    "480x270": ("edge-s:int8", "edge-xs:int8", "edge-m:int8"),
    "960x540": ("edge-s-x2:int8", "edge-xs-x2:int8", "edge-m-x2:int8"),
}
"""Sizes of the frames, and bundles with their variants."""
LONG = "64x36"
"""Small frames, so that many thousand take a minute."""

Result = dict[str, float]


def work(bundle: str, source: str, target: str, threads: int) -> Result:
    """What the worker does: a video from file to file, then its parts by themselves."""
    console.configure(quiet=True)
    folder, variant = bundle.rsplit(":", 1)
    upscaler = Upscaler(folder, variant=variant, threads=threads, provider="cpu")
    with memory() as held:
        whole, frames = timed(
            lambda: stage.upscale_video(
                upscaler, Path(source), Path(target), encoding=Encoding(threads=threads)
            )
        )
    found = {"frames": frames, "fps": frames / whole[0], "cpu": 1e3 * whole[1] / frames}
    return found | held | parts(upscaler, Path(source), Path(target), threads)


def parts(upscaler: Upscaler, source: Path, target: Path, threads: int) -> Result:
    """Milliseconds of processor a frame: decoding, the network alone, encoding."""
    clip, pictures = Clip(source), list[Any]()
    clip.planar = upscaler.colours == 1
    decoding, _ = timed(lambda: pictures.extend(clip.items()))
    sample = [picture for picture in pictures if isinstance(picture, Picture)][:20]
    session = upscaler._alive().opened.session
    seen = sample[0].pixels.split()[0][..., None] if clip.planar else sample[0].pixels
    lr = np.ascontiguousarray(seen.transpose(2, 0, 1)[None], np.float32) / 255
    network, _ = timed(lambda: [session.run(None, {"lr": lr}) for _ in sample])
    frames = Frames(upscaler, clip.facts.width, clip.facts.height, even=True)
    large = [Picture(frames(picture.pixels), picture.stamp) for picture in sample]
    facts = replace(clip.facts, width=frames.size[0], height=frames.size[1])
    writer = Writer(target, target, facts, Encoding(threads=threads))
    encoding, _ = timed(lambda: [*map(writer.write, large), writer.close()])
    return {
        "decode": 1e3 * decoding[1] / len(pictures),
        "network": 1e3 * network[1] / len(sample),
        "network_fps": len(sample) / network[0],
        "encode": 1e3 * encoding[1] / len(sample),
    }


def timed(call: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Seconds of wall and of processor that a call takes, and what it returns."""
    wall, processor = time.perf_counter(), time.process_time()
    returned = call()
    return (time.perf_counter() - wall, time.process_time() - processor), returned


class memory(dict[str, float]):
    """While it is open: megabytes held after a tenth of the time, and at most."""

    def __enter__(self) -> memory:
        self._done, self._seen = threading.Event(), list[float]()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        process = psutil.Process(os.getpid())
        while not self._done.wait(0.1):
            self._seen.append(process.memory_info().rss / 1e6)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self |= {"early_mb": self._seen[len(self._seen) // 10], "most_mb": max(self._seen)}


def run(folder: Path, bundle: str, size: str, frames: int, threads: int) -> Result:
    """`work` in a process of its own."""
    clip = folder / f"{size}-{frames}.mp4"
    if not clip.exists():
        width, height = parse_size(size)
        image = moving.photograph(None, (width + 64, height + 64))
        moving.write(clip, moving.crops(image, (width, height), frames))
    job = json.dumps([bundle, str(clip), str(folder / "big.mp4"), threads])
    done = subprocess.run(
        [sys.executable, __file__, "--job", job], stdout=subprocess.PIPE, check=True
    )
    found: Result = json.loads(done.stdout.decode().splitlines()[-1])
    return found


def cases(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for size in options.cases:
        for bundle in CASES[size]:
            if (options.exports / bundle.rsplit(":", 1)[0]).is_dir():
                yield size, f"{options.exports / bundle}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=Path, default=Path("exports"))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--long", type=int, default=0, help="frames of a long run, for memory")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(work(*json.loads(options.job))))
        return
    with tempfile.TemporaryDirectory() as name:
        measure(options, Path(name))


def measure(options: argparse.Namespace, folder: Path) -> None:
    rows: dict[tuple[str, str], list[Result]] = {case: [] for case in cases(options)}
    for _ in range(options.runs):
        for (size, bundle), results in rows.items():
            results.append(run(folder, bundle, size, options.frames, options.threads))
    print(
        f"ONNX Runtime {onnxruntime.__version__}, CPU, {options.threads} threads, median of "
        f"{options.runs} in turn, {options.frames} frames each; load average "
        f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} processors"
    )
    print(HEAD)
    for (size, bundle), results in rows.items():
        print(row(size, bundle, results), flush=True)
    if options.long:
        (size, bundle), *_ = rows
        long = run(folder, bundle, LONG, options.long, options.threads)
        print(
            f"{options.long} frames of {LONG}: {long['early_mb']:.0f} MB after a tenth of the "
            f"time, {long['most_mb']:.0f} MB at most"
        )


HEAD = (
    "| frames | model | frames/s | network alone | ms of processor a frame | decoding | network "
    "| encoding | rest, of the network | MB |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(size: str, bundle: str, results: list[Result]) -> str:
    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
    rest = middle["cpu"] - middle["decode"] - middle["network"] - middle["encode"]
    folder, variant = Path(bundle).name.rsplit(":", 1)
    cells = [
        size,
        f"{folder}, {variant}",
        f"{middle['fps']:.1f}",
        f"{middle['network_fps']:.1f}",
        *(f"{middle[key]:.1f}" for key in ("cpu", "decode", "network", "encode")),
        f"{100 * rest / middle['network']:.0f} %",
        f"{middle['most_mb']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    in_words(main)

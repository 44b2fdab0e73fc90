"""Images per second of a training on photographs from the cache, and streamed from shards.

    python benchmarks/streaming.py --data DIR
    python benchmarks/streaming.py --data DIR --threads 1 --workers 0 1 2 --crops 16 32

Both train the same network on the same photographs, by `edgesr distill`'s own loop, and take
turns: a block of steps each. The shards are written for it by WebDataset, into a folder that goes
at the end. What a step waits for its batch is the share of data; workers decode beside it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from command import in_words
from torch import Tensor
from training import OurLoop

from edgesr import console, extras
from edgesr.data import photos, shards
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.data.stream import StreamSampler
from edgesr.recipe import Data, Training
from edgesr.recipe import io as recipe_io
from edgesr.training.allocator import keep_freed_memory
from edgesr.training.state import Sampler

RECIPE = Path(__file__).parents[1] / "recipes" / "edge-xs.toml"
PER_SHARD = 32
CACHE = "cache"


class Timed:
    """A sampler, and how many seconds were spent waiting for it."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.waited = sampler, 0.0

    def next(self) -> tuple[Tensor, ...]:
        began = time.perf_counter()
        batch = self.sampler.next()
        self.waited += time.perf_counter() - began
        return batch

    def files(self, ago: int = 0) -> list[str]:
        return self.sampler.files(ago)

    def state_dict(self) -> dict[str, Any]:
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sampler.load_state_dict(state)


def write_shards(files: list[Path], folder: Path) -> None:
    """The photographs as they are, in a random order."""
    writer = extras.webdataset().ShardWriter
    with writer(str(folder / "%03d.tar"), maxcount=PER_SHARD, verbose=0) as shard:
        for number, path in enumerate(random.Random(0).sample(files, len(files))):
            shard.write({"__key__": f"{number:06d}", path.suffix[1:]: path.read_bytes()})


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Print speed, share of data and disk of every way to the photographs."""
    spec = recipe_io.load(RECIPE).model
    training = Training(batch=options.batch, patch=options.patch, schedule="constant", device="cpu")
    files = photos.split(Data(photos=options.data)).train
    write_shards(files, folder)
    cache = PatchCache.open(files, patch=training.patch, scale=spec.scale)
    cache.data.view(-1)[::4096].sum()  # a long training has every page of it mapped
    shared: dict[str, Any] = {"patch": training.patch, "batch": training.batch, "seed": 0}
    samplers: dict[str, Sampler] = {CACHE: PatchSampler(cache, **shared)}
    for crops, workers in itertools.product(options.crops, options.workers):
        stream = {"crops": crops, "workers": workers}
        data = Data.model_validate({"photos": f"{folder}/*.tar", "stream": stream})
        found = StreamSampler(shards.find(data), data, scale=spec.scale, **shared)
        samplers[f"{crops} crops, {workers} workers"] = found
    timed = {name: Timed(sampler) for name, sampler in samplers.items()}
    loops = {
        name: OurLoop(spec, cache, training, targets=False, sampler=sampler)
        for name, sampler in timed.items()
    }
    seconds, waits = take_turns(loops, timed, options)
    size = sum(shard.stat().st_size for shard in folder.iterdir()) / 1e6
    disk = dict.fromkeys(loops, size) | {CACHE: cache.data.nbytes / 1e6}
    print("| photographs from | images/s | / cache, median (lowest to highest) | data | MB |")
    print("|---|--:|--:|--:|--:|")
    for name, each in seconds.items():
        ratios = [ours / other for ours, other in zip(seconds[CACHE], each, strict=True)]
        speed = training.batch * options.steps / statistics.median(each)
        span = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        share = sum(waits[name]) / sum(each)
        print(f"| {name} | {speed:.0f} | {span} | {share:.0%} | {disk[name]:.0f} |", flush=True)


def take_turns(
    loops: dict[str, OurLoop], timed: dict[str, Timed], options: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each block, and of waiting for data in it. The first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    waits: dict[str, list[float]] = {name: [] for name in loops}
    for turn, name in itertools.product(range(options.rounds + 1), loops):
        before = loops[name].state.seconds
        timed[name].waited = 0.0
        loops[name].run_steps(options.steps)
        if turn:
            seconds[name].append(loops[name].state.seconds - before)
            waits[name].append(timed[name].waited)
    return seconds, waits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder of photographs")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--crops", type=int, nargs="+", default=[16])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=64, help="of a block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    console.configure(quiet=True)
    console.out.quiet = True
    keep_freed_memory()
    print(
        f"torch {torch.__version__}, {options.threads} threads, batch {options.batch}, patches of "
        f"{options.patch}, {options.rounds} rounds of {options.steps} steps\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        compare(options, Path(folder))


if __name__ == "__main__":
    in_words(main)

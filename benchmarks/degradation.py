"""What degrading costs a training: before it, when the LR pictures are made, and in its steps.

    python benchmarks/degradation.py --data DIR               the recipe edge-s-real-psnr's table
    python benchmarks/degradation.py --rounds 20              on the embedded photographs

The LR variants of every photograph are made once and kept, so that a step only cuts from them. A
step is edge 32x8's with L1, its batch and patch those of the recipe, in float32 on the CPU. Cutting
and training take turns; medians of processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from command import in_words
from torch.nn.functional import l1_loss

from edgesr.data import photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.models import zoo
from edgesr.recipe import Bicubic, Data, Degradation, Edge, Real, Recipe
from edgesr.recipe import io as recipe_io

T = TypeVar("T")


@dataclass(frozen=True)
class Costs:
    """Seconds of processor time: making the cache, cutting a batch, a step with that."""

    made: float
    cut: float
    step: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=Path("recipes/edge-s-real-psnr.toml"))
    parser.add_argument("--data", default="embedded", help="a folder of photographs")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    recipe = recipe_io.load(given.recipe, photos=given.data)
    steps = recipe.training.steps
    print("| LR | made once, s | cut, ms | step, ms | cut of a step | made, of all steps |")
    print("|-|--:|--:|--:|--:|--:|")
    for name, by in (("bicubic", Bicubic()), ("real", _real(recipe))):
        found = measured(recipe, by, given.rounds)
        print(
            f"| {name} | {found.made:.1f} | {1e3 * found.cut:.1f} | {1e3 * found.step:.0f} "
            f"| {found.cut / found.step:.1%} | {found.made / (steps * found.step):.2%} |"
        )


def _real(recipe: Recipe) -> Degradation:
    own = recipe.data.degradation
    return own if own.kind == "real" else Real()


def measured(recipe: Recipe, by: Degradation, rounds: int) -> Costs:
    """The costs with LR made `by`, in a cache of their own."""
    training = recipe.training
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGESR_CACHE"] = folder
        files = photos.split(Data(photos=recipe.data.photos)).train
        began = time.process_time()
        cache = PatchCache.open(files, patch=training.patch, scale=4, degradation=by)
        made = time.process_time() - began
        sampler = PatchSampler(cache, patch=training.patch, batch=training.batch, seed=0)
        network = zoo.build(Edge(channels=32, depth=8))
        adam = torch.optim.Adam(network.parameters(), lr=1e-4)
        cuts, steps = [], []
        for _ in range(2 + rounds):
            cut, (lr, hr) = timed(sampler.next)
            learnt, _ = timed(lambda lr=lr, hr=hr: _learn(network, adam, lr, hr))
            cuts.append(cut)
            steps.append(cut + learnt)
    return Costs(made, statistics.median(cuts[2:]), statistics.median(steps[2:]))


def _learn(
    network: torch.nn.Module, adam: torch.optim.Optimizer, lr: torch.Tensor, hr: torch.Tensor
) -> None:
    adam.zero_grad()
    l1_loss(network(lr), hr).backward()
    adam.step()


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Its seconds of processor time, and what it returned."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


if __name__ == "__main__":
    in_words(main)

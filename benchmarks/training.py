"""Images per second of edgesr's training against a plain PyTorch loop, and where the time goes.

    python benchmarks/training.py --data DIR                  tables of some minutes
    python benchmarks/training.py --networks edge --precisions fp32 --rounds 3 --threads 1
    python benchmarks/training.py --device cuda --precisions fp32 tf32 fp16-mixed bf16-mixed

Both loops train the same network from the same start at the same batch, patch and precision, and
take turns: a block of steps each, after steps that do not count. edgesr's is `loop.fit` with what
`edgesr distill` puts into it. The plain loop is what one would write first: a DataLoader whose
dataset opens a file with Pillow, crops, flips and reduces the crop by bicubic; Adam and L1 as they
come. Its workers live for one block, so that they cannot fetch ahead while the other loop runs.
Both have what edgesr tells the memory allocator, which is the process's.

Where there is a teacher it is SRGAN N=16: the plain loop runs it in every step, edgesr cuts from
pictures that were made once (`teacher.once`). Its weights are random and the pictures are any
pixels; time does not depend on them.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from command import in_words
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.data import DataLoader, Dataset

from edgesr import console
from edgesr.data import photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.losses.total import GeneratorLoss
from edgesr.models import zoo
from edgesr.models.edge import RepConv
from edgesr.recipe import Data, Edge, Losses, Model, Recipe, Srgan, Training
from edgesr.training.allocator import keep_freed_memory
from edgesr.training.ema import Ema
from edgesr.training.log import Log
from edgesr.training.loop import Run, fit
from edgesr.training.precision import HALVES, autocast, choose_float32
from edgesr.training.state import Sampler, State
from edgesr.training.steps import Step, TrainedNetwork
from edgesr.training.validation import Validation

NETWORKS: dict[str, tuple[str, Model]] = {
    "edge": ("edge 32x8", Edge(channels=32, depth=8)),
    "branches": (
        "edge 32x8 with branches",
        Edge(channels=32, depth=8, branches=["expand", "point", "identity"]),
    ),
    "n4": ("SRGAN N=4", Srgan(blocks=4)),
}
WARM_UP = 3

ARITHMETIC = {
    "convolutions": ("conv",),
    "activations and batch normalisation": ("relu", "clamp_min", "threshold", "batch_norm", "tanh"),
    "shuffle and anchor": ("pixel_", "upsample"),
    "collapse of branches": ("bmm", "einsum", "_pad"),
    "sums and differences": (
        "::add",
        "::sub",
        "::mul",
        "::div",
        "::abs",
        "::sgn",
        "::mean",
        "::sum",
    ),
    "optimiser": ("adam",),
}
"""What counts as the network's own arithmetic: operators whose name holds one of these, inside
forward, loss, backward and optimiser. Their own time counts, without what they call."""
NOT_COUNTED = "all else: data, average, copies and casts, memory, autograd, Python"


class Plain(Dataset[tuple[Tensor, Tensor]]):
    """Files decoded whenever they are asked for, as most training scripts have it."""

    def __init__(self, files: list[Path], patch: int, length: int) -> None:
        self.files, self.patch, self.length = files, patch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, _: int) -> tuple[Tensor, Tensor]:
        chosen = self.files[int(torch.randint(len(self.files), ()))]
        with Image.open(chosen) as file:
            photo = file.convert("RGB")
        left = int(torch.randint(photo.width - self.patch + 1, ()))
        top = int(torch.randint(photo.height - self.patch + 1, ()))
        crop = photo.crop((left, top, left + self.patch, top + self.patch))
        for turn in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
            if torch.rand(()) < 0.5:
                crop = crop.transpose(turn)
        small = crop.resize((self.patch // 4, self.patch // 4), Image.Resampling.BICUBIC)
        return _tensor(small), _tensor(crop)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


@dataclass
class PlainLoop:
    """The loop that edgesr is measured against."""

    network: nn.Module
    cache: PatchCache
    training: Training
    workers: int
    teacher: nn.Module | None = None
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.device = self.training.device
        self.network.to(self.device)
        if self.teacher is not None:
            self.teacher.to(self.device)
        half = self.training.precision == "fp16-mixed"
        self.scaler = torch.amp.GradScaler(self.device, enabled=half)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=1e-4)

    def block(self, steps: int) -> float:
        """Seconds of `steps` steps."""
        batch = self.training.batch
        dataset = Plain(self.cache.files, self.training.patch, batch * (steps + WARM_UP))
        batches = iter(DataLoader(dataset, batch, num_workers=self.workers))
        for _ in range(WARM_UP):
            self.step(batches)
        wait(self.device)
        self.waited, began = 0.0, time.perf_counter()
        for _ in range(steps):
            self.step(batches)
        wait(self.device)
        return time.perf_counter() - began

    def step(self, batches: Iterator[list[Tensor]]) -> None:
        began = time.perf_counter()
        lr, hr = (each.to(self.device) for each in next(batches))
        self.waited += time.perf_counter() - began
        half = HALVES.get(self.training.precision)
        with torch.autocast(self.device, half or torch.bfloat16, half is not None):
            sr = self.network(lr)
            target = None
            if self.teacher is not None:
                with torch.no_grad():
                    target = self.teacher(lr)
        loss = F.l1_loss(sr.float(), hr)
        if target is not None:
            loss = loss + F.l1_loss(sr.float(), target.float())
        self.adam.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.adam)
        self.scaler.update()


def wait(device: str) -> None:
    """Until what was asked of a GPU is done."""
    if device == "cuda":
        torch.cuda.synchronize()


class Beside(nn.Module):
    """The branches of a `RepConv` run one beside the other, as they are usually trained."""

    def __init__(self, layer: RepConv) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        out: Tensor = layer.conv(x)
        if layer.identity:
            out = out + x
        if layer.point is not None:
            out = out + layer.point(x)
        if layer.expand is not None and layer.squeeze is not None:
            out = out + layer.squeeze(layer.expand(x))
        return out


def beside(network: nn.Module) -> nn.Module:
    """`network` with its branches not collapsed."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, RepConv):
            network.set_submodule(name, Beside(layer))
    return network


class OurLoop:
    """What `edgesr distill` sets up, around its own loop; no validation, log or checkpoints.

    Args:
        targets: whether a teacher's pictures are cut, too.
        sampler: where batches come from, in place of `cache`.
    """

    def __init__(
        self,
        spec: Model,
        cache: PatchCache,
        training: Training,
        targets: bool,
        sampler: Sampler | None = None,
    ) -> None:
        losses = Losses(l1=1.0, teacher_l1=1.0 if targets else 0.0)
        self.fabric = Fabric(
            accelerator=training.device,
            devices=1,
            plugins=autocast(training.precision, training.device),
        )
        network = TrainedNetwork.prepared(self.fabric, zoo.build(spec), training)
        pixels = cache.data if targets else None  # any pixels do for the teacher's pictures
        sampler = sampler or PatchSampler(
            cache,
            patch=training.patch,
            batch=training.batch,
            seed=0,
            device=self.fabric.device,
            targets=pixels,
        )
        self.state = State("pixel", network, Ema(network.module, training.ema), sampler)
        self.step = Step(self.fabric, network, GeneratorLoss(losses))
        recipe = Recipe(name="benchmark", model=spec, training=training)
        log = Log(Path("unwritten"), tensorboard=False)
        validation = Validation(photos.split(Data()).validation, 4, self.fabric.device)
        self.run = Run(recipe, Path("unwritten"), log, validation, leads=False)

    def block(self, steps: int) -> float:
        """Seconds of `steps` steps of `fit`."""
        self.run_steps(WARM_UP)
        before = self.state.seconds
        self.run_steps(steps)
        return self.state.seconds - before

    def run_steps(self, steps: int) -> None:
        """Train for so many more steps."""
        training = self.run.recipe.training
        until = training.model_copy(update={"steps": self.state.step + steps})
        fit(self.run, until, self.step, self.state)

    def in_parts(self, part: Callable[[str], record_function]) -> None:
        """One step, with each of its parts inside `part(name)`."""
        step, network = self.step, self.state.student
        with part("data"):
            batch = self.state.sampler.next()
        with part("forward"):
            out = step.forward(*batch)
        with part("loss"):
            terms = step.terms(out)
            loss = step.loss.total(terms)
        with part("backward"):
            norm = network.differentiate(self.fabric, loss, 0.0)
            step.check_finite(loss, norm, terms)
        with part("optimiser"):
            network.descend()
        with part("average"):
            self.state.ema.update(network.module)


class Timer:
    """Adds up wall time by part; a GPU's includes what it queued."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, name: str) -> Timer:
        self.name = name
        return self

    def __enter__(self) -> None:
        wait(self.device)
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        wait(self.device)
        self.seconds[self.name] += time.perf_counter() - self.began


def shares(ours: OurLoop, steps: int) -> tuple[dict[str, float], float]:
    """Milliseconds a step of each group of `ARITHMETIC` and of all else; and of the whole step.

    The profiler costs time of its own, nearly all of it outside the arithmetic.
    """
    ours.in_parts(record_function)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as found:
        began = time.perf_counter()
        for _ in range(steps):
            ours.in_parts(record_function)
        whole = time.perf_counter() - began
    seconds = dict.fromkeys(ARITHMETIC, 0.0)
    for event in found.events():
        group = next((g for g, marks in ARITHMETIC.items() if _any(marks, event.name)), None)
        if group and event.name.startswith("aten::") and _part_of(event) not in ("data", "average"):
            seconds[group] += event.self_cpu_time_total / 1e6
    seconds[NOT_COUNTED] = whole - sum(seconds.values())
    return {group: 1e3 * each / steps for group, each in seconds.items()}, 1e3 * whole / steps


def _any(marks: tuple[str, ...], name: str) -> bool:
    return any(mark in name for mark in marks)


def _part_of(event: torch.autograd.profiler_util.FunctionEvent) -> str:
    while event.cpu_parent is not None:
        event = event.cpu_parent
    return event.name


def compare(title: str, spec: Model, precision: str, options: argparse.Namespace) -> None:
    """Print images per second of every loop, and where edgesr's step spends its time."""
    patch = {"precision": precision, "batch": options.batch, "patch": options.patch}
    training = Training.model_validate(patch | {"schedule": "constant", "device": options.device})
    data = Data(photos=options.data)
    cache = PatchCache.open(photos.split(data).train, patch=training.patch, scale=4)
    cache.data.view(-1)[::4096].sum()  # a long training has every page of it mapped
    for targets in (False, True):
        ours = OurLoop(spec, cache, training, targets)
        loops: dict[str, OurLoop | PlainLoop] = {"edgesr": ours}
        for name, network in plain_networks(spec).items():
            teacher = zoo.build(Srgan(blocks=16)).eval() if targets else None
            loops[name] = PlainLoop(network, cache, training, options.workers, teacher)
        seconds, parts = take_turns(loops, ours, options)
        case = f"{title}, {precision}, {'a teacher' if targets else 'no teacher'}"
        print(f"\n**{case}**, {len(cache.files)} photographs\n")
        print_speeds(loops, seconds, training.batch, options.steps)
        print_parts(ours, parts, statistics.median(seconds["edgesr"]) / options.steps, options)


def plain_networks(spec: Model) -> dict[str, nn.Module]:
    """The network as it is, and where it has branches, with those run one beside the other."""
    networks = {"plain": zoo.build(spec).train()}
    if isinstance(spec, Edge) and spec.branches:
        networks["plain, branches not collapsed"] = beside(zoo.build(spec).train())
    return networks


def take_turns(
    loops: dict[str, OurLoop | PlainLoop], ours: OurLoop, options: argparse.Namespace
) -> tuple[dict[str, list[float]], Timer]:
    """Seconds of each block by loop, and of the parts of edgesr's step over all rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    parts = Timer(options.device)
    for turn in range(options.rounds + 1):
        for name, loop in loops.items():
            took = loop.block(options.steps)
            if turn:  # the first round warms up
                seconds[name].append(took)
        for _ in range(options.steps if turn else 0):
            ours.in_parts(parts)
    return seconds, parts


def print_speeds(
    loops: dict[str, OurLoop | PlainLoop], seconds: dict[str, list[float]], batch: int, steps: int
) -> None:
    print("| loop | images/s | edgesr / it, median (lowest to highest) | waits for data |")
    print("|---|--:|--:|--:|")
    for name, loop in loops.items():
        ratios = [s / o for s, o in zip(seconds[name], seconds["edgesr"], strict=True)]
        speed = batch * steps / statistics.median(seconds[name])
        span = f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        waits = f"{loop.waited / seconds[name][-1]:.0%}" if isinstance(loop, PlainLoop) else ""
        print(f"| {name} | {speed:.1f} | {span if waits else ''} | {waits} |")


def print_parts(ours: OurLoop, parts: Timer, step_s: float, options: argparse.Namespace) -> None:
    """The wall time of the parts of a step, then the profiler's view of another few steps."""
    count = options.rounds * options.steps
    whole = sum(parts.seconds.values()) / count
    cells = [f"{name} {each / count / whole:.1%}" for name, each in parts.seconds.items()]
    print(
        f"\nedgesr's step, {1e3 * step_s:.1f} ms ({1e3 * whole:.1f} in parts): {', '.join(cells)}"
    )
    if options.device != "cpu":  # the profiler's times are of the processor's operators
        return
    groups, profiled = shares(ours, options.steps)
    print(f"\n| of a profiled step of {profiled:.1f} ms | ms | share |\n|---|--:|--:|")
    for group, ms in groups.items():
        print(f"| {group} | {ms:.2f} | {ms / profiled:.1%} |")
    own = profiled - groups[NOT_COUNTED]
    print(
        f"| **the network's own arithmetic** | {own:.2f} | **{own / profiled:.1%}** |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["edge"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16-mixed"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20, help="of a block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop's DataLoader")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    console.configure(quiet=True)
    console.out.quiet = True
    keep_freed_memory()
    place = "CPU" if options.device == "cpu" else torch.cuda.get_device_name()
    print(
        f"torch {torch.__version__}, {place}, {options.threads} threads, "
        f"{options.workers} workers, "
        f"batch {options.batch}, patches of {options.patch}, {options.rounds} rounds of "
        f"{options.steps} steps"
    )
    for name, precision in itertools.product(options.networks, options.precisions):
        choose_float32(precision)
        compare(*NETWORKS[name], precision, options)


if __name__ == "__main__":
    in_words(main)

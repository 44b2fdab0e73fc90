"""Short trainings that differ in one thing, for docs/experiments.md.

    python benchmarks/experiments.py --data DIR --teacher FILE                 train what is missing
    python benchmarks/experiments.py --data DIR --teacher FILE --only c64 c48  some of them
    python benchmarks/experiments.py --data DIR --teacher FILE --tables        the tables alone
    python benchmarks/experiments.py --latency                                 how long each takes

Every trial trains `edge 16x7`, or N=4, on the same photographs for the same number of steps, and
says what it changes. Choices are made on the photographs that are held out; BSD100 or any other set
given with --test is measured and never chosen by. Results are kept as JSON under runs/experiments,
apart for each number of steps, each set of photographs and each teacher.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import designs
import torch
from command import in_words
from lightning_fabric import Fabric
from torch import Tensor, nn
from trials import TRIALS, Trial

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, crop_to_multiple, quantise, to_image, to_tensor
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.losses.content import BT601
from edgesr.losses.total import GeneratorLoss, Outputs
from edgesr.metrics import psnr
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Data, Losses, Optimisation, Rewrites, teacher_terms
from edgesr.training.allocator import keep_freed_memory
from edgesr.training.ema import Ema
from edgesr.training.initialise import from_teacher
from edgesr.training.loop import learning_rate
from edgesr.training.precision import Autocast
from edgesr.training.steps import Step, TrainedNetwork
from edgesr.training.teacher_targets import teacher_targets
from edgesr.workspace import sha256, write_json

RESULTS = Path("runs/experiments")
PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "squared": Tensor.square,
    "charbonnier": lambda difference: (difference.square() + 1e-6).sqrt(),
}


class Turned(nn.Module):
    """A network's picture as the mean over the eight flips and turns of its input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> Tensor:
        pictures = []
        for turns, mirrored in itertools.product(range(4), (False, True)):
            picture = self.network(_turned(lr, turns, mirrored))
            pictures.append(_turned(picture.flip(-1) if mirrored else picture, -turns, False))
        return torch.stack(pictures).mean(0)


def _turned(image: Tensor, turns: int, mirrored: bool) -> Tensor:
    """`image` turned by so many quarters, then mirrored."""
    image = image.rot90(turns, (-2, -1))
    return image.flip(-1) if mirrored else image


class Ending(GeneratorLoss):
    """The pixel terms with another penalty in place of the absolute difference."""

    def __init__(self, losses: Losses, penalty: str) -> None:
        super().__init__(losses)
        self.penalty = PENALTIES[penalty]

    def terms(self, out: Outputs, _: Any = None) -> dict[str, Tensor]:
        assert out.teacher_sr is not None
        weights = out.sr.new_tensor(BT601).view(1, 3, 1, 1)
        terms = {}
        for prefix, target in (("", out.hr), ("teacher_", out.teacher_sr)):
            difference = out.sr - target
            terms[f"{prefix}l1"] = self.penalty(difference).mean()
            terms[f"{prefix}luma"] = self.penalty((difference * weights).sum(1)).mean()
        return terms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--validation", type=int, default=8)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--features", type=Path, default=Path("exports/edge-m/weights.safetensors"))
    parser.add_argument("--test", type=Path, help="a folder of HR pictures to measure on")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--latency", action="store_true")
    options = parser.parse_args()
    if options.teacher is None and not options.latency:
        parser.error("--teacher FILE is missing: most trials learn from its pictures")
    if options.latency:
        drawn = {t.name: t.build for t in TRIALS if t.group in ("design", "width")}
        return designs.print_latency(drawn)
    keep_freed_memory()
    chosen = [t for t in TRIALS if not options.only or t.name in options.only]
    if not options.tables:
        for seed in range(max(t.seeds for t in chosen)):
            for trial in (t for t in chosen if seed < t.seeds):
                _ensure(trial, seed, options)
    folder = RESULTS / conditions(options)
    print(f"{options.steps} steps; kept in {folder}")
    for group in dict.fromkeys(t.group for t in chosen):
        tried = {t: found for t in TRIALS if t.group == group and (found := results(t, folder))}
        print_table(tried)
    return None


def conditions(options: argparse.Namespace) -> str:
    """What all trials of one table share: a name for their folder."""
    files = photos.split(Data(photos=options.data, validation=options.validation))
    facts = [str(options.steps), sha256(options.teacher), str(options.test)]
    facts += [sha256(options.features)] if options.features.is_file() else []
    facts += [sha256(path) for path in (*files.train, *files.validation)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _ensure(trial: Trial, seed: int, options: argparse.Namespace) -> None:
    path = kept(trial, seed, RESULTS / conditions(options))
    if path.exists():
        return
    began = time.perf_counter()
    network = train(trial, seed, options)
    data = Data(photos=options.data, validation=options.validation)
    sets = {"validation": photos.split(data).validation}
    if options.test:
        sets["test"] = photos.find(options.test)
    scores = {name: score(network, files) for name, files in sets.items()}
    facts = {"trial": trial.name, "seed": seed, "steps": options.steps, "psnr_db": scores}
    write_json(path, facts)
    means = ", ".join(f"{name} {mean(found):.3f} dB" for name, found in scores.items())
    print(f"{trial.name} seed {seed}: {means}, {time.perf_counter() - began:.0f} s", flush=True)


def train(trial: Trial, seed: int, options: argparse.Namespace) -> nn.Module:
    """The averaged network after `options.steps`."""
    fabric = Fabric(accelerator="cpu", plugins=Autocast("cpu"))
    torch.manual_seed(seed)
    settings = Optimisation(steps=options.steps, lr=trial.lr, schedule=trial.schedule, warmup=200)
    network = trial.build()
    if trial.init:
        assert isinstance(network, Student)
        from_teacher(network, zoo.load(options.features))
    student = TrainedNetwork.prepared(fabric, network, settings, trial.optimiser)
    batches = draw(trial, seed, options, fabric)
    features = None
    if trial.losses.feature_affinity:
        features = zoo.load(options.features)
    step = Step(fabric, student, GeneratorLoss(trial.losses))
    ema = Ema(student.module, trial.ema)
    for number in range(options.steps):
        if trial.ending != "absolute" and number == round(0.8 * options.steps):
            step = Step(fabric, student, Ending(trial.losses, trial.ending))
        student.set_learning_rate(learning_rate(settings, number, trial.lr))
        batch = next(batches)
        if features is None:
            step(*batch)
        else:  # features from one teacher, pictures from the other
            step_with_features(step, *batch, features.module.with_features(batch[0])[1].detach())
        ema.update(student.module)
    return ema.module.eval()


def draw(
    trial: Trial, seed: int, options: argparse.Namespace, fabric: Fabric
) -> Iterator[tuple[Tensor, ...]]:
    """The trial's batches: LR, HR and, where a term asks for it, the teacher's picture."""
    data = Data(photos=options.data, validation=options.validation)
    cache = PatchCache.open(photos.split(data).train, patch=trial.patch, scale=4)
    pictures = None
    if teacher_terms(trial.losses):
        pictures = teacher_targets(cache, picture_teacher(trial, options), fabric, "bf16-mixed")
    sampler = PatchSampler(cache, patch=trial.patch, batch=trial.batch, seed=seed, targets=pictures)
    more = zoom_in(cache, trial, options, fabric) if trial.zoomed else None
    while True:
        batch = sampler.next()
        if more is not None:
            chosen = torch.randint(len(more[0]), (trial.batch // 4,))
            batch = tuple(
                torch.cat([part, extra[chosen]]) for part, extra in zip(batch, more, strict=True)
            )
        yield batch


def picture_teacher(trial: Trial, options: argparse.Namespace) -> SRModel:
    """The model whose pictures the trial learns from."""
    if trial.taught_by == "teacher":
        return zoo.load(options.teacher)
    teacher = zoo.load(options.features)
    if trial.taught_by == "features":
        return teacher
    assert isinstance(teacher.module, Student)
    turned = Turned(deployable(teacher.module, Rewrites()))
    return replace(teacher, module=turned, sha256=f"{teacher.sha256} turned")


@torch.no_grad()
def zoom_in(
    cache: PatchCache, trial: Trial, options: argparse.Namespace, fabric: Fabric, count: int = 512
) -> tuple[Tensor, ...]:
    """Patches of photographs that were not reduced, as inputs, and the teacher's picture of them
    for truth (Zhang et al., Data Upcycling Knowledge Distillation, arXiv:2309.14162)."""
    side = trial.patch // 4
    _, inputs = PatchSampler(cache, patch=side, batch=count, seed=1).next()
    teacher = zoo.load(options.teacher).module
    with fabric.autocast():
        outputs = torch.cat([teacher(part).float().clamp(0, 1) for part in inputs.split(8)])
    return inputs, outputs, outputs


def step_with_features(step: Step, lr: Tensor, hr: Tensor, sr: Tensor, features: Tensor) -> None:
    """One step in which the teacher's features are given beside its picture."""
    out = step.forward(lr, hr, sr)
    out = Outputs(out.sr, out.hr, out.features, sr, features)
    step.student.differentiate(step.fabric, step.loss.total(step.loss.terms(out)), 0.0)
    step.student.descend()


@torch.inference_mode()
def score(network: nn.Module, files: list[Path]) -> dict[str, float]:
    """PSNR on Y in dB of each picture, by the protocol of `edgesr evaluate`."""
    found = {}
    for photo in photos.decode_all(files, smallest=32):
        picture = crop_to_multiple(photo.pixels, 4)
        lr = quantise(bicubic_down(to_tensor(picture), 4))
        found[photo.name] = psnr(to_image(network(lr)), picture, 4)
    return found


def print_table(found: dict[Trial, list[dict[str, Any]]]) -> None:
    """Each trial against the first of its group: paired differences over pictures, mean of seeds.

    The interval is 95 % of a bootstrap over pictures and, where there are several, seeds.

    Args:
        found: the trials that were run, and what came of each seed.
    """
    if not found:
        return
    control, first = next(iter(found.items()))
    which = "test" if "test" in first[0]["psnr_db"] else "validation"
    print(f"\n| {control.group} | seeds | validation dB | {which} dB | against, dB |")
    print("|---|--:|--:|--:|--:|")
    for trial, runs in found.items():
        sets = [f"{mean_over(runs, name):.3f}" for name in ("validation", which)]
        against = "" if trial is control else difference(runs, first, which)
        cells = [trial.says, str(len(runs)), *sets, against]
        print("| " + " | ".join(cells) + " |")


def difference(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], which: str) -> str:
    """Mean paired difference and its interval, over the seeds that both have."""
    pairs = []
    for one, other in zip(ours, theirs, strict=False):
        left, right = one["psnr_db"][which], other["psnr_db"][which]
        pairs.append([left[name] - right[name] for name in left])
    table = torch.tensor(pairs, dtype=torch.float64)  # (seeds, pictures)
    generator = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(10_000):
        rows = torch.randint(len(table), (len(table),), generator=generator)
        columns = torch.randint(table.shape[1], (table.shape[1],), generator=generator)
        draws.append(table[rows][:, columns].mean())
    low, high = torch.stack(draws).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return f"{table.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def mean(values: dict[str, float]) -> float:
    return math.fsum(values.values()) / len(values)


def mean_over(found: list[dict[str, Any]], name: str) -> float:
    return sum(mean(result["psnr_db"][name]) for result in found) / len(found)


def results(trial: Trial, folder: Path) -> list[dict[str, Any]]:
    """What was kept of the trial's runs, seed after seed."""
    paths = [kept(trial, seed, folder) for seed in range(trial.seeds)]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def kept(trial: Trial, seed: int, folder: Path) -> Path:
    # `base` is the same training as `both`.
    return folder / f"{'both' if trial.name == 'base' else trial.name}-{seed}.json"


if __name__ == "__main__":
    in_words(main)

"""Short trainings that differ in one thing, for docs/experiments.md.

    python benchmarks/experiments.py --data DIR --teacher FILE                 train what is missing
    python benchmarks/experiments.py --data DIR --teacher FILE --only c64 c48  some of them
    python benchmarks/experiments.py --tables                                  the tables alone
    python benchmarks/experiments.py --latency                                 how long each takes

Every trial trains `edge 16x7` on the same photographs for the same number of steps, and says what
it changes. Choices are made on the photographs that are held out; BSD100 or any other set given
with --test is measured and never chosen by. Results are kept as JSON under runs/experiments.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import designs
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, crop_to_multiple, quantise, to_image, to_tensor
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.data.taught import taught
from edgesr.losses.total import GeneratorLoss, Outputs
from edgesr.models import zoo
from edgesr.quality.metrics import psnr
from edgesr.recipe import Data, Losses, Optimisation
from edgesr.training.ema import Ema
from edgesr.training.loop import learning_rate
from edgesr.training.steps import Player, Step
from edgesr.workspace import write_json

RESULTS = Path("runs/experiments")
ALL = ["expand", "point", "identity"]
BOTH = Losses(l1=1.0, teacher_l1=1.0)


@dataclass(frozen=True)
class Trial:
    """One training. What is left out is as in recipes/edge-xs.toml, with fewer steps.

    Attributes:
        says: what it changes, for the table.
        group: the table it belongs to; the first trial of a group is what the others differ from.
        seeds: one run for each.
        ending: share of the steps, the last ones, in which squared differences replace absolute.
        loss: what sums up the terms until then.
    """

    name: str
    group: str
    says: str
    build: Callable[[], nn.Module] = field(default=lambda: designs.edge(16, 7, ALL))
    losses: Losses = BOTH
    seeds: int = 1
    patch: int = 128
    batch: int = 16
    lr: float = 1e-3
    schedule: str = "cosine"
    ema: float = 0.999
    ending: float = 0.0
    loss: type[GeneratorLoss] = GeneratorLoss


def hr(**losses: float) -> Losses:
    return Losses(l1=1.0, **losses)  # type: ignore[arg-type]


class SquaredLoss(GeneratorLoss):
    """The same sum with mean squared differences in place of absolute ones."""

    def terms(self, out: Outputs, _: Any = None) -> dict[str, Tensor]:
        assert out.teacher_sr is not None
        return {
            "l1": F.mse_loss(out.sr, out.hr),
            "teacher_l1": F.mse_loss(out.sr, out.teacher_sr),
        }


class LumaLoss(GeneratorLoss):
    """Absolute differences of luma, which PSNR is measured on, and a fifth of those of RGB."""

    def terms(self, out: Outputs, _: Any = None) -> dict[str, Tensor]:
        assert out.teacher_sr is not None
        return {
            "l1": luma_l1(out.sr - out.hr),
            "teacher_l1": luma_l1(out.sr - out.teacher_sr),
        }


def luma_l1(difference: Tensor) -> Tensor:
    weights = difference.new_tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 219
    return (difference * weights).sum(1).abs().mean() + 0.2 * difference.abs().mean()


TRIALS = [
    Trial("hr", "training", "no teacher: L1 against HR", losses=hr(), seeds=3),
    Trial("both", "training", "and L1 against the teacher, equal weights", seeds=3),
    Trial(
        "teacher",
        "training",
        "L1 against the teacher alone",
        losses=Losses(l1=0.0, teacher_l1=1.0),
        seeds=3,
    ),
    Trial(
        "frequency",
        "training",
        "no teacher, spectrum against HR .05",
        losses=hr(frequency=0.05, frequency_against="hr"),  # type: ignore[arg-type]
    ),
    Trial(
        "both-frequency",
        "training",
        "both, spectrum against both .05",
        losses=hr(teacher_l1=1.0, frequency=0.05, frequency_against="both"),  # type: ignore[arg-type]
    ),
    Trial(
        "affinity",
        "training",
        "both, affinity to edge 32x10's features .05",
        losses=hr(teacher_l1=1.0, feature_affinity=0.05),
    ),
    Trial("l2-ending", "training", "both, squared in the last fifth", ending=0.2),
    Trial("luma", "training", "both, on luma and a fifth on RGB", loss=LumaLoss),
    Trial("patch-64", "training", "both, 64 patches of 64", patch=64, batch=64),
    Trial("patch-192", "training", "both, 7 patches of 192", patch=192, batch=7),
    Trial("lr-5e-4", "training", "both, learning rate 5e-4", lr=5e-4),
    Trial("lr-2e-3", "training", "both, learning rate 2e-3", lr=2e-3),
    Trial("constant", "training", "both, constant learning rate", schedule="constant"),
    Trial("no-ema", "training", "both, no average of the weights", ema=0.0),
    Trial("base", "design", "16x7, expand, point and identity", seeds=3),
    Trial("plain", "design", "no branches", lambda: designs.edge(16, 7, []), seeds=3),
    Trial("expand", "design", "expand alone", lambda: designs.edge(16, 7, ["expand"])),
    Trial("identity", "design", "identity alone", lambda: designs.edge(16, 7, ["identity"])),
    Trial("gradients", "design", "and Sobel, Laplace", lambda: designs.gradients(16, 7, ALL)),
    Trial("residual", "design", "skips over pairs", lambda: designs.residual(16, 7, ALL)),
    Trial("12x14", "design", "12x14", lambda: designs.edge(12, 14, ALL)),
    Trial("24x2", "design", "24x2", lambda: designs.edge(24, 2, ALL)),
    Trial("no-anchor", "design", "no anchor", lambda: designs.anchored(16, 7, ALL, None)),
    Trial(
        "bilinear", "design", "bilinear anchor", lambda: designs.anchored(16, 7, ALL, "bilinear")
    ),
    Trial("wide-end", "design", "16x3, widened to 32", lambda: designs.wide_end(16, 3, 32, ALL)),
    Trial("leaky", "design", "LeakyReLU .1", lambda: designs.activated(16, 7, ALL, "leaky")),
    Trial("prelu", "design", "PReLU", lambda: designs.activated(16, 7, ALL, "prelu")),
    Trial("32x10", "width", "32x10", lambda: designs.edge(32, 10, ALL)),
    Trial("24x17", "width", "24x17", lambda: designs.edge(24, 17, ALL)),
    Trial("48x4", "width", "48x4", lambda: designs.edge(48, 4, ALL)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--validation", type=int, default=8)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--features", type=Path, default=Path("exports/edge-s/weights.safetensors"))
    parser.add_argument("--test", type=Path, help="a folder of HR pictures to measure on")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--latency", action="store_true")
    options = parser.parse_args()
    if options.latency:
        return designs.print_latency({t.name: t.build for t in TRIALS if t.group != "training"})
    chosen = [t for t in TRIALS if not options.only or t.name in options.only]
    if not options.tables:
        for seed in range(max(t.seeds for t in chosen)):
            for trial in (t for t in chosen if seed < t.seeds):
                _ensure(trial, seed, options)
    for group in dict.fromkeys(t.group for t in chosen):
        print_table([t for t in TRIALS if t.group == group and results(t)])
    return None


def _ensure(trial: Trial, seed: int, options: argparse.Namespace) -> None:
    path = kept(trial, seed)
    if path.exists():
        return
    began = time.perf_counter()
    network, seconds_per_step = train(trial, seed, options)
    data = Data(photos=options.data, validation=options.validation)
    sets = {"validation": photos.split(data).validation}
    if options.test:
        sets["test"] = photos.find(options.test)
    scores = {name: score(network, files) for name, files in sets.items()}
    facts = {"trial": trial.name, "seed": seed, "steps": options.steps, "psnr_db": scores}
    facts["ms_per_step"] = 1e3 * seconds_per_step
    write_json(path, facts)
    means = ", ".join(f"{name} {mean(found):.3f} dB" for name, found in scores.items())
    print(f"{trial.name} seed {seed}: {means}, {time.perf_counter() - began:.0f} s", flush=True)


def train(trial: Trial, seed: int, options: argparse.Namespace) -> tuple[nn.Module, float]:
    """The averaged network after `options.steps`, and the seconds that a step took."""
    fabric = Fabric(accelerator="cpu", precision="bf16-mixed")
    torch.manual_seed(seed)
    network = trial.build().train().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), fused=True)
    wrapped, optimiser = fabric.setup(network, adam)
    wrapped.mark_forward_method("with_features")
    student = Player(wrapped, optimiser)
    data = Data(photos=options.data, validation=options.validation)
    cache = PatchCache.open(photos.split(data).train, patch=trial.patch)
    teacher, pictures = None, None
    if trial.losses.feature_affinity:
        teacher = zoo.load(options.features)
    if trial.losses.teacher_l1 or trial.losses.frequency_against != "hr":
        pictures = taught(cache, zoo.load(options.teacher), fabric, "bf16-mixed")
    sampler = PatchSampler(cache, patch=trial.patch, batch=trial.batch, seed=seed, taught=pictures)
    step = Step(fabric, student, trial.loss(trial.losses), teacher)
    ema = Ema(student.module, trial.ema)
    settings = Optimisation(steps=options.steps, schedule=trial.schedule, warmup=200)  # type: ignore[arg-type]
    began = time.perf_counter()
    for number in range(options.steps):
        if number == round((1 - trial.ending) * options.steps):
            step = Step(fabric, student, SquaredLoss(trial.losses), teacher)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, number, trial.lr)
        batch = sampler.next()
        if teacher is not None:  # features from one teacher, pictures from the other
            features = teacher.module.with_features(batch[0])[1].detach()
            step_with_features(step, *batch, features)
        else:
            step(*batch)
        ema.update(student.module)
    return ema.module, (time.perf_counter() - began) / options.steps


def step_with_features(step: Step, lr: Tensor, hr: Tensor, sr: Tensor, features: Tensor) -> None:
    """One step in which the teacher's features are given beside its picture."""
    out = step.forward(lr, hr, sr)
    out = Outputs(out.sr, out.hr, out.features, sr, features)
    step.student.descend(step.fabric, step.loss.total(step.loss.terms(out)), 0.0)


@torch.inference_mode()
def score(network: nn.Module, files: list[Path]) -> dict[str, float]:
    """PSNR on Y in dB of each picture, by the protocol of `edgesr evaluate`."""
    found = {}
    for photo in photos.decode_all(files, smallest=32):
        picture = crop_to_multiple(photo.pixels)
        lr = quantise(bicubic_down(to_tensor(picture)))
        found[photo.name] = psnr(to_image(network(lr)), picture)
    return found


def print_table(trials: list[Trial]) -> None:
    """Each trial against the first of its group: paired differences over pictures, mean of seeds.

    The interval is 95 % of a bootstrap over pictures and, where there are several, seeds.

    Args:
        trials: those that were run.
    """
    if not trials:
        return
    control = trials[0]
    which = "test" if "test" in results(control)[0]["psnr_db"] else "validation"
    print(f"\n| {control.group} | seeds | ms/step | validation dB | {which} dB | against, dB |")
    print("|---|--:|--:|--:|--:|--:|")
    for trial in trials:
        found = results(trial)
        ms = sum(result["ms_per_step"] for result in found) / len(found)
        sets = [f"{mean_over(found, name):.3f}" for name in ("validation", which)]
        against = "" if trial is control else difference(found, results(control), which)
        cells = [trial.says, str(len(found)), f"{ms:.0f}", *sets, against]
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


def results(trial: Trial) -> list[dict[str, Any]]:
    """What was kept of the trial's runs, seed after seed."""
    paths = [kept(trial, seed) for seed in range(trial.seeds)]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def kept(trial: Trial, seed: int) -> Path:
    # `base` is the same training as `both`.
    return RESULTS / f"{'both' if trial.name == 'base' else trial.name}-{seed}.json"


if __name__ == "__main__":
    main()

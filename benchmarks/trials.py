"""The trainings that experiments.py runs, each with what it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import designs
from torch import nn

from edgesr.recipe import Losses, Optimiser

ALL = ["expand", "point", "identity"]


def losses(hr: float = 1.0, teacher: float = 1.0, **others: float | str) -> Losses:
    """Absolute differences on luma and a fifth of those on RGB, as recipes/edge-*.toml have it."""
    pixels = {"l1": 0.2 * hr, "luma": hr, "teacher_l1": 0.2 * teacher, "teacher_luma": teacher}
    return Losses.model_validate(pixels | others)


@dataclass(frozen=True)
class Trial:
    """One training. What is left out is as in recipes/edge-xs.toml, with fewer steps.

    Attributes:
        says: what it changes, for the table.
        group: the table it belongs to; the first trial of a group is what the others differ from.
        seeds: one run for each.
        ending: what replaces absolute differences in the last fifth of the steps.
        init: whether it starts from the layers of the model given with --features.
        taught_by: whose picture it learns from: the model given with --teacher, the one given with
            --features, or the mean of what that one makes of the photograph turned in eight ways.
        zoomed: whether a quarter more patches, of photographs not reduced, have the teacher's
            picture for their truth.
    """

    name: str
    group: str
    says: str
    build: Callable[[], nn.Module] = field(default=lambda: designs.edge(16, 7, ALL))
    losses: Losses = field(default_factory=losses)
    seeds: int = 1
    patch: int = 128
    batch: int = 16
    lr: float = 2e-3
    optimiser: Optimiser = "adam"
    schedule: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.999
    ending: Literal["absolute", "squared", "charbonnier"] = "absolute"
    init: bool = False
    taught_by: Literal["teacher", "features", "features, turned"] = "teacher"
    zoomed: bool = False


def _training(name: str, says: str, **changes: object) -> Trial:
    return Trial(name, "training", says, **changes)  # type: ignore[arg-type]


def _design(name: str, says: str, build: Callable[[], nn.Module], seeds: int = 1) -> Trial:
    return Trial(name, "design", says, build, seeds=seeds)


def _generator(name: str, says: str, **changes: object) -> Trial:
    """N=4 by Muon, 8 patches of 64."""
    setting: dict[str, object] = {"patch": 64, "batch": 8, "optimiser": "muon"}
    setting |= {"build": designs.generator} | changes
    return Trial(name, "N=4", says, **setting)  # type: ignore[arg-type]


def _width(name: str, says: str, channels: int, depth: int) -> Trial:
    return Trial(name, "width", says, lambda: designs.edge(channels, depth, ALL))


RGB = Losses(l1=1.0, teacher_l1=1.0)
TRIALS = [
    _training("hr", "no teacher", losses=losses(teacher=0.0), seeds=3),
    _training("both", "and the teacher's picture, equal weights", seeds=3),
    _training("teacher", "the teacher's picture alone", losses=losses(hr=0.0), seeds=3),
    _training("rgb-hr", "no teacher, RGB alone", losses=Losses(l1=1.0), seeds=3),
    _training("rgb", "both, RGB alone", losses=RGB, seeds=3),
    _training(
        "frequency",
        "no teacher, spectrum against HR .05",
        losses=losses(teacher=0.0, frequency=0.05, frequency_against="hr"),
    ),
    _training(
        "both-frequency",
        "both, spectrum against both .05",
        losses=losses(frequency=0.05, frequency_against="both"),
    ),
    _training("srresnet", "the same, taught by a public SRResNet", taught_by="features", seeds=3),
    _training(
        "srresnet-turned",
        "that SRResNet's mean over eight turns",
        taught_by="features, turned",
        seeds=3,
    ),
    _training("zoomed", "both, and photographs not reduced", zoomed=True),
    _training("squared", "both, squared in the last fifth", ending="squared"),
    _training("charbonnier", "both, Charbonnier in the last fifth", ending="charbonnier"),
    _training("patch-64", "both, 64 patches of 64", patch=64, batch=64),
    _training(
        "affinity",
        "the same, affinity to 48 channels .05",
        losses=losses(feature_affinity=0.05),
        patch=64,
        batch=64,
    ),
    _training("patch-192", "both, 7 patches of 192", patch=192, batch=7),
    _training("lr-5e-4", "both, learning rate 5e-4", lr=5e-4),
    _training("lr-1e-3", "both, learning rate 1e-3", lr=1e-3),
    _training("lr-4e-3", "both, learning rate 4e-3", lr=4e-3),
    _training("muon", "both, Muon, learning rate 4e-3", optimiser="muon", lr=4e-3, seeds=3),
    _training("muon-2e-3", "both, Muon, learning rate 2e-3", optimiser="muon", lr=2e-3),
    _training("muon-8e-3", "both, Muon, learning rate 8e-3", optimiser="muon", lr=8e-3),
    _training("constant", "both, constant learning rate", schedule="constant"),
    _training("no-ema", "both, no average of the weights", ema=0.0),
    _design("base", "16x7, expand, point and identity", lambda: designs.edge(16, 7, ALL), seeds=3),
    _design("plain", "no branches", lambda: designs.edge(16, 7, []), seeds=3),
    _design("expand", "expand alone", lambda: designs.edge(16, 7, ["expand"])),
    _design("identity", "identity alone", lambda: designs.edge(16, 7, ["identity"])),
    _design("gradients", "and Sobel, Laplace", lambda: designs.gradients(16, 7, ALL), seeds=3),
    _design("head-branches", "branches at the head too", lambda: designs.head_branches(16, 7, ALL)),
    _design("head-he", "head as He draws it", lambda: designs.head_as_drawn(16, 7, ALL), seeds=3),
    _design("residual", "skips over pairs", lambda: designs.residual(16, 7, ALL)),
    _design("12x14", "12x14", lambda: designs.edge(12, 14, ALL)),
    _design("24x2", "24x2", lambda: designs.edge(24, 2, ALL)),
    _design("no-anchor", "no anchor", lambda: designs.anchored(16, 7, ALL, None)),
    _design("bilinear", "bilinear anchor", lambda: designs.anchored(16, 7, ALL, "bilinear")),
    _design("wide-end", "16x3, widened to 32", lambda: designs.wide_end(16, 3, 32, ALL)),
    _design("leaky", "LeakyReLU .1", lambda: designs.activated(16, 7, ALL, "leaky")),
    _design("prelu", "PReLU", lambda: designs.activated(16, 7, ALL, "prelu")),
    _width("32x9", "32x9", 32, 9),
    _width("24x16", "24x16", 24, 16),
    _width("48x4", "48x4", 48, 4),
    _width("64x2", "64x2", 64, 2),
    _generator("n4-hr", "no teacher", losses=losses(teacher=0.0), seeds=3),
    _generator("n4-both", "and the teacher's picture, equal weights", seeds=3),
    _generator("n4-teacher", "the teacher's picture alone", losses=losses(hr=0.0)),
    _generator("n4-rgb", "both, RGB alone", losses=RGB),
    _generator("n4-affinity", "both, affinity .05", losses=losses(feature_affinity=0.05)),
    _generator(
        "n4-frequency",
        "both, spectrum against both .05",
        losses=losses(frequency=0.05, frequency_against="both"),
    ),
    _generator("n4-zoomed", "both, and photographs not reduced", zoomed=True),
    _generator("n4-init", "both, from the teacher's own blocks", init=True),
    _generator("n4-adam", "both, Adam, learning rate 1e-3", optimiser="adam", lr=1e-3),
    _generator("n4-adam-3e-4", "both, Adam, learning rate 3e-4", optimiser="adam", lr=3e-4),
]

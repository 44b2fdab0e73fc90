"""The bundles of one tier: the same kind of network at several scales."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from edgesr.bundle.card import read_card
from edgesr.inference.upscaler import Upscaler
from edgesr.recipe import Scale


def family(bundle: Path) -> dict[int, Path]:
    """The bundles of one tier by their scale: `edge-s`, and `edge-s-x2` and `edge-s-x3` beside it.

    Args:
        bundle: one of them, or a model file, which has no family.

    Raises:
        NoBundleError, BundleError: see `read_card`.
        ModelError: see `inference.contract.read`.
    """
    if not bundle.is_dir():
        return {Upscaler(bundle).scale: bundle}
    tier = re.sub(r"-x[234]$", "", bundle.resolve().name)
    beside = [bundle.resolve().parent / f"{tier}-x{scale}" for scale in get_args(Scale)]
    others = [path for path in (bundle.resolve().parent / tier, *beside) if is_bundle(path)]
    return {read_card(folder).scale: folder for folder in [*others, bundle]}


def is_bundle(folder: Path) -> bool:
    """Whether a bundle's card lies there."""
    return (folder / "card.json").is_file()


def present(exports: Path, names: Iterable[str]) -> dict[str, Path]:
    """Those bundles of `names` that are in the folder `exports`, by their names."""
    return {name: exports / name for name in names if is_bundle(exports / name)}

"""What a verification is asked for, and what of it makes two verifications the same."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from edgesr import __version__
from edgesr.bundle.checksums import digest
from edgesr.bundle.records.evidence import Settings
from edgesr.bundle.records.rows import Machine
from edgesr.data import photos
from edgesr.losses.perceptual import find_lpips, has_lpips
from edgesr.machine import machine
from edgesr.recipe import AnyRecipe
from edgesr.revision import source_digest
from edgesr.runtimes.base import Name
from edgesr.verify import providers as proof
from edgesr.verify.jobs import check_requested
from edgesr.verify.quality import PictureSet, picture_sets
from edgesr.verify.resume import Measured
from edgesr.verify.targets import check_names


@dataclass(frozen=True)
class Request:
    """What a verification was asked for, checked.

    Attributes:
        providers: "cpu", "cuda"; None for CPU, and CUDA where it works.
        runtimes: beside ONNX Runtime.
        targets: whose documentation is looked at.
        sets: the pictures for quality.
        quick: nothing is timed.
    """

    providers: list[str] | None
    runtimes: list[Name]
    targets: list[str]
    sets: list[PictureSet]
    quick: bool

    @classmethod
    def of(
        cls,
        *,
        providers: list[str] | None = None,
        runtimes: list[str] | None = None,
        data: Path | None = None,
        targets: list[str] | None = None,
        quick: bool = False,
    ) -> Request:
        """What a user asks for; see `verify`.

        Raises:
            VerifyError, DataError: a name is not known, a runtime or the pictures are not there.
        """
        proof.check_requested(providers)
        check_names(targets or [])
        others = check_requested(runtimes or [])
        return cls(providers, others, targets or [], picture_sets(data), quick)

    def of_bundle(self, folder: Path, recipe: AnyRecipe) -> Measured:
        """What a verification of the bundle in `folder` begins with: what it is of, and no row."""
        digests = [photos.digest(pixels) for each in self.sets for _, pixels in each.pictures]
        return Measured(
            bundle_sha256=digest(folder),
            machine=Machine(**machine()),
            versions=versions(),
            settings=Settings(
                edgesr=source_digest(),
                providers=self.providers,
                runtimes=list(self.runtimes),
                targets=self.targets,
                pictures=hashlib.sha256("".join(digests).encode()).hexdigest(),
                lpips=has_lpips(recipe.weights.folder),
            ),
            rows=[],
        )


def versions() -> dict[str, str]:
    """Of what measures."""
    return {
        "edgesr": __version__,
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def lpips(recipe: AnyRecipe) -> nn.Module | None:
    """LPIPS with AlexNet, where its weights are found.

    Raises:
        WeightsError: the weights are there but damaged.
    """
    return find_lpips(recipe.weights.folder) if has_lpips(recipe.weights.folder) else None

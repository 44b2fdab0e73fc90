"""What a recipe's `precision` means: student, teacher and discriminator in 16 bits or float32.

Losses are in float32 either way, the networks that measure them (VGG, LPIPS) included: they compare
pictures that differ little, and in bfloat16 the gradient that they send back has a cosine of .91 to
.99 to the one in float32, a feature affinity's of .43.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision

from edgesr.errors import TrainingError
from edgesr.recipe.training import Arithmetic

HALVES = {"bf16-mixed": torch.bfloat16, "fp16-mixed": torch.float16}


class Autocast(Precision):
    """16 bits where `forward_context` is entered, and nowhere else; weights stay in float32.

    Fabric's own "bf16-mixed" also rounds what enters a network, so that an edge student would add
    a rounded picture to its output, and refuses gradients that were not asked for through it, as
    the proof of gradients asks for them.
    """

    precision = "bf16-mixed"

    def __init__(self, device: str, dtype: torch.dtype = torch.bfloat16) -> None:
        self.device, self.dtype = device, dtype

    def forward_context(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device, dtype=self.dtype)


def autocast(precision: Arithmetic, device: str) -> Autocast | None:
    """What rounds for `precision` on "cpu" or "cuda"; None where nothing does.

    Raises:
        TrainingError: the GPU does not compute in bfloat16.
    """
    dtype = HALVES.get(precision)
    if dtype == torch.bfloat16 and device == "cuda" and not _has_bfloat16():
        raise TrainingError(
            f'training.precision = "{precision}", but this GPU does not compute in bfloat16',
            "Give --set training.precision=fp16-mixed.",
        )
    return None if dtype is None else Autocast(device, dtype)


def _has_bfloat16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def scaler(fabric: Fabric) -> torch.amp.GradScaler:
    """What multiplies a loss, so that its gradients in float16 do not vanish; idle elsewhere."""
    rounds = fabric.strategy.precision
    half = isinstance(rounds, Autocast) and rounds.dtype == torch.float16
    return torch.amp.GradScaler(fabric.device.type, enabled=half)


def choose_float32(precision: Arithmetic) -> None:
    """Have NVIDIA's GPUs compute float32 as `precision` says, for the rest of the process.

    By default cuDNN rounds what enters float32 convolutions to TF32, 10 bits of mantissa, on Ampere
    and later, and matrix products not.
    """
    rounded = precision == "tf32"
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded


@contextmanager
def tuned_convolutions() -> Iterator[None]:
    """Have cuDNN try all its algorithms for each new shape and keep the quickest. It pays where
    shapes come again, as those of patches do and those of photographs do not."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before

"""What a recipe's `precision` means: student, teacher and discriminator in bfloat16 or float32.

Losses are in float32 either way, the networks that measure them (VGG, LPIPS) included: they compare
pictures that differ little, and in bfloat16 the gradient that they send back has a cosine of .91 to
.99 to the one in float32, a feature affinity's of .43.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from lightning_fabric.plugins import Precision


class Autocast(Precision):
    """bfloat16 where `forward_context` is entered, and nowhere else; weights stay in float32.

    Fabric's own "bf16-mixed" also rounds what enters a network, so that an edge student would add
    a rounded picture to its output, and refuses gradients that were not asked for through it, as
    the proof of gradients asks for them.
    """

    precision = "bf16-mixed"

    def __init__(self, device: str) -> None:
        self.device = device

    def forward_context(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device, dtype=torch.bfloat16)


def exact_float32() -> None:
    """Have NVIDIA's GPUs compute float32 as float32, for the rest of the process.

    By default cuDNN rounds what enters float32 convolutions to TF32, 10 bits of mantissa, on Ampere
    and later.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False

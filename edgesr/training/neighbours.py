"""Two neighbouring frames of one scene: what a network makes of them should differ by the movement
alone (Eilertsen et al., "Single-frame Regularization for Temporally Stable CNNs", CVPR 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from edgesr.data.degrade import bicubic_down
from edgesr.recipe import TEMPORAL_BORDER

Shift = tuple[int, int]


def frames(hr: Tensor, scale: int) -> tuple[Tensor, Shift]:
    """LR of `hr` under a camera that moves by a part of an LR pixel, and by how many HR pixels.

    Args:
        hr: (B, 3, H, W), RGB 0..1; sides are multiples of `scale`.

    Returns:
        (2B, 3, H / scale - 1, W / scale - 1), the first frames before the second, reduced by
        bicubic; and the movement down and across, below `scale` and not both 0, drawn from
        torch's generator of the CPU.
    """
    down, across = divmod(int(torch.randint(1, scale**2, ())), scale)
    height, width = (side - scale for side in hr.shape[-2:])
    first = hr[..., :height, :width]
    second = hr[..., down : down + height, across : across + width]
    return bicubic_down(torch.cat([first, second]), scale).clamp(0, 1), (down, across)


def enlarged(net: Callable[[Tensor], Tensor], hr: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """What `net` makes of two `frames` of `hr`, `overlaid`; float32."""
    lr, shift = frames(hr, scale)
    return overlaid(net(lr).float(), scale, shift)


def overlaid(sr: Tensor, scale: int, shift: Shift) -> tuple[Tensor, Tensor]:
    """The enlarged `frames`, (2B, 3, H - scale, W - scale), where both show the same scene.

    `TEMPORAL_BORDER` LR pixels are left out at each border, beyond which a network sees nothing.
    """
    (down, across), cut = shift, TEMPORAL_BORDER * scale
    height, width = (side - 2 * cut - scale for side in sr.shape[-2:])
    first, second = sr.chunk(2)
    return (
        first[..., cut + down : cut + down + height, cut + across : cut + across + width],
        second[..., cut : cut + height, cut : cut + width],
    )

"""A network over a photograph of any size, in bounded memory: in tiles that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgesr.data.degrade import to_image, to_tensor
from edgesr.inference.tiling import bands

Pixels = NDArray[np.uint8]

WHOLE = 512 * 512
"""LR pixels of the largest picture that is made in one piece; one of DIV2K has 173,000. A generator
of 64 channels takes 1.1 GB for each of its layers at the result's size."""
SIDE = 384
"""Side of a tile in LR pixels, with what it overlaps its neighbours by."""
OVERLAP = 64
"""Taken for the halo of a network that does not state its own."""


def halo(module: nn.Module) -> int | None:
    """Radius of the receptive field in LR pixels; None where the network does not state it."""
    stated: int | None = getattr(module, "halo", None)
    return stated


def in_bands(
    network: Callable[[Tensor], Tensor],
    lr: Pixels,
    *,
    scale: int,
    halo: int | None,
    device: torch.device,
) -> Iterator[Pixels]:
    """What `network` makes of `lr` (H, W, 3), from top to bottom: pixels (rows, scale * W, 3),
    clipped and rounded to 8 bits, which make up (scale * H, scale * W, 3).

    Up to `WHOLE` pixels are one tile and one band. Above that the tiles make the picture that the
    network makes of the whole, if its halo is known.

    Args:
        network: (1, 3, h, w) RGB 0..1 -> (1, 3, scale * h, scale * w), on `device`.
        halo: of the network, see `halo`; `OVERLAP` is taken for None.
    """
    border = OVERLAP if halo is None else halo
    side = max(SIDE, 3 * border)
    height, width = lr.shape[:2]
    sides = (height, width) if height * width <= WHOLE else (side, side)

    @torch.no_grad()
    def run(tile: Pixels) -> Pixels:
        return to_image(network(to_tensor(tile).to(device)).float())

    return bands(run, lr, scale=scale, sides=sides, halo=border)

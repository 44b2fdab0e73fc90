"""How far a network sees: its halo measured by a gradient, and confirmed by tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr import console
from edgesr.errors import ExportError
from edgesr.inference.padding import rounded_up
from edgesr.inference.tiling import Pixels, bands
from edgesr.models.foreign import Bare, Foreign
from edgesr.models.zoo import OnnxNetwork, SRModel, Student

SIDES = (48, 96, 192)
"""In LR pixels of the pictures that a halo is looked for in, one after the other."""
GRIDS = ((1, 0), (1, 8), (8, 0), (16, 0), (64, 0))
"""Windows of attention, and pooling, have a grid: tiles have to begin on it. Beside it LR pixels
more than were seen to reach: where a sigmoid saturates, as in SPAN, gradients end too early."""
Look = Callable[[nn.Module, Tensor, slice, int], Tensor]
LEVEL = 1 / 1024
"""How much of a level of 8 bits a tile may be off: less than any rounding shows."""


@dataclass(frozen=True)
class Sight:
    """What decides the value of a pixel.

    Attributes:
        halo: LR pixels around it; a multiple of `multiple`.
        multiple: of which the beginnings and sides of tiles are, in LR pixels.
        tileable: False where no halo that was tried suffices.
    """

    halo: int
    multiple: int
    tileable: bool

    def on(self, multiple: int) -> Sight:
        """The same for a file whose sides are multiples of `multiple`."""
        both = math.lcm(self.multiple, multiple)
        return Sight(rounded_up(self.halo, both) if self.halo else 0, both, self.tileable)


def sight(model: SRModel) -> Sight:
    """Of an edgesr network what its layers add up to; of any other what is measured.

    Raises:
        ExportError: the network cannot be run.
    """
    if isinstance(model.module, Student):
        return Sight(model.module.halo, 1, tileable=True)
    if isinstance(model.module, OnnxNetwork):
        return _measured(model.module, model, _by_change)
    assert isinstance(model.module, Foreign)
    network = model.module.bare
    try:
        look = _by_gradient if _has_gradient(network, model) else _by_change
        return _measured(network, model, look)
    except RuntimeError as error:
        raise ExportError(f"{model.path} ({model.architecture}) cannot be run: {error}") from None


def _has_gradient(network: nn.Module, model: SRModel) -> bool:
    """RealPLKSR writes into features whose gradient would need them."""
    side = rounded_up(SIDES[0], model.multiple, model.min_size)
    try:
        _by_gradient(network, torch.rand(1, 3, side, side), slice(0, model.multiple), model.scale)
    except RuntimeError:
        return False
    return True


def _measured(network: nn.Module, model: SRModel, look: Look) -> Sight:
    found = next((reach for side in SIDES if (reach := _reach(network, model, side, look))), None)
    for grid, more in GRIDS if found is not None else ():
        multiple = int(np.lcm(grid, model.multiple))
        halo = rounded_up((found or 0) + more, multiple)
        if halo < max(SIDES) and _holds(network, model, halo, multiple):
            return Sight(halo, multiple, tileable=True)
    console.warn(
        f"{model.architecture} is not tileable: no halo up to {max(SIDES) // 2} LR pixels makes "
        "tiles that equal the whole. It enlarges whole pictures only, as memory allows"
    )
    return Sight(0, model.multiple, tileable=False)


def _reach(network: nn.Module, model: SRModel, side: int, look: Look) -> int | None:
    """How far from the middle of a picture of `side` anything reaches; None where that may be
    further than the picture does."""
    side = rounded_up(side, model.multiple, model.min_size)
    first = side // 2 // model.multiple * model.multiple
    cell = slice(first, first + model.multiple)
    seen = torch.zeros(side, side, dtype=torch.bool)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        lr = torch.rand(1, 3, side, side, generator=generator)
        seen |= look(network, lr, cell, model.scale)
    places = seen.nonzero()
    low, high = int(places.min()), int(places.max())
    reached = max(cell.start - low, high - (cell.stop - 1))
    return None if low == 0 or high == side - 1 else max(reached, 1)


def _by_gradient(network: nn.Module, lr: Tensor, cell: slice, scale: int) -> Tensor:
    """Which LR pixels (side, side) the result in `cell` depends on."""
    assert isinstance(network, Bare)
    lr.requires_grad_()
    with torch.enable_grad():
        large = slice(scale * cell.start, scale * cell.stop)
        picked = network.call(lr)[..., large, large]
        weights = torch.rand(picked.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((picked * weights).sum(), lr)
    return gradient[0].ne(0).any(0)


def _by_change(network: nn.Module, lr: Tensor, cell: slice, scale: int) -> Tensor:
    """At which LR pixels (side, side) the result changes where the picture does in `cell`."""
    changed = lr.clone()
    changed[..., cell, cell] = 1 - changed[..., cell, cell]
    differs = (network(lr) != network(changed))[0].any(0).float()
    return F.max_pool2d(differs[None, None], scale)[0, 0].bool()


def _holds(network: nn.Module, model: SRModel, halo: int, multiple: int) -> bool:
    """Whether tiles with that halo make the whole picture."""
    side = 2 * halo + rounded_up(8, multiple, model.min_size)
    height, width = side + 3 * multiple, side + 2 * multiple
    lr = np.random.default_rng(0).random((height, width, 3), np.float32)

    def run(values: Pixels) -> Pixels:
        with torch.no_grad():
            sr = network(torch.from_numpy(values).permute(2, 0, 1)[None].contiguous())
        made: NDArray[np.float32] = sr[0].permute(1, 2, 0).numpy()
        return made

    tiles = bands(run, lr, scale=model.scale, sides=(side, side), halo=halo)
    return bool(np.abs(np.concatenate(list(tiles)) - run(lr)).max() <= LEVEL / 255 + 1e-6)

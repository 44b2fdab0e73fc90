"""Crops of photographs that lie row after row in one long line of pixels, flipped and turned.

`way` says in which of eight: bit 0 upside down, bit 1 mirrored, then bit 2 rows as columns.
"""

from __future__ import annotations

import torch
from torch import Tensor


def crop(
    data: Tensor,
    at: Tensor,
    width: Tensor,
    corner: Tensor,
    side: int,
    way: Tensor,
    *,
    device: torch.device,
) -> Tensor:
    """Crops of `side` pixels as float32 (b, 3, side, side) in 0..1, on `device`.

    Args:
        data: uint8 (pixels, 3), on `device` or in memory; all else is in memory.
        at, width: (b,): where in `data` each photograph begins, and its width.
        corner: (b, 2): row and column in it at which the crop begins.
        way: (b,): 0 to 7.
    """
    if data.device.type != "cpu":
        return gathered(data, at, width, corner, side, way)
    if device.type == "cpu":
        return copied(data, at, width, corner, side, way)
    upright = _picked(data, at, width, corner, side, torch.zeros_like(way))
    pixels = upright.view(-1, 3).pin_memory().to(device, non_blocking=True)
    begin = side**2 * torch.arange(len(way))
    return gathered(pixels, begin, 0 * begin + side, torch.zeros_like(corner), side, way)


def corners(sizes: Tensor, draw: Tensor, side: int, region: int) -> Tensor:
    """Where crops of `side` pixels begin in photographs of `sizes`, each inside one region of
    `region` pixels a side, see `edgesr.data.regions`; all (b, 2), `draw` in 0..1."""
    regions = (sizes // region).clamp(min=1)
    place = draw * regions
    number = place.long()
    first, end = number * sizes // regions, (number + 1) * sizes // regions
    return first + ((place - number) * (end - first - side + 1)).long()


def cut(data: Tensor, at: Tensor, width: Tensor, corner: Tensor, side: int, way: Tensor) -> Tensor:
    """What `copied` gives, as the bytes that they are: uint8 (b, side, side, 3). See `crop`."""
    crops = _picked(data, at, width, corner, side, way & 1)
    return torch.stack(
        [_turned(each, turn) for each, turn in zip(crops, way.tolist(), strict=True)]
    )


def copied(
    data: Tensor, at: Tensor, width: Tensor, corner: Tensor, side: int, way: Tensor
) -> Tensor:
    """One after the other, line by line: the quickest way that a processor has. See `crop`."""
    crops = _picked(data, at, width, corner, side, way & 1)
    patches = torch.empty(len(way), 3, side, side)
    for patch, each, turn in zip(patches, crops, way.tolist(), strict=True):
        patch.copy_(_turned(each, turn).permute(2, 0, 1))  # (H, W, 3) -> (3, H, W)
    return patches.div_(255)


def _picked(
    data: Tensor, at: Tensor, width: Tensor, corner: Tensor, side: int, upside_down: Tensor
) -> Tensor:
    """Crops as bytes, (b, side, side, 3), those that are `upside_down` from the last line up."""
    first = at + (corner[:, 0] + upside_down * (side - 1)) * width + corner[:, 1]
    step = width * (1 - 2 * upside_down)
    lines = first[:, None] + step[:, None] * torch.arange(side)  # (b, side): where each begins
    # Every run of `side` pixels, wherever it begins, seen as one row to be picked.
    runs = data.as_strided((len(data) - side + 1, 3 * side), (3, 1))
    return runs.index_select(0, lines.view(-1)).view(-1, side, side, 3)


def _turned(upright: Tensor, way: int) -> Tensor:
    """(S, S, 3) mirrored and transposed as bits 1 and 2 of `way` say; bit 0, upside down, was seen
    to when the lines were picked. Together they make the eight flips and turns."""
    if way & 2:
        upright = upright.flip(1)
    return upright.transpose(0, 1) if way & 4 else upright


def gathered(
    data: Tensor, at: Tensor, width: Tensor, corner: Tensor, side: int, way: Tensor
) -> Tensor:
    """All at once, pixel by pixel, where `data` is: on a GPU a kernel for each crop would take
    longer than what it copies. See `crop`."""
    down, right, turn = way & 1, (way >> 1) & 1, way >= 4
    first = at + (corner[:, 0] + down * (side - 1)) * width + corner[:, 1] + right * (side - 1)
    rows, columns = width * (1 - 2 * down), 1 - 2 * right
    along, across = torch.where(turn, columns, rows), torch.where(turn, rows, columns)
    places = torch.stack([first, along, across])[:, :, None, None]  # (3, b, 1, 1)
    if data.device.type != "cpu":
        places = places.pin_memory().to(data.device, non_blocking=True)
    line = torch.arange(side, device=data.device)
    pixels = places[0] + places[1] * line[:, None] + places[2] * line  # (b, side, side)
    patches = torch.empty(len(way), 3, side, side, device=data.device)
    return patches.copy_(data[pixels].permute(0, 3, 1, 2)).div_(255)

"""An edge student from one of another scale, which differs in its last layer alone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from edgesr.models.edge import EdgeStudent
from edgesr.training.depth import EVERY, become, columns_of, layers_of, solved


@torch.no_grad()
def change_scale(
    student: EdgeStudent, source: EdgeStudent, photographs: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """Fill `student` from `source`, which differs in scale and in branches at most.

    Head and body are copied. The tail is the least-squares map from the features that they make of
    LR to what HR has beyond the enlarged LR, its pixels brought to LR by PixelUnshuffle.

    Args:
        photographs: LR float32 (1, 3, H, W) and HR (1, 3, scale * H, scale * W), in 0..1.
    """
    *layers, tail = layers_of(student)
    for layer, theirs in zip(layers, layers_of(source), strict=False):
        become(layer, theirs.collapse())
    size, scale = 9 * student.spec.channels + 1, student.scale
    product = torch.zeros(size, size, dtype=torch.float64)
    target = torch.zeros(size, student.colours * scale**2, dtype=torch.float64)
    for lr, hr in photographs:
        _, features = student.with_features(lr)
        missing = F.pixel_unshuffle(hr - F.interpolate(lr, scale_factor=float(scale)), scale)
        columns = columns_of(features).double()
        product += columns @ columns.T
        target += columns @ missing.flatten(2)[0, :, ::EVERY].double().T
    become(tail, solved(product, target))

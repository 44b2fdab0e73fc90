"""Losses beyond the paper, against the teacher's features or the picture's spectrum."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def spatial_affinity(features: Tensor) -> Tensor:
    """Cosine similarity of every pair of positions: (B, C, H, W) -> (B, HW, HW).

    Source: He et al., FAKD, ICIP 2020, spatial affinity. The result does not depend on the
    number of channels, so student and teacher may differ in width.
    """
    flat = normalize(features.flatten(2), dim=1)  # (B, C, HW)
    return flat.transpose(1, 2) @ flat


def feature_affinity(student: Tensor, teacher: Tensor) -> Tensor:
    """FAKD: mean |difference| of the spatial affinities of two (B, C, H, W) maps; a scalar."""
    return (spatial_affinity(student) - spatial_affinity(teacher)).abs().mean()


def frequency(sr: Tensor, target: Tensor) -> Tensor:
    """Mean |difference| of the orthonormal 2-D Fourier transforms of (B, 3, H, W); a scalar."""
    # The transform is not defined for bfloat16.
    difference: Tensor = torch.fft.rfft2((sr - target).float(), norm="ortho")
    return difference.abs().mean()

"""Two frames of one scene: a network that is right makes no difference between them."""

from __future__ import annotations

import pytest
import torch

from edgesr.data.degrade import bicubic_down
from edgesr.training import neighbours


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_shows_the_same_scene_is_laid_over_each_other(scale: int) -> None:
    side, seen = 14 * scale, set()
    hr = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    for _ in range(40):
        lr, (down, across) = neighbours.frames(hr, scale)
        seen.add((down, across))
        large = side - scale
        right = torch.cat(
            [hr[..., :large, :large], hr[..., down : down + large, across : across + large]]
        )
        torch.testing.assert_close(lr, bicubic_down(right, scale).clamp(0, 1))
        first, second = neighbours.overlaid(right, scale, (down, across))
        assert first.shape == (2, 3, 4 * scale, 4 * scale)
        assert torch.equal(first, second)
    assert (0, 0) not in seen
    assert len(seen) > 2

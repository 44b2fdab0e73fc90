"""What tests of training share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.models import zoo
from edgesr.models.srgan import Generator
from edgesr.recipe import Srgan


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        small = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(small).resize((72, 64), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A teacher of 4 channels and 2 blocks that makes sense, though it was never trained."""
    torch.manual_seed(3)
    generator = Generator(Srgan(blocks=2, channels=4))
    linear(generator)
    path = tmp_path / "teacher.safetensors"
    zoo.save(generator, path, licence="MIT")
    return path


@torch.no_grad()
def linear(generator: Generator) -> None:
    """Make `generator` enlarge: each colour in a channel of its own, repeated, then smoothed."""
    head, tail = generator.head.conv, generator.tail.conv
    ups = [layer.conv for layer in generator.upsample]  # type: ignore[union-attr]
    for conv in (head, tail, *ups):
        conv.weight.zero_()  # type: ignore[operator]
        conv.bias.zero_()  # type: ignore[operator,union-attr]
    triangle = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    for colour in range(3):
        head.weight[colour, colour, 4, 4] = 1
        tail.weight[colour, colour, 2:7, 2:7] = torch.outer(triangle, triangle)
        for conv in ups:
            conv.weight[4 * colour : 4 * colour + 4, colour, 1, 1] = 1  # type: ignore[index]
    for bn in (generator.fusion.bn, *(block.bn2 for block in generator.body)):
        bn.weight.zero_()  # type: ignore[operator,union-attr]

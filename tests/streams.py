"""Small shards of WebDataset, written by its own writer."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 40, width: int = 48) -> bytes:
    """A smooth photograph of noise, as a PNG file has it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8))
    file = BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, samples: Mapping[str, Mapping[str, bytes]]) -> Path:
    """A shard of samples, each of its parts by their suffixes."""
    from webdataset import TarWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    with TarWriter(str(path)) as writer:
        for key, parts in samples.items():
            writer.write({"__key__": key, **parts})
    return path


def write_shards(folder: Path, counts: list[int], first: int = 0) -> str:
    """Shards of so many photographs each, no two alike; the pattern that names them."""
    for number, count in enumerate(counts):
        begin = first + 100 * number
        samples = {f"{begin + n:04d}": {"png": picture(begin + n)} for n in range(count)}
        write_shard(folder / f"{number:03d}.tar", samples)
    return f"{folder}/{{000..{len(counts) - 1:03d}}}.tar"

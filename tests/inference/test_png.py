"""PNG files that are written as the picture comes."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from edgesr.inference.png import write_png

PROFILE = [(b"iCCP", b"name\0\0" + zlib.compress(b"a profile"))]


@pytest.mark.parametrize(("mode", "shape"), [("L", ()), ("RGB", (3,)), ("RGBA", (4,))])
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
def test_pillow_reads_what_was_written_in_bands(
    mode: str, shape: tuple[int, ...], rows: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (200, 7, *shape), dtype=np.uint8)
    bands = (picture[top : top + rows] for top in range(0, 200, rows))
    file = io.BytesIO()
    write_png(file, bands, mode=mode, size=(7, 200), chunks=PROFILE)
    with Image.open(file) as image:
        assert image.mode == mode
        assert image.info["icc_profile"] == b"a profile"
        assert np.array_equal(np.asarray(image), picture)


def test_a_smooth_picture_becomes_small() -> None:
    ramp = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8)
    file = io.BytesIO()
    write_png(file, [ramp], mode="L", size=(256, 256))
    assert len(file.getvalue()) < ramp.nbytes / 20

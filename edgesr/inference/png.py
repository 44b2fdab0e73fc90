"""A PNG file written from top to bottom as the picture comes; Pillow writes whole pictures only.

Format: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from edgesr.inference.tiling import BLOCK, Pixels

COLOUR_TYPE = {"L": 0, "RGB": 2, "RGBA": 6}
AVERAGE = 3
"""The filter of every row: a pixel less the mean of those to its left and above. It suits
photographs, and is one step for a whole block of rows."""
LEVEL = 4
"""Of zlib. On enlarged photographs five times as fast as level 6, for a file a twentieth larger."""


def write_png(
    file: BinaryIO,
    bands: Iterable[Pixels],
    *,
    mode: str,
    size: tuple[int, int],
    depth: int = 8,
    chunks: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Write a picture to `file`.

    Args:
        bands: from top to bottom, uint8, or uint16 for a depth of 16: (rows, width, C), or
            (rows, width) for L.
        mode: L, RGB or RGBA.
        size: width and height.
        depth: bits per channel, 8 or 16.
        chunks: name and content of what stands before the pixels, e.g. iCCP.
    """
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", *size, depth, COLOUR_TYPE[mode], 0, 0, 0))
    for kind, data in chunks:
        _chunk(file, kind, data)
    packer = zlib.compressobj(LEVEL)
    pixel = len(mode) * depth // 8
    for rows in _filtered(bands, size[0] * pixel, pixel):
        if packed := packer.compress(rows.data):
            _chunk(file, b"IDAT", packed)
    _chunk(file, b"IDAT", packer.flush())
    _chunk(file, b"IEND", b"")


def _filtered(bands: Iterable[Pixels], stride: int, pixel: int) -> Iterator[Pixels]:
    """Blocks of rows as they are compressed: a byte that names the filter, and the differences.

    Args:
        stride, pixel: bytes of a row, and of a pixel in it.
    """
    above = np.zeros((1, stride), np.uint8)
    for band in bands:
        for top in range(0, len(band), BLOCK):
            rows = _bytes(band[top : top + BLOCK]).reshape(-1, stride)
            up = np.concatenate([above, rows[:-1]])
            left = np.zeros_like(rows)
            left[:, pixel:] = rows[:, :-pixel]
            filtered = np.full((len(rows), 1 + stride), AVERAGE, np.uint8)
            np.subtract(rows, (left & up) + ((left ^ up) >> 1), out=filtered[:, 1:])
            yield filtered
            above = rows[-1:].copy()  # a view would keep the whole band


def _bytes(rows: Pixels) -> Pixels:
    """Of 16 bits the upper eight come first."""
    if rows.dtype == np.uint8:
        return rows
    return np.ascontiguousarray(rows, ">u2").view(np.uint8)


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))

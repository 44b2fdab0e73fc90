"""A picture as a frame of a compressed video: the last of a few that move, by PyAV."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgesr.video import scheduling
from edgesr.video.facts import VideoError

Pixels = NDArray[np.uint8]
VideoCodec = Literal["h264", "av1"]

ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "bf": "0"}),
    "av1": ("libsvtav1", {"preset": "10", "svtav1-params": "pred-struct=1"}),
}
DECODERS = {"h264": "h264", "av1": "libdav1d"}
FRAMES = 3
"""The last is predicted from one that was itself predicted, as most frames of a video are."""
STEP = (1, 2)
"""LR pixels down and right by which what is seen moves from frame to frame."""
SMALLEST = 64
"""Side that every encoder takes."""


def filmed(picture: Pixels, codec: VideoCodec, crf: int, top: int = 0, left: int = 0) -> Pixels:
    """`picture` (H, W, 3), RGB bytes, as the last of `FRAMES` frames of a video leaves it.

    Args:
        crf: constant rate factor of the codec, higher is worse.
        top, left: pixels by which the codec's blocks begin above and beside the picture.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        VideoError: the codec is not part of it.
    """
    height, width = picture.shape[:2]
    below, right = (_even(side + before) for side, before in ((height, top), (width, left)))
    reach = [step * (FRAMES - 1) for step in STEP]
    around = ((top + reach[0], below - top - height), (left + reach[1], right - left - width))
    seen = np.pad(picture, (*around, (0, 0)), mode="edge")
    frames = [
        seen[down : down + below, across : across + right]
        for down, across in ((STEP[0] * k, STEP[1] * k) for k in range(FRAMES))
    ]
    last = _last_of(frames, codec, crf)
    return np.ascontiguousarray(last[top : top + height, left : left + width])


def _even(side: int) -> int:
    """4:2:0 has no odd sides."""
    return max(SMALLEST, side + side % 2)


def _last_of(frames: list[Pixels], codec: VideoCodec, crf: int) -> Pixels:
    """The last of `frames`, encoded and decoded."""
    os.environ.setdefault("SVT_LOG", "1")  # or SVT-AV1 describes itself on stderr
    import av

    from edgesr.video.decoded import to_rgb

    name, options = ENCODERS[codec]
    try:
        encoder: Any = av.CodecContext.create(name, "w")
    except ValueError as error:  # PyAV's UnknownCodecError is one
        raise VideoError(f"this PyAV cannot encode {codec}: {error}") from None
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options, encoder.thread_count = {"crf": str(crf), **options}, 1
    with scheduling.kept():
        encoder.open()
    packets = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder: Any = av.CodecContext.create(DECODERS[codec], "r")
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return to_rgb(decoded[-1], encoder.width, encoder.height)

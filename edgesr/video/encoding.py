"""How frames are encoded: codec, quality, pixel format; needs no PyAV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesr.video.facts import VideoError

WRITTEN = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts")
CODECS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libx265": {"crf": "20", "preset": "veryfast", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "24", "deadline": "realtime", "cpu-used": "5", "row-mt": "1"},
    "libsvtav1": {"crf": "24", "preset": "8"},
}
"""What encoders are told unless the user says otherwise: good to the eye, fast enough to keep up
with a small network."""


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Attributes:
        codec: as FFmpeg calls it; empty for libx264, or libvpx-vp9 in WebM.
        crf: constant quality, lower is better; None for the codec's default here.
        preset: speed against size; empty for the codec's default here.
        pixels: pixel format; empty for yuv420p, or yuv420p10le of more than 8 bits.
        threads: of the encoder; 0 leaves them to it.
    """

    codec: str = ""
    crf: int | None = None
    preset: str = ""
    pixels: str = ""
    threads: int = 0

    def codec_for(self, path: Path) -> str:
        return self.codec or ("libvpx-vp9" if path.suffix.lower() == ".webm" else "libx264")

    def options(self, codec: str) -> dict[str, str]:
        """What the encoder is told.

        Raises:
            VideoError: it has no such quality or preset.
        """
        options = dict(CODECS.get(codec, {}))
        for name, value in (("crf", self.crf), ("preset", self.preset or None)):
            if value is None:
                continue
            if name not in options:
                raise VideoError(
                    f"--{name} {value}: of {codec} it is not known here",
                    f"Leave it out, or take one of {', '.join(CODECS)}.",
                )
            options[name] = str(value)
        return options

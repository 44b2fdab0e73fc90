"""SVT-AV1, opened by root, makes real-time threads, which every later child process inherits: two
busy ones stopped a machine of two cores."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edgesr.inference.upscaler import Upscaler
from edgesr.video.encoding import Encoding

pytest.importorskip("av")
from edgesr.video.filmed import filmed
from edgesr.video.stage import upscale_video
from edgesr.video.writing import Writer
from tests.video import clips

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="SVT-AV1 does so for root on Linux"
)


EXPORTS = Path(__file__).parents[2] / "exports"


def policies() -> set[int]:
    """Of all threads but those that end while they are asked."""
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            found.add(os.sched_getscheduler(int(thread.name)))
    return found


def test_a_frame_of_av1_leaves_no_real_time_thread() -> None:
    filmed(np.zeros((40, 40, 3), np.uint8), "av1", 30)
    assert policies() == {os.SCHED_OTHER}


def test_while_a_video_is_written_as_av1_no_thread_is_a_real_time_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, seen = Writer.close, set()

    def looking(writer: Writer) -> None:
        seen.update(policies())
        close(writer)

    monkeypatch.setattr(Writer, "close", looking)
    source = tmp_path / "clip.mp4"
    clips.make(source)
    upscaler = Upscaler(EXPORTS / "edge-xs", threads=1)
    upscale_video(upscaler, source, tmp_path / "big.mkv", encoding=Encoding("libsvtav1"))
    assert seen == {os.SCHED_OTHER}

"""Long videos in segments: what is done outlasts Ctrl-C, a signal and a machine that goes down."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from edgesr.inference.progress import OpenBar
from edgesr.inference.tiling import Pixels
from edgesr.signals import Stopped
from edgesr.video.encoding import Encoding
from edgesr.video.facts import Damaged, Facts, Picture, VideoError
from edgesr.video.frames import Frames
from edgesr.video.pipeline import Flow
from edgesr.video.planes import Planes
from edgesr.video.reading import Clip
from edgesr.video.writing import QUICK, Writer, join
from edgesr.workspace import atomic, sha256, write_json

log = logging.getLogger(__name__)

RECORD = "segments.json"


@dataclass(frozen=True)
class Segment:
    """A finished piece: its file in the folder, the stamp of its first frame, and how many it has;
    without any there is no file."""

    file: str
    begins: int
    frames: int


def folder_of(target: Path) -> Path:
    """Where the segments of `target` wait: `big.mp4.segments`."""
    return target.with_name(f"{target.name}.segments")


def kept_as(target: Path) -> str:
    """The suffix of segments: a container that keeps times as exactly as that of `target`."""
    return target.suffix if target.suffix.lower() in QUICK else ".mkv"


def job(
    source: Path, frames: Frames, seconds: float, encoding: Encoding, damaged: Damaged
) -> dict[str, Any]:
    """What segments must have been made of, and how, to be gone on with."""
    stat = source.stat()
    return {
        "source": [source.name, stat.st_size, stat.st_mtime_ns],
        "model": sha256(frames.upscaler.file),
        "segment": seconds,
        "size": list(frames.size),
        "encoding": asdict(replace(encoding, threads=0)),
        "damaged": damaged,
    }


def upscale_segments(
    clip: Clip,
    frames: Frames,
    target: Path,
    made_of: dict[str, Any],
    *,
    seconds: float,
    large: Facts,
    encoding: Encoding,
    bar: OpenBar,
) -> int:
    """Enlarge `clip` piece by piece and join the pieces into `target`; returns its frames.

    Segments that an earlier run of the same job has left are not made again.

    Args:
        made_of: see `job`.
        seconds: that a segment lasts.
        large: facts of the result.
        bar: shows how many frames of a segment are done.

    Raises:
        VideoError: the segments that are there are of another job.
        Stopped: somebody asked for it; what is finished stays.
    """
    folder = folder_of(target)
    folder.mkdir(parents=True, exist_ok=True)
    with _owned(folder):
        done = _finished(folder, made_of)
        pieces = _Pieces(clip, max(1, round(seconds / clip.facts.time_base)), len(done))
        if done:
            log.info(f"{folder}: {len(done)} segments are there; it goes on behind them")
        try:
            for number in count(len(done)):
                if pieces.ended:
                    break
                begins, written = pieces.next_stamp, 0
                path = folder / f"{number:05}{kept_as(target)}"
                if pieces.shows(number):
                    with atomic(path) as temporary:
                        sink = Writer(temporary, target, large, encoding, clip, alone=True)
                        written = Flow(_Part(pieces, number), frames, sink, bar=bar).run()
                done.append(Segment(path.name, begins, written))
                _record(folder, made_of, done)
        except Stopped:
            log.warning(
                f"stopped: {len(done)} segments are kept in {folder}; the same command goes on"
            )
            raise
        shown = [segment for segment in done if segment.frames]
        with atomic(target) as temporary:
            parts = [(folder / segment.file, segment.begins) for segment in shown]
            join(parts, temporary, target, clip)
    shutil.rmtree(folder)
    return sum(segment.frames for segment in shown)


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Keep other processes out of `folder`."""
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise VideoError(
            f"{folder} is in use by another process", "Wait until it has ended, or end it."
        ) from None


def _record(folder: Path, made_of: dict[str, Any], done: list[Segment]) -> None:
    write_json(folder / RECORD, {"job": made_of, "done": [asdict(each) for each in done]})


def _finished(folder: Path, made_of: dict[str, Any]) -> list[Segment]:
    """The segments that an earlier run has left, one after the other."""
    path = folder / RECORD
    if not path.exists():
        return []
    remedy = f"Repeat the command with the options of then, or delete {folder}."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        done = [Segment(str(s["file"]), int(s["begins"]), int(s["frames"])) for s in found["done"]]
        before = dict(found["job"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise VideoError(f"{path} cannot be read: {error!r}", f"Delete {folder}.") from None
    if other := [key for key, value in made_of.items() if before.get(key) != value]:
        raise VideoError(f"{folder} holds segments of another {', '.join(other)}", remedy)
    for segment in (each for each in done if each.frames):
        if Path(segment.file).name != segment.file or not (folder / segment.file).is_file():
            raise VideoError(f"{folder} lacks {segment.file}", f"Delete {folder}.")
    return done


class _Pieces:
    """The frames of a clip, cut at multiples of `length` behind its first one.

    Args:
        length: of a segment, in steps of the time base.
        first: the first segment that is asked for.

    Attributes:
        facts: of the clip.
    """

    def __init__(self, clip: Clip, length: int, first: int) -> None:
        self.facts, self._length, self._start = clip.facts, length, clip.begins
        if first:
            clip.seek(self._start + first * length)
        self._frames = (item for item in clip.items() if isinstance(item, Picture))
        self._pixels: Pixels | Planes | None = None
        self._held: Picture | None = None
        self._advance()
        while self._held is not None and self._held.stamp < self._start + first * length:
            self._advance()

    @property
    def ended(self) -> bool:
        """Whether there is no further frame."""
        return self._held is None

    @property
    def next_stamp(self) -> int:
        """When the next frame is shown; 0 where there is none."""
        return self._held.stamp if self._held else 0

    @property
    def length(self) -> float:
        """Seconds of a segment."""
        return float(self._length * self.facts.time_base)

    def shows(self, number: int) -> bool:
        """Whether the next frame lies in that segment: in uneven times some have none."""
        return self.next_stamp < self._end(number)

    def _end(self, number: int) -> int:
        return self._start + (number + 1) * self._length

    def _advance(self) -> None:
        if self._held is not None and self._held.pixels is not None:
            self._pixels = self._held.pixels
        self._held = next(self._frames, None)

    def of(self, number: int) -> Iterator[Picture]:
        """The frames of a segment; the first is never a repetition of what another one shows."""
        first = True
        while (item := self._held) is not None and item.stamp < self._end(number):
            if first and item.pixels is None:
                item = replace(item, pixels=self._pixels)
            first = False
            yield item
            self._advance()


class _Part:
    """A segment as a source; its stamps begin at 0."""

    def __init__(self, pieces: _Pieces, number: int) -> None:
        facts = pieces.facts
        usual = round(pieces.length * facts.rate)
        total = max(1, min(usual, facts.total - number * usual)) if facts.total else 0
        self.facts = replace(facts, name=f"{facts.name}, segment {number + 1}", total=total)
        self._pieces, self._number = pieces, number

    def items(self) -> Iterator[Picture]:
        begins = self._pieces.next_stamp
        for picture in self._pieces.of(self._number):
            yield replace(picture, stamp=picture.stamp - begins)

"""Decoding, the network and encoding side by side: each in a thread, a frame between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from edgesr.inference.prefetch import prefetch
from edgesr.inference.progress import OpenBar, unseen
from edgesr.signals import Stopped
from edgesr.video.facts import Item, Picture, Sink, Source
from edgesr.video.frames import Frame, Frames


def _pixels(item: Item) -> Frame | None:
    return item.pixels if isinstance(item, Picture) else None


def _groups(items: Iterator[Item], together: int) -> Iterator[list[Item]]:
    """`items` in their order, in groups of at most `together` frames."""
    group, frames = list[Item](), 0
    for item in items:
        group.append(item)
        frames += _pixels(item) is not None
        if frames == together:
            yield group
            group, frames = [], 0
    yield group


class Flow:
    """From a source through the network to a sink.

    Two frames wait at most: one decoded, one enlarged. A request to stop is kept until the frame
    in hand is written, so that what was written can be closed and played.

    Attributes:
        written: frames so far.
    """

    def __init__(
        self, source: Source, frames: Frames, sink: Sink, *, bar: OpenBar = unseen
    ) -> None:
        self._source, self._frames, self._sink, self._bar = source, frames, sink, bar
        self._writing = threading.Lock()
        self._stopped = False
        self.written = 0

    def run(self) -> int:
        """Enlarge every frame; returns how many were written.

        Raises:
            Stopped: somebody asked for it; the sink is closed, with all frames up to there.
            DataError, ModelError, OSError: what keeps a frame from being read, enlarged or written.
        """
        facts, start = self._source.facts, time.monotonic()
        with self._bar(facts.name, facts.total, unit="frames") as bar:

            def speed() -> str:
                return f"{bar.done / (time.monotonic() - start):.1f} frames/s"

            try:
                for _ in prefetch(self._written(prefetch(self._enlarged()))):
                    bar.advance(1, speed)
                self._close()
            except Stopped:
                self._close()
                raise
            except BaseException:
                with self._writing:  # nobody may close the file while a frame goes into it
                    self._stopped = True
                raise
        return self.written

    def _close(self) -> None:
        with self._writing:
            self._stopped = True
            self._sink.close()

    def _enlarged(self) -> Iterator[Item]:
        together = self._frames.together
        for items in _groups(prefetch(self._source.items()), together):
            taken = [pixels for pixels in map(_pixels, items) if pixels is not None]
            large = iter(self._frames.batch(taken) if taken else [])
            for item in items:
                if isinstance(item, Picture) and item.pixels is not None:
                    item = replace(item, pixels=next(large))
                yield item

    def _written(self, items: Iterator[Item]) -> Iterator[Item]:
        """Write each item; gives the frames."""
        for item in items:
            with self._writing:
                if self._stopped:
                    return
                self._sink.write(item)
                self.written += isinstance(item, Picture)
            if isinstance(item, Picture):
                yield item

"""What the user sees while a stage runs: Rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import math
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

T = TypeVar("T")

TITLE = 30
"""Columns of a bar's title at most; the rest of an 80-column line is for what it counts."""

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what a terminal obeys or does not show: controls, directions, separators,
bytes that are no UTF-8."""


def printable(text: str, keep: str = "") -> str:
    """`text` with what a terminal would obey written as escapes, e.g. \\x1b, \\n or \\u202e.

    For what others wrote: names of files, messages of libraries, texts from a received bundle.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in HIDDEN:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


class Terminal(Console):
    """Prints strings, also those in tables, as they are: no markup, no emoji, nothing obeyed."""

    def __init__(self, **how: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text, keep="\n"), **how)


out = Terminal()
err = Terminal(stderr=True)
_plain = False


def configure(*, quiet: bool) -> None:
    """Choose plain lines instead of bars, as is done anyway where stdout is not a terminal."""
    global _plain
    _plain = quiet


def aside() -> None:
    """Say everything on stderr from here on: stdout carries what is made."""
    global out
    out = err


def mute() -> None:
    """Print nothing from here on but errors: another process says the same."""
    out.quiet = True


def is_plain() -> bool:
    """Whether progress is printed as plain lines."""
    return _plain or not out.is_terminal


def say(text: str) -> None:
    """Print one line for the user, `printable`."""
    out.print(printable(text), soft_wrap=True)


def warn(text: str) -> None:
    """Print one warning on stderr, `printable`: a line break in it cannot look like another."""
    if not out.quiet:
        err.print(f"warning: {printable(text)}", style="yellow", soft_wrap=True)


class _Teller(logging.Handler):
    """Says what edgesr logs: warnings, and what is worth a line."""

    def emit(self, record: logging.LogRecord) -> None:
        (warn if record.levelno >= logging.WARNING else say)(record.getMessage())


def listen() -> None:
    """Say on the terminal what edgesr logs as a library, where it prints nothing."""
    logger = logging.getLogger("edgesr")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _Teller) for handler in logger.handlers):
        logger.addHandler(_Teller())


def page(text: str) -> None:
    """Print lines for the user, each `printable`."""
    out.print(text, soft_wrap=True)


def duration(seconds: float) -> str:
    """A span of time in its two largest units, e.g. "58 d 7 h", "12 min 5 s", "3 s"."""
    left, parts = round(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


@dataclass
class Bar:
    """A running progress display. `advance` it, with text that says how things stand.

    Attributes:
        unit: what is counted, in the plural, e.g. "tiles"; may be empty.
        every: seconds from one text to the next.
    """

    title: str
    total: int
    unit: str = ""
    every: float = 10.0
    progress: Progress | None = None
    task: TaskID | None = None
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def resize(self, total: int) -> None:
        """Say how many units there are, where that was not known before."""
        self.total = total
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, total=total)

    def advance(self, n: int = 1, text: str | Callable[[], str] = "") -> None:
        """Say that `n` more units are done; `text` stands with the bar.

        Args:
            text: a function is asked for it only where it will be shown.
        """
        self.done += n
        now = time.monotonic()
        if self.progress is not None and self.task is not None:
            first = self.done == self.before + n
            if first or isinstance(text, str) or now - self.said >= self.every:
                self.said = now
                self.progress.update(self.task, text=printable(_text(text)))
            self.progress.update(self.task, completed=self.done)
        elif now - self.said >= self.every or self._ended(now):
            self.said = now
            say(" ".join(part for part in (self.title, self.count, _text(text), self.left) if part))

    def _ended(self, now: float) -> bool:
        """Whether the end is worth a line."""
        return self.done == self.total and now - self.started > 2 and math.isfinite(self.every)

    @property
    def count(self) -> str:
        """How much is done, e.g. "120,000/1,000,000"; where the total is not known, "120,000"."""
        return _count(self.done, self.total, self.unit)

    @property
    def left(self) -> str:
        """The time that is left, at the mean speed so far; empty where the total is not known."""
        if not self.total:
            return ""
        each = (time.monotonic() - self.started) / max(self.done - self.before, 1)
        return f"{duration(each * (self.total - self.done))} left"


def _count(done: int, total: int, unit: str) -> str:
    of = f"/{total:,}" if total else ""
    return f"{done:,}{of} {unit}".rstrip()


def _text(text: str | Callable[[], str]) -> str:
    return text if isinstance(text, str) else text()


class _Count(ProgressColumn):
    """How many units are done, of how many."""

    def render(self, task: Task) -> Text:
        return Text(_count(round(task.completed), round(task.total or 0), task.fields["unit"]))


class _Left(ProgressColumn):
    """How much time is left, at the speed of late."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        seconds = task.time_remaining
        return Text("" if seconds is None else f"{duration(seconds)} left")


class _Display(Progress):
    """Each task's bar, and below it its text."""

    def get_renderables(self) -> Iterator[RenderableType]:
        for task in self.tasks:
            yield self.make_tasks_table([task])
            if text := task.fields["text"]:
                yield Text(text, no_wrap=True, overflow="ellipsis")


@contextmanager
def bar(
    title: str, total: int, before: int = 0, unit: str = "", every: float = 10.0
) -> Iterator[Bar]:
    """Show progress over `total` units, `before` of them done earlier: a Rich bar, below another
    one that is open, or a plain line `every` so many seconds, none where that is infinite."""
    if is_plain():
        yield Bar(title, total, unit, every=every, done=before, before=before)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        _Count(),
        _Left(),
    )
    with _Display(*columns, console=out, transient=True, expand=True) as progress:
        name = Text(printable(title))
        name.truncate(TITLE, overflow="ellipsis")
        task = progress.add_task(name.plain, total=total, completed=before, text="", unit=unit)
        yield Bar(title, total, unit, 2.0, progress, task, done=before, before=before)


def track(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Iterate over `items` with a bar."""
    with bar(title, total) as running:
        for item in items:
            yield item
            running.advance()


class DownloadProgress:
    """Shows the bytes that pooch reports on a bar in MiB."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.bytes, self.total = bar, 0, 0

    def update(self, count: int) -> None:
        self.bytes = min(self.bytes + count, self.total or sys.maxsize)
        if more := (self.bytes >> 20) - self.bar.done:
            self.bar.advance(more)

    def reset(self) -> None:
        self.bytes = 0

    def close(self) -> None:
        """Part of what pooch calls; the bar closes by itself."""

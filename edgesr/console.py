"""What the user sees while a stage runs: Rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")

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


def page(text: str) -> None:
    """Print lines for the user, each `printable`."""
    out.print(text, soft_wrap=True)


@dataclass
class Bar:
    """A running progress display. `advance` it, with text that says how things stand."""

    title: str
    total: int
    every: float = 10.0
    progress: Progress | None = None
    task: TaskID | None = None
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)

    def resize(self, total: int) -> None:
        """Say how many units there are, where that was not known before."""
        self.total = total
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, total=total)

    def advance(self, n: int = 1, text: str = "") -> None:
        """Say that `n` more units are done; `text` stands beside the bar."""
        self.done += n
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=self.done, text=printable(text))
            return
        now = time.monotonic()
        if now - self.printed >= self.every or (self.done == self.total and now - self.started > 2):
            self.printed = now
            rate = (now - self.started) / max(self.done - self.before, 1)
            left = rate * (self.total - self.done)
            parts = (self.title, f"{self.done}/{self.total}", text, f"{left:.0f} s left")
            say(" ".join(part for part in parts if part))


@contextmanager
def bar(title: str, total: int, before: int = 0) -> Iterator[Bar]:
    """Show progress over `total` units, `before` of them done earlier: a Rich bar, or a plain line
    every ten seconds."""
    if is_plain():
        yield Bar(title, total, done=before, before=before)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=out, transient=True, expand=True) as progress:
        task = progress.add_task(printable(title), total=total, completed=before, text="")
        yield Bar(title, total, progress=progress, task=task, done=before, before=before)


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
            self.bar.advance(more, "MiB")

    def reset(self) -> None:
        self.bytes = 0

    def close(self) -> None:
        """Part of what pooch calls; the bar closes by itself."""

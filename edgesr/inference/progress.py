"""How far a long piece of work is, for whoever shows it; `console.bar` does so on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """Is told while something goes on.

    Attributes:
        done: units that are done.
    """

    done: int

    def resize(self, total: int) -> None:
        """There are `total` units: that was not known before."""

    def advance(self, n: int = 1, text: str | Callable[[], str] = "") -> None:
        """`n` more units are done; `text` says how things stand."""


class OpenBar(Protocol):
    """Begins to show something; it ends with the context."""

    def __call__(self, title: str, total: int, *, unit: str = "") -> AbstractContextManager[Bar]:
        """Of `total` units, which `unit` names in the plural."""


class Unseen:
    """A bar that nobody looks at."""

    done = 0

    def resize(self, total: int) -> None:
        """Say nothing."""

    def advance(self, n: int = 1, text: str | Callable[[], str] = "") -> None:  # noqa: ARG002
        """Count."""
        self.done += n


@contextmanager
def unseen(title: str, total: int, *, unit: str = "") -> Iterator[Bar]:  # noqa: ARG001
    """What shows nothing."""
    yield Unseen()

"""How a benchmark ends: a fault of the user's in one message, as in edgesr's own commands."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edgesr.errors import EdgesrError


def in_words(main: Callable[[], None]) -> None:
    """Call `main`; what a user can mend is printed without a traceback."""
    try:
        main()
    except EdgesrError as error:
        sys.exit(f"error: {error}")

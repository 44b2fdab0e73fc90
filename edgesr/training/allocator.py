"""Memory that a training step frees is kept for the next one."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# Names of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Tell glibc not to hand large blocks back to the system, for the rest of the process.

    It does so with what a step frees, and the next step pays for every page again. The most that
    the process holds stays the same. GPU memory is not touched.

    Returns:
        Whether there was a glibc to tell; any other C library is left as it is.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a C library other than glibc
            libc = ctypes.CDLL(None)
            libc.gnu_get_libc_version  # noqa: B018  (other libraries have a mallopt that differs)
            large = libc.mallopt(M_MMAP_THRESHOLD, 2**30)
            return bool(large and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    return False

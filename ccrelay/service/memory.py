"""How the process treats its memory: what lasts is left alone, and what is large stands apart."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""The parameters' numbers in glibc's C{malloc.h}."""
_LARGE: Final = 4 * 1024 * 1024


def settle() -> None:
    """Let what was made up to now stay: call it when the process begins to serve."""
    # To look through it again and again for garbage costs 13 % of the CPU of a small request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # what a request leaves is mostly freed without it: another 2 %


def set_large_apart() -> None:
    """
    Have each large block be a mapping of its own, where the C library knows how to (mallopt(3)).

    glibc does so by itself until the first one is freed.  From then on a
    body of 30 MB that grows while it arrives is copied each time, which
    holds others up for 10 ms; a mapping grows without a copy, and goes back
    to the system when it is freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        # Else what is freed at the end of the heap goes back from 128 KB on, to be fetched for the next body.
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)

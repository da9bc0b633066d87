"""How many of the last requests failed, counted in slices of time."""

from __future__ import annotations

from collections import deque
from typing import Final

_SLICES: Final = 20


class Tally:
    """
    Requests and failures of the last while, to within a twentieth of it.

    Slices keep it small however many requests there are.

    @ivar requests: all that ended in that time.
    @ivar failures: those of them that failed.
    """

    __slots__ = ("_slice", "_slices", "failures", "requests")

    def __init__(self, window: float) -> None:
        """@param window: how long a request is remembered, in seconds."""
        self._slice = window / _SLICES
        self._slices: deque[list[int]] = deque()
        self.requests = 0
        self.failures = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Count a request that ended at C{now}, and forget those that ended too long ago."""
        current = int(now // self._slice)
        # A clock that was set back leaves slices that are yet to come: they would never grow old.
        while self._slices and not current - _SLICES < self._slices[0][0] <= current:
            _, requests, failures = self._slices.popleft()
            self.requests -= requests
            self.failures -= failures
        if not self._slices or self._slices[-1][0] != current:
            self._slices.append([current, 0, 0])
        self._slices[-1][1] += 1
        self._slices[-1][2] += failed
        self.requests += 1
        self.failures += failed

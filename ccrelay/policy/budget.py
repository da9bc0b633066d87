"""How many repeats the requests of the last seconds allow."""

from __future__ import annotations

from collections import deque


class RetryBudget:
    """
    Keeps repeats a small part of all requests, so that they do not make an overload worse.

    For repeats *in place*, of the same provider and key.  Whoever goes to another asks nobody.

    @ivar share: of the requests of the window, from 0 to 1, that may be repeated.
    """

    __slots__ = ("_asked", "_floor", "_taken", "_window", "share")

    def __init__(self, share: float = 0.2, floor: int = 3, window: float = 10.0) -> None:
        """
        @param share: of the requests of the window, from 0 to 1, that may be repeated.
        @param floor: so many repeats are allowed in it however few the requests.
        @param window: in seconds.
        """
        self.share = share
        self._floor = floor
        self._window = window
        self._asked: deque[float] = deque()
        self._taken: deque[float] = deque()

    def asked(self, now: float) -> None:
        """Count a client's request, once, when it comes; C{now} is in seconds since the epoch."""
        self._forget(now)
        self._asked.append(now)

    def take(self, now: float) -> bool:
        """Return whether a repeat is allowed at C{now}, and count it if so."""
        if not self.left(now):
            return False
        self._taken.append(now)
        return True

    def left(self, now: float) -> int:
        """Return how many repeats are allowed at C{now}."""
        self._forget(now)
        allowed = max(self._floor, int(self.share * len(self._asked)))
        return max(allowed - len(self._taken), 0)

    def _forget(self, now: float) -> None:
        over = now - self._window
        for times in (self._asked, self._taken):
            # What is yet to come was counted before the clock was set back: it would never be over.
            while times and not over < times[0] <= now:
                times.popleft()

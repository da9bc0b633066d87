"""One timer for all requests that wait for the head of their answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadlines:
    """
    Cancels what is not done in time.

    The timer is set for whatever is due first, and set anew when it runs out
    rather than with each request: a timer of its own is 3 % of a small one.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[Deferred[Any], float] = {}
        self._timer: IDelayedCall | None = None
        self._due = 0.0

    def add(self, waiting: Deferred[Any], seconds: float) -> None:
        """Cancel C{waiting} after so many seconds, unless it is L{done} before."""
        due = self._clock.seconds() + seconds
        self._waiting[waiting] = due
        if self._timer is None or due < self._due:
            self._set(due)

    def done(self, waiting: Deferred[Any]) -> bool:
        """Forget a Deferred; return whether its time was up."""
        late = self._waiting.pop(waiting, None) is None
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return late

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._clock.callLater(max(due - self._clock.seconds(), 0.0), self._run_out)

    def _run_out(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for waiting in [each for each, due in self._waiting.items() if due <= now]:
            del self._waiting[waiting]
            waiting.cancel()
        if self._waiting and self._timer is None:
            self._set(min(self._waiting.values()))

"""What arrives piece by piece, and is waited for by what it must contain."""

from collections.abc import Callable

from twisted.internet.defer import Deferred


class Watch:
    """
    Fires Deferreds when what they wait for is so.

    Whoever owns it calls L{look} after each piece, and L{end} when nothing more can come.
    """

    def __init__(self, shown: Callable[[], object]) -> None:
        """@param shown: what there is, told where a wait ends in vain."""
        self._shown = shown
        self._over = False
        self._waiting: list[tuple[Callable[[], object], Deferred[None]]] = []

    def when(self, condition: Callable[[], object]) -> Deferred[None]:
        """Return a Deferred that fires when C{condition} is true, and fails once that can be no more."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        self.look()
        return waiting

    def look(self) -> None:
        """See what has come true."""
        waiting, self._waiting = self._waiting, []
        for condition, deferred in waiting:
            if condition():
                deferred.callback(None)
            elif self._over:
                deferred.errback(AssertionError(f"it ended before that; there was: {self._shown()}"))
            else:
                self._waiting.append((condition, deferred))

    def end(self) -> None:
        """Nothing more will come."""
        self._over = True
        self.look()

"""Stand-ins for threads and for time: what runs in a thread ends when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

WALL = 1_800_000_000.0


class Hands:
    """
    Threads that do nothing until they are told what comes of it.

    @ivar running: the calls that have begun, each with its Deferred.
    """

    def __init__(self) -> None:
        self.running: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.begun = 0

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        ended: Deferred[Any] = Deferred()
        self.running.append((function, ended))
        self.begun += 1
        return ended

    def bring(self, result: Any) -> None:
        """End the oldest call with a result, or with an exception."""
        _, ended = self.running.pop(0)
        if isinstance(result, BaseException):
            ended.errback(Failure(result))
        else:
            ended.callback(result)


def at_once(function: Callable[[], Any]) -> Deferred[Any]:
    """Call a function in the thread of the test."""
    return maybeDeferred(function)

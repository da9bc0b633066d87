"""What signals mean to the process: stop, stop at once, read the configuration anew, hand over."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_BY_SIGNAL: Final = 128
"""What a shell adds to a signal's number to make an exit status of it."""


def heed(
    reactor: Any,  # noqa: ANN401  whichever is running
    hung_up: Callable[[], None],
    hand_over: Callable[[], object] = lambda: None,
    hurry: Callable[[], bool] = lambda: False,
    leave: Callable[[int], Any] = os._exit,
) -> None:
    """
    Take over the signals.

    SIGHUP, which would end the process, calls C{hung_up} instead, in the
    reactor's turn, and SIGUSR2 C{hand_over}. A second SIGTERM or SIGINT ends the process at once:
    Twisted's handlers would raise C{ReactorNotRunning} for it and go on
    stopping. Those are in place once the reactor runs, and ours only then.

    @param hurry: called for a first SIGTERM or SIGINT; returns whether the process was ending at its leisure
        and will not any more.
    """

    def install() -> None:
        asked: list[int] = []
        for number in _STOPPING:
            signal.signal(number, _once(signal.getsignal(number), asked, hurry, leave))

    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(hung_up))
    signal.signal(signal.SIGUSR2, lambda _number, _frame: reactor.callFromThread(hand_over))
    reactor.callWhenRunning(install)


def _once(
    first: Any,  # noqa: ANN401  any handler
    asked: list[int],
    hurry: Callable[[], bool],
    leave: Callable[[int], Any],
) -> Handler:
    """Return a handler that does what was done before, and leaves if it was asked already."""

    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            leave(_BY_SIGNAL + number)
        elif not hurry() and callable(first):
            first(number, frame)

    return handle

"""What signals mean to the process: the first asks it to stop, the second does not ask."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_BY_SIGNAL: Final = 128
"""What a shell adds to a signal's number to make an exit status of it."""


def stop_at_once_when_asked_twice(reactor: Any, leave: Callable[[int], Any] = os._exit) -> None:  # noqa: ANN401
    """
    Let a second SIGTERM or SIGINT end the process at once.

    Twisted's own handlers would raise C{ReactorNotRunning} for it and go on
    stopping. They are installed when the reactor starts, so ours go over
    them after that.
    """
    reactor.callWhenRunning(_install, leave)


def _install(leave: Callable[[int], Any]) -> None:
    asked: list[int] = []

    def over(first: Any) -> Callable[[int, FrameType | None], None]:  # noqa: ANN401  Twisted's handler
        def handle(number: int, frame: FrameType | None) -> None:
            asked.append(number)
            if len(asked) > 1:
                leave(_BY_SIGNAL + number)
            elif callable(first):
                first(number, frame)

        return handle

    for number in _STOPPING:
        signal.signal(number, over(signal.getsignal(number)))

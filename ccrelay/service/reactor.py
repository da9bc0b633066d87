"""The reactor of the relay's process: Twisted's on epoll, with a shorter way from an event to its reader."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Any, Final

from twisted.python import log

_EPOLLIN: Final = getattr(select, "EPOLLIN", None)
_INSTALLED: Final = "twisted.internet.reactor"

if TYPE_CHECKING:
    from collections.abc import Callable

if TYPE_CHECKING or _EPOLLIN is not None:
    from twisted.internet.epollreactor import EPollReactor
else:  # not Linux
    EPollReactor = object


class PromptReactor(EPollReactor):
    """
    Reads without telling Twisted's old log first who does.

    That log wants to know in whose name a line is written, so Twisted sets up
    a context for every event of every socket; nothing here asks for it.  It is
    4 to 5 % of the CPU of a small request, and of an event of a stream.
    """

    def __init__(self) -> None:
        self._at_end: list[Callable[[], object]] = []
        super().__init__()

    def soon(self, call: Callable[[], object]) -> None:
        """Call something once, when all that has come in this turn was heard."""
        self._at_end.append(call)

    def _end_turn(self) -> None:
        calls, self._at_end = self._at_end, []
        for call in calls:
            try:
                call()
            except Exception:  # noqa: BLE001  the others are to be called, too
                log.err()

    def doPoll(self, timeout: float | None) -> None:  # noqa: N802  Twisted's
        """Wait for events, at most for C{timeout} seconds, and let each be heard."""
        if self._at_end:
            self._end_turn()  # what timers and threads have left
            timeout = 0  # that may have set a timer, or stopped the reactor
        ready: Any = self._poller.poll(-1 if timeout is None else timeout, max(len(self._selectables), 1))
        selectables = self._selectables
        for descriptor, event in ready:
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue  # closed by what came before it in this turn
            if event != _EPOLLIN:
                self._doReadOrWrite(selectable, descriptor, event)
                continue
            try:
                why = selectable.doRead()
            except BaseException as problem:  # noqa: BLE001  as Twisted does: it must not end the reactor
                log.err()
                why = problem
            if why:
                self._disconnectSelectable(selectable, why, True)  # noqa: FBT003  Twisted's
        if self._at_end:
            self._end_turn()

    doIteration = doPoll  # noqa: N815  by this name the main loop calls it


def install() -> None:
    """Make it the reactor of this process, unless there is one already, or this is not Linux."""
    if _INSTALLED not in sys.modules and _EPOLLIN is not None:
        from twisted.internet.main import installReactor  # noqa: PLC0415  nothing else here needs it

        installReactor(PromptReactor())

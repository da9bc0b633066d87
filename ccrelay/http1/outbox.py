"""What is written in one turn of the reactor, sent at its end."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ccrelay.http1.sending import send_now
from ccrelay.http1.turns import at_end_of_turn

if TYPE_CHECKING:
    from collections.abc import Callable

_ALONE_S: Final = 0.0003
"""What is written so long after the one before is alone: requests under way cost less than that."""
_MOST: Final = 16
"""So many connections wait for the end of a turn at most."""
_JOINED: Final = 32 * 1024
"""Bytes up to which pieces are copied into one."""
_MOST_PIECES: Final = 100
"""So many pieces a system takes in one call, and more."""


class Outbox:
    """
    The connections that have something to send.

    Sending wakes who receives, and that is most of what it costs; sent one
    after the other, several messages find their receiver awake.  With 16
    clients that is 12 % of a small request.  And what is written to one
    connection in a turn, such as several events, goes out in one piece.

    What is written alone is sent at once: to wait for the end of its turn
    would cost an event a tenth more.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """@param clock: returns seconds."""
        self._clock = clock
        self._latest = 0.0
        self._waiting: list[Sender] = []
        self._due = False
        self._soon: Callable[[Callable[[], object]], object] | None = None

    def add(self, sender: Sender) -> None:
        """Let something be sent to when this turn is over, or at once where it is alone."""
        now = self._clock()
        alone = now - self._latest > _ALONE_S
        self._latest = now
        if alone and not self._waiting:
            sender.flush()
            return
        self._waiting.append(sender)
        if len(self._waiting) >= _MOST:
            self._flush()
        elif not self._due:
            self._due = True
            if self._soon is None:
                self._soon = at_end_of_turn(sender.transport.reactor)
            self._soon(self._end_of_turn)

    def _end_of_turn(self) -> None:
        self._due = False
        self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for sender in waiting:
            sender.flush()


class Sender:
    """The sending half of a connection."""

    transport: Any
    outbox: Outbox

    def __init__(self) -> None:
        self._unsent: list[bytes] = []

    def send(self, *pieces: bytes) -> None:
        """Send bytes when this turn is over, or before."""
        first = not self._unsent
        self._unsent += pieces
        if first:
            self.outbox.add(self)

    def flush(self) -> None:
        """Send at once what waits for the end of the turn."""
        unsent = self._unsent
        if not unsent:
            return
        if len(unsent) > 1:
            if sum(map(len, unsent)) > _JOINED:
                self._unsent = []
                send_now(self.transport, *unsent[:_MOST_PIECES])
                for data in unsent[_MOST_PIECES:]:
                    send_now(self.transport, data)
                return
            data = b"".join(unsent)
        else:
            data = unsent[0]
        unsent.clear()
        send_now(self.transport, data)

    def forget(self) -> None:
        """Send nothing of what waits: the connection is cut."""
        self._unsent.clear()

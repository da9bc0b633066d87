"""A protocol that reads what comes: of a connection, or of a response's body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure


class Reader(Protocol):
    """
    Reads the body of a response.

    @ivar done: fires with this reader when it is over.
    @ivar reason: why it is over.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.done: Deferred[Reader] = Deferred()
        self.reason: Any = None
        self._wanted: tuple[Callable[[bytes], bool], Deferred[None]] | None = None

    @property
    def received(self) -> bytes:
        """What has been read."""
        return b"".join(self._pieces)

    def until(self, there: Callable[[bytes], bool]) -> Deferred[None]:
        """Return a Deferred that fires once something is there."""
        waiting: Deferred[None] = Deferred()
        self._wanted = there, waiting
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._wanted is not None and self._wanted[0](self.received):
            waiting, self._wanted = self._wanted[1], None
            waiting.callback(None)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.reason = reason
        self.done.callback(self)

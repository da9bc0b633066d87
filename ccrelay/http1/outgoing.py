"""A request's body that arrives while it is sent, and one that is large."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer

_PIECE: Final = 256 * 1024


class Outgoing:
    """
    The consumer of such a body, which frames it.

    It raises L{ValueError} for a body that is not as long as was said.
    """

    def __init__(self, transport: Any, length: int | None) -> None:  # noqa: ANN401  any transport
        """@param length: bytes that were announced; None for a body in chunks."""
        self._transport = transport
        self._left = length

    def write(self, data: bytes) -> None:
        """Send the next bytes."""
        if self._left is None:
            if data:
                self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            return
        self._left -= len(data)
        if self._left < 0:
            msg = "the body is longer than was said"
            raise ValueError(msg)
        self._transport.write(data)

    def finish(self) -> None:
        """The body is complete."""
        if self._left is None:
            self._transport.write(b"0\r\n\r\n")
        elif self._left:
            msg = "the body is shorter than was said"
            raise ValueError(msg)


@implementer(IPullProducer)
class Large:
    """
    A large body on its way, a piece at a time.

    A transport that is given 30 MB copies all that the socket does not take
    at once, twice, and holds all others up for 15 ms.
    """

    def __init__(self, transport: Any, body: bytes) -> None:  # noqa: ANN401  any transport
        self._transport = transport
        self._left = memoryview(body)
        self.sent: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def begin(self) -> Deferred[None]:
        """Send it; the Deferred fires when the last piece is written."""
        self._transport.registerProducer(self, False)  # noqa: FBT003  Twisted's: it pulls
        return self.sent

    def resumeProducing(self) -> None:
        """The transport has sent what it had."""
        piece, self._left = bytes(self._left[:_PIECE]), self._left[_PIECE:]
        if piece:
            self._transport.write(piece)  # which asks for the next one when this one has gone
        if not self._left:
            self._transport.unregisterProducer()
            if not self.sent.called:
                self.sent.callback(None)

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        self._left = self._left[:0]

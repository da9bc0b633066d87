"""Bodies on their way to a provider and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from ccrelay.errors import Broken, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IConsumer
    from twisted.python.failure import Failure


@implementer(IBodyProducer)
class RequestBody:
    """
    A request body that is all there; it can be sent as often as attempts need.

    Twisted's C{FileBodyProducer} reads through the global reactor's
    cooperator, 64 KiB a turn, and can be sent once.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write all of it; the transport buffers what the peer has not taken."""
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to go on with."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


class IReceiver(Protocol):
    """What takes the body of an answer as it comes."""

    def received(self, data: bytes) -> None:
        """Take the next bytes."""

    def ended(self, error: UpstreamError | None) -> None:
        """The body is over: as its framing promised (None), or not."""


@implementer(IProtocol)
class ResponseBody:
    """
    The body of an answer while it arrives; it can be paused, and stopped for good.

    Each must be read to its end or stopped, or its connection is held for ever.
    """

    factory = None

    def __init__(self, receiver: IReceiver, over: Callable[[], None]) -> None:
        """@param over: called once, when no more will come."""
        self._receiver: IReceiver | None = receiver
        self._over: Callable[[], None] | None = over
        self.transport: Any = None

    def makeConnection(self, transport: Any) -> None:  # noqa: ANN401  Twisted's proxy, no public type
        """Remember what can be paused."""
        self.transport = transport

    def connectionMade(self) -> None:
        """Part of Twisted's protocol interface."""

    def dataReceived(self, data: bytes) -> None:
        """Hand the bytes on, unless the body was stopped."""
        if self._receiver is not None:
            self._receiver.received(data)

    def connectionLost(self, reason: Failure) -> None:
        """Tell how it ended, unless the body was stopped."""
        receiver, self._receiver = self._receiver, None
        self._finish()
        if receiver is None:
            return
        # A body that ends with its connection, without a length, may or may not be
        # whole; what a stream or a message needs at its end decides.
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        receiver.ended(None if whole else Broken("the connection was lost in the middle of the answer"))

    def pause(self) -> None:
        """Take no more bytes from the provider for now."""
        if self.transport is not None and self._receiver is not None:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Take bytes again."""
        if self.transport is not None and self._receiver is not None:
            self.transport.resumeProducing()

    def stop(self) -> None:
        """Hang up on the provider; the receiver hears no more."""
        if self._receiver is None:
            return
        self._receiver = None
        if self.transport is not None:
            _abort(self.transport)
        self._finish()

    def _finish(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over()


def _abort(transport: Any) -> None:  # noqa: ANN401  Twisted's proxy, no public type
    """
    End a connection without waiting for the provider.

    What the proxy offers would wait: stopProducing until all of the request
    is sent, loseConnection over TLS for an answer that a paused transport
    does not read (twisted/twisted#7926, #8227).
    """
    behind = getattr(transport, "_producer", transport)
    if behind is not None:
        behind.abortConnection()


class Collected:
    """Gathers a body in memory, up to a limit."""

    def __init__(self, limit: int, *, whole: bool) -> None:
        """
        @param limit: bytes.
        @param whole: whether a body over the limit is an error, rather than cut there.
        """
        self._limit = limit
        self._whole = whole
        self._parts: list[bytes] = []
        self._size = 0
        self.body: ResponseBody | None = None
        self.result: Deferred[bytes] = Deferred(self._cancel)

    def received(self, data: bytes) -> None:
        """Keep the bytes, until there are enough."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._limit and not self.result.called:
            self._stop()
            if self._whole:
                self.result.errback(Broken(f"the answer is larger than {self._limit} bytes"))
            else:
                self.result.callback(b"".join(self._parts)[: self._limit])

    def ended(self, error: UpstreamError | None) -> None:
        """Give what there is."""
        if self.result.called:
            return
        if error is not None and self._whole:
            self.result.errback(error)
        else:
            self.result.callback(b"".join(self._parts))

    def _cancel(self, _result: Deferred[bytes]) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.body is not None:
            self.body.stop()


COMPLAINT_LIMIT: Final = 64 * 1024
"""Bytes of a refusal that are read."""

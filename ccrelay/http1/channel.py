"""A client's connection: its requests parsed by llhttp, answered one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from zope.interface import implementer

from ccrelay.http1.outbox import Sender
from ccrelay.http1.parsing import Parsing

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

_READ_AHEAD: Final = 16 * 1024
"""Bytes that are read of what follows a request while it is being answered."""


@implementer(IPushProducer)
class Channel(Sender, Parsing):
    """
    HTTP/1.1 from a client.

    A request is begun with once its head has come; what follows it waits for
    its turn, and little of it is read before that.
    """

    transport: Any
    callLater: Callable[..., IDelayedCall]
    timeOut: float | None = None

    def __init__(self) -> None:
        Sender.__init__(self)
        Parsing.__init__(self)
        self._advancing = False
        self._closing = False
        self._held = False
        self._clogged = False
        self._source: Any = None

    def malformed(self) -> None:
        """What came is no request: answer so, and close."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        """Send what is written at once, and be told when the client does not read."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)  # noqa: FBT003  Twisted's
        self.expect_request()

    def dataReceived(self, data: bytes) -> None:
        """Parse what came, unless a request that is complete is still being answered."""
        if self._closing or self._malformed:
            return
        if self._behind or (self.requests and self.requests[0] is not self._filling):
            self._behind.append(data)
            if sum(map(len, self._behind)) > _READ_AHEAD:
                self._held = True
                self.transport.pauseProducing()
            return
        self._parse(data)
        self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell every request that is not answered."""
        self._closing = True
        self.forget()
        self._parser = None
        self._behind.clear()
        requests, self.requests = self.requests, []
        for request in requests:
            request.connectionLost(reason)

    def _advance(self) -> None:
        """Begin with the request whose turn it is, and parse on where there is none."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while not self._closing:
                request = self.requests[0] if self.requests else None
                if request is not None and not request.started:
                    request.started = True
                    request.headReceived(request.method, request.uri, request.clientproto)
                elif (request is not None and request is not self._filling) or self._clogged:
                    break
                elif self._malformed and request is None:
                    self._closing = True
                    self.malformed()
                elif self._behind:
                    self._parse(self._behind.pop(0))
                else:
                    break
        finally:
            self._advancing = False
        if self._held and not self._behind and not self._closing:
            self._held = False
            self.transport.resumeProducing()

    def requestDone(self, request: Any) -> None:  # noqa: ANN401  what requestFactory makes
        """An answer is whole: go on with the next request."""
        self.requests.remove(request)
        if not self.requests:
            self.expect_request()
        if not request.lasting:
            self.loseConnection()
            return
        if self._clogged:
            self.transport.pauseProducing()
        else:
            self._advance()

    def loseConnection(self) -> None:
        """Close the connection once what was written has gone out."""
        self._closing = True
        self.flush()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def send_continue(self) -> None:
        """Tell a client that waits for it to send the body."""
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def registerProducer(self, source: Any, _streaming: bool) -> None:  # noqa: ANN401, FBT001  Twisted's
        """Hold C{source} back while the client does not read."""
        self._source = source
        if self._clogged:
            source.pauseProducing()

    def unregisterProducer(self) -> None:
        """Let go of the source."""
        self._source = None

    def isSecure(self) -> bool:
        """Return whether the connection is TLS."""
        return bool(ISSLTransport.providedBy(self.transport))

    def getPeer(self) -> Any:  # noqa: ANN401  any IAddress
        """Return the client's address."""
        return self.transport.getPeer()

    def getHost(self) -> Any:  # noqa: ANN401  any IAddress
        """Return the address the client has connected to."""
        return self.transport.getHost()

    def pauseProducing(self) -> None:
        """The client does not read: write no more, and read no more requests of it."""
        self._clogged = True
        if self._source is not None:
            self._source.pauseProducing()
        if not self.requests:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read."""
        self._clogged = False
        if self._source is not None:
            self._source.resumeProducing()
        if not self._closing and not self.requests:
            self.transport.resumeProducing()
            self._advance()

    def stopProducing(self) -> None:
        """The connection is being lost; its end is told by L{connectionLost}."""
        if self._source is not None:
            self._source.stopProducing()

"""A client's request as Twisted carries it, answered from its head on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request

from ccrelay.relay.events import CLIENT_LEFT
from ccrelay.web.incoming import IncomingBody
from ccrelay.web.sending import send_now

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ccrelay.relay.exchange import Exchange
    from ccrelay.wire.http import Pairs


class RelayRequest(Request):
    """
    Lives from its head to the end of its answer.

    Its body is never spooled to disk and never parsed as a form.

    @ivar body: what arrives of it.
    @ivar exchange: the account of it, from its head on.
    @ivar pairs: its header fields, names in lower case.
    """

    defaultContentType = None
    channel: Any
    site: Any
    body: IncomingBody | None = None
    exchange: Exchange | None = None
    pairs: Pairs = ()

    def parseCookies(self) -> None:
        """Cookies mean nothing here."""

    def gotLength(self, length: int | None) -> None:
        """The head is complete and tells the length of the body; None for a chunked one."""
        self.body = IncomingBody(length, self.channel.site.clock, IPushProducer(self.channel.transport))

    def handleContentChunk(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self.body is not None:
            self.body.received(data)

    def headReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The head is complete: begin with the answer."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, self.query = path.partition(b"?")
        self.args = {}
        self.pairs = tuple(
            (name.lower(), value)
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        )
        self.process()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is complete; a request without one begins here."""
        if self.exchange is None:
            self.headReceived(command, path, version)
        elif self.body is not None:
            self.body.ended()

    def process(self) -> None:
        """Give it to the site, which tells what answers it."""
        self.site = self.channel.site
        self.site.handle(self)

    def getRequestHostname(self) -> bytes:
        """Return a constant: nothing here depends on the host, and a strange one must not break Klein."""
        return b"localhost"

    def getHost(self) -> Any:  # noqa: ANN401  any IAddress
        """Return the address it came in at."""
        return self.host

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return bool(self._disconnected)

    def write(self, data: bytes) -> None:
        """
        Write bytes of the answer; those of a stream that has begun go at once.

        Twisted would ask the same questions for each event, and write a
        chunk in four pieces: 10 % of what relaying an event costs.
        """
        if not data or not (self.chunked and self.startedWriting) or self.finished or self._disconnected:
            super().write(data)
            return
        self.sentLength += len(data)
        send_now(self.channel.transport, b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """The last byte of the answer was written."""
        site, exchange = self.site, self.exchange
        if exchange is not None:
            exchange.status, exchange.sent = self.code, self.sentLength
        super().finish()
        if exchange is not None:
            exchange.end(site.clock.seconds())

    def connectionLost(self, reason: Failure) -> None:
        """The client left, or was cut off, before the answer was whole."""
        exchange = self.exchange
        if exchange is not None:
            exchange.because(CLIENT_LEFT)
            exchange.status = self.code if self.startedWriting else 0
            exchange.sent = self.sentLength
        super().connectionLost(reason)
        if exchange is not None:
            exchange.end(self.site.clock.seconds())

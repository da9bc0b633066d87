"""A client's request, answered from its head on: over llhttp, and over Twisted's own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request

from ccrelay.http1.request import LeanRequest
from ccrelay.http1.sending import send_now
from ccrelay.relay.events import CLIENT_LEFT
from ccrelay.web.incoming import IncomingBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from ccrelay.relay.exchange import Exchange
    from ccrelay.wire.http import Pairs


class Accounted(Request):
    """
    A request that lives from its head to the end of its answer, and of which an account is kept.

    Its body is never spooled to disk and never parsed as a form.

    @ivar body: what arrives of it.
    @ivar exchange: the account of it, from its head on.
    @ivar leaving: called when the client has left; None for nobody.
    @ivar pairs: its header fields, names in lower case.
    """

    defaultContentType = None
    channel: Any
    site: Any
    body: Any = None
    exchange: Exchange | None = None
    leaving: Callable[[], object] | None = None
    pairs: Pairs = ()
    query = b""

    def handleContentChunk(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self.body is not None:
            self.body.received(data)

    def headReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The head is complete: give it to the site, which tells what answers it."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, self.query = path.partition(b"?")
        site = self.site = self.channel.site
        site.handle(self)

    def getRequestHostname(self) -> bytes:
        """Return a constant: nothing here depends on the host, and a strange one must not break Klein."""
        return b"localhost"

    def getHost(self) -> Any:  # noqa: ANN401  any IAddress
        """Return the address it came in at."""
        return self.host

    @property
    def local(self) -> bool:
        """Whether it came in where only this machine's programs reach."""
        return isinstance(self.host, UNIXAddress)

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return bool(self._disconnected)

    def finish(self) -> None:
        """The last byte of the answer was written."""
        site, exchange = self.site, self.exchange
        self.leaving = None
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
        leaving, self.leaving = self.leaving, None
        if leaving is not None:
            leaving()
        if exchange is not None:
            exchange.end(self.site.clock.seconds())


class RelayRequest(Accounted, LeanRequest):
    """A request over llhttp."""

    @property
    def local(self) -> bool:
        """Whether it came in where only this machine's programs reach."""
        return bool(self.channel.local)

    def gotLength(self, length: int | None) -> None:
        """The head is complete and tells the length of the body; None for a chunked one."""
        body = self.body = IncomingBody(length, self.channel.site.clock, self.channel.transport)
        if length != 0 and self.clientproto == b"HTTP/1.1":
            for name, value in self.pairs:
                if name == b"expect" and value.lower() == b"100-continue":
                    body.on_wanted = self.channel.send_continue

    def complete(self) -> None:
        """The body is complete."""
        self.body.ended()

    def dress(self, status: int, phrase: bytes | None, pairs: Pairs) -> None:
        """Put status and header fields on the answer, and how its connection goes on."""
        self.setResponseCode(status, phrase)
        self.fields.extend(pairs)
        if not self.body.over:
            self.lasting = False

    def is_last(self) -> None:
        """Let the connection end with the answer."""
        self.lasting = False


class TwistedRequest(Accounted):
    """A request over Twisted's own parser."""

    def is_last(self) -> None:
        """Let the connection end with the answer."""
        self.channel.persistent = False
        self.setHeader(b"connection", b"close")

    def parseCookies(self) -> None:
        """Cookies mean nothing here."""

    def gotLength(self, length: int | None) -> None:
        """The head is complete and tells the length of the body; None for a chunked one."""
        self.body = IncomingBody(length, self.channel.site.clock, IPushProducer(self.channel.transport))

    def headReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The head is complete: begin with the answer."""
        self.args = {}
        self.pairs = tuple(
            (name.lower(), value)
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        )
        super().headReceived(command, path, version)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is complete; a request without one begins here."""
        if self.exchange is None:
            self.headReceived(command, path, version)
        elif self.body is not None:
            self.body.ended()

    def dress(self, status: int, phrase: bytes | None, pairs: Pairs) -> None:
        """Put status and header fields on the answer, and how its connection goes on."""
        self.setResponseCode(status, phrase)
        headers = self.responseHeaders
        for name, value in pairs:
            headers.addRawHeader(name, value)
        if self.body is not None and not self.body.over:
            headers.setRawHeaders(b"connection", [b"close"])
        elif self.clientproto == b"HTTP/1.1" and not headers.hasHeader(b"connection"):
            headers.setRawHeaders(b"connection", [b"keep-alive"])

    def write(self, data: bytes) -> None:
        """Write bytes of the answer; those of a stream that has begun go at once."""
        if not data or not (self.chunked and self.startedWriting) or self.finished or self._disconnected:
            super().write(data)
            return
        self.sentLength += len(data)
        send_now(self.channel.transport, b"%x\r\n%b\r\n" % (len(data), data))

"""Twisted's request, of which nothing is made before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.web.http import NO_BODY_CODES
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from ccrelay.http1.heads import rendered

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

    from ccrelay.wire.http import Pairs


_LARGE: Final = 16 * 1024


class LeanRequest(Request):
    """
    A request of a L{Channel}, answered by pairs of names and values.

    What Klein and others know a request by is there when they ask: Twisted
    makes two C{Headers}, an argument dictionary and more for each request,
    a tenth of what a small one costs.

    @ivar pairs: the header fields, names in lower case.
    @ivar lasting: whether the connection may go on after this request.
    @ivar started: whether its turn to be answered has come.
    @ivar fields: those of the answer.
    """

    defaultContentType = None
    channel: Any
    lasting = True
    started = False
    _made_request_headers: Headers | None = None
    _made_response_headers: Headers | None = None
    _bodiless = False
    _streaming = False

    def __init__(self, channel: Any, pairs: Pairs) -> None:  # noqa: ANN401  a Channel, which makes these
        self._adapterCache: dict[str, Any] = {}  # which is what Componentized makes
        self.notifications = []
        self.channel = channel
        self.pairs = pairs
        self.fields: list[tuple[bytes, bytes]] = []

    @property
    def requestHeaders(self) -> Headers:  # type: ignore[override]
        """The header fields as Twisted has them."""
        if self._made_request_headers is None:
            self._made_request_headers = _as_headers(self.pairs)
        return self._made_request_headers

    @property
    def responseHeaders(self) -> Headers:  # type: ignore[override]
        """Fields that are set in Twisted's way; they go out beside L{fields}."""
        if self._made_response_headers is None:
            self._made_response_headers = Headers()
        return self._made_response_headers

    @property
    def transport(self) -> Any:  # type: ignore[override]  # noqa: ANN401
        """The connection."""
        return self.channel.transport

    @property
    def host(self) -> IAddress:
        """The address it came in at."""
        return self.channel.transport.getHost()  # type: ignore[no-any-return]

    @property
    def client(self) -> IAddress:
        """The address it came from."""
        return self.channel.transport.getPeer()  # type: ignore[no-any-return]

    def write(self, data: bytes) -> None:
        """Write bytes of the answer; its head goes with the first ones."""
        if self._streaming and data:  # nearly always: one question for each event
            self.sentLength += len(data)
            self.channel.send(b"%x\r\n%b\r\n" % (len(data), data))
            if len(data) > _LARGE:
                self.channel.flush()
            return
        if self.finished:
            msg = "Request.write called on a request after Request.finish was called."
            raise RuntimeError(msg)
        if self._disconnected:
            return
        head = b""
        if not self.startedWriting:
            self.startedWriting = 1
            head = self._head()
        if self._bodiless:
            data = b""
        elif data:
            self.sentLength += len(data)
            if self.chunked:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        self._streaming = bool(self.chunked) and not self._bodiless
        if head or data:
            self.channel.send(head, data)
        if len(data) > _LARGE:
            self.channel.flush()  # so that a client that does not read is noticed before more comes

    def _head(self) -> bytes:
        made = self._made_response_headers
        if made is not None:
            self.fields.extend((name, value) for name, values in made.getAllRawHeaders() for value in values)
        self._bodiless = self.method == b"HEAD" or self.code in NO_BODY_CODES
        fields = self.fields
        line = b"%b %d %b" % (self.clientproto, self.code, self.code_message)
        if self.clientproto == b"HTTP/1.1":
            names = [name for name, _ in fields]  # in lower case, but for what was set in Twisted's way
            if not self._bodiless and b"content-length" not in names and b"Content-Length" not in names:
                fields.append((b"transfer-encoding", b"chunked"))
                self.chunked = 1
            if b"connection" not in names and b"Connection" not in names:
                fields.append(_KEEPS if self.lasting else _CLOSES)
        return rendered(line, fields)

    def finish(self) -> None:
        """The last byte of the answer was written."""
        if self._disconnected:
            msg = "Request.finish called on a request after its connection was lost"
            raise RuntimeError(msg)
        if self.finished:
            return
        if not self.startedWriting:
            self.write(b"")
        channel = self.channel
        if self.chunked:
            channel.send(b"0\r\n\r\n")
        self.finished = 1
        self._streaming = False
        channel.requestDone(self)
        self.channel = None
        waiting, self.notifications = self.notifications, []
        for each in waiting:
            each.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone before the answer was whole."""
        self._disconnected = True
        self._streaming = False
        self.channel = None
        waiting, self.notifications = self.notifications, []
        for each in waiting:
            each.errback(reason)


_KEEPS: Final = (b"connection", b"keep-alive")
_CLOSES: Final = (b"connection", b"close")


def _as_headers(pairs: Pairs) -> Headers:
    made = Headers()
    for name, value in pairs:
        made.addRawHeader(name, value)
    return made

"""Requests out of the bytes of a connection, by llhttp."""

from __future__ import annotations

from typing import Any, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.protocol import Protocol

_MOST_FIELDS: Final = 500
_LONGEST_HEAD: Final = 64 * 1024  # lists of betas and conversation headers grow
_LONGEST_FRAMING: Final = 16 * 1024
"""Bytes of a body's framing, chunk extensions and trailers, without a byte of the body."""
_READ: Final = 120 * 1024
"""Bytes of a request taken in at once: one of 100 KB in one piece costs 5 % less.  From 128 KiB on glibc maps
each buffer anew, which takes longer than the read."""
_WRITTEN: Final = 64 * 1024
"""Bytes of an answer that are kept where a client does not read; Twisted has one name for both."""
_VERSIONS: Final = {"1.1": b"HTTP/1.1", "1.0": b"HTTP/1.0"}


class _NotAccepted(Exception):
    """What llhttp takes, and we do not."""


class Parsing(Protocol):
    """
    The half of a L{Channel} that takes bytes apart.

    The callbacks of llhttp only note what they find; it is acted on when the
    bytes of one turn of the reactor are parsed.

    llhttp is as strict as it can be: no leniency is set.  What it takes and
    others read differently is refused here: two codings, a coding in HTTP/1.0,
    HTTP/0.9, more than one space in a request line.

    @ivar requests: those whose head has come and that are not answered yet, in their order.
    """

    requestFactory: Any
    transport: Any

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._url = b""
        self._in_head = False
        self._data = b""
        self._head_parts: list[bytes] = []
        self._framing = 0
        self._filling: Any = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._behind: list[bytes] = []
        self._malformed = False
        self._skipped: int | None = 0
        self._repeated = False
        self._parser: Any = HttpRequestParser(self)

    def expect_request(self) -> None:
        """Nothing is being answered: what comes is a request."""
        self.transport.bufferSize = _READ

    def broken(self, request: Any) -> None:  # noqa: ANN401  what requestFactory makes
        """Tell a request that its body is none; for subclasses."""
        raise NotImplementedError

    def _continue(self, length: int | None) -> None:
        """
        Go on after a request to change the protocol, which we do not: a server may (RFC 9110, 7.8).

        llhttp takes what follows such a head for another protocol, the body of the request included.  So
        another parser reads that, behind a head that says how long it is.

        @param length: of the body in bytes; None for chunks.
        """
        self._parser = HttpRequestParser(self)
        if length == 0:
            return
        framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
        self._repeated = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        self._repeated = False

    def on_message_begin(self) -> None:
        """Note what llhttp has found: the first byte of a head."""
        self._in_head = True
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Note what llhttp has found: a piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what llhttp has found: a field; those of a trailer are read over."""
        if self._in_head:
            self._fields.append((name.lower(), value.rstrip(b" \t")))
        else:
            self._framing += len(name) + len(value)
            if self._framing > _LONGEST_FRAMING:
                raise _NotAccepted

    def on_headers_complete(self) -> None:
        """Note what llhttp has found: the end of a head."""
        parser, fields = self._parser, tuple(self._fields)
        self._fields.clear()
        self._in_head = False
        if self._repeated:
            return
        version = parser.get_http_version()
        if len(fields) > _MOST_FIELDS or version not in _VERSIONS:
            raise _NotAccepted
        raw = self._data
        if self._head_parts or len(raw) > _LONGEST_HEAD:  # else it cannot be long
            raw = b"".join([*self._head_parts, raw])
            self._head_parts.clear()
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in fields)
            if size > _LONGEST_HEAD:
                raise _NotAccepted
        method = parser.get_method()
        if b"%b %b HTTP/" % (method, self._url) not in raw:
            raise _NotAccepted  # more than one space
        length: int | None = 0
        for name, value in fields:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                length = None
                if value.lower() != b"chunked" or version == "1.0":
                    raise _NotAccepted
        request = self.requestFactory(self, fields)
        request.method = method
        request.uri = self._url
        request.clientproto = _VERSIONS[version]
        request.lasting = version == "1.1" and parser.should_keep_alive()
        request.gotLength(length)
        self.requests.append(request)
        self._filling = request
        self._framing = 0
        if length != 0 and parser.should_upgrade():
            self._skipped = length

    def on_message_complete(self) -> None:
        """Note what llhttp has found: the end of a request."""
        if self._skipped != 0:
            return  # only of its head: see _continue
        self._fill()
        request, self._filling = self._filling, None
        self.transport.bufferSize = _WRITTEN
        request.complete()

    def _parse(self, data: bytes) -> None:
        """Take bytes apart; what is wrong with them is noted, not told yet."""
        self._data = data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            skipped, self._skipped = self._skipped, 0
            self._continue(skipped)
            if data[upgrade.args[0] :]:
                self._behind.insert(0, data[upgrade.args[0] :])
        except HttpParserError as error:
            ours = error.__context__
            if isinstance(error, HttpParserCallbackError) and not isinstance(ours, _NotAccepted):
                raise
            self._spoilt()
        self._data = b""
        if self._in_head:
            self._head_parts.append(data)
            if sum(map(len, self._head_parts)) > _LONGEST_HEAD:
                self._spoilt()
        elif self._filling is not None:
            self._framing = 0 if self._pieces else self._framing + len(data)
            self._fill()
            if self._framing > _LONGEST_FRAMING and self._filling is not None:
                self._spoilt()

    def _fill(self) -> None:
        """Give a request what has come of its body."""
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._filling.handleContentChunk(data)

    def _spoilt(self) -> None:
        """Nothing that follows can be read."""
        if self.requests and not self.requests[-1].lasting and self._filling is None:
            self._behind.clear()  # the client said that nothing would follow
            return
        self._malformed = True
        filling = self._filling
        if filling is not None:
            self._fill()
            self.broken(filling)

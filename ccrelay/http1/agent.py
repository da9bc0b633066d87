"""The agent: requests by URL, over a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent
from zope.interface import implementer

from ccrelay.http1.heads import rendered
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from typing import Any

    from twisted.internet.defer import Deferred
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse

    from ccrelay.http1.pool import Pool
    from ccrelay.http1.response import Response
    from ccrelay.wire.http import Pairs

_BODILESS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"DELETE"})
_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_MOST_URLS: Final = 256
_PORTS: Final = {b"http": 80, b"https": 443}


class _Target:
    """What a URL says, taken apart once."""

    __slots__ = ("host", "line", "place")

    def __init__(self, url: str, endpoints: IAgentEndpointFactory, pool: Pool) -> None:
        uri = URI.fromBytes(url.encode("ascii"))
        if uri.scheme not in _PORTS:
            msg = f"not a URL of HTTP: {url}"
            raise SchemeNotSupported(msg)
        self.line = b" %b HTTP/1.1" % uri.originForm
        name = (b"[%b]" % uri.host if b":" in uri.host else uri.host).lower()
        self.host = (b"host", name if uri.port == _PORTS[uri.scheme] else b"%b:%d" % (name, uri.port))
        self.place = pool.place((uri.scheme, uri.host, uri.port), endpoints.endpointForURI(uri))


@implementer(IAgent)
class Agent:
    """Sends requests over C{pool} to where C{endpoints} says."""

    def __init__(self, endpoints: IAgentEndpointFactory, pool: Pool) -> None:
        self._endpoints = endpoints
        self._pool = pool
        self._targets: dict[str, _Target] = {}

    def ask(
        self, method: bytes, url: str, fields: Pairs, body: bytes | IBodyProducer | None
    ) -> Deferred[Response]:
        """
        Send a request.

        @param url: percent-encoded.
        @param fields: names in lower case, without those that frame a message.  A C{host} goes before
            the URL's.
        @raise ValueError: if C{url} is none.
        """
        target = self._targets.get(url)
        if target is None:
            target = self._target(url)
        framing: tuple[tuple[bytes, bytes], ...]
        if body is None:
            framing = () if method in _BODILESS else ((b"content-length", b"0"),)
        elif isinstance(body, bytes):
            framing = ((b"content-length", b"%d" % len(body)),)
        elif body.length is UNKNOWN_LENGTH:
            framing = ((b"transfer-encoding", b"chunked"),)
        else:
            framing = ((b"content-length", b"%d" % body.length),)
        if first(fields, b"host") is None:
            fields = (target.host, *fields)
        head = rendered(method + target.line, fields + framing)
        return self._pool.ask(target.place, method, head, body)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Send a request as Twisted's C{IAgent} does."""
        given = () if headers is None else headers.getAllRawHeaders()
        fields = tuple(
            (name.lower(), value)
            for name, values in given
            for value in values
            if name.lower() not in _FRAMING
        )
        body: Any = getattr(bodyProducer, "data", bodyProducer)
        return self.ask(method, uri.decode("ascii"), fields, body)  # type: ignore[return-value]

    def _target(self, url: str) -> _Target:
        if len(self._targets) >= _MOST_URLS:
            self._targets.clear()
        target = self._targets[url] = _Target(url, self._endpoints, self._pool)
        return target

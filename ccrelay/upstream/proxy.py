"""Connecting through an HTTP proxy, by CONNECT (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime
    from twisted.python.failure import Failure

_LONGEST_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_OK: Final = range(200, 300)
_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    An HTTP proxy.

    @ivar authorization: for C{Proxy-Authorization}; empty where it asks for nothing.
    """

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """
        Return the proxy of a URL: C{http://[user:password@]host[:port]}.

        @raise ValueError: if it is no such URL; the text says what is allowed, and holds no password.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        msg = "an address such as http://proxy.example:8080"
        try:
            port = parts.port or _PORT
        except ValueError:
            raise ValueError(msg) from None
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(msg)
        authorization = b""
        if parts.username is not None:
            shown = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = b"Basic " + base64.b64encode(shown.encode("utf-8"))
        return cls(parts.hostname, port, authorization)


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy that the environment has for a URL, or None.

    C{HTTPS_PROXY} is for C{https} alone, C{NO_PROXY} lists hosts to be reached
    without: C{*}, names and all names under them, addresses, each with a port
    if one is meant.  Loopback is never proxied.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    found = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    host = parts.hostname.lower()
    if not found or _loopback(host):
        return None
    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    excepted = (entry.strip().lower() for entry in without.split(","))
    return None if any(_covers(entry, host, parts.port or 443) for entry in excepted if entry) else found


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and ":" not in name:
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == entry or host.endswith(f".{entry}")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@implementer(IStreamClientEndpoint)
class ThroughProxy:
    """Connects to a host by asking a proxy to."""

    def __init__(
        self,
        clock: IReactorTime,
        to_proxy: IStreamClientEndpoint,
        proxy: Proxy,
        host: bytes,
        port: int,
        timeout: float,
    ) -> None:
        """
        @param to_proxy: connects to the proxy.
        @param timeout: seconds that the proxy may take to connect.
        """
        self._clock = clock
        self._to_proxy = to_proxy
        self._proxy = proxy
        self._target = (b"[%b]:%d" if b":" in host else b"%b:%d") % (host, port)
        self._timeout = timeout

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; see L{IStreamClientEndpoint.connect}."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        tunnel: Any = await self._to_proxy.connect(_Tunnels(self._target, self._proxy.authorization, factory))

        def too_slow(_result: object, seconds: float) -> IProtocol:
            raise ConnectError(string=f"the proxy {self._proxy.host} did not connect within {seconds:g} s")

        connected: IProtocol = await tunnel.open.addTimeout(self._timeout, self._clock, too_slow)
        return connected


class _Tunnels(Factory):
    noisy = False

    def __init__(self, target: bytes, authorization: bytes, factory: IProtocolFactory) -> None:
        self._made = target, authorization, factory

    def buildProtocol(self, addr: Any) -> _Tunnel:  # noqa: ANN401
        return _Tunnel(*self._made, addr)


class _Tunnel(Protocol):
    """
    Asks the proxy, then leaves the connection to the protocol that it is for.

    @ivar open: fires with that protocol.
    """

    transport: Any

    def __init__(self, target: bytes, authorization: bytes, factory: IProtocolFactory, address: Any) -> None:  # noqa: ANN401
        self._target = target
        self._authorization = authorization
        self._factory = factory
        self._address = address
        self._received = b""
        self.open: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        """Ask for the connection."""
        fields = [b"CONNECT %b HTTP/1.1" % self._target, b"Host: %b" % self._target]
        if self._authorization:
            fields.append(b"Proxy-Authorization: " + self._authorization)
        self.transport.write(b"\r\n".join(fields) + b"\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        """Read the proxy's answer."""
        self._received += data
        end = _HEAD_END.search(self._received)
        if end is None:
            if len(self._received) > _LONGEST_HEAD:
                self._refuse("the proxy's answer is too long")
            return
        status = _STATUS.match(self._received)
        if status is None:
            self._refuse("what the proxy answered is not HTTP")
        elif int(status[1]) not in _OK:
            words = (status[2] or b"").decode("latin-1")[:100]
            self._refuse(f"the proxy refused to connect: {int(status[1])} {words}".rstrip())
        else:
            self._hand_over(self._received[end.end() :])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell that the proxy has hung up."""
        if not self.open.called:
            self.open.errback(ConnectError(string="the proxy hung up before it had connected"))

    def _refuse(self, why: str) -> None:
        if not self.open.called:
            self.open.errback(ConnectError(string=why))
        self.transport.abortConnection()

    def _hand_over(self, rest: bytes) -> None:
        protocol = self._factory.buildProtocol(self._address)
        if protocol is None:
            self._refuse("the connection is not wanted any more")
            return
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        if rest:
            protocol.dataReceived(rest)
        self.open.callback(protocol)

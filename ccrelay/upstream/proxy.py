"""Connecting through an HTTP proxy, by CONNECT (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime
    from twisted.python.failure import Failure

    from ccrelay.wire.proxy import Proxy

_LONGEST_HEAD: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_OK: Final = range(200, 300)


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

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002  Twisted's
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

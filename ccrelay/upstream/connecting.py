"""Connecting to a host by its name: one address after the other, and the next at once where one refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IResolutionReceiver, IStreamClientEndpoint
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import (
        IAddress,
        IDelayedCall,
        IHostResolution,
        IProtocol,
        IProtocolFactory,
    )
    from twisted.python.failure import Failure

HEAD_START_S: Final = 0.25
"""Seconds that an address has before the next is tried beside it (RFC 8305, section 5)."""


@implementer(IStreamClientEndpoint)
class NamedHost:
    """
    A TCP endpoint by name or address.

    Twisted's C{HostnameEndpoint} begins with an address only at the next tick
    of 0.3 s, also where the one before refused at once, and tells of the last
    refusal at such a tick: that is what every failover would wait for, and
    every new connection to a C{localhost} that listens on 127.0.0.1 alone.
    """

    def __init__(self, reactor: Any, host: bytes, port: int, timeout: float) -> None:  # noqa: ANN401
        """@param timeout: seconds for each address."""
        self._reactor = reactor
        self._host = host.decode("ascii", "backslashreplace")
        self._port = port
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<NamedHost {self._host}:{self._port}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to the first of the host's addresses that answers; see L{IStreamClientEndpoint.connect}."""
        for is_one, kind in ((isIPAddress, IPv4Address), (isIPv6Address, IPv6Address)):
            if is_one(self._host):
                return self._race([kind("TCP", self._host, self._port)], protocolFactory)
        try:
            self._host.encode("idna")
        except UnicodeError:  # getaddrinfo would raise it in its thread, and never answer
            return fail(DNSLookupError(f"not a host name: {self._host}"))
        resolving = _Resolving()
        self._reactor.nameResolver.resolveHostName(resolving, self._host, portNumber=self._port)
        return resolving.result.addCallback(self._race, protocolFactory)

    def _race(self, addresses: list[IAddress], factory: IProtocolFactory) -> Deferred[IProtocol]:
        kinds = {IPv4Address: TCP4ClientEndpoint, IPv6Address: TCP6ClientEndpoint}
        endpoints = [
            kinds[type(address)](self._reactor, address.host, address.port, self._timeout)
            for address in addresses
            if isinstance(address, (IPv4Address, IPv6Address))
        ]
        if not endpoints:
            return fail(DNSLookupError(f"no address for {self._host}"))
        return _Race(self._reactor, endpoints, factory).begin()


@implementer(IResolutionReceiver)
class _Resolving:
    """Gathers the addresses of a name; who does not want them any more lets them come."""

    def __init__(self) -> None:
        self._found: list[IAddress] = []
        self.result: Deferred[Any] = Deferred()

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Part of Twisted's interface; a resolution cannot be cancelled."""

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        self.result.callback(self._found)


class _Race:
    """Attempts at several addresses, of which the first to succeed counts."""

    def __init__(self, clock: Any, endpoints: Sequence[Any], factory: IProtocolFactory) -> None:  # noqa: ANN401
        self._clock = clock
        self._left = list(endpoints)
        self._factory = factory
        self._running: list[Deferred[IProtocol]] = []
        self._timer: IDelayedCall | None = None
        self._over = False
        self._result: Deferred[IProtocol] = Deferred(self._cancel)

    def begin(self) -> Deferred[IProtocol]:
        """Begin with the first; the Deferred fails with the last failure if all fail."""
        self._next()
        return self._result

    def _next(self) -> None:
        self._stop_waiting()
        attempt: Deferred[IProtocol] = self._left.pop(0).connect(self._factory)
        self._running.append(attempt)
        attempt.addCallbacks(self._won, self._lost, callbackArgs=(attempt,), errbackArgs=(attempt,))
        if self._left and self._timer is None and not self._over:
            self._timer = self._clock.callLater(HEAD_START_S, self._next)

    def _won(self, protocol: IProtocol, attempt: Deferred[IProtocol]) -> None:
        self._running.remove(attempt)
        self._end()
        self._result.callback(protocol)

    def _lost(self, failure: Failure, attempt: Deferred[IProtocol]) -> None:
        self._running.remove(attempt)
        if self._over:
            return
        if self._left:
            self._next()
        elif not self._running:
            self._end()
            self._result.errback(failure)

    def _end(self) -> None:
        """Leave the attempts that are still running; what becomes of them is nobody's concern."""
        self._over = True
        self._stop_waiting()
        for attempt in tuple(self._running):
            attempt.cancel()

    def _cancel(self, result: Deferred[IProtocol]) -> None:
        self._end()
        result.errback(ConnectingCancelledError(IPv4Address("TCP", "0.0.0.0", 0)))  # noqa: S104  nobody's

    def _stop_waiting(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

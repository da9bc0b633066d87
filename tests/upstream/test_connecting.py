"""Connecting by name: the order of addresses, what a refusal costs, and that nothing is left."""

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from ccrelay.upstream.connecting import HEAD_START_S, NamedHost


@implementer(IHostnameResolver)
class Resolver:
    """Answers with these addresses, when told to."""

    def __init__(self, *hosts: str) -> None:
        self._addresses = [
            (IPv6Address if ":" in host else IPv4Address)("TCP", host, 8080) for host in hosts
        ]
        self.receiver: Any = None
        self.asked: list[str] = []

    def resolveHostName(self, receiver: Any, name: str, **_how: Any) -> None:
        self.asked.append(name)
        self.receiver = receiver
        receiver.resolutionBegan(self)

    def answer(self) -> None:
        """Tell the addresses."""
        for address in self._addresses:
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


@implementer(IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor in memory that knows these names."""

    def __init__(self, *hosts: str) -> None:
        super().__init__()
        self.nameResolver = Resolver(*hosts)


class NamedHostTests(SynchronousTestCase):
    """An endpoint by name."""

    def connect(self, *hosts: str, name: bytes = b"provider.example") -> tuple[Reactor, Any]:
        """Begin to connect to a name with these addresses."""
        reactor = Reactor(*hosts)
        connecting = NamedHost(reactor, name, 8080, 5).connect(Factory.forProtocol(Protocol))
        if reactor.nameResolver.receiver is not None:
            reactor.nameResolver.answer()
        return reactor, connecting

    def tried(self, reactor: Reactor) -> list[str]:
        """Return the addresses that were tried."""
        return [host for host, *_ in reactor.tcpClients]

    def refuse(self, reactor: Reactor, place: int) -> None:
        """Refuse an attempt."""
        reactor.tcpClients[place][2].clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))

    def accept(self, reactor: Reactor, place: int) -> None:
        """Accept an attempt."""
        reactor.tcpClients[place][2].buildProtocol(None).makeConnection(object())

    def test_an_address(self) -> None:
        """An address is connected to at once, without a resolver."""
        for host in ("127.0.0.1", "::1"):
            reactor, _ = self.connect(name=host.encode())
            self.assertEqual((self.tried(reactor), reactor.nameResolver.asked), ([host], []))

    def test_refused(self) -> None:
        """Where the only address refuses, that is told at once."""
        reactor, connecting = self.connect("192.0.2.1")
        self.refuse(reactor, 0)
        self.failureResultOf(connecting, error.ConnectionRefusedError)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_the_next_at_once(self) -> None:
        """Where an address refuses, the next is tried at once."""
        reactor, connecting = self.connect("::1", "127.0.0.1")
        self.assertEqual(self.tried(reactor), ["::1"])
        self.refuse(reactor, 0)
        self.assertEqual(self.tried(reactor), ["::1", "127.0.0.1"])
        self.accept(reactor, 1)
        self.assertIsNotNone(self.successResultOf(connecting))
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_a_head_start(self) -> None:
        """An address that says nothing gets a head start; the first to answer wins, and the other is left."""
        reactor, connecting = self.connect("2001:db8::1", "192.0.2.1", "192.0.2.2")
        reactor.advance(HEAD_START_S)
        self.assertEqual(self.tried(reactor), ["2001:db8::1", "192.0.2.1"])
        self.accept(reactor, 1)
        self.assertIsNotNone(self.successResultOf(connecting))
        self.assertEqual(reactor.connectors[0].stoppedConnecting, True)
        reactor.advance(10)
        self.assertEqual(len(self.tried(reactor)), 2)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_all_refuse(self) -> None:
        """Where all refuse, the last refusal is told, and only once nothing is being tried."""
        reactor, connecting = self.connect("192.0.2.1", "192.0.2.2")
        reactor.advance(HEAD_START_S)
        self.refuse(reactor, 1)
        self.assertNoResult(connecting)
        self.refuse(reactor, 0)
        self.failureResultOf(connecting, error.ConnectionRefusedError)

    def test_no_address(self) -> None:
        """A name without an address, and one that is none, are told as such."""
        for name in (b"nowhere.example", b"a" * 64 + b".example", b"a..b"):
            _, connecting = self.connect(name=name)
            self.failureResultOf(connecting, DNSLookupError)

    def test_cancelled(self) -> None:
        """Who gives up while connecting leaves nothing behind."""
        reactor, connecting = self.connect("192.0.2.1", "192.0.2.2")
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertEqual(reactor.connectors[0].stoppedConnecting, True)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_cancelled_while_resolving(self) -> None:
        """So does who gives up before the name is resolved; its addresses come too late."""
        reactor = Reactor("192.0.2.1")
        connecting = NamedHost(reactor, b"provider.example", 8080, 5).connect(Factory.forProtocol(Protocol))
        connecting.cancel()
        self.failureResultOf(connecting)
        reactor.nameResolver.answer()
        self.assertEqual(self.tried(reactor), [])

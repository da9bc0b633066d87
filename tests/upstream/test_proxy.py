"""The rules of connecting through a proxy, with real sockets on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from ccrelay.errors import Unreachable
from ccrelay.simulator.acts import Plays
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, End, Head
from ccrelay.upstream.agent import Endpoints, client_over
from ccrelay.upstream.client import UpstreamClient, UpstreamResponse
from ccrelay.upstream.connecting import NamedHost
from ccrelay.upstream.proxy import ThroughProxy
from ccrelay.upstream.tls import TrustPolicy
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.proxy import Proxy
from tests import HTTP
from tests.upstream.authority import Authority, written
from tests.upstream.connect_proxy import OPEN, ConnectProxy
from tests.upstream.lane import CONNECT_S, FIRST_BYTE_S
from tests.upstream.test_tls import Line

reactor: Any = _reactor
FINE = Plays((Head(), Chunk(b"fine"), End()))


class ThroughProxyTests(TestCase):
    """What an operator can rely on."""

    timeout = 30

    def setUp(self) -> None:
        """Have an authority, and a clock that only the tests move."""
        self.authority = Authority()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()

    def upstream(self, *names: str) -> tuple[Simulator, int]:
        """Return a provider and its port: certified for these names, or in clear where there are none."""
        simulator = Simulator(reactor, script=Script([FINE]))
        site: Any = simulator.site
        if names:
            site = TLSMemoryBIOFactory(self.authority.server(*names), False, site)
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(simulator.disconnect)
        return simulator, port.getHost().port

    def client(self, proxy: ConnectProxy | None, url: str = "") -> UpstreamClient:
        """Return a client that goes through a proxy, and whose slot must be free at the end."""
        policy = TrustPolicy(written(self.folder, self.authority.pem))
        url = url or (proxy.url if proxy else "")
        endpoints = Endpoints(reactor, policy, CONNECT_S, Proxy.parse(url))
        client = client_over(HTTP, self.clock, endpoints, 1, CONNECT_S)
        self.addCleanup(deferLater, reactor, 0)
        self.addCleanup(client.close)
        self.addCleanup(lambda: self.assertEqual(client.free, 1))
        return client

    def send(self, client: UpstreamClient, url: str = "https://api.test") -> Deferred[UpstreamResponse]:
        """Send a request."""
        request = UpstreamRequest("POST", f"{url}/v1/messages", (), b"{}")
        return Deferred.fromCoroutine(client.send(request, FIRST_BYTE_S))

    async def refused(self, client: UpstreamClient) -> str:
        """Return the words with which a request failed."""
        error = await self.assertFailure(self.send(client), Unreachable)
        return str(error.message)

    async def test_a_tunnel(self) -> None:
        """The proxy is asked for the provider's host; TLS is with the provider, whose name it must prove."""
        simulator, number = self.upstream("api.test")
        proxy = ConnectProxy(self, number)
        client = self.client(proxy)
        for _ in range(2):
            response = await self.send(client)
            self.assertEqual(await response.whole(), b"fine")
        self.assertEqual(proxy.heads, [["CONNECT api.test:443 HTTP/1.1", "Host: api.test:443"]])
        self.assertEqual((simulator.count, len(simulator.site.channels)), (2, 1))
        self.assertEqual(simulator.asked[0].header("host"), "api.test")

    async def test_in_clear(self) -> None:
        """A provider without TLS is reached through a tunnel as well, at its own port."""
        simulator, number = self.upstream()
        proxy = ConnectProxy(self, number)
        response = await self.send(self.client(proxy), "http://api.test:8080")
        self.assertEqual(await response.whole(), b"fine")
        self.assertEqual(proxy.targets, ["api.test:8080"])
        self.assertEqual(simulator.asked[0].target, "/v1/messages")

    async def test_another_name(self) -> None:
        """A provider at the end of the tunnel that is somebody else gets no request."""
        simulator, number = self.upstream("other.test")
        self.assertIn("not for this host name", await self.refused(self.client(ConnectProxy(self, number))))
        self.assertEqual(simulator.count, 0)

    async def test_user_and_password(self) -> None:
        """They are shown to the proxy, and not to the provider."""
        simulator, number = self.upstream("api.test")
        proxy = ConnectProxy(self, number)
        client = self.client(proxy, proxy.url.replace("http://", "http://user:p%40ss@"))
        await (await self.send(client)).whole()
        self.assertIn("Proxy-Authorization: Basic dXNlcjpwQHNz", proxy.heads[0])
        self.assertIsNone(simulator.asked[0].header("proxy-authorization"))

    async def test_refusals(self) -> None:
        """A proxy that refuses is told as one, with its status and words."""
        _, number = self.upstream("api.test")
        for answer, words in (
            (b"HTTP/1.1 407 Authentication Required\r\nContent-Length: 3\r\n\r\nno!", "407 Authenti"),
            (b"HTTP/1.0 502 Bad Gateway\n\n", "502 Bad Gateway"),
            (b"HTTP/1.1 403\r\n\r\n", "403"),
            (b"HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", "302 Found"),
        ):
            for ends in (False, True):
                said = await self.refused(self.client(ConnectProxy(self, number, answer, ends=ends)))
                self.assertTrue(
                    said.startswith(f"cannot connect: the proxy refused to connect: {words}"), said
                )

    async def test_what_is_no_proxy(self) -> None:
        """Something else at that address is told so, however long it talks."""
        _, number = self.upstream("api.test")
        for answer, words in (
            (b"220 mail.test ESMTP\r\n\r\n", "what the proxy answered is not HTTP"),
            (b"SSH-2.0-x\r\n" + b"x" * 20000, "the proxy's answer is too long"),
        ):
            said = await self.refused(self.client(ConnectProxy(self, number, answer)))
            self.assertEqual(said, f"cannot connect: {words}")

    async def test_hanging_up(self) -> None:
        """A proxy that ends the connection without an answer is told so at once."""
        for answer in (None, b"HTTP/1.1 200 O"):
            said = await self.refused(self.client(ConnectProxy(self, 1, answer, ends=True)))
            self.assertEqual(said, "cannot connect: the proxy hung up before it had connected")

    async def test_nobody_there(self) -> None:
        """A proxy that cannot be reached is told as a refused connection."""
        port = reactor.listenTCP(0, Simulator(reactor).site, interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        self.assertEqual(await self.refused(self.client(None, f"127.0.0.1:{number}")), "connection refused")

    async def test_silence(self) -> None:
        """A proxy that never answers is given up after the time to connect, and left."""
        proxy = ConnectProxy(self, 1, None)
        sending = self.send(self.client(proxy))
        await proxy.asked
        self.clock.advance(CONNECT_S)
        error = await self.assertFailure(sending, Unreachable)
        self.assertEqual(error.message, "no connection within 10 s")

    async def test_giving_up(self) -> None:
        """A client that leaves while the proxy connects ends that."""
        proxy = ConnectProxy(self, 1, None)
        sending = self.send(self.client(proxy))
        await proxy.asked
        sending.cancel()
        await self.assertFailure(sending, CancelledError)

    async def test_the_first_words(self) -> None:
        """What comes behind the proxy's answer is the provider's, also where it comes at once."""
        _, number = self.upstream()
        proxy = ConnectProxy(self, number, OPEN + b"hello")
        to_proxy = NamedHost(reactor, b"127.0.0.1", proxy.port, CONNECT_S)
        through = ThroughProxy(self.clock, to_proxy, Proxy.parse(proxy.url), b"fd00::1", 443, CONNECT_S)
        line = await through.connect(Factory.forProtocol(Line))
        self.assertEqual(await line.heard, b"hello")
        self.assertEqual(proxy.targets, ["[fd00::1]:443"])
        line.transport.abortConnection()
        await line.gone


@implementer(IStreamClientEndpoint)
class At:
    """A way to a proxy that is made of a transport in memory."""

    def __init__(self) -> None:
        self.transport = StringTransport()

    def connect(self, factory: Any) -> Deferred[Any]:
        self.transport.protocol = factory.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)
        return succeed(self.transport.protocol)


class PiecesTests(SynchronousTestCase):
    """The proxy's answer, however it is cut."""

    def test_pieces(self) -> None:
        """Each byte may come alone; what belongs to the provider goes to its protocol."""
        for answer in (OPEN, b"HTTP/1.0 200\n\n", OPEN[:-2] + b"X: " + b"x" * 9000 + b"\r\n\r\n"):
            proxy = At()
            through = ThroughProxy(Clock(), proxy, Proxy("p", 1), b"api.test", 443, CONNECT_S)
            connecting = through.connect(Factory.forProtocol(Line))
            for byte in answer[:-1]:
                proxy.transport.protocol.dataReceived(bytes([byte]))
                self.assertNoResult(connecting)
            proxy.transport.protocol.dataReceived(answer[-1:])
            line = self.successResultOf(connecting)
            self.assertIs(proxy.transport.protocol, line)
            asked = b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"
            self.assertEqual(proxy.transport.value(), asked)
            proxy.transport.protocol.dataReceived(b"words")
            self.assertEqual(self.successResultOf(line.heard), b"words")

    def test_no_protocol(self) -> None:
        """Where nobody wants the connection any more, it is not left open."""
        proxy = At()
        unwanted = Factory()
        unwanted.buildProtocol = lambda _address: None
        connecting = ThroughProxy(Clock(), proxy, Proxy("p", 1), b"a", 1, 9.0).connect(unwanted)
        proxy.transport.protocol.dataReceived(OPEN)
        self.failureResultOf(connecting, ConnectError)
        self.assertTrue(proxy.transport.disconnecting)

    def test_its_own_time(self) -> None:
        """The proxy has so many seconds to connect; then the connection is ended."""
        proxy, clock = At(), Clock()
        through = ThroughProxy(clock, proxy, Proxy("p", 1), b"a", 1, 9.0)
        connecting = through.connect(Factory.forProtocol(Line))
        clock.advance(9)
        failure = self.failureResultOf(connecting, ConnectError)
        self.assertIn("the proxy p did not connect within 9 s", str(failure.value))
        self.assertTrue(proxy.transport.disconnecting)
        self.assertEqual(clock.getDelayedCalls(), [])

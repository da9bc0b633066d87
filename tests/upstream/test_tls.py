"""The rules of TLS, with real sockets on loopback: whom we trust, what we show, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer
from zope.interface.verify import verifyObject

from ccrelay.errors import Broken, ConfigError, Unreachable
from ccrelay.simulator.acts import Plays
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, End, Hang, Head
from ccrelay.upstream.agent import Endpoints, client_over
from ccrelay.upstream.client import UpstreamClient, UpstreamResponse
from ccrelay.upstream.tls import TrustPolicy
from ccrelay.wire.http import UpstreamRequest
from tests import HTTP
from tests.upstream.authority import Authority, written
from tests.upstream.lane import CONNECT_S, FIRST_BYTE_S, Told

FINE = Plays((Head(), Chunk(b"fine"), End()))
HALF = Plays((Head(), Chunk(b"half"), Hang()))


class Line(Protocol):
    """A connection that tells when it is there, when it hears something, and when it is gone."""

    def __init__(self) -> None:
        self.made: Deferred[None] = Deferred()
        self.heard: Deferred[bytes] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        if not self.heard.called:
            self.heard.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class Shower(Line):
    """A server over TLS that tells whose certificate it was shown."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        shown = self.transport.getPeerCertificate()
        name = shown.get_subject().CN.encode() if shown else b"nobody"
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(name) + name)


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class Recorded:
    """
    Endpoints that remember the connections made to them.

    @ivar made: our ends of them.
    """

    def __init__(self, endpoints: Endpoints, endpoint: Any = None, made: list[Any] | None = None) -> None:
        self.endpoints, self.endpoint = endpoints, endpoint
        self.made: list[Any] = [] if made is None else made

    def endpointForURI(self, uri: Any) -> Recorded:
        return Recorded(self.endpoints, self.endpoints.endpointForURI(uri), self.made)

    def connect(self, factory: Any) -> Deferred[Any]:
        return self.endpoint.connect(factory).addCallback(self.note)

    def note(self, protocol: Any) -> Any:
        self.made.append(protocol)
        return protocol


class TlsTests(TestCase):
    """
    What an operator can rely on.

    The sockets are real; the time limits run on a clock that only the tests move.
    """

    timeout = 30

    def setUp(self) -> None:
        """Have an authority, and a place for files."""
        self.authority = Authority()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()

    def listen(self, factory: Any, options: Any = None) -> int:
        """Listen on loopback, with TLS where C{options} are given; return the port."""
        serving = factory if options is None else TLSMemoryBIOFactory(options, False, factory)
        port = reactor.listenTCP(0, serving, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def lines(self, options: Any = None, kind: type[Line] = Line) -> tuple[list[Line], int]:
        """Listen; return the connections to come, and the port.  At the end each must be gone."""
        made = [kind() for _ in range(4)]
        waiting = iter(made)
        number = self.listen(Factory.forProtocol(lambda: next(waiting)), options)
        self.addCleanup(lambda: DeferredList([line.gone for line in made if line.made.called]))
        return made, number

    def simulated(self, act: Plays, *names: str) -> tuple[Simulator, int]:
        """Have a simulator listen with a certificate for these names; return it and its port."""
        simulator = Simulator(reactor, script=Script([act]))
        number = self.listen(simulator.site, self.authority.server(*names))
        self.addCleanup(simulator.disconnect)
        return simulator, number

    def client(self, policy: TrustPolicy | None = None) -> UpstreamClient:
        """Return a client that trusts the authority, unless told otherwise."""
        policy = policy or TrustPolicy(written(self.folder, self.authority.pem))
        endpoints = Recorded(Endpoints(reactor, policy, CONNECT_S))
        client = client_over(HTTP, self.clock, endpoints, 1, CONNECT_S)
        # Trial sees no socket that is not read from, so a connection left over has to be looked for.
        self.addCleanup(
            lambda: self.assertEqual([p for p in endpoints.made if p.transport.connected], [])
        )
        self.addCleanup(deferLater, reactor, 0)
        self.addCleanup(client.close)
        self.addCleanup(lambda: self.assertEqual(client.free, 1))
        return client

    def send(
        self, client: UpstreamClient, number: int, host: str = "localhost"
    ) -> Deferred[UpstreamResponse]:
        """Send a request to a port."""
        request = UpstreamRequest("POST", f"https://{host}:{number}/v1/messages", (), b"{}")
        return Deferred.fromCoroutine(client.send(request, FIRST_BYTE_S))

    async def refused(self, client: UpstreamClient, number: int, host: str = "localhost") -> str:
        """Return the words with which a connection was refused."""
        error = await self.assertFailure(self.send(client, number, host), Unreachable)
        return str(error.message)

    async def test_a_known_authority_and_the_right_name(self) -> None:
        """A provider whose name the trusted authority has certified is asked, twice on one connection."""
        simulator, number = self.simulated(FINE, "localhost")
        client = self.client()
        for _ in range(2):
            response = await self.send(client, number)
            self.assertEqual(await response.whole(), b"fine")
        self.assertEqual((simulator.count, len(simulator.site.channels)), (2, 1))

    async def test_an_address_for_a_name(self) -> None:
        """A provider that is asked by its address proves that address."""
        simulator, number = self.simulated(FINE, "127.0.0.1")
        response = await self.send(self.client(), number, "127.0.0.1")
        self.assertEqual(await response.whole(), b"fine")
        self.assertIn("not for this host name", await self.refused(self.client(), number))
        self.assertEqual(simulator.count, 1)

    async def test_the_wrong_name(self) -> None:
        """A certificate for another host is refused by those words, and nothing is sent to its bearer."""
        simulator, number = self.simulated(FINE, "elsewhere.test")
        words = await self.refused(self.client(), number)
        self.assertEqual(words, "TLS: the certificate is not for this host name")
        self.assertEqual(simulator.count, 0)

    async def test_an_unknown_authority(self) -> None:
        """A certificate that only a stranger vouches for is refused: by the system's list, and by ours."""
        simulator, number = self.simulated(FINE, "localhost")
        stranger = TrustPolicy(written(self.folder, Authority("somebody else").pem))
        for policy in (TrustPolicy(), stranger):
            self.assertIn("TLS: certificate verify failed", await self.refused(self.client(policy), number))
        self.assertEqual(simulator.count, 0)

    async def test_one_of_several_authorities(self) -> None:
        """A file may hold several authorities, with anything between them; each is trusted."""
        _, number = self.simulated(FINE, "localhost")
        bundle = written(self.folder, b"# ours\n", Authority("a").pem, b"\nand\n", self.authority.pem, b"\n")
        response = await self.send(self.client(TrustPolicy(bundle)), number)
        self.assertEqual(await response.whole(), b"fine")

    async def test_a_certificate_of_ours_is_shown(self) -> None:
        """A provider that asks who we are is shown the certificate that the operator named."""
        ours = Authority("ours")
        _, number = self.lines(self.authority.server("localhost", asking=ours), Shower)
        own = self.folder / "own.pem"
        own.write_bytes(ours.certified("relay.test"))
        policy = TrustPolicy(written(self.folder, self.authority.pem), str(own))
        response = await self.send(self.client(policy), number)
        self.assertEqual(await response.whole(), b"relay.test")

    async def test_no_certificate_where_one_is_asked_for(self) -> None:
        """A provider that turns us away for want of a certificate is told as a failure of TLS."""
        _, number = self.lines(self.authority.server("localhost", asking=Authority("ours")), Shower)
        self.assertTrue((await self.refused(self.client(), number)).startswith("TLS: "))

    async def test_no_tls_at_all(self) -> None:
        """A server that does not speak TLS is told as one, and does not get the request."""
        (line, *_), number = self.lines()
        sending = self.send(self.client(), number)
        hello = await line.heard
        line.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        error = await self.assertFailure(sending, Unreachable)
        self.assertTrue(error.message.startswith("TLS: "))
        self.assertNotIn(b"POST", hello)

    async def test_a_handshake_that_hangs(self) -> None:
        """A server that accepts and then says nothing is given up after the time to connect, and left."""
        (line, *_), number = self.lines()
        client = self.client()
        sending = self.send(client, number)
        await line.heard
        self.clock.advance(CONNECT_S - 1)
        self.assertNoResult(sending)
        self.clock.advance(1)
        error = await self.assertFailure(sending, Unreachable)
        self.assertEqual(error.message, "no connection within 10 s")
        await line.gone

    async def test_hanging_up_in_the_handshake(self) -> None:
        """A request that is given up during the handshake ends the connection there and then."""
        (line, *_), number = self.lines()
        sending = self.send(self.client(), number)
        await line.heard
        sending.cancel()
        await self.assertFailure(sending, CancelledError)
        await line.gone

    async def test_a_server_that_hangs_up_in_the_handshake(self) -> None:
        """A connection that the server ends during the handshake has failed, and is not waited for."""
        (line, *_), number = self.lines()
        sending = self.send(self.client(), number)
        await line.heard
        line.transport.abortConnection()
        await self.assertFailure(sending, Unreachable)

    async def test_hanging_up_before_an_answer(self) -> None:
        """A request that is given up ends its connection without waiting for the provider's farewell."""
        simulator, number = self.simulated(Plays((Hang(),)), "localhost")
        sending = self.send(self.client(), number)
        asked = await simulator.when_asked(1)
        sending.cancel()
        await self.assertFailure(sending, CancelledError)
        await asked.ended()
        self.assertTrue(asked.gone)

    async def test_stopping_a_body(self) -> None:
        """A body that is stopped ends its connection, also where it was paused."""
        for paused in (False, True):
            simulator, number = self.simulated(HALF, "localhost")
            client = self.client()
            response = await self.send(client, number)
            told = Told()
            body = response.deliver(told)
            if paused:
                body.pause()
            body.stop()
            self.assertEqual(client.free, 1)
            await simulator.asked[0].ended()
            self.assertTrue(simulator.asked[0].gone)
            self.assertEqual(told.ends, [])

    async def test_giving_up_on_a_body(self) -> None:
        """Whoever stops waiting for a whole answer hangs up."""
        simulator, number = self.simulated(HALF, "localhost")
        reading = (await self.send(self.client(), number)).whole()
        reading.cancel()
        await self.assertFailure(reading, CancelledError)
        await simulator.asked[0].ended()
        self.assertTrue(simulator.asked[0].gone)

    async def test_an_end_without_a_farewell(self) -> None:
        """A body whose connection is lost is broken, over TLS as without."""
        simulator, number = self.simulated(HALF, "localhost")
        reading = (await self.send(self.client(), number)).whole()
        await simulator.disconnect()
        await self.assertFailure(reading, Broken)

    async def test_closing_does_not_wait_for_the_peer(self) -> None:
        """A kept connection is closed at once, also to a provider that never says good-bye."""
        simulator, number = self.simulated(FINE, "localhost")
        client = self.client()
        await (await self.send(client, number)).whole()
        (channel,) = simulator.site.channels
        channel.transport.pauseProducing()
        await client.close()
        channel.transport.resumeProducing()


class TrustPolicyTests(SynchronousTestCase):
    """What the operator's files must be."""

    def setUp(self) -> None:
        """Have a place for files."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def problem(self, *files: str | None) -> str:
        """Return what is said of the files."""
        (problem,) = self.assertRaises(ConfigError, TrustPolicy, *files).problems
        return problem

    def test_a_policy_remembers(self) -> None:
        """What verifies a host is made once for it: making one reads all authorities there are."""
        policy = TrustPolicy(written(self.folder, Authority().pem))
        self.assertTrue(verifyObject(IPolicyForHTTPS, policy))
        made = policy.creatorForNetloc(b"a.test", 443)
        self.assertIs(policy.creatorForNetloc(b"a.test", 8443), made)
        self.assertIsNot(policy.creatorForNetloc(b"b.test", 443), made)

    def test_authorities_that_cannot_be_read(self) -> None:
        """A file of authorities that is missing, empty or no PEM is told by its path and what it must be."""
        missing = str(self.folder / "missing.pem")
        self.assertIn("missing.pem", self.problem(missing))
        rubbish = b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n"
        for content in (b"", b"no certificate", rubbish, b"\xff\x00"):
            path = written(self.folder, content)
            for words in ("ca_file: ", path, "must be a PEM file"):
                self.assertIn(words, self.problem(path))

    def test_a_certificate_of_ours_that_cannot_be_read(self) -> None:
        """Our certificate's file must hold the certificate and its key, and is told by its path else."""
        authority = Authority()
        both = authority.certified("relay.test")
        certificate, end, key = both.partition(b"-----END CERTIFICATE-----\n")
        for content in (b"", b"no certificate", certificate + end, key):
            path = written(self.folder, content)
            for words in ("client_certificate: ", path, "certificate and key"):
                self.assertIn(words, self.problem(None, path))
        self.assertIn("missing.pem", self.problem(None, str(self.folder / "missing.pem")))
        TrustPolicy(None, written(self.folder, both))

"""The rules of the socket pair: a real connection in every respect, but for a port."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectError, NoProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from ccrelay.simulator.acts import Says, Streams
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.faults import Breaks, Stalls
from ccrelay.simulator.pair import SocketPairEndpoint
from ccrelay.simulator.script import Script
from tests.network import sse
from tests.simulator.reader import Reader
from tests.simulator.stage import STREAM

if TYPE_CHECKING:
    pass

PIECE = 65_536
PIECES = 800


@implementer(IBodyProducer)
class Body:
    """The body of a request, at once."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self.body)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def stopProducing(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


@implementer(IAgentEndpointFactory)
class Here:
    """Leads every URL to the one endpoint."""

    def __init__(self, endpoint: SocketPairEndpoint) -> None:
        self.endpoint = endpoint

    def endpointForURI(self, uri: object) -> SocketPairEndpoint:
        return self.endpoint


class Nobody(Factory):
    """A factory that takes no connection."""

    def buildProtocol(self, addr: object) -> None:  # type: ignore[override]
        return None


class PairTestCase(TestCase):
    """A simulator that an agent reaches by socket pairs, on the real reactor."""

    def play(self, script: Script, clients: int = 2) -> None:
        """Set the stage; in the end everything is closed."""
        from twisted.internet import reactor  # noqa: PLC0415  trial installs it

        self.simulator = Simulator(reactor, script=script)
        self.pool = HTTPConnectionPool(reactor)
        self.pool.maxPersistentPerHost = clients
        endpoint = SocketPairEndpoint(reactor, self.simulator.site)
        self.agent = Agent.usingEndpointFactory(reactor, Here(endpoint), self.pool)
        self.addCleanup(self.simulator.disconnect)
        self.addCleanup(self.pool.closeCachedConnections)

    def ask(self, body: Any = STREAM) -> Deferred[Any]:
        """Ask, and return the response."""
        return self.agent.request(
            b"POST", b"http://simulator/v1/messages", Headers(), Body(json.dumps(body).encode())
        )


class PairTests(PairTestCase):
    """What an HTTP client sees."""

    async def test_a_stream(self) -> None:
        """A stream comes through, and its connection is used again."""
        self.play(Script([Says("Hello")]))
        for _ in range(3):
            response = await self.ask()
            events = sse(await readBody(response))
            self.assertEqual((response.code, events[-1][0]), (200, "message_stop"))
        self.assertEqual(len(self.simulator.site.channels), 1)

    async def test_event_by_event(self) -> None:
        """Each event arrives when it is sent, not when the stream is over."""
        self.play(Script([Stalls(after_events=3, act=Says("Hello"))]))
        reader = Reader()
        (await self.ask()).deliverBody(reader)
        await reader.until(lambda received: len(sse(received)) == 3)
        self.assertEqual(self.simulator.open_requests, 1)
        reader.transport.stopProducing()
        record = await self.simulator.asked[0].ended()
        self.assertTrue(record.gone)

    async def test_a_client_that_gives_up(self) -> None:
        """A request that is cancelled is gone on the other side."""
        self.play(Script([Stalls(before_head=True)]))
        waiting = self.ask()
        record = await self.simulator.when_asked(1)
        waiting.cancel()
        waiting.addErrback(lambda _: None)
        self.assertTrue((await record.ended()).gone)

    async def test_breaks(self) -> None:
        """A break inside a stream is no clean end, whichever it is; what came before it arrives."""
        for how in ("reset", "cut"):
            self.play(Script([Breaks(after_events=3, how=how, act=Says("Hello"))]))
            reader = Reader()
            (await self.ask()).deliverBody(reader)
            reason = (await reader.done).reason
            self.assertIsNone(reason.check(ResponseDone))
            self.assertIsNotNone(reason.check(ResponseFailed))
            self.assertEqual(len(sse(reader.received)), 3)

    async def test_many_connections(self) -> None:
        """Five hundred connections at once are no trouble, and all are used again."""
        self.play(Script([Says("Hello", pace=0.05)]), clients=500)
        for _ in range(2):
            responses = await gatherResults([self.ask() for _ in range(500)])
            bodies = await gatherResults([readBody(response) for response in responses])
            self.assertEqual({sse(body)[-1][0] for body in bodies}, {"message_stop"})
            self.assertEqual(len(self.simulator.site.channels), 500)

    async def test_backpressure(self) -> None:
        """A reader that pauses holds up the sender; then all of it arrives."""
        made = []

        def pieces() -> Any:
            for place in range(PIECES):
                made.append(place)
                yield b"x" * PIECE

        self.play(Script([Streams(pieces())]))
        response = await self.ask()
        await self.simulator.when_asked(1)
        # The response's body is not read before somebody asks for it.
        reader = Reader()
        await self.turns(50)
        self.assertLess(len(made) * PIECE, 4_000_000)
        response.deliverBody(reader)
        self.assertIsNotNone((await reader.done).reason.check(ResponseDone))
        self.assertEqual(len(reader.received), PIECES * PIECE)

    async def turns(self, number: int) -> None:
        """Let the reactor go round."""
        from twisted.internet import reactor, task  # noqa: PLC0415

        for _ in range(number):
            await task.deferLater(reactor, 0)


class EndpointTests(PairTestCase):
    """What an endpoint owes its caller."""

    def endpoint(self, server: Any) -> SocketPairEndpoint:
        """Return an endpoint of a server."""
        from twisted.internet import reactor  # noqa: PLC0415

        return SocketPairEndpoint(reactor, server)

    def test_interface(self) -> None:
        """It is an endpoint."""
        self.assertTrue(verifyObject(IStreamClientEndpoint, self.endpoint(Factory())))

    async def test_both_ways(self) -> None:
        """Bytes go both ways, and the end of one side is the end of the other."""

        class Echo(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data)
                self.transport.loseConnection()

        reader = await self.endpoint(Factory.forProtocol(Echo)).connect(Factory.forProtocol(Reader))
        reader.transport.write(b"Hello")
        await reader.done
        self.assertEqual(reader.received, b"Hello")

    def test_no_protocol(self) -> None:
        """Where one side will have no protocol there is no connection."""
        self.failureResultOf(self.endpoint(Nobody()).connect(Factory.forProtocol(Protocol)), NoProtocol)

    async def test_no_client(self) -> None:
        """Where the client will have none, the server's end is closed again."""
        server = Reader()
        endpoint = self.endpoint(Factory.forProtocol(lambda: server))
        self.failureResultOf(endpoint.connect(Nobody()), NoProtocol)
        await server.done


class NoSocketsTests(SynchronousTestCase):
    """A process at its limit."""

    def test_no_more_descriptors(self) -> None:
        """Where no socket can be had the connection fails, as one over a network would."""

        def full() -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        endpoint = SocketPairEndpoint(None, Factory.forProtocol(Protocol), full)
        failure = self.failureResultOf(endpoint.connect(Factory.forProtocol(Protocol)), ConnectError)
        self.assertEqual(failure.value.osError, errno.EMFILE)

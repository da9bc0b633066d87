"""The rules of the network that the full-stack tests run on, shown on bare protocols and on twisted.web."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IListeningPort,
    IPushProducer,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed, readBody
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.network import KERNEL, Network, Peer, Transport, http_request, parse, sse

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

PIECE = 65_536
MOVES = st.lists(
    st.tuples(st.binary(max_size=9), st.integers(1, 50_000), st.sampled_from(["pause", "resume", "wait", ""]))
)
MUCH = bytes(range(250)) * 20_000  # five million bytes of which each quarter kilobyte tells its place


@implementer(IHalfCloseableProtocol)
class Ear(Protocol):
    """A server's end that keeps what it hears, and answers to the end of it with C{farewell}."""

    transport: Transport
    farewell = b"bye"

    def __init__(self) -> None:
        self.heard = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        if self.lost:
            raise AssertionError(data)
        self.heard += data

    def readConnectionLost(self) -> None:
        self.transport.write(self.farewell)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        raise AssertionError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


@implementer(IBodyProducer)
class Faucet:
    """A push producer, of a request's body too, that runs whenever it is not paused."""

    def __init__(self, body: bytes) -> None:
        self.body, self.length, self.at, self.flowing = body, len(body), 0, False
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self.consumer = consumer
        self.resumeProducing()
        return self.done

    def resumeProducing(self) -> None:
        self.flowing = True
        while self.flowing and self.at < self.length:
            self.at += 10_000
            self.consumer.write(self.body[self.at - 10_000 : self.at])
        if self.flowing and not self.done.called:
            self.done.callback(None)

    def pauseProducing(self) -> None:
        self.flowing = False

    def stopProducing(self) -> None:
        self.flowing = False


class Drip:
    """A pull producer of three pieces."""

    def __init__(self, consumer: Any) -> None:
        self.consumer, self.pieces = consumer, [b"a", b"b", b"c"]

    def resumeProducing(self) -> None:
        if self.pieces:
            self.consumer.write(self.pieces.pop(0))
        else:
            self.consumer.unregisterProducer()

    def stopProducing(self) -> None:
        raise AssertionError


class Page(Resource):
    """A leaf that has C{answer} render it."""

    isLeaf = True

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        super().__init__()
        self.answer = answer

    def render(self, request: Request) -> Any:
        return self.answer(request)


class NetworkCase(SynchronousTestCase):
    """A network, a listener C{ear} on it, and a way to put a page at C{site}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        self.agent = Agent.usingEndpointFactory(self.clock, self.network)
        self.ears: list[Ear] = []
        self.listener = Factory.forProtocol(self.hark)
        self.network.listen("ear", self.listener)

    def hark(self) -> Ear:
        self.ears.append(Ear())
        return self.ears[-1]

    def meet(self) -> tuple[Peer, Ear]:
        """Return a client of C{ear} and the server's end of its connection."""
        peer = self.network.connect("ear")
        self.network.go(self.network.latency)
        return peer, self.ears[-1]

    def serve(self, answer: Callable[[Any], Any]) -> None:
        self.network.listen("site", Site(Page(answer), reactor=self.clock))


class TransportTests(NetworkCase):
    """Transports, as a protocol sees them."""

    def test_interfaces(self) -> None:
        """Whatever Twisted asks of a TCP transport, an endpoint, a port or an agent's way out is there."""
        peer, ear = self.meet()
        for interface in (ITCPTransport, IPushProducer, IConsumer):
            verifyObject(interface, peer.transport)
            verifyObject(interface, ear.transport)
        verifyObject(IStreamClientEndpoint, self.network.endpoint("ear"))
        verifyObject(IAgentEndpointFactory, self.network)
        verifyObject(IListeningPort, self.network.ports["ear"])
        ear.transport.setTcpNoDelay(True)
        ear.transport.setTcpKeepAlive(True)
        self.assertTrue(ear.transport.getTcpNoDelay() and ear.transport.getTcpKeepAlive())
        self.assertFalse(peer.transport.getTcpNoDelay())

    def test_addresses(self) -> None:
        """Each end knows both addresses: TCP ones that differ by the client, or those that a test sets."""
        peer, ear = self.meet()
        other, _ = self.meet()
        self.assertEqual(ear.transport.getPeer(), peer.transport.getHost())
        self.assertEqual(ear.transport.getHost(), peer.transport.getPeer())
        self.assertNotEqual(peer.transport.getHost(), other.transport.getHost())
        self.network.listen("unix", Factory.forProtocol(self.hark), UNIXAddress("/run/relay.sock"))
        self.network.connect("unix", UNIXAddress(""))
        self.network.go()
        self.assertEqual(self.ears[-1].transport.getHost(), UNIXAddress("/run/relay.sock"))
        self.assertEqual(self.ears[-1].transport.getPeer(), UNIXAddress(""))

    @given(MOVES, st.sampled_from([0.0, 0.5]))
    def test_order(self, moves: list[tuple[bytes, int, str]], latency: float) -> None:
        """What is written arrives whole and in order, in pieces of 64 KiB at most, whoever pauses when."""
        self.setUp()
        self.network.latency = latency
        peer, ear = self.meet()
        written = b""
        for unit, times, then in moves:
            written += unit * times
            ear.transport.write(unit * times)
            if then == "pause":
                peer.pause()
            elif then == "resume":
                peer.resume()
            self.network.go(0.25 if then == "wait" else 0)
        peer.resume()
        self.network.go(1 + len(written) / KERNEL)
        self.assertEqual(peer.received, written)
        self.assertLessEqual(max((len(piece) for _, piece in peer.arrivals), default=0), PIECE)

    def test_latency(self) -> None:
        """A connection and each piece take the latency to get across, and arrive at that very time."""
        self.network.latency = 0.25
        peer = self.network.connect("ear")
        peer.send(b"early")
        self.network.go(0.25)
        self.assertTrue(peer.connected)
        self.ears[0].transport.write(b"hello")
        self.network.go(0.125)
        self.ears[0].transport.write(b"world")
        self.assertEqual((peer.arrivals, self.ears[0].heard), ([], b""))
        self.network.go(1)
        self.assertEqual(peer.arrivals, [(0.5, b"hello"), (0.625, b"world")])
        self.assertEqual(self.ears[0].heard, b"early")

    def test_backpressure(self) -> None:
        """A producer is paused over 64 KiB of unsent bytes, and resumed when they are gone; none is lost."""
        peer, ear = self.meet()
        peer.pause()
        faucet = Faucet(MUCH)
        ear.transport.registerProducer(faucet, True)
        faucet.startProducing(ear.transport)
        self.network.go(10)
        self.assertFalse(faucet.flowing)
        self.assertEqual((faucet.at, ear.transport.waiting), (140_000, 140_000 - KERNEL))
        self.assertEqual(peer.received, b"")
        peer.resume()
        self.network.go()
        self.assertEqual(peer.received, MUCH)
        self.assertEqual(ear.transport.waiting, 0)
        self.assertEqual(ear.transport.peak, 7 * 10_000)

    def test_pull(self) -> None:
        """A pull producer is asked for more each time that all is sent."""
        peer, ear = self.meet()
        ear.transport.registerProducer(Drip(ear.transport), False)
        self.network.go()
        self.assertEqual([piece for _, piece in peer.arrivals], [b"a", b"b", b"c"])
        self.assertIsNone(ear.transport.producer)

    def test_hang_up(self) -> None:
        """A connection that is closed says first all that was written, and then is gone on both sides."""
        peer, ear = self.meet()
        (connection,) = self.network.connections
        self.assertEqual((connection.name, connection.server), ("ear", ear.transport))
        ear.transport.write(MUCH)
        ear.transport.loseConnection()
        self.assertTrue(ear.transport.disconnecting)
        self.network.go()
        self.assertEqual(peer.received, MUCH)
        assert peer.reason
        self.assertTrue(peer.reason.check(error.ConnectionDone))
        self.assertTrue(ear.lost[0].check(error.ConnectionDone))
        self.assertEqual(self.network.connections, [])

    def test_reset(self) -> None:
        """A connection that is aborted drops what was not sent; the other end reads the rest and loses it."""
        peer, ear = self.meet()
        peer.pause()
        ear.transport.write(MUCH)
        self.network.go()
        ear.transport.abortConnection()
        self.network.go()
        self.assertTrue(ear.lost[0].check(error.ConnectionAborted))
        self.assertEqual((peer.closed, ear.transport.waiting), (False, 0))
        self.assertEqual(len(self.network.connections), 1)
        peer.resume()
        self.network.go()
        self.assertEqual(peer.received, MUCH[:KERNEL])
        assert peer.reason
        self.assertTrue(peer.reason.check(error.ConnectionLost))
        self.assertEqual(self.network.connections, [])

    def test_client_reset(self) -> None:
        """A client can abort too."""
        peer, ear = self.meet()
        peer.reset()
        self.network.go()
        self.assertTrue(ear.lost[0].check(error.ConnectionLost))

    def test_paused_is_deaf(self) -> None:
        """Whoever does not read does not notice the end, unless it writes."""
        peer, ear = self.meet()
        ear.transport.pauseProducing()
        peer.hang_up()
        self.network.go()
        self.assertEqual(ear.lost, [])
        ear.transport.write(b"are you there?")
        self.network.go()
        self.assertEqual(ear.lost, [])
        ear.transport.write(b"are you?")
        self.network.go()
        self.assertTrue(ear.lost[0].check(error.ConnectionLost))

    def test_closed_with_unread(self) -> None:
        """Whoever closes with bytes unread resets the connection, which frees a blocked writer."""
        peer, ear = self.meet()
        ear.transport.pauseProducing()
        peer.transport.write(MUCH)
        peer.pause()
        self.network.go()
        ear.transport.loseConnection()
        self.network.go()
        assert peer.reason
        self.assertTrue(peer.reason.check(error.ConnectionLost))

    def test_deaf_when_lost(self) -> None:
        """Nothing is delivered to a protocol whose connection is lost, though it was on its way."""
        self.network.latency = 1
        peer, ear = self.meet()
        peer.send(b"first")
        self.network.go(0.5)
        ear.transport.abortConnection()
        self.network.go(5)
        self.assertEqual((ear.heard, len(ear.lost), peer.closed), (b"", 1, True))

    def test_half_close(self) -> None:
        """A client that shuts only its writing half still hears the answer."""
        peer, ear = self.meet()
        peer.send(b"that is all")
        peer.transport.loseWriteConnection()
        self.network.go()
        self.assertEqual((ear.heard, peer.received, peer.closed), (b"that is all", b"bye", True))
        self.assertEqual(self.network.connections, [])

    def test_mistake(self) -> None:
        """A protocol that raises is logged and loses its connection; the network goes on."""
        peer, ear = self.meet()
        ear.lost.append(None)  # type: ignore[arg-type]
        peer.send(b"boom")
        self.network.go()
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)
        self.assertTrue(ear.lost[1].check(AssertionError))
        self.assertTrue(peer.closed)


class ReachTests(NetworkCase):
    """Names that cannot be reached, and time."""

    def fails(self, name: str, *errors: type[Exception]) -> None:
        failing = self.network.endpoint(name).connect(Factory.forProtocol(Protocol))
        self.assertNoResult(failing)
        self.network.go(self.network.latency)
        self.failureResultOf(failing, *errors)

    def test_unreachable(self) -> None:
        """A name is refused if nobody listens, or refused or unknown if told so, until it is restored."""
        self.network.latency = 0.5
        self.fails("nobody", error.ConnectionRefusedError)
        self.network.refuse("ear")
        self.fails("ear", error.ConnectionRefusedError)
        self.network.unresolvable("ear")
        self.fails("ear", error.DNSLookupError)
        self.assertEqual(self.ears, [])
        self.network.restore("ear")
        self.assertTrue(self.meet()[0].connected)
        port = self.network.ports["ear"]
        self.assertEqual(self.listener.numPorts, 1)
        for _ in range(2):
            self.successResultOf(port.stopListening())
        self.assertEqual(self.listener.numPorts, 0)
        self.fails("ear", error.ConnectionRefusedError)
        self.assertEqual(len(self.network.connections), 1)

    def test_blackhole(self) -> None:
        """An attempt that hangs, or is on its way, ends when it is cancelled, and leaves nothing behind."""
        self.network.latency = 0.5
        self.network.blackhole("ear")
        for seconds in (0.1, 86_400):
            hanging = self.network.endpoint("ear").connect(Factory.forProtocol(Protocol))
            self.network.go(seconds)
            self.assertNoResult(hanging)
            hanging.cancel()
            self.failureResultOf(hanging, error.ConnectingCancelledError)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_peer_refused(self) -> None:
        """A raw client that cannot connect is closed, and says why."""
        peer = self.network.connect("nobody")
        self.network.go()
        assert peer.reason
        self.assertTrue(peer.closed and peer.reason.check(error.ConnectionRefusedError))

    def test_no_protocol(self) -> None:
        """A listener that has no protocol for a client closes; a client that has none does not connect."""

        class Nothing(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        self.network.listen("shy", Nothing())
        peer = self.network.connect("shy")
        self.network.go()
        self.assertTrue(peer.connected and peer.closed)
        failing = self.network.endpoint("ear").connect(Nothing())
        self.network.go()
        self.failureResultOf(failing, error.NoProtocol)
        self.assertEqual(self.network.connections, [])

    def test_each_at_its_time(self) -> None:
        """Every call runs at its own time, in order, and so do the calls that it makes."""
        times: list[tuple[str, float]] = []

        def note(name: str) -> None:
            times.append((name, self.clock.seconds()))
            if name == "b":
                self.clock.callLater(0.5, note, "c")

        self.clock.callLater(2, note, "d")
        self.clock.callLater(1, note, "b")
        self.clock.callLater(1, note, "b2")
        self.network.go(1.75)
        self.assertEqual(times, [("b", 1.0), ("b2", 1.0), ("c", 1.5)])
        self.assertEqual(self.clock.seconds(), 1.75)

    def test_tenths(self) -> None:
        """Ten tenths of a second are a second, though their floats do not add up to one."""
        rung: list[bool] = []
        self.clock.callLater(1, rung.append, True)
        for _ in range(10):
            self.assertEqual(rung, [])
            self.network.go(0.1)
        self.assertEqual(rung, [True])

    def test_restless(self) -> None:
        """What never settles fails the test and is named, and does not hang it."""

        def fidget() -> None:
            self.clock.callLater(0, fidget)

        fidget()
        self.assertIn("fidget", str(self.assertRaises(AssertionError, self.network.go)))


class WebTests(NetworkCase):
    """twisted.web on both sides of the network."""

    def test_raw(self) -> None:
        """A raw client gets two answers on one connection: the second is the rest of the first."""
        self.serve(lambda request: request.content.read().upper())
        peer = self.network.connect("site")
        peer.send(http_request("POST", "/", [("X-A", "1")], b"one") + http_request("POST", "/", body=b"two"))
        self.network.go()
        first = parse(peer.received)
        second = parse(first.rest)
        self.assertEqual((first.status, first.body, first.complete), (200, b"ONE", True))
        self.assertEqual((second.status, second.body, second.complete), (200, b"TWO", True))
        self.assertEqual((first.headers["content-length"], second.rest, peer.closed), ("3", b"", False))
        self.network.go(61)
        self.assertTrue(peer.closed)

    def test_keep_alive(self) -> None:
        """A pool asks its second question on the connection of the first, and closes it when told to."""
        self.serve(lambda request: str(request.getClientAddress()).encode())
        pool = HTTPConnectionPool(self.clock, persistent=True)
        agent = Agent.usingEndpointFactory(self.clock, self.network, pool)
        seen = []
        for _ in range(2):
            asked = agent.request(b"GET", b"http://site/")
            self.network.go()
            seen.append(self.successResultOf(readBody(self.successResultOf(asked))))
        self.assertEqual(len(set(seen)), 1)
        self.assertEqual([each.name for each in self.network.connections], ["site"])
        closed = pool.closeCachedConnections()
        self.network.go()
        self.successResultOf(closed)
        self.assertEqual(self.network.connections, [])

    def test_large_answer(self) -> None:
        """A client that does not read holds up a large answer within bounds, and gets all of it later."""
        faucet = Faucet(MUCH)

        def answer(request: Request) -> int:
            request.registerProducer(faucet, True)
            faucet.startProducing(request).addCallback(close, request)
            return NOT_DONE_YET

        def close(_: None, request: Request) -> None:
            request.unregisterProducer()
            request.finish()

        self.serve(answer)
        peer = self.network.connect("site")
        peer.send(http_request("GET", "/"))
        self.network.latency = 0.5
        self.network.go(0.75)
        peer.pause()
        self.network.go(60)
        (connection,) = self.network.connections
        arrived = parse(peer.received)
        self.assertFalse(faucet.flowing or arrived.complete)
        self.assertLess(connection.server.peak, PIECE + 11_000)
        self.assertLess(faucet.at, len(arrived.body) + KERNEL + PIECE + 10_000)
        peer.resume()
        self.network.go(60)
        self.assertEqual((parse(peer.received).body, parse(peer.received).complete), (MUCH, True))

    def test_large_question(self) -> None:
        """A server that does not read holds up a large question within bounds, and gets all of it later."""
        self.serve(lambda request: b"%d" % len(request.content.read()))
        self.network.latency = 0.5
        body = Faucet(MUCH)
        asked = self.agent.request(b"POST", b"http://site/", bodyProducer=body)
        self.network.go(0.5)
        (connection,) = self.network.connections
        connection.server.pauseProducing()
        self.network.go(30)
        self.assertFalse(body.flowing)
        self.assertLess(body.at, KERNEL + PIECE + 10_000)
        self.assertLess(connection.client.peak, PIECE + 11_000)
        connection.server.resumeProducing()
        self.network.go(100)
        self.assertEqual(self.successResultOf(readBody(self.successResultOf(asked))), b"%d" % len(MUCH))
        self.assertEqual(self.network.connections, [])

    def test_client_gone(self) -> None:
        """A resource is told that its client hung up, or reset, when the news has got there."""
        gone: list[Failure] = []

        def answer(request: Request) -> int:
            request.notifyFinish().addErrback(gone.append)
            return NOT_DONE_YET

        self.serve(answer)
        self.network.latency = 0.5
        for leave, reason in ((Peer.hang_up, error.ConnectionDone), (Peer.reset, error.ConnectionLost)):
            peer = self.network.connect("site")
            peer.send(http_request("GET", "/"))
            self.network.go(1)
            leave(peer)
            self.network.go(0.25)
            self.assertEqual(gone, [])
            self.network.go(0.25)
            self.assertTrue(gone.pop().check(reason))

    def test_server_aborts(self) -> None:
        """An agent whose server aborts in the middle of an answer keeps what had come and sees it fail."""

        def answer(request: Any) -> int:
            request.setHeader("content-length", "100")
            request.write(b"half")
            self.clock.callLater(1, request.channel.transport.abortConnection)
            return NOT_DONE_YET

        self.serve(answer)
        asked = self.agent.request(b"GET", b"http://site/")
        self.network.go()
        read = readBody(self.successResultOf(asked))
        self.network.go(0.75)
        self.assertNoResult(read)
        self.network.go(0.25)
        failure = self.failureResultOf(read, ResponseFailed)
        self.assertEqual(failure.value.response.code, 200)
        self.assertTrue(failure.value.reasons[0].check(error.ConnectionLost))
        self.assertEqual(self.network.connections, [])

    def test_agent_without_server(self) -> None:
        """An agent sees a refusal, and leaves nothing behind when it is cancelled in a black hole."""
        self.network.blackhole("hole")
        refused = self.agent.request(b"GET", b"http://nobody/")
        hanging = self.agent.request(b"GET", b"https://hole/")
        self.network.go(3600)
        self.failureResultOf(refused, error.ConnectionRefusedError)
        self.assertNoResult(hanging)
        hanging.cancel()
        self.failureResultOf(hanging, error.ConnectingCancelledError)
        self.assertEqual((self.network.connections, self.clock.getDelayedCalls()), ([], []))

    def test_rhythm(self) -> None:
        """A stream arrives in the rhythm that it was written in, and can be looked at half way."""

        def answer(request: Request) -> int:
            for number in range(3):
                event = b'event: tick\ndata: {"n": %d}\n\n' % number
                self.clock.callLater(number, request.write, event)
            self.clock.callLater(3, request.finish)
            return NOT_DONE_YET

        self.serve(answer)
        self.network.latency = 0.125
        peer = self.network.connect("site")
        peer.send(http_request("GET", "/"))
        self.network.go(1.5)
        half = parse(peer.received)
        self.assertEqual((half.status, half.complete, len(half.chunks)), (200, False, 2))
        self.assertEqual(sse(half.body), [("tick", {"n": 0}), ("tick", {"n": 1})])
        self.network.go(3)
        self.assertEqual([when for when, _ in peer.arrivals], [0.375, 1.375, 2.375, 3.375])
        whole = parse(peer.received)
        self.assertEqual((whole.complete, len(sse(whole.body)), whole.rest), (True, 3, b""))


class HTTPTests(SynchronousTestCase):
    """Requests written, answers and events read."""

    def test_request(self) -> None:
        """A request has a host and the length of its body, unless it brings its own."""
        self.assertEqual(http_request("GET", "/a"), b"GET /a HTTP/1.1\r\nHost: relay.test\r\n\r\n")
        self.assertEqual(
            http_request("POST", "/", [("host", "x"), ("X-A", "\xe9")], b"ab"),
            b"POST / HTTP/1.1\r\nhost: x\r\nX-A: \xe9\r\nContent-Length: 2\r\n\r\nab",
        )
        chunked = http_request("POST", "/", [("Transfer-Encoding", "chunked")], b"0\r\n\r\n")
        self.assertNotIn(b"Content-Length", chunked)

    @given(st.lists(st.binary(min_size=1)), st.booleans(), st.data())
    def test_half_way(self, pieces: list[bytes], chunked: bool, data: st.DataObject) -> None:
        """Wherever an answer is cut off, what is there can be read, and only the whole is complete."""
        body = b"".join(pieces)
        if chunked:
            framed = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
            top = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        else:
            framed = body
            top = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        whole = parse(top + framed + b"HTTP/1.1 more")
        self.assertEqual((whole.body, whole.complete, whole.rest), (body, True, b"HTTP/1.1 more"))
        self.assertEqual(whole.chunks, tuple(pieces) if chunked else ())
        cut = data.draw(st.integers(0, len(top + framed) - 1))
        part = parse((top + framed)[:cut])
        self.assertFalse(part.complete)
        self.assertTrue(body.startswith(part.body))
        self.assertEqual(part.chunks, whole.chunks[: len(part.chunks)])
        self.assertEqual(part.status, 200 if cut >= len(top) else 0)

    def test_lengths(self) -> None:
        """A body of no declared length ends with the connection; some answers have no body."""
        bare = b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nabc"
        self.assertEqual((parse(bare).body, parse(bare).complete), (b"abc", False))
        self.assertTrue(parse(bare, closed=True).complete)
        self.assertEqual(parse(bare).headers, {"set-cookie": "a, b"})
        self.assertEqual(parse(bare).pairs, (("Set-Cookie", "a"), ("set-cookie", "b")))
        self.assertEqual(parse(b"HTTP/1.1 100 Continue\r\n\r\n" + bare), parse(bare))
        short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        self.assertEqual((parse(short).complete, parse(short, head=True).complete), (False, True))
        self.assertTrue(parse(b"HTTP/1.1 204 No Content\r\n\r\n").complete)

    def test_not_http(self) -> None:
        """What is no HTTP fails the test that reads it."""
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for wrong in (b"SSH-2.0\r\n\r\n", chunked + b"z\r\n", chunked + b"1\r\nabc", chunked + b"1\r\na\n"):
            self.assertRaises(ValueError, parse, wrong)

    def test_events(self) -> None:
        """Events are read by the lines of the standard; a comment is none, nor is one that has not ended."""
        body = b': hi\n\nevent: a\r\ndata: {"x":\r\ndata: "\xe2\x80\xa8"}\r\n\r\n'
        body += b"data:1\n\nevent: b\n\ndata: 2\n"
        events = [("a", {"x": "\u2028"}), ("message", 1), ("message", 2)]
        self.assertEqual(sse(body), events[:2])
        self.assertEqual(sse(body + b"\ndata: \xe2\x80"), events)
        self.assertRaises(ValueError, sse, b"data: [DONE]\n\n")

"""The rules of the simulator's HTTP: early answers, big bodies, and connections that can be closed."""

from __future__ import annotations

import io

from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, KeyPair
from twisted.trial.unittest import SynchronousTestCase, TestCase

from ccrelay.simulator.acts import Refuses, Says, Streams
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.faults import Breaks, Early, Stalls
from ccrelay.simulator.script import Script
from tests.network import http_request, parse
from tests.simulator.reader import Reader
from tests.simulator.stage import MESSAGE, VERSION, Stage

BODY = b'{"model": "m", "filler": "' + b"x" * 400_000 + b'"}'
REQUEST = http_request("POST", "/v1/messages", [VERSION], BODY)
HALF = len(REQUEST) // 2


class EarlyTests(SynchronousTestCase):
    """Answers ahead of the body."""

    def begin(self, act: object) -> Stage:
        """Return a stage where half of a request has been sent."""
        stage = Stage(Script([Early(act), Says("next")]))
        stage.peer = stage.network.connect("upstream")
        stage.peer.send(REQUEST[:HALF])
        stage.network.go()
        return stage

    def test_a_whole_answer(self) -> None:
        """The answer is whole before the request is; the connection can be used afterwards."""
        for act in (Refuses(413), Streams((b"data: 1\n\n", b"data: 2\n\n"))):
            stage = self.begin(act)
            (record,) = stage.simulator.asked
            self.assertTrue(stage.answer().complete)
            self.assertEqual((record.body, record.open, record.path), (b"", True, "/v1/messages"))
            stage.peer.send(REQUEST[HALF:])
            stage.network.go()
            self.assertEqual((record.body, record.open, record.gone), (BODY, False, False))
            stage.ask_again(MESSAGE)
            self.assertEqual(parse(stage.answer().rest).status, 200)

    def test_a_stream_that_outlasts_the_body(self) -> None:
        """An answer may begin early and end late."""
        stage = self.begin(Stalls(after_events=0, seconds=5.0, act=Refuses(500)))
        stage.peer.send(REQUEST[HALF:])
        stage.network.go()
        self.assertEqual(stage.simulator.asked[0].body, BODY)
        self.assertFalse(stage.answer().complete)
        stage.network.go(5.0)
        self.assertTrue(stage.answer().complete)
        stage.ask_again(MESSAGE)
        self.assertEqual(parse(stage.answer().rest).status, 200)

    def test_a_cut_in_the_middle(self) -> None:
        """The connection may end while the body is still coming."""
        stage = self.begin(Breaks(after_events=None, how="cut"))
        self.assertTrue(stage.peer.closed)
        self.assertEqual((stage.peer.received, stage.simulator.open_requests), (b"", 0))

    def test_a_peer_that_leaves(self) -> None:
        """A peer may leave before it has sent its body."""
        stage = self.begin(Refuses(413))
        stage.peer.hang_up()
        stage.network.go()
        self.assertTrue(stage.simulator.asked[0].gone)
        self.assertEqual(stage.simulator.open_requests, 0)

    def test_without_a_body(self) -> None:
        """Of a request without a body the head is all."""
        stage = Stage(Script(paths={"/v1/models": [Early(Refuses(401))]}))
        stage.ask(None, "/v1/models?limit=1", "GET")
        self.assertEqual((stage.answer().status, stage.answer().complete), (401, True))
        self.assertFalse(stage.simulator.asked[0].open)

    def test_only_where_it_is_meant(self) -> None:
        """Any other answer waits for the body."""
        stage = Stage(Script([Refuses(413)]))
        stage.peer = stage.network.connect("upstream")
        stage.peer.send(REQUEST[:HALF])
        stage.network.go()
        self.assertEqual((stage.peer.received, stage.simulator.count), (b"", 0))


class BodyTests(SynchronousTestCase):
    """Bodies of requests."""

    def test_long_bodies_stay_in_memory(self) -> None:
        """A long body, or one in chunks, is not written to a file."""
        stage = Stage(Script([Says("Hello")]))
        for length in (None, 10, 10_000_000):
            self.assertIsInstance(stage.simulator.site.getContentFile(length), io.BytesIO)
        self.assertEqual(stage.ask(BODY).body, BODY)

    def test_chunks(self) -> None:
        """A body in chunks is read like any other."""
        stage = Stage(Script([Says("Hello")]))
        stage.peer = stage.network.connect("upstream")
        head = http_request("POST", "/v1/messages", [("Transfer-Encoding", "chunked")])
        stage.peer.send(head + b'7\r\n{"a": 1\r\n1\r\n}\r\n0\r\n\r\n')
        stage.network.go()
        self.assertEqual(stage.simulator.asked[0].json, {"a": 1})

    def test_forms(self) -> None:
        """What calls itself a form is bytes like the rest."""
        stage = Stage(Script([Says("Hello")]))
        stage.peer = stage.network.connect("upstream")
        kind = ("Content-Type", "multipart/form-data")
        stage.peer.send(http_request("POST", "/v1/messages", [kind], b"no form"))
        stage.network.go()
        self.assertEqual(stage.simulator.asked[0].body, b"no form")

    def test_long_heads(self) -> None:
        """A head of tens of kilobytes is read: lists of betas are long."""
        stage = Stage(Script([Says("Hello")]))
        stage.peer = stage.network.connect("upstream")
        beta = ("anthropic-beta", "b" * 15_000)
        stage.peer.send(http_request("POST", "/v1/messages", [beta, beta, beta], b"{}"))
        stage.network.go()
        self.assertEqual(stage.simulator.asked[0].headers.count((b"anthropic-beta", b"b" * 15_000)), 3)


class ConnectionTests(SynchronousTestCase):
    """Connections."""

    def test_disconnect(self) -> None:
        """Every connection can be closed, idle or not, and one is told when they are."""
        stage = Stage(Script([Says("Hello"), Stalls()]))
        stage.ask()
        idle = stage.peer
        stage.ask()
        gone = stage.simulator.disconnect()
        self.assertNoResult(gone)
        stage.network.go()
        self.successResultOf(gone)
        self.assertTrue(idle.closed and stage.peer.closed)
        self.assertEqual((stage.simulator.site.channels, stage.simulator.open_requests), (set(), 0))
        self.successResultOf(stage.simulator.disconnect())

    def test_idle_connections_stay(self) -> None:
        """The simulator closes no idle connection of its own accord, and keeps no timer for it."""
        stage = Stage(Script([Says("Hello")]))
        stage.ask()
        self.assertEqual(stage.waiting, 0)
        stage.network.go(86_400.0)
        self.assertFalse(stage.peer.closed)

    def test_pipelined_requests(self) -> None:
        """Requests that come at once are answered one after the other."""
        stage = Stage(Script([Says("one"), Refuses(529)]))
        stage.peer = stage.network.connect("upstream")
        stage.peer.send(http_request("POST", "/v1/messages", [VERSION], b"{}") * 2)
        stage.network.go()
        self.assertEqual((stage.answer().status, parse(stage.answer().rest).status), (200, 529))


class TlsTests(TestCase):
    """The simulator behind TLS, which has a rhythm of its own."""

    async def test_a_long_stream(self) -> None:
        """A stream of megabytes comes whole to a client of TLS, and its connection stays for the next."""
        from twisted.internet import reactor  # noqa: PLC0415  trial installs it

        certificate = KeyPair.generate().selfSignedCert(1, CN=b"localhost")
        simulator = Simulator(reactor, script=Script([Streams((b"x" * 65_536,) * 64)]))
        port = reactor.listenSSL(0, simulator.site, certificate.options(), interface="127.0.0.1")
        self.addCleanup(simulator.disconnect)
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        reader = await wrapClientTLS(CertificateOptions(), endpoint).connect(Factory.forProtocol(Reader))
        for number in (1, 2):
            reader.transport.write(http_request("POST", "/v1/messages", [VERSION], b"{}"))
            await reader.until(lambda received, number=number: received.count(b"\r\n0\r\n\r\n") == number)
        answer = parse(reader.received)
        self.assertEqual((len(answer.body), parse(answer.rest).complete), (64 * 65_536, True))

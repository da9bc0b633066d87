"""Connections that speak no HTTP/1.1, or odd corners of it: refused in words, bounded, and in the log."""

from __future__ import annotations

from ccrelay.simulator.acts import Says
from ccrelay.simulator.faults import Stalls
from tests import HTTP
from tests.network import http_request, parse
from tests.stack import HEADERS, Stack, body
from tests.web.stage import HOST, NOT_HTTP, DoorTestCase, chunk

SHORT = 1000
LINE = b"POST /v1/messages HTTP/1.1\r\n"
HEAD = LINE + b"Host: localhost\r\nContent-Type: application/json\r\n"
ASKED = http_request("POST", "/v1/messages", HEADERS, body())
BAD_LINES = (
    b"GARBAGE\r\n", b"GET /\r\n", b"GET / HTTP/3.7\r\n", b"GET  / HTTP/1.1\r\n", b"GET / HTTP/1.1 x\r\n",
    b"G@T / HTTP/1.1\r\n", b"GET /a b HTTP/1.1\r\n", b" GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n",
    "GET /\N{SNOWMAN} HTTP/1.1\r\n".encode(), b"GET /\xff HTTP/1.1\r\n", b"GET /\x00 HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
)  # fmt: skip
BAD_FIELDS = (
    b"no colon", b"two words: x", b"Space-Before : x", b": no name", b"N\xe4me: x", b"X: a\x00b",
    b"X: a\nTransfer-Encoding: chunked", b"X: a\rY: b", b"X: a\r\n folded", b"X: a\r\n\tfolded", b" X: a",
)  # fmt: skip
BAD_FRAMINGS = (
    b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5, 5", b"Content-Length: -5", b"Content-Length: +5", b"Content-Length: 0x5",
    b"Content-Length: 5 5", b"Content-Length:", b"Content-Length: \xb2", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
)  # fmt: skip
BAD_CHUNKS = (
    b"zz\r\n", b"-1\r\nx\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b" 1\r\nx\r\n", b"1 \r\nx\r\n",
    b"1\r\nxx\r\n", b"\r\n", b"1;" + b"x" * 20_000, b"1" * 2000, b"0\r\nX: " + b"x" * 100_000 + b"\r\n",
)  # fmt: skip


class MalformedTests(DoorTestCase):
    """What is no HTTP/1.1 is a 400 in Anthropic's JSON and a line in the log, and ends the connection."""

    def setUp(self) -> None:
        """Let a provider be there."""
        self.stack = Stack(self, {"a": [Says("x")]})

    def assert_not_http(self, sent: bytes) -> None:
        """Assert that this is refused, whatever follows it and however it is cut; nobody is asked."""
        following = b"Host: localhost\r\n\r\n" + b"x" * 100 + b"\r\n\r\n" + ASKED
        size = 1 if len(sent) < SHORT else len(sent) // 3
        drip = [sent[at : at + size] for at in range(0, len(sent), size)]
        for pieces in ([sent + following], [sent, following], [*drip, following]):
            before = len(self.stack.logged)
            peer = self.stack.connect()
            for piece in pieces:
                peer.send(piece)
                self.stack.go()
            answer = self.stack.answer(peer)
            self.assert_refused(self.stack, answer, 400, "invalid_request_error", NOT_HTTP)
            self.assertEqual((answer.headers["connection"], answer.rest), ("close", b""), sent)
            self.stack.go(2)
            self.assertTrue(peer.closed)
            self.assertEqual(len(self.stack.logged), before + 1)
        self.assertEqual(self.stack.asked("a"), [])

    def test_request_lines(self) -> None:
        """A line that is no request line, TLS and HTTP/2 included."""
        for line in BAD_LINES:
            self.assert_not_http(line)

    def test_header_fields(self) -> None:
        """A field that two readers could read in two ways: control characters, spaces, folded lines."""
        for field in BAD_FIELDS:
            self.assert_not_http(HEAD + field + b"\r\n")

    def test_framing(self) -> None:
        """A length that two readers could read in two ways, which is how requests are smuggled."""
        for field in BAD_FRAMINGS:
            self.assert_not_http(HEAD + field + b"\r\n")

    def test_what_llhttp_does_not_know(self) -> None:
        """
        A method of no standard, and a length that is no 64-bit number, are no HTTP to llhttp.

        Twisted tells of them a 405 and a 413.
        """
        unknown = b"BREW /v1/messages HTTP/1.1\r\nHost: localhost\r\n\r\n"
        endless = HEAD + b"Content-Length: 99999999999999999999\r\n\r\n"
        for sent, status in ((unknown, 405), (endless, 413)):
            peer = self.stack.connect()
            peer.send(sent)
            self.stack.go()
            self.assertEqual(self.stack.answer(peer).status, status if HTTP == "twisted" else 400)

    def test_chunks(self) -> None:
        """A body in chunks that are none."""
        for broken in BAD_CHUNKS:
            self.assert_not_http(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"{") + broken)

    def test_long_heads(self) -> None:
        """A head may have 64 KiB and 500 fields, and no more."""
        line = b"X: " + b"x" * 60_000 + b"\r\n"
        for sent, status in (
            (line, 200),
            (line * 2, 400),
            (b"X: x\r\n" * 400, 200),
            (b"X: x\r\n" * 600, 400),
        ):
            peer = self.stack.connect()
            peer.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + sent + b"\r\n")
            self.stack.go()
            self.assertEqual(self.stack.answer(peer).status, status)
        for endless in (b"GET /" + b"x" * 70_000, HEAD + b"X: " + b"x" * 70_000):
            peer = self.stack.connect()
            peer.send(endless)
            self.stack.go()
            self.assert_refused(self.stack, self.stack.answer(peer), 400, "invalid_request_error", NOT_HTTP)

    def test_bare_line_feeds(self) -> None:
        """
        Lines that end in LF alone are no lines.

        llhttp refuses such a head, or chunk; for Twisted it never ends, and so is a 408.
        """
        for sent, words in (
            (b"GET /health HTTP/1.1\nHost: localhost\n\n", "The request's head arrives too slowly."),
            (
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
                "The request's body arrives too slowly; send it in one go.",
            ),
        ):
            peer = self.stack.connect()
            peer.send(sent)
            self.stack.go(20)
            refusal = (400, "invalid_request_error", NOT_HTTP)
            if HTTP == "twisted":
                refusal = (408, "timeout_error", words)
            self.assert_refused(self.stack, self.stack.answer(peer), *refusal)

    def test_a_chunk_without_end(self) -> None:
        """A chunk may announce more than any machine holds: what comes of it counts, and how fast."""
        peer = self.stack.connect()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n{")
        self.stack.go(15)
        self.assertEqual(self.stack.answer(peer).status, 408)

    def test_extensions_and_trailers(self) -> None:
        """Chunk extensions and trailers are read over; neither reaches a provider."""
        peer = self.stack.connect()
        framed = b"%x;smuggled=1\r\n%b\r\n0;x\r\nX-Api-Key: smuggled\r\n\r\n" % (len(body()), body())
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed)
        self.stack.go()
        self.assertEqual(self.stack.answer(peer).status, 200)
        asked = self.stack.asked("a")[0]
        self.assertEqual(asked.body, body())
        self.assertNotIn("smuggled", repr(asked.headers))


class TargetTests(DoorTestCase):
    """What may stand in a request line."""

    def assert_answered(self, line: bytes, status: int, words: str) -> None:
        """Assert how a request line is answered."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.connect()
        peer.send(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stack.go()
        kinds = {400: "invalid_request_error", 404: "not_found_error", 405: "invalid_request_error"}
        self.assert_refused(stack, stack.answer(peer), status, kinds[status], words)

    def test_no_utf8(self) -> None:
        """A path that is percent-encoded, but not UTF-8, is a 400."""
        words = "The request target must be percent-encoded UTF-8."
        for path in (b"/v1/%ff", b"/v1/messages%80", b"/v1/models/%ed%a0%80"):
            self.assert_answered(b"GET " + path, 400, words)

    def test_a_proxys_request(self) -> None:
        """The relay is no proxy: a whole URL names no path of it, and there is nothing to CONNECT to."""
        words = "There is nothing at {}; messages are at /v1/messages."
        for url in ("http://localhost:8787/health", "http://evil.example/v1/messages"):
            self.assert_answered(b"GET " + url.encode(), 404, words.format(url))
        self.assert_answered(b"CONNECT localhost:443", 404, words.format("localhost:443"))

    def test_asterisk(self) -> None:
        """OPTIONS * is answered like the root, which has no OPTIONS."""
        self.assert_answered(b"OPTIONS *", 405, "OPTIONS is not a method of *; it has: GET, HEAD.")


class ConnectionTests(DoorTestCase):
    """One connection, several requests."""

    def test_pipelined(self) -> None:
        """Requests sent ahead are answered one after the other, in their order."""
        stack = Stack(self, {"a": [Says("one"), Says("two"), Says("three")]})
        peer = stack.connect()
        peer.send(ASKED * 3)
        stack.go()
        rest = peer.received
        for words in (b"one", b"two", b"three"):
            answer = parse(rest)
            self.assertIn(words, answer.body)
            rest = answer.rest
        self.assertEqual([line["status"] for line in stack.logged], [200, 200, 200])

    def test_not_before_its_turn(self) -> None:
        """While one is being answered those behind it wait, and no more of them is read than a little."""
        stack = Stack(self, {"a": [Stalls(before_head=True, seconds=5, act=Says("one")), Says("two")]})
        peer = stack.connect()
        peer.send(ASKED + http_request("POST", "/v1/messages", HEADERS, body(system="x" * 1_000_000)))
        stack.go(4)
        self.assertEqual(len(stack.asked("a")), 1)
        self.assertGreater(peer.transport.waiting, 500_000)
        stack.go(2)
        self.assertEqual([line["status"] for line in stack.logged], [200, 200])

    def test_garbage_behind_a_request(self) -> None:
        """A request is answered in full, and only then what was sent behind it is refused."""
        stack = Stack(self, {"a": [Stalls(before_head=True, seconds=5, act=Says("one"))]})
        peer = stack.connect()
        peer.send(ASKED + b"GARBAGE\r\n\r\n")
        stack.go(6)
        answer = stack.answer(peer)
        self.assertEqual(answer.status, 200)
        self.assert_refused(stack, parse(answer.rest), 400, "invalid_request_error", NOT_HTTP)

    def test_alive_after_errors(self) -> None:
        """An error whose request was read to its end leaves the connection to the next request."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.connect()
        wrong = (
            http_request("POST", "/v1/messages", HEADERS, b"{"), http_request("GET", "/nothing", HEADERS),
            http_request("GET", "/v1/messages", HEADERS), http_request("GET", "/", (("host", "e.example"),)),
            b"GET / HTTP/1.1\r\n\r\n", http_request("POST", "/v1/messages", [HOST]),
        )  # fmt: skip
        for sent in (*wrong, ASKED):
            peer.send(sent)
            stack.go()
        self.assertEqual([line["status"] for line in stack.logged], [400, 404, 405, 403, 400, 415, 200])
        self.assertFalse(peer.closed)

    def test_closed_after_errors(self) -> None:
        """An error told before the body has come ends the connection: that body is not the next request."""
        stack = Stack(self, {"a": [Says("x")]})
        for path, headers in (("/nothing", HEADERS), ("/v1/messages", (HOST,))):
            peer = stack.send(b"", path=path, headers=(*headers, ("content-length", str(len(ASKED)))))
            self.assertEqual(stack.answer(peer).headers["connection"], "close")
            peer.send(ASKED)
            stack.go(2)
            self.assertEqual((peer.received.count(b"HTTP/1.1"), peer.closed), (1, True))
        self.assertEqual((len(stack.logged), stack.asked("a")), (2, []))

    def test_as_the_client_wishes(self) -> None:
        """Connection: close, and HTTP/1.0, end the connection after the answer."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.send(body(), headers=(*HEADERS, ("connection", "close")))
        answer = stack.answer(peer)
        self.assertEqual((answer.status, answer.headers["connection"], peer.closed), (200, "close", True))
        old = stack.connect()
        old.send(b"GET /health HTTP/1.0\r\n\r\n")
        stack.go()
        self.assertTrue(old.received.startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertTrue(old.received.endswith(b'\r\n\r\n{"status":"ok"}'))
        self.assertTrue(old.closed)

    def test_another_protocol(self) -> None:
        """A client that would rather speak another protocol is answered in this one, and goes on in it."""
        stack = Stack(self, {"a": [Says("one"), Says("two")]})
        peer = stack.connect()
        wish = (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMA"))
        asked = http_request("POST", "/v1/messages", (*HEADERS, *wish), body())
        fields = "".join(f"{name}: {value}\r\n" for name, value in (*HEADERS, *wish)).encode()
        framed = LINE + fields + b"transfer-encoding: chunked\r\n\r\n" + chunk(body()) + chunk(b"")
        for pieces in (
            (asked + ASKED,), (asked[:-5], asked[-5:] + ASKED[:20], ASKED[20:]),
            (framed + ASKED,), (framed[:-50], framed[-50:] + ASKED[:20], ASKED[20:]),
        ):  # fmt: skip
            before = len(stack.logged)
            for piece in pieces:
                peer.send(piece)
                stack.go()
            self.assertEqual([line["status"] for line in stack.logged[before:]], [200, 200])
        self.assertEqual({each.body for each in stack.asked("a")}, {body()})

    def test_an_empty_line_first(self) -> None:
        """An empty line before a request is read over (RFC 9112, 2.2)."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.connect()
        peer.send(b"\r\n" + ASKED + b"\r\n" + ASKED)
        stack.go()
        self.assertEqual([line["status"] for line in stack.logged], [200, 200])

"""Bodies that are no request for a message: wrong, too large, too slow, of another type."""

from __future__ import annotations

import json

from ccrelay.simulator.acts import Says
from tests.network import http_request
from tests.stack import HEADERS, Stack, body
from tests.web.stage import HOST, JSON, DoorTestCase, chunk

CHUNKED = (*HEADERS, ("transfer-encoding", "chunked"))
EXPECTING = ("expect", "100-continue")
MIB = 1024 * 1024
NO_OBJECT = "The request body must be a JSON object; send one with `model` and `messages`."
SLOW = "The request's body arrives too slowly; send it in one go."
TOO_LARGE = (
    "The request is larger than the 1000 bytes that ccrelay takes (server.max_body_bytes); "
    "send less, or raise that limit."
)


class MalformedTests(DoorTestCase):
    """What is not a request for a message is a 400, and no provider hears of it."""

    def setUp(self) -> None:
        """Let a provider be there."""
        self.stack = Stack(self, {"a": [Says("x")]})

    def assert_malformed(self, content: bytes, message: str) -> None:
        """Assert that a body is refused with these words, on every path that takes one, and kept alive."""
        for path in ("/v1/messages", "/v1/messages/count_tokens?beta=true"):
            peer = self.stack.send(content, path=path)
            answer = self.stack.answer(peer)
            self.assert_refused(self.stack, answer, 400, "invalid_request_error", message)
            self.assertEqual((answer.headers["connection"], peer.closed), ("keep-alive", False))
        self.assertEqual(self.stack.asked("a"), [])

    def test_not_json(self) -> None:
        """What is not JSON is a 400 that says where it stops being that."""
        for content in (
            b"", b"{", b"{'model':'m'}", b'{"model":NaN}', b"--boundary", b"model=m&messages=[]", b"<xml/>",
            b'{"model":"m","messages":[]}x', b'{"model":"m","messages":[]}{}', b'{"model":"m" "messages":[]}',
            b'{"model":"m","messages":["\n"]}', b'\xef\xbb\xbf{"model":"m","messages":[]}',
            '{"model":"m","messages":[]}'.encode("utf-16"),
        ):  # fmt: skip
            words = json.loads(self.stack.ask(content).body)["error"]["message"]
            self.assertRegex(
                words, r"^The request body is not valid JSON \(.+\); nothing was sent to a provider\.$"
            )
            self.assert_malformed(content, words)

    def test_not_an_object(self) -> None:
        """JSON of another type is a 400."""
        for content in (b"[]", b"null", b'"model"', b"17", b"true", b'[{"model":"m","messages":[]}]'):
            self.assert_malformed(content, NO_OBJECT)

    def test_nothing_to_ask_for(self) -> None:
        """A request names its model, and has messages; the words are those of the API itself."""
        for content, words in (
            (b"{}", "messages: Field required"),
            (b'{"model":"m"}', "messages: Field required"),
            (b'{"messages":[]}', "model: Field required"),
            (b'{"Model":"m","messages":[]}', "model: Field required"),
            (b'{"model":"m","messages":null}', "messages: Input should be a valid list"),
            (b'{"model":"m","messages":{}}', "messages: Input should be a valid list"),
            (b'{"model":"m","messages":"[]"}', "messages: Input should be a valid list"),
        ):
            self.assert_malformed(content, words)

    def test_wrong_types(self) -> None:
        """A model is a name, and stream is true or false."""
        for value, words in (
            (b"null", "model: Input should be a valid string"),
            (b"17", "model: Input should be a valid string"),
            (b'["m"]', "model: Input should be a valid string"),
            (b'""', "model: String should have 1 to 2048 characters"),
            (b'"%b"' % (b"m" * 2049), "model: String should have 1 to 2048 characters"),
        ):
            self.assert_malformed(b'{"model":%b,"messages":[]}' % value, words)
        for value in (b'"true"', b"1", b"[]", b"{}"):
            words = "stream: Input should be a valid boolean"
            self.assert_malformed(b'{"model":"m","messages":[],"stream":%b}' % value, words)

    def test_half_a_character(self) -> None:
        """Half a surrogate pair is no character and a 400, as at Anthropic; so is a name that is no UTF-8."""
        for half in (b'"model":"\\ud800","messages":[]', b'"model":"m","messages":["a\\udc00b"]'):
            words = json.loads(self.stack.ask(b"{%b}" % half).body)["error"]["message"]
            self.assertIn("not valid JSON", words)
            self.assert_malformed(b"{%b}" % half, words)
        for name in (b"\xff", b"\xed\xa0\x80"):
            words = "model: Input should be a valid string"
            self.assert_malformed(b'{"model":"%b","messages":[]}' % name, words)

    def test_deep_nesting(self) -> None:
        """A body nested without end is a 400; one within reason is the provider's to judge."""
        deep = b'{"model":"m","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        self.assertEqual(self.stack.ask(deep).status, 400)
        self.assertEqual(self.stack.asked("a"), [])
        self.assertEqual(self.stack.ask(body(messages=[[[[{"x": [[[[]]]]}]]]])).status, 200)

    def test_a_model_that_would_break_a_line(self) -> None:
        """Whatever a model is called, it stays on its line of the log."""
        self.stack.ask(b'{"model":"a\\n\\u001b[2J\\u0000\\u2028b","messages":[]}')
        mark = "\N{REPLACEMENT CHARACTER}"
        self.assertEqual(self.stack.logged[-1]["model"], f"a{mark}{mark}[2J{mark}{mark}b")


class TypeTests(DoorTestCase):
    """A web page can post a form anywhere without being asked; JSON it cannot."""

    def test_another_type(self) -> None:
        """What is not called JSON is a 415, however well it reads."""
        stack = Stack(self, {"a": [Says("x")]})
        words = "Send the request with content-type: application/json."
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            for kind in (
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "",
                None,
                "application/jsonx",
            ):
                headers = (HOST,) if kind is None else (HOST, ("content-type", kind))
                answer = stack.ask(path=path, headers=headers)
                self.assert_refused(stack, answer, 415, "invalid_request_error", words)
        self.assertEqual(stack.asked("a"), [])

    def test_json_by_any_spelling(self) -> None:
        """Parameters, case and spaces make no other type."""
        stack = Stack(self, {"a": [Says("x")]})
        for kind in ("application/json; charset=utf-8", "Application/JSON", " application/json ;x=y"):
            self.assertEqual(stack.ask(headers=(HOST, ("content-type", kind))).status, 200)

    def test_compressed(self) -> None:
        """A compressed body is a 415, so that none can unfold without bound."""
        stack = Stack(self, {"a": [Says("x")]})
        for encoding in ("gzip", "br", "zstd", "gzip, identity"):
            answer = stack.ask(b"\x1f\x8b", headers=(HOST, JSON, ("content-encoding", encoding)))
            words = f"Content-Encoding {encoding} is not supported here; send the body as it is."
            self.assert_refused(stack, answer, 415, "invalid_request_error", words)
        self.assertEqual(stack.ask(headers=(HOST, JSON, ("content-encoding", "identity"))).status, 200)


class SizeTests(DoorTestCase):
    """No more of a body is kept than the operator allows."""

    def setUp(self) -> None:
        """Let a body have 1000 bytes."""
        self.stack = Stack(self, {"a": [Says("x")]}, {"server": {"max_body_bytes": 1000}})

    def assert_too_large(self, peer: object) -> None:
        """Assert that a client was told so, and that the connection is not used again."""
        answer = self.stack.answer(peer)
        self.assert_refused(self.stack, answer, 413, "request_too_large", TOO_LARGE)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(self.stack.asked("a"), [])

    def test_as_large_as_allowed(self) -> None:
        """A body of just that size passes, with a length and in chunks; one byte more does not."""
        full = body(system="x" * (1000 - len(body(system=""))))
        for content, status in ((full, 200), (full + b" ", 413)):
            self.assertEqual(self.stack.ask(content).status, status)
            self.assertEqual(self.stack.ask(chunk(content) + b"0\r\n\r\n", headers=CHUNKED).status, status)

    def test_announced(self) -> None:
        """A length over the limit is refused with the head, before a byte of the body has come."""
        for length in ("1001", "18446744073709551615"):
            self.assert_too_large(self.stack.send(headers=(*HEADERS, ("content-length", length))))

    def test_asked_before(self) -> None:
        """A client that asks first (Expect: 100-continue) is refused without being told to go on."""
        peer = self.stack.send(headers=(*HEADERS, EXPECTING, ("content-length", "1001")))
        self.assertNotIn(b"100 Continue", peer.received)
        self.assert_too_large(peer)

    def test_asked_before_and_welcome(self) -> None:
        """A client that asks first is told to go on where its request is, once."""
        peer = self.stack.send(headers=(*HEADERS, EXPECTING, ("content-length", str(len(body())))))
        self.assertEqual(peer.received, b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.send(body())
        self.stack.go()
        self.assertEqual(self.stack.answer(peer).status, 200)
        self.assertEqual(peer.received.count(b"100 Continue"), 1)

    def test_nobody_is_told_to_go_on_in_vain(self) -> None:
        """Nor is a client told to go on whose request will be refused for what its head says."""
        length = ("content-length", str(len(body())))
        heads = (
            ("POST", "/nothing", HEADERS), ("PUT", "/v1/messages", HEADERS),
            ("POST", "/v1/messages", (HOST,)), ("POST", "/v1/messages", (("host", "evil.example"), JSON)),
        )  # fmt: skip
        for method, path, headers in heads:
            peer = self.stack.send(b"", method, path, (*headers, EXPECTING, length))
            self.assertIn(self.stack.answer(peer).status, (403, 404, 405, 415))
            self.assertNotIn(b"100 Continue", peer.received)

    def test_in_chunks(self) -> None:
        """A body without a length is refused as soon as it has grown too large, and let go."""
        peer = self.stack.send(chunk(b"x" * 600), headers=CHUNKED)
        self.assertEqual(peer.received, b"")
        peer.send(chunk(b"x" * 600))
        self.stack.go()
        self.assert_too_large(peer)

    def test_a_client_that_goes_on_sending(self) -> None:
        """A client that goes on sending reads the answer all the same, and no reset in its place."""
        peer = self.stack.send(headers=(*HEADERS, ("content-length", str(9 * MIB))))
        peer.send(b"x" * MIB)
        self.stack.go(1)
        self.assert_too_large(peer)
        self.assertFalse(peer.closed)
        self.stack.go(1)
        self.assertTrue(peer.closed)

    def test_a_client_that_never_stops(self) -> None:
        """Over 8 MiB more are not waited for."""
        peer = self.stack.send(headers=(*HEADERS, ("content-length", str(99 * MIB))))
        peer.send(b"x" * (9 * MIB))
        self.stack.go()
        self.assert_too_large(peer)
        self.assertTrue(peer.closed)

    def test_one_request_one_line(self) -> None:
        """What such a client still sends is no request, whatever it looks like."""
        peer = self.stack.send(headers=(*HEADERS, ("content-length", "1001")))
        peer.send(http_request("GET", "/health", HEADERS) * 3)
        self.stack.go(3)
        self.assertEqual(len(self.stack.logged), 1)
        self.assertEqual(peer.received.count(b"HTTP/1.1"), 1)


class PaceTests(DoorTestCase):
    """A request that arrives too slowly is a 408."""

    def setUp(self) -> None:
        """Let a provider be there."""
        self.stack = Stack(self, {"a": [Says("x")]})

    def test_a_slow_body(self) -> None:
        """A body must bring 8 KiB in 15 s, also one that drips."""
        for headers in ((*HEADERS, ("content-length", "100000")), CHUNKED):
            peer = self.stack.send(headers=headers)
            for _ in range(14):
                peer.send(chunk(b"x"))
                self.stack.go(1)
            self.assertEqual(peer.received, b"")
            self.stack.go(1)
            self.assert_refused(self.stack, self.stack.answer(peer), 408, "timeout_error", SLOW)
            self.stack.go(2)
            self.assertTrue(peer.closed)
        self.assertEqual(self.stack.asked("a"), [])

    def test_a_steady_body(self) -> None:
        """A long body that keeps coming may take its time."""
        sent = body(system="x" * 100_000)
        peer = self.stack.send(headers=(*HEADERS, ("content-length", str(len(sent)))))
        for at in range(0, len(sent), 10_000):
            peer.send(sent[at : at + 10_000])
            self.stack.go(14)
        self.assertEqual(self.stack.answer(peer).status, 200)

    def test_a_slow_head(self) -> None:
        """A head must be whole in 20 s from its first byte, however it drips."""
        peer = self.stack.connect()
        for piece in b"POST /v1/messages H":
            peer.send(bytes([piece]))
            self.stack.go(1)
        self.assertEqual(peer.received, b"")
        self.stack.go(1)
        words = "The request's head arrives too slowly."
        self.assert_refused(self.stack, self.stack.answer(peer), 408, "timeout_error", words)
        self.stack.go(2)
        self.assertTrue(peer.closed)

    def test_a_client_that_leaves_in_the_middle(self) -> None:
        """A client that leaves before its body is whole is a line in the log, and no provider's affair."""
        for gone in ("hang_up", "reset"):
            peer = self.stack.send(b"{", headers=(*HEADERS, ("content-length", "1000")))
            getattr(peer, gone)()
            self.stack.go()
            self.assertEqual((self.stack.why, self.stack.logged[-1]["status"]), ("client left", 0))
        self.assertEqual(self.stack.asked("a"), [])

    def test_an_idle_connection(self) -> None:
        """A connection on which nothing is asked is closed after two minutes, without a word."""
        peer = self.stack.connect()
        self.stack.go(119)
        self.assertFalse(peer.closed)
        self.stack.go(2)
        self.assertEqual((peer.closed, peer.received, self.stack.lines), (True, b"", []))

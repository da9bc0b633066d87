"""Files, batches and other account-bound resources: where they go, and how they come down, unread."""

from __future__ import annotations

from ccrelay.simulator.acts import Refuses, Says
from tests.stack import HEADERS, KEY, Stack
from tests.web.stage import DoorTestCase, Provider, chunk

LONG = 5_000_000


class WhereTests(DoorTestCase):
    """To whom they go."""

    def test_to_one_account(self) -> None:
        """They go to the first provider of type anthropic, with its first key, whatever the priorities."""
        keys = [{"key": KEY}, {"key": "sk-test-of-b-0123456789"}]
        settings = {"providers": {"a": {"type": "zai", "priority": 9}, "b": {"keys": keys}}}
        stack = Stack(self, {"a": [Says("x")], "b": [Says("x")], "c": [Says("x")]}, settings)
        paths = (
            "/v1/messages/batches", "/v1/messages/batches/b_1/results?x=1", "/v1/files", "/v1/files/f",
            "/v1/skills/s/versions", "/v1/agents", "/v1/sessions/s/events", "/v1/environments",
            "/v1/memory_stores/m", "/v1/user_profiles",
        )  # fmt: skip
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                stack.send(b"", method, path)
                asked = stack.asked("b")[-1]
                self.assertEqual((asked.method, asked.target, asked.header("x-api-key")), (method, path, KEY))
        self.assertEqual(stack.asked("a") + stack.asked("c"), [])

    def test_to_the_account_named(self) -> None:
        """routing.account_provider names another."""
        stack = Stack(self, {"a": [], "b": []}, {"routing": {"account_provider": "b"}})
        stack.send(b"", "GET", "/v1/files")
        self.assertEqual((len(stack.asked("a")), len(stack.asked("b"))), (0, 1))

    def test_to_nobody(self) -> None:
        """Where no provider has such things it is a 404 that says what to configure."""
        stack = Stack(self, {"a": []}, type="zai")
        for path in ("/v1/files/f_1", "/v1/messages/batches"):
            words = (
                f"{path} belongs to one account, and no provider here is that account: "
                "set routing.account_provider to a provider of type anthropic."
            )
            self.assert_refused(stack, stack.get(path), 404, "not_found_error", words)
        self.assertEqual(stack.asked("a"), [])

    def test_no_key_left(self) -> None:
        """While the account's only key is exhausted it is a 404 that says so; no other files are shown."""
        stack = Stack(self, {"a": [Refuses(402)], "b": [Says("x")]})
        stack.ask()
        words = "The provider a has no key that may be used for /v1/files now."
        self.assert_refused(stack, stack.get("/v1/files"), 404, "not_found_error", words)
        self.assertEqual((len(stack.asked("a")), len(stack.asked("b"))), (1, 1))

    def test_credential_first(self) -> None:
        """They need the same credential as messages."""
        stack = Stack(self, {"a": []}, {"server": {"auth": {"api_key": "sk-test-of-the-relay-0000"}}})
        for method, path in (("GET", "/v1/files"), ("POST", "/v1/messages/batches")):
            self.assertEqual(stack.answer(stack.send(b"{}", method, path)).status, 401)
        self.assertEqual(stack.asked("a"), [])

    def test_no_way_round(self) -> None:
        """A path that climbs out of where it belongs is refused, however it is written."""
        stack = Stack(self, {"a": []})
        words = "The path of a request must have no . or .. in it."
        paths = ("/v1/files/../organizations", "/v1/files/%2e%2E/x", "/v1/files/.%2e%2fx", "/v1/files/./x")
        for path in paths:
            self.assert_refused(stack, stack.get(path), 400, "invalid_request_error", words)
        self.assertEqual(stack.asked("a"), [])


class DownloadTests(DoorTestCase):
    """A file comes down while it arrives."""

    def setUp(self) -> None:
        """Let the account be a provider whose every byte can be seen."""
        self.stack = Stack(self, {"a": []})
        self.provider = Provider(self.stack)
        self.peer = self.stack.send(b"", "GET", "/v1/files/f_1/content", HEADERS)

    def begin(self, framing: str, body: bytes = b"") -> None:
        """Let the provider begin with an answer."""
        self.provider.peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + body)
        self.stack.go()

    def test_as_it_comes(self) -> None:
        """Each piece comes down as it arrives, with the length, and the fields that a download needs."""
        self.begin(
            "content-length: 10\r\ncontent-type: application/pdf\r\netag: e\r\nlast-modified: l\r\n"
            "content-disposition: attachment\r\nset-cookie: a=b\r\nx-own: 1",
            b"first",
        )
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.status, answer.body, answer.complete), (200, b"first", False))
        own = {"connection", "x-ccrelay-request-id", "request-id"}
        self.assertEqual(
            {name: value for name, value in answer.headers.items() if name not in own},
            {
                "content-length": "10", "content-type": "application/pdf", "etag": "e", "last-modified": "l",
                "content-disposition": "attachment",
            },
        )  # fmt: skip
        self.provider.peer.send(b"\0last")
        self.stack.go()
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.body, answer.complete, self.stack.why), (b"first\0last", True, "complete"))
        self.assertEqual(self.stack.logged[-1]["bytes"], 10)

    def test_without_a_length(self) -> None:
        """A download of unknown length comes down in chunks."""
        self.begin("transfer-encoding: chunked", chunk(b"first"))
        self.assertEqual(self.stack.answer(self.peer).body, b"first")
        self.provider.peer.send(chunk(b"last") + b"0\r\n\r\n")
        self.stack.go()
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.body, answer.complete), (b"firstlast", True))

    def test_a_refusal(self) -> None:
        """A refusal comes down byte for byte, whatever it is."""
        self.provider.answers("404 Not Found", b"no such <file>", content_type="text/html")
        self.stack.go()
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.status, answer.body), (404, b"no such <file>"))

    def test_elsewhere(self) -> None:
        """A redirect is followed by nobody: not by the relay, with its key, nor by the client."""
        self.provider.answers("302 Found", location="http://b/x")
        self.stack.go()
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.status, answer.complete, "location" in answer.headers), (302, True, False))
        self.assertEqual([made.name for made in self.stack.network.connections], ["relay", "a"])

    def test_nothing_to_send(self) -> None:
        """An answer that has no body says nothing of its length (RFC 9110, 8.6)."""
        self.provider.peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.stack.go()
        answer = self.stack.answer(self.peer)
        self.assertEqual((answer.status, answer.complete, self.peer.closed), (204, True, False))
        self.assertEqual({"content-length", "transfer-encoding"} & set(answer.headers), set())

    def test_lost_in_the_middle(self) -> None:
        """A download that was cut short never looks whole: the client's connection is cut as well."""
        for framing in ("content-length: 10", "transfer-encoding: chunked"):
            peer = self.stack.send(b"", "GET", "/v1/files/f_1/content", HEADERS)
            self.begin(framing, chunk(b"first") if "chunked" in framing else b"first")
            self.provider.peer.reset()
            self.stack.go()
            self.assertEqual((self.stack.answer(peer).complete, peer.closed), (False, True))
            self.assertTrue(self.stack.why.startswith("upstream lost: "), self.stack.why)

    def test_a_provider_that_stops(self) -> None:
        """A download of which nothing comes for idle_timeout_ms is cut off."""
        self.begin("content-length: 10", b"first")
        self.stack.go(301)
        self.assertTrue(self.peer.closed)
        self.assertEqual(self.stack.why, "nothing moved for 300 s")

    def test_a_client_that_leaves(self) -> None:
        """A client that leaves lets the provider go."""
        self.begin("content-length: 10", b"first")
        self.peer.hang_up()
        self.stack.go()
        self.assertEqual((self.provider.peer.closed, self.stack.why), (True, "client left"))

    def test_a_slow_client_holds_the_provider_back(self) -> None:
        """Of a file that comes faster than the client reads no more is kept than transports hold."""
        self.peer.pause()
        self.begin(f"content-length: {LONG}", b"x" * LONG)
        self.stack.go(10)
        self.assertGreater(self.provider.peer.transport.waiting, LONG - 500_000)
        down = [made for made in self.stack.network.connections if made.name == "relay"]
        self.assertLess(down[0].server.peak, 256 * 1024)
        self.peer.resume()
        self.stack.go(1)
        self.assertEqual(len(self.stack.answer(self.peer).body), LONG)

"""Files on their way up: passed on while they arrive, held back, broken off."""

from __future__ import annotations

from tests.network import http_request
from tests.stack import Stack
from tests.web.stage import HOST, NOT_HTTP, DoorTestCase, Provider, chunk

LONG = 5_000_000
CHUNKED = ("transfer-encoding", "chunked")
FORM = (HOST, ("content-type", "multipart/form-data; boundary=x"))
LENGTH = (*FORM, ("content-length", str(LONG)))


class UploadTests(DoorTestCase):
    """A file goes up while it arrives."""

    def setUp(self) -> None:
        """Let the account be a provider whose every byte can be seen."""
        self.stack = Stack(self, {"a": []}, {"server": {"max_body_bytes": 1000}})
        self.provider = Provider(self.stack)

    def test_as_it_comes(self) -> None:
        """Of a file of known length each piece is passed on as it comes, of any type and any size."""
        peer = self.stack.send(b"first,", path="/v1/files?beta=true", headers=LENGTH)
        head, _, first = self.provider.peer.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /v1/files?beta=true HTTP/1.1\r\n"))
        for field in (b"content-length: %d" % LONG, b"content-type: multipart/form-data; boundary=x"):
            self.assertIn(b"\r\n" + field, head.lower())
        self.assertEqual(first, b"first,")
        peer.send(b"x" * (LONG - 6))
        self.stack.go()
        self.assertEqual(self.provider.body, b"first," + b"x" * (LONG - 6))
        self.provider.answers("200 OK", b'{"id":"f"}', content_type="application/json")
        self.stack.go()
        answer = self.stack.answer(peer)
        self.assertEqual((answer.status, answer.body, peer.closed), (200, b'{"id":"f"}', False))
        self.assertEqual((self.stack.why, self.stack.logged[-1]["path"]), ("complete", "/v1/files"))

    def test_in_chunks(self) -> None:
        """Of a file of unknown length likewise."""
        peer = self.stack.send(chunk(b"first"), path="/v1/files", headers=(*FORM, CHUNKED))
        self.assertIn(b"transfer-encoding: chunked\r\n", self.provider.peer.received.lower())
        self.assertEqual(self.provider.body, chunk(b"first"))
        peer.send(chunk(b"second") + b"0\r\n\r\n")
        self.stack.go()
        self.assertEqual(self.provider.body, chunk(b"first") + chunk(b"second") + b"0\r\n\r\n")
        self.provider.answers("200 OK", b"{}")
        self.stack.go()
        self.assertEqual(self.stack.answer(peer).status, 200)

    def test_a_slow_provider_holds_the_client_back(self) -> None:
        """Of a file that comes faster than it goes no more is kept than transports hold."""
        peer = self.stack.send(path="/v1/files", headers=LENGTH)
        self.provider.peer.pause()
        peer.send(b"x" * LONG)
        self.stack.go(10)
        self.assertGreater(peer.transport.waiting, LONG - 400_000)
        up = [made for made in self.stack.network.connections if made.name == "a"]
        self.assertLess(up[0].client.peak, 256 * 1024)
        self.provider.peer.resume()
        self.stack.go()
        self.assertEqual(len(self.provider.body), LONG)

    def test_no_provider_yet(self) -> None:
        """While the provider is being connected to the client is held back as well."""
        self.stack.network.blackhole("a")
        peer = self.stack.send(b"x" * LONG, path="/v1/files", headers=LENGTH)
        self.assertGreater(peer.transport.waiting, LONG - 600_000)
        self.stack.go(10)
        words = "The provider a did not answer: no connection within 10 s."
        self.assert_refused(self.stack, self.stack.answer(peer), 502, "api_error", words)

    def test_a_provider_that_takes_nothing(self) -> None:
        """A provider that takes nothing for two minutes is given up; the client is not to blame."""
        peer = self.stack.send(path="/v1/files", headers=LENGTH)
        self.provider.peer.pause()
        peer.send(b"x" * LONG)
        self.stack.go(121)
        words = "The provider a did not answer: it took nothing of the body for 120 s."
        self.assert_refused(self.stack, self.stack.answer(peer), 504, "timeout_error", words)
        self.provider.peer.resume()

    def test_a_client_that_stops(self) -> None:
        """A client that sends nothing for two minutes gets a 408, and the provider is let go."""
        peer = self.stack.send(b"x", path="/v1/files", headers=LENGTH)
        self.stack.go(121)
        words = "The request's body arrives too slowly; send it in one go."
        self.assert_refused(self.stack, self.stack.answer(peer), 408, "timeout_error", words)
        self.assertTrue(self.provider.peer.closed)

    def test_a_client_that_leaves(self) -> None:
        """A client that leaves in the middle takes its upload with it; the provider never sees an end."""
        for gone in ("hang_up", "reset"):
            peer = self.stack.send(chunk(b"x"), path="/v1/files", headers=(*FORM, CHUNKED))
            getattr(peer, gone)()
            self.stack.go()
            self.assertTrue(self.provider.peer.closed)
            self.assertEqual((self.provider.body, self.stack.why), (chunk(b"x"), "client left"))

    def test_not_a_body(self) -> None:
        """A body that breaks its framing is the client's fault: 400, and the provider never sees an end."""
        peer = self.stack.send(chunk(b"x"), path="/v1/files", headers=(*FORM, CHUNKED))
        peer.send(b"nonsense\r\n")
        self.stack.go()
        self.assert_refused(self.stack, self.stack.answer(peer), 400, "invalid_request_error", NOT_HTTP)
        self.assertTrue(self.provider.peer.closed)
        self.assertEqual(self.provider.body, chunk(b"x"))

    def test_not_a_body_while_connecting(self) -> None:
        """So it is where the provider was not connected to by then."""
        self.stack.network.latency = 1.0
        peer = self.stack.connect()
        self.stack.go(1)
        peer.send(http_request("POST", "/v1/files", (*FORM, CHUNKED)) + chunk(b"x") + b"nonsense\r\n")
        self.stack.go(5)
        self.assert_refused(self.stack, self.stack.answer(peer), 400, "invalid_request_error", NOT_HTTP)
        self.stack.network.latency = 0.0

    def test_an_early_refusal(self) -> None:
        """What a provider says before it has all of a file reaches the client, who is still sending."""
        peer = self.stack.send(b"x" * 1000, path="/v1/files", headers=LENGTH)
        self.provider.answers("413 Too Large", b"{}", request_id="req_1")
        self.stack.go()
        peer.send(b"x" * 1_000_000)
        self.stack.go()
        answer = self.stack.answer(peer)
        self.assertEqual((answer.status, answer.body, answer.headers["request-id"]), (413, b"{}", "req_1"))
        self.assertEqual((answer.headers["connection"], peer.reason), ("close", None))
        self.stack.go(2)
        self.assertTrue(peer.closed)
        self.assertTrue(self.provider.peer.closed)

    def test_a_provider_that_is_lost(self) -> None:
        """A provider that is lost in the middle is a 502; there is no other account to try."""
        peer = self.stack.send(b"x" * 1000, path="/v1/files", headers=LENGTH)
        self.provider.peer.reset()
        self.stack.go()
        words = "The provider a did not answer: the connection was closed before an answer began."
        self.assert_refused(self.stack, self.stack.answer(peer), 502, "api_error", words)

"""What a web page in the user's browser must not do: Host and Origin, judged before anything else."""

from __future__ import annotations

from ccrelay.errors import Forbidden, Malformed
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.web.gate import Gate
from tests.network import http_request
from tests.stack import HEADERS, Stack, body
from tests.web.stage import HOST, JSON, DoorTestCase

PAGE = "https://app.example"
FOREIGN_HOST = "The host name '{}' is not this relay's; add it to server.allowed_hosts if it should be."
FOREIGN = f"Web pages of {PAGE} may not ask here; add it to server.allowed_origins if they should."
ONE_HOST = "A request must have exactly one Host header."
FETCH = (HOST, JSON, ("origin", PAGE))
PREFLIGHT = (
    HOST, ("origin", PAGE), ("access-control-request-method", "POST"),
    ("access-control-request-headers", "content-type,x-api-key,anthropic-version"),
)  # fmt: skip


class HostTests(DoorTestCase):
    """A page that rebinds its own name to this machine still sends that name."""

    def test_names(self) -> None:
        """A name that is not the relay's is a 403 that says where to allow it; nobody is asked."""
        stack = Stack(self, {"a": [Says("x")]})
        for host in (
            "evil.example", "evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example", "a",
            "localhostx", "api.anthropic.com", "[::1", "", ":8787", "0x7f.1", "2130706433", "x@localhost",
        ):  # fmt: skip
            for path, method in (("/v1/messages", "POST"), ("/health", "GET"), ("/nothing", "GET")):
                answer = stack.answer(stack.send(b"", method, path, (("host", host), JSON)))
                self.assert_refused(stack, answer, 403, "permission_error", FOREIGN_HOST.format(host))
        self.assertEqual(stack.asked("a"), [])

    def test_this_machine(self) -> None:
        """Addresses pass, as rebinding needs a name, and so do localhost and what the operator allows."""
        stack = Stack(self, {"a": [Says("x")]}, {"server": {"allowed_hosts": ["Relay.Example"]}})
        for host in (
            "localhost", "localhost:8787", "LocalHost.", "127.0.0.1:8787", "10.1.2.3", "[::1]", "[::1]:8787",
            "[fe80::1]:80", "relay.example", "RELAY.EXAMPLE:443", "relay.example.:443",
        ):  # fmt: skip
            self.assertEqual(stack.ask(headers=(("host", host), JSON)).status, 200, host)

    def test_a_unix_socket(self) -> None:
        """Over a unix socket, where no browser reaches, any name passes."""
        stack = Stack(self, {"a": [Says("x")]})
        for host in ("relay", "evil.example", ""):
            peer = stack.connect(unix=True)
            peer.send(http_request("POST", "/v1/messages", (("host", host), JSON), body()))
            stack.go()
            self.assertEqual(stack.answer(peer).status, 200)

    def test_exactly_one(self) -> None:
        """No Host, and two of them, are a 400, over a unix socket too: two readers could pick another one."""
        two = b"Host: localhost\r\nHost: localhost\r\n"
        for unix in (False, True):
            stack = Stack(self, {"a": [Says("x")]})
            for fields in (b"", two, b"Host: localhost\r\nhost: evil.example\r\n"):
                peer = stack.connect(unix=unix)
                peer.send(b"GET /health HTTP/1.1\r\n" + fields + b"\r\n")
                stack.go()
                self.assert_refused(stack, stack.answer(peer), 400, "invalid_request_error", ONE_HOST)


class OriginTests(DoorTestCase):
    """A browser tells from which page a request comes."""

    def test_a_foreign_page(self) -> None:
        """A page that is not allowed gets a 403 and no CORS field, whatever it asks for."""
        stack = Stack(self, {"a": [Says("x")]})
        for method, path, headers in (
            ("POST", "/v1/messages", FETCH),
            ("GET", "/", FETCH),
            ("GET", "/v1/models", FETCH),
            ("OPTIONS", "/v1/messages", PREFLIGHT),
            ("POST", "/api/event_logging/batch", FETCH),
        ):
            answer = stack.answer(stack.send(b"", method, path, headers))
            self.assert_refused(stack, answer, 403, "permission_error", FOREIGN)
            self.assertEqual([name for name in answer.headers if name.startswith("access-control")], [])
        self.assertEqual(stack.asked("a"), [])

    def test_nearly_allowed(self) -> None:
        """An origin is allowed to the letter: scheme, name and port; null never is."""
        stack = Stack(self, {"a": [Says("x")]}, {"server": {"allowed_origins": [PAGE]}})
        for origin in (
            "http://app.example", f"{PAGE}:8443", f"{PAGE}.evil.example", "https://x.app.example", "null", "",
        ):  # fmt: skip
            words = (
                f"Web pages of {origin} may not ask here; add it to server.allowed_origins if they should."
            )
            answer = stack.ask(headers=(HOST, JSON, ("origin", origin)))
            self.assert_refused(stack, answer, 403, "permission_error", words)
        self.assertEqual(stack.asked("a"), [])

    def test_an_allowed_page(self) -> None:
        """A page that is allowed may read the answer, also an error, also a stream."""
        stack = Stack(
            self, {"a": [Says("x"), Says("x"), Refuses(400)]}, {"server": {"allowed_origins": [PAGE]}}
        )
        for content, status in ((body(), 200), (body(stream=True), 200), (body(), 400), (b"{", 400)):
            answer = stack.ask(content, headers=FETCH)
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["access-control-allow-origin"], PAGE)
            self.assertEqual(answer.headers["vary"], "Origin")

    def test_a_preflight(self) -> None:
        """An allowed page is told what it may send, with no credential needed and no provider asked."""
        stack = Stack(
            self,
            {"a": [Says("x")]},
            {"server": {"allowed_origins": [PAGE], "auth": {"api_key": "sk-test-of-the-relay-0000"}}},
        )
        for headers, wanted in ((PREFLIGHT, PREFLIGHT[-1][1]), (PREFLIGHT[:-1], "")):
            peer = stack.send(b"", "OPTIONS", "/v1/messages?beta=true", headers)
            answer = stack.answer(peer)
            told = {
                name: value for name, value in answer.headers.items() if name.startswith("access-control")
            }
            self.assertEqual((answer.status, answer.rest, peer.closed), (204, b"", False))
            self.assertEqual(
                told,
                {
                    "access-control-allow-origin": PAGE,
                    "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
                    "access-control-allow-headers": wanted,
                    "access-control-max-age": "600",
                },
            )
            self.assertEqual(stack.logged[-1]["level"], "debug")
        self.assertEqual(stack.asked("a"), [])

    def test_no_page(self) -> None:
        """Programs send no Origin and get no CORS fields."""
        stack = Stack(self, {"a": [Says("x")]}, {"server": {"allowed_origins": [PAGE]}})
        answer = stack.ask(headers=HEADERS)
        self.assertEqual(answer.status, 200)
        self.assertEqual([name for name in answer.headers if name.startswith(("access-", "vary"))], [])


class GateTests(DoorTestCase):
    """The gate by itself."""

    def test_judges_a_head(self) -> None:
        """It returns the allowed origin, None without one, and raises what is to be answered."""
        gate = Gate(frozenset({"relay.example"}), frozenset({PAGE}))
        origin = (b"origin", PAGE.encode())
        self.assertIsNone(gate.judge(((b"host", b"relay.example:1"),), http11=True, local=False))
        self.assertEqual(gate.judge(((b"host", b"localhost"), origin), http11=True, local=False), PAGE)
        for headers, problem in (
            ((), Malformed),
            (((b"host", b"localhost"), (b"host", b"localhost")), Malformed),
            (((b"host", b"\xff"),), Forbidden),
            (((b"host", b"localhost"), (b"origin", b"\xff")), Forbidden),
        ):
            self.assertRaises(problem, gate.judge, headers, http11=True, local=False)

    def test_old_clients(self) -> None:
        """HTTP/1.0 knows no Host; a foreign one is refused there as well."""
        gate = Gate()
        self.assertIsNone(gate.judge((), http11=False, local=False))
        foreign = ((b"host", b"evil.example"),)
        self.assertRaises(Forbidden, gate.judge, foreign, http11=False, local=False)

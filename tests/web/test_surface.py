"""Every path that clients may ask for, and what each answer carries."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from ccrelay.simulator.acts import Plays, Refuses, Says
from ccrelay.simulator.steps import Chunk, End, Head
from tests.stack import HEADERS, Plain, Stack, body
from tests.web.stage import HOST, JSON, DoorTestCase

STRANGER = (HOST, JSON)
LOCKED = {"server": {"auth": {"api_key": "sk-test-of-the-relay-0000"}}}
MESSAGE = b'{"type":"message","content":[]}'


class PathTests(DoorTestCase):
    """Requests are routed by their path alone."""

    def test_the_query_goes_upstream(self) -> None:
        """Whatever query a client sends with a message reaches the provider as it is."""
        stack = Plain(self, {"a": [Says("x")]})
        for query in ("", "?beta=true", "?beta=true&x=%20y&x=2", "?a=/v1/models", "?x=%ff+%00"):
            self.assertEqual(stack.ask(path="/v1/messages" + query).status, 200)
            self.assertEqual(stack.asked("a")[-1].target, "/v1/messages" + query)

    def test_what_stands_before_the_path(self) -> None:
        """The provider's base_url is what stands before /v1/messages."""
        stack = Plain(self, {"a": [Says("x")]}, base_url="http://a/api/anthropic")
        stack.ask(path="/v1/messages?beta=true")
        self.assertEqual(stack.asked("a")[0].target, "/api/anthropic/v1/messages?beta=true")

    def test_unknown_paths(self) -> None:
        """A path that nobody knows is a 404 in Anthropic's JSON, which says where messages are."""
        stack = Plain(self, {"a": [Says("x")]})
        paths = (
            "/v1", "/v1/messages/", "/v1/Messages", "/v1/complete", "/messages", "/health/",
            "/v1%2Fmessages/x", "/favicon.ico", "/v1/organizations/me",
        )  # fmt: skip
        for path in paths:
            for method in ("GET", "POST"):
                words = f"There is nothing at {path}; messages are at /v1/messages."
                answer = stack.answer(stack.send(b"", method, path + "?beta=true"))
                self.assert_refused(stack, answer, 404, "not_found_error", words)
        self.assertEqual(stack.asked("a"), [])

    def test_no_redirects(self) -> None:
        """A path with slashes too many is a 404 as well: nobody is sent elsewhere with a credential."""
        stack = Plain(self, {"a": [Says("x")]})
        answer = stack.ask(path="//v1//messages")
        words = "There is nothing at //v1//messages; messages are at /v1/messages."
        self.assert_refused(stack, answer, 404, "not_found_error", words)

    def test_wrong_methods(self) -> None:
        """A wrong method is a 405 that lists the right ones."""
        stack = Plain(self, {"a": [Says("x")]})
        for method, path, allowed in (
            ("GET", "/v1/messages", "POST"),
            ("DELETE", "/v1/messages", "POST"),
            ("PUT", "/v1/messages/count_tokens", "POST"),
            ("POST", "/v1/models", "GET, HEAD"),
            ("POST", "/v1/models/claude", "GET, HEAD"),
            ("OPTIONS", "/v1/files", "DELETE, GET, HEAD, PATCH, POST, PUT"),
            ("POST", "/", "GET, HEAD"),
            ("POST", "/health", "GET, HEAD"),
            ("DELETE", "/ready", "GET, HEAD"),
            ("GET", "/api/event_logging/batch", "POST"),
            ("PROPFIND", "/v1/messages", "POST"),
        ):
            answer = stack.answer(stack.send(b"", method, path))
            words = f"{method} is not a method of {path}; it has: {allowed}."
            self.assert_refused(stack, answer, 405, "invalid_request_error", words)
            self.assertEqual(answer.headers["allow"], allowed)

    def test_a_refused_head_has_no_body(self) -> None:
        """HEAD of nothing is a 404 without a body; the connection goes on."""
        stack = Plain(self, {})
        peer = stack.send(b"", "HEAD", "/nothing")
        answer = stack.answer(peer, head=True)
        self.assertEqual((answer.status, answer.rest, peer.closed), (404, b"", False))


class OpenTests(DoorTestCase):
    """What needs no credential, and says nothing private."""

    def test_hello(self) -> None:
        """Connection checks are answered without a credential, and not logged at info."""
        stack = Plain(self, {"a": [Says("x")]}, LOCKED)
        for path in ("/", "/api/hello", "/?x=1"):
            answer = stack.get(path, headers=(HOST,))
            self.assertEqual((answer.status, answer.body), (200, b'{"service":"ccrelay"}'))
            head = stack.get(path, "HEAD", headers=(HOST,))
            self.assertEqual((head.status, head.rest, head.headers["content-length"]), (200, b"", "21"))
        self.assertEqual({line["level"] for line in stack.logged}, {"debug"})
        self.assertEqual(stack.asked("a"), [])

    def test_telemetry(self) -> None:
        """Clients' telemetry is taken without a credential and dropped; nobody reads about it."""
        stack = Plain(self, {"a": [Says("x")]}, LOCKED)
        events = b'{"events":[' + b'"private",' * 100_000 + b"0]}"
        answer = stack.answer(stack.send(events, "POST", "/api/event_logging/batch", STRANGER))
        self.assertEqual((answer.status, answer.body), (200, b"{}"))
        self.assertEqual([line["level"] for line in stack.logged], ["debug"])
        self.assertNotIn("private", "".join(stack.lines))
        self.assertEqual(stack.asked("a"), [])

    def test_health(self) -> None:
        """/health is 200 while the process serves, even with no provider and while draining."""
        stack = Plain(self, {}, LOCKED)
        for _ in range(2):
            answer = stack.get("/health", headers=(HOST,))
            self.assertEqual((answer.status, answer.body), (200, b'{"status":"ok"}'))
            self.assertEqual(stack.logged[-1]["level"], "debug")
            self.successResultOf(Deferred.fromCoroutine(stack.in_flight.drain(stack.clock, 1)))

    def assert_not_ready(self, stack: Stack, reason: str) -> None:
        """Assert that /ready says why no request could be served."""
        answer = stack.get("/ready", headers=(HOST,))
        body = b'{"status":"not ready","reason":"%b"}' % reason.encode()
        self.assertEqual((answer.status, answer.body, answer.headers["retry-after"]), (503, body, "5"))
        self.assertEqual(stack.logged[-1]["level"], "debug")

    def test_ready(self) -> None:
        """/ready is 200 while a request could be served, without asking a provider."""
        stack = Plain(self, {"a": [Says("x")]}, LOCKED)
        answer = stack.get("/ready", headers=(HOST,))
        self.assertEqual((answer.status, answer.body), (200, b'{"status":"ready"}'))
        self.assertEqual(stack.asked("a"), [])

    def test_not_ready_without_a_provider(self) -> None:
        """/ready is 503 where no provider is enabled."""
        self.assert_not_ready(Plain(self, {"a": [Says("x")]}, enabled=False), "no provider is enabled")

    def test_not_ready_without_a_key(self) -> None:
        """/ready is 503 once every key is exhausted, until the soonest is free again."""
        stack = Plain(self, {"a": [Refuses(402)]})
        stack.ask()
        self.assert_not_ready(stack, "every key is exhausted")
        stack.go(3601)
        self.assertEqual(stack.get("/ready").status, 200)

    def test_not_ready_while_draining(self) -> None:
        """/ready is 503 from the moment the relay is told to stop."""
        stack = Plain(self, {"a": [Says("x")]})
        self.successResultOf(Deferred.fromCoroutine(stack.in_flight.drain(stack.clock, 1)))
        self.assert_not_ready(stack, "draining")


class IdTests(DoorTestCase):
    """Every answer can be found again."""

    def test_on_every_answer(self) -> None:
        """Each answer has an id of its own, which is that of its line in the log."""
        stack = Plain(self, {"a": [Says("x")]}, {"server": {"allowed_origins": ["https://a.example"]}})
        page = (*HEADERS, ("origin", "https://a.example"), ("access-control-request-method", "POST"))
        answers = [
            stack.ask(), stack.ask(body(stream=True)), stack.ask(b"{"), stack.ask(path="/v1/files"),
            stack.ask(path="/v1/messages/count_tokens"), stack.get("/nothing"), stack.get("/v1/messages"),
            stack.get("/v1/models"), stack.get("/health"), stack.get("/ready"), stack.get("/"),
            stack.get("/", "HEAD"), stack.ask(path="/api/event_logging/batch"),
            stack.get("/v1/messages", "OPTIONS", page), stack.get("/", headers=(("host", "evil.example"),)),
        ]  # fmt: skip
        ids = [answer.headers["x-ccrelay-request-id"] for answer in answers]
        self.assertEqual(ids, [line["id"] for line in stack.logged])
        self.assertEqual(len(set(ids)), len(ids))
        for answer in answers:
            self.assertTrue(answer.headers["request-id"].startswith(("req_ccrelay_", "req_sim_")))

    def test_the_providers_id_comes_first(self) -> None:
        """request-id is the provider's where it gave one, else the relay's."""
        head = Head(200, ((b"content-type", b"application/json"),), len(MESSAGE))
        stack = Plain(self, {"a": [Says("x"), Plays((head, Chunk(MESSAGE), End()))]})
        self.assertEqual(stack.ask().headers["request-id"], "req_sim_00000001")
        self.assertEqual(stack.logged[-1]["upstream_id"], "req_sim_00000001")
        answer = stack.ask()
        self.assertEqual(answer.headers["request-id"], answer.headers["x-ccrelay-request-id"])


class HeaderTests(DoorTestCase):
    """What header fields an answer has."""

    def test_only_what_is_meant_for_the_client(self) -> None:
        """Every anthropic-* field of an answer comes down, also a new one; the provider's affairs do not."""
        passed = (
            (b"anthropic-ratelimit-requests-remaining", b"7"), (b"anthropic-organization-id", b"org"),
            (b"anthropic-new-thing", b"1, 2"), (b"retry-after", b"3"), (b"x-should-retry", b"true"),
        )  # fmt: skip
        kept = (
            (b"set-cookie", b"a=b"), (b"server", b"cloudflare"), (b"cf-ray", b"1"), (b"via", b"1.1 x"),
            (b"x-ccrelay-provider", b"somebody"), (b"access-control-allow-origin", b"*"),
            (b"strict-transport-security", b"max-age=1"), (b"x-envoy-upstream-service-time", b"1"),
        )  # fmt: skip
        acts = [Says("x", headers=passed + kept), Refuses(400, headers=passed + kept)]
        own = {"content-type", "content-length", "connection", "request-id", "x-ccrelay-request-id"}
        stack = Plain(self, {"a": acts})
        for status in (200, 400):
            answer = stack.ask()
            self.assertEqual(answer.status, status)
            self.assertEqual(set(answer.headers) - own, {name.decode() for name, _ in passed})
            for name, value in passed:
                self.assertEqual(answer.headers[name.decode()], value.decode())

    def test_how_it_came_about(self) -> None:
        """With routing.debug each answer tells provider, key, strategy and attempts."""
        key = {"keys": [{"key": "sk-test-of-b-0123456789", "name": "main"}]}
        settings = {"routing": {"debug": True}, "providers": {"b": key}}
        stack = Plain(self, {"a": [Refuses(500)], "b": [Says("x"), Says("x"), Refuses(400)]}, settings)
        for asked, status in ((body(), 200), (body(stream=True), 200), (body(), 400)):
            answer = stack.ask(asked)
            told = {name: value for name, value in answer.headers.items() if name.startswith("x-ccrelay-")}
            self.assertEqual(answer.status, status)
            self.assertTrue(told.pop("x-ccrelay-request-id"))
            self.assertEqual(
                told,
                {
                    "x-ccrelay-provider": "b",
                    "x-ccrelay-key": "main",
                    "x-ccrelay-strategy": "failover",
                    "x-ccrelay-attempts": "2",
                },
            )

    def test_nobody_elses_business(self) -> None:
        """Without routing.debug no answer tells where it came from."""
        stack = Plain(self, {"a": [Says("x"), Says("x"), Refuses(400)]})
        for asked in (body(), body(stream=True), body()):
            told = [name for name in stack.ask(asked).headers if name.startswith("x-ccrelay-")]
            self.assertEqual(told, ["x-ccrelay-request-id"])

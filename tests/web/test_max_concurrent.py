"""How many requests are served at once: a slot is taken after the credential, and always given back."""

from __future__ import annotations

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks, Stalls
from tests.network import http_request
from tests.stack import HEADERS, Plain, Stack, body
from tests.web.stage import HOST, JSON, DoorTestCase

FULL = "ccrelay is serving 1 requests (server.max_concurrent); try again in a moment."
RELAY_KEY = "sk-test-of-the-relay-0000"


class FullTests(DoorTestCase):
    """When all slots are taken."""

    def setUp(self) -> None:
        """Take the only slot."""
        settings = {"server": {"max_concurrent": 1, "auth": {"api_key": RELAY_KEY}}}
        self.stack = Plain(self, {"a": [Says("x y z", pace=1), Says("y")]}, settings)
        self.headers = (HOST, JSON, ("x-api-key", RELAY_KEY))
        self.peer = self.stack.send(body(stream=True), headers=self.headers)

    def test_the_next_one(self) -> None:
        """One request more is a 503 with a short Retry-After; the one that is served does not notice."""
        for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/files"):
            answer = self.stack.ask(path=path, headers=self.headers)
            self.assert_refused(self.stack, answer, 503, "api_error", FULL)
            self.assertEqual(answer.headers["retry-after"], "2")
        self.stack.go(20)
        self.assertEqual(self.stack.events(self.peer)[-1], "message_stop")
        self.assertEqual(self.stack.ask(headers=self.headers).status, 200)

    def test_strangers_take_none(self) -> None:
        """Whoever has no credential is told that, full or not, and can keep nobody out."""
        answer = self.stack.ask(headers=(HOST, JSON))
        self.assertEqual(answer.status, 401)
        self.peer.reset()
        self.stack.go()
        slow = self.stack.send(headers=(HOST, JSON, ("content-length", "1000000")))
        self.assertEqual(self.stack.ask(headers=self.headers).status, 200)
        self.assertEqual(self.stack.answer(slow).status, 401)

    def test_what_needs_no_slot(self) -> None:
        """Health, readiness, connection checks and the list of models are answered all the same."""
        for path in ("/health", "/ready", "/", "/v1/models"):
            self.assertEqual(self.stack.get(path, headers=self.headers).status, 200)


class GivenBackTests(DoorTestCase):
    """A slot comes back, however a request ends."""

    def assert_free(self, stack: Stack, status: int) -> None:
        """Assert how the last request ended, and that there is a slot for the next one."""
        self.assertEqual((stack.logged[-1]["status"], len(stack.in_flight)), (status, 0))
        self.assertEqual(stack.ask().status, 200)

    def stack_of(self, *acts: object) -> Stack:
        """Return a relay with one slot whose provider does this first, and is well after that."""
        return Plain(self, {"a": [*acts, Says("well")]}, {"server": {"max_concurrent": 1}})

    def test_after_an_answer(self) -> None:
        """After answers and refusals, streamed or not."""
        for stream in (False, True):
            for act, status in ((Says("x"), 200), (Refuses(400), 400), (Refuses(429), 429)):
                stack = self.stack_of(act)
                self.assertEqual(stack.ask(body(stream=stream), 1).status, status)
                self.assert_free(stack, status)

    def test_after_a_failure(self) -> None:
        """After a provider that was lost, before its head and in the middle."""
        for act, stream, status in (
            (Breaks(after_events=None), False, 502),
            (Breaks(after_events=4), True, 200),
            (Breaks(after_events=1), False, 502),
        ):
            stack = self.stack_of(act)
            stack.ask(body(stream=stream), 1)
            self.assert_free(stack, status)

    def test_after_bad_input(self) -> None:
        """After bodies that are no request."""
        for content, headers, status in (
            (b"{", HEADERS, 400),
            (b"{}", (HOST,), 415),
            (b"", (*HEADERS, ("content-length", "99999999999")), 413),
        ):
            stack = self.stack_of()
            self.assertEqual(stack.ask(content, headers=headers).status, status)
            self.assert_free(stack, status)

    def test_after_a_slow_body(self) -> None:
        """After a body that never came: until then its request holds the slot."""
        stack = self.stack_of()
        stack.send(headers=(*HEADERS, ("content-length", "1000")))
        self.assertEqual((len(stack.in_flight), stack.ask().status), (1, 503))
        stack.go(15)
        self.assert_free(stack, 408)

    def test_after_a_client_that_left(self) -> None:
        """After a client that left: while its body came, while its provider was silent, in its stream."""
        for act, content in (
            (None, None),
            (Stalls(before_head=True), body()),
            (Stalls(before_head=True), body(stream=True)),
            (Says("x", pace=9), body(stream=True)),
        ):
            stack = self.stack_of(*([] if act is None else [act]))
            head = http_request("POST", "/v1/messages", (*HEADERS, ("content-length", "1000")))
            peer = stack.connect()
            peer.send(head if content is None else http_request("POST", "/v1/messages", HEADERS, content))
            stack.go(1)
            self.assertEqual(len(stack.in_flight), 1)
            peer.reset()
            stack.go()
            self.assertEqual(stack.why, "client left")
            self.assertEqual((len(stack.in_flight), stack.ask().status), (0, 200))

    def test_no_limit(self) -> None:
        """max_concurrent: 0 is no limit."""
        stack = Plain(self, {"a": [Says("x", pace=9)]})
        for _ in range(50):
            stack.send(body(stream=True))
        self.assertEqual(len(stack.in_flight), 50)

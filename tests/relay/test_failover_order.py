"""Failing over in order and within bounds, and which of many failures is the answer."""

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from tests.network import sse
from tests.relay.test_failover import HEADERS, ONE_KEY, SECOND, attempts, refusal, text, words
from tests.stack import KEY, Plain, body


class OrderTests(SynchronousTestCase):
    """Which provider, and which of its keys, comes before which."""

    def test_file_order(self) -> None:
        """Without priorities the order is the file's."""
        stack = Plain(self, {name: [refusal(500)] for name in "dacb"}, keys=ONE_KEY)
        stack.ask()
        self.assertEqual(attempts(stack), ["d/first", "a/first", "c/first", "b/first"])

    def test_providers(self) -> None:
        """The provider of the higher priority comes first; those of the same keep the file's order."""
        priorities = {"a": {"priority": 1}, "b": {"priority": 5}, "c": {"priority": 1}, "d": {"priority": 5}}
        stack = Plain(
            self, {name: [refusal(500)] for name in priorities}, {"providers": priorities}, keys=ONE_KEY
        )
        stack.ask()
        self.assertEqual(attempts(stack), ["b/first", "d/first", "a/first", "c/first"])

    def test_keys(self) -> None:
        """Within a provider the key of the higher priority comes first."""
        keys = [{"key": KEY, "name": "low", "priority": 1}, {"key": SECOND, "name": "high", "priority": 9}]
        stack = Plain(self, {"a": [refusal(429)], "b": [refusal(429)]}, {"providers": {"a": {"keys": keys}}})
        stack.ask()
        self.assertEqual(attempts(stack), ["a/high", "a/low", "b/…cdef"])

    def test_the_same_every_time(self) -> None:
        """Every request begins with the first provider anew."""
        stack = Plain(self, {"a": [Says("from a")], "b": [Says("from b")]})
        self.assertEqual([text(stack.ask()) for _ in range(3)], ["from a"] * 3)


class BoundsTests(SynchronousTestCase):
    """How many attempts, and for how long."""

    def test_max_attempts(self) -> None:
        """No request gets more than routing.max_attempts, keys and providers together."""
        keys = [*ONE_KEY, {"key": SECOND, "name": "second"}]
        acts = {"a": [refusal(429)], "b": [refusal(429)], "c": [Says("from c")]}
        for allowed, asked in ((1, ["a/first"]), (3, ["a/first", "a/second", "b/first"])):
            stack = Plain(self, acts, {"routing": {"max_attempts": allowed}}, keys=keys)
            self.assertEqual(stack.ask().status, 429)
            self.assertEqual(attempts(stack), asked)
        stack = Plain(self, acts, {"routing": {"max_attempts": 5}}, keys=keys)
        self.assertEqual(text(stack.ask()), "from c")

    def test_four_by_default(self) -> None:
        """Without a number it is four."""
        stack = Plain(self, {name: [refusal(500)] for name in "abcdef"})
        stack.ask()
        self.assertEqual(len(attempts(stack)), 4)

    def test_no_new_attempt_too_late(self) -> None:
        """After routing.failover_timeout nobody else is asked."""
        late = Stalls(before_head=True, seconds=11, act=refusal(529))
        stack = Plain(self, {"a": [late], "b": [Says("b")]}, {"routing": {"failover_timeout": 10_000}})
        answer = stack.ask(seconds=12)
        self.assertEqual((answer.status, answer.body), (529, words(529)))
        self.assertEqual(stack.asked("b"), [])

    def test_another_attempt_in_time(self) -> None:
        """Before that somebody is."""
        soon = Stalls(before_head=True, seconds=9, act=refusal(529))
        stack = Plain(self, {"a": [soon], "b": [Says("from b")]}, {"routing": {"failover_timeout": 10_000}})
        self.assertEqual(text(stack.ask(seconds=10)), "from b")

    def test_a_running_attempt_is_never_cut(self) -> None:
        """An answer that began to be waited for in time is waited for."""
        late = Stalls(before_head=True, seconds=100, act=Says("late"))
        for stream in (False, True):
            stack = Plain(self, {"a": [late]}, {"routing": {"failover_timeout": 1000}})
            self.assertEqual(text(stack.ask(body(stream=stream), 101)), "late")

    def test_nor_one_that_began_last(self) -> None:
        """So is the answer of a provider that others' failures left little time."""
        acts = {
            "a": [Stalls(before_head=True, seconds=9, act=refusal(500))],
            "b": [Stalls(before_head=True, seconds=100, act=Says("late"))],
        }
        stack = Plain(self, acts, {"routing": {"failover_timeout": 10_000}})
        self.assertEqual(text(stack.ask(seconds=110)), "late")


class MostUsefulTests(SynchronousTestCase):
    """Where all fail, the client gets the failure that helps it most, as its provider told it."""

    def test_order_of_usefulness(self) -> None:
        """The last 429, else the last 401 or 403, else the last 404, else the last refusal."""
        mapped = {name: {"model_mapping": {"claude-*": "x"}} for name in "abcd"}
        for statuses, chosen in (
            ((429, 401, 500), 0), ((429, 529, 429), 2), ((500, 429, 503, 403), 1), ((402, 429), 1),
            ((401, 500, 529), 0), ((401, 403, 500), 1), ((403, 401, 404), 1), ((500, 403, 402), 1),
            ((404, 500, 503), 0), ((404, 529, 404), 2),
            ((500, 529), 1), ((529, 503, 500), 2), ((503, 402), 1), ((408, 409), 1),
        ):  # fmt: skip
            for stream in (False, True):
                names = "abcd"[: len(statuses)]
                acts = {
                    name: [Refuses(status, headers=((b"request-id", b"req_of_%b" % name.encode()),))]
                    for name, status in zip(names, statuses, strict=True)
                }
                stack = Plain(self, acts, {"providers": mapped})
                answer = stack.ask(body(stream=stream))
                told = (answer.status, answer.headers["request-id"])
                self.assertEqual(told, (statuses[chosen], f"req_of_{names[chosen]}"), statuses)
                for name, status in zip(names, statuses, strict=True):
                    self.assertIn(f"{name}: {status} ", stack.why)

    def test_the_client_s_own_fault_is_the_answer(self) -> None:
        """What is the request's own fault is told, whatever went before."""
        stack = Plain(self, {"a": [refusal(429)], "b": [refusal(400)]})
        answer = stack.ask()
        self.assertEqual((answer.status, answer.body), (400, words(400)))

    def test_words_before_none(self) -> None:
        """A refusal helps more than a provider that said nothing, before or after it."""
        for acts in (
            {"a": [refusal(500)], "b": [Breaks(after_events=None)]},
            {"a": [Breaks(after_events=None)], "b": [refusal(500)]},
        ):
            stack = Plain(self, acts)
            answer = stack.ask()
            self.assertEqual((answer.status, answer.body), (500, words(500)))

    def test_its_fields_go_with_it(self) -> None:
        """The failure that was chosen keeps its status, bytes and fields, whoever failed after it."""
        stack = Plain(self, {"a": [refusal(429)], "b": [Refuses(500, headers=((b"retry-after", b"1"),))]})
        answer = stack.ask()
        self.assertEqual((answer.status, answer.body), (429, words(429)))
        for name, value in HEADERS:
            self.assertEqual(answer.headers[name.decode()], value.decode())

    def test_nobody_said_anything(self) -> None:
        """Where no provider said a word, the answer lists each attempt with its reason."""
        stack = Plain(self, {"a": [Says("x")], "b": [Breaks(after_events=None)], "c": [Sends(b"<html>")]})
        stack.network.refuse("a")
        answer = stack.ask()
        error = json.loads(answer.body)["error"]
        self.assertEqual((answer.status, error["type"]), (502, "api_error"))
        listed = (
            "(a: connection refused; b: the connection was closed before an answer began; "
            "c: answered 200 with a body that is text/html, not a message)"
        )
        self.assertIn(listed, error["message"])
        self.assertEqual(stack.why, listed[1:-1])
        self.assertNotIn("x-should-retry", answer.headers)

    def test_all_too_late(self) -> None:
        """Where time ran out everywhere it is a 504."""
        limits = {"server": {"ping_interval_ms": 0}, "routing": {"failover_timeout": 600_000}}
        silent = Stalls(before_head=True)
        stack = Plain(self, {"a": [silent], "b": [silent]}, limits, first_byte_timeout_ms=30_000)
        answer = stack.ask(body(stream=True), 61)
        self.assertEqual((answer.status, json.loads(answer.body)["error"]["type"]), (504, "timeout_error"))

    def test_errors_that_came_first_in_streams(self) -> None:
        """An error event that came first is as good a refusal as any."""
        stack = Plain(self, {"a": [Errs(kind="rate_limit_error", message="Slow")], "b": [refusal(500)]})
        answer = stack.ask(body(stream=True))
        error = json.loads(answer.body)["error"]
        self.assertEqual((answer.status, error), (429, {"type": "rate_limit_error", "message": "Slow"}))

    def test_within_a_stream(self) -> None:
        """Where the head of the stream is out already, the most useful failure is its last event."""
        acts = {
            "a": [Stalls(before_head=True, seconds=16, act=Refuses(429, "Slow down"))],
            "b": [Refuses(500, "Broken")],
        }
        stack = Plain(self, acts)
        answer = stack.ask(body(stream=True), 20)
        events = sse(answer.body)
        self.assertEqual([name for name, _ in events], ["ping", "error"])
        self.assertEqual(events[-1][1]["error"], {"type": "rate_limit_error", "message": "Slow down"})
        self.assertEqual(events[-1][1]["request_id"], "req_sim_00000001")

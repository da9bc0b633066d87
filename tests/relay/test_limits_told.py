"""What clients are told where no key can serve: the truth about when, or why not (1.3, 3.4, 5.3, 5.5)."""

import json
from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.asked import Asked
from tests.network import Answer
from tests.relay.test_affinity import session
from tests.relay.test_limits import keys, used
from tests.stack import WALL, Stack, body

NOBODY_TWICE = {"routing": {"max_wait_ms": 0}}


def limited(wait: str, *more: tuple[bytes, bytes]) -> Refuses:
    """Return a 429 that asks to wait so long."""
    return Refuses(429, headers=((b"retry-after", wait.encode()), *more))


def left(remaining: int, resets: float | None, kind: str = "requests") -> Says:
    """Return an answer whose header fields tell how much is left of a limit, until a time."""
    name = f"anthropic-ratelimit-{kind}".encode()
    fields = [(name + b"-limit", b"1000"), (name + b"-remaining", str(remaining).encode())]
    if resets is not None:
        fields.append((name + b"-reset", datetime.fromtimestamp(resets, UTC).isoformat().encode()))
    return Says("x", headers=tuple(fields))


def message(answer: Answer) -> str:
    """Return the words of an error."""
    return json.loads(answer.body)["error"]["message"]


class HonestTests(SynchronousTestCase):
    """A refusal that is the answer keeps its words; its time is lowered only where that is true (3.4)."""

    NEVER = (b"x-should-retry", b"false")

    def refused(self, acts: Any, settings: Any = None, *limits: dict[str, int], **more: Any) -> Answer:
        """Return the answer where every key that is asked refuses; its body is the provider's."""
        stack = Stack(self, acts, settings or NOBODY_TWICE, keys=keys(*(limits or ({}, {}))), **more)
        answer = stack.ask()
        self.assertEqual(
            (answer.status, json.loads(answer.body)["error"]["message"][:11]), (429, "[simulated]")
        )
        return answer

    def test_another_key_frees_sooner(self) -> None:
        """Where the key that was asked before frees sooner, that is the time, and a repeat is welcome."""
        answer = self.refused({"a": [limited("30"), limited("50", self.NEVER)]})
        self.assertEqual(answer.headers["retry-after"], "30")
        self.assertNotIn("x-should-retry", answer.headers)

    def test_another_key_frees_later(self) -> None:
        """Where it frees later, nothing is changed: neither the time nor whether to repeat."""
        for wait in ("30", "29.5"):
            answer = self.refused({"a": [limited("50"), limited(wait, self.NEVER)]})
            self.assertEqual(
                (answer.headers["retry-after"], answer.headers["x-should-retry"]), (wait, "false")
            )

    def test_the_same_time(self) -> None:
        """Nor where both free at once."""
        answer = self.refused({"a": [limited("40"), limited("40", self.NEVER)]})
        self.assertEqual((answer.headers["retry-after"], answer.headers["x-should-retry"]), ("40", "false"))

    def test_three_days(self) -> None:
        """A time that nobody will wait for is told all the same."""
        answer = self.refused({"a": [limited("259200")]}, None, {})
        self.assertEqual(answer.headers["retry-after"], "259200")

    def test_milliseconds(self) -> None:
        """A time in milliseconds is replaced as well: no client must go by it."""
        late = Refuses(429, headers=((b"retry-after-ms", b"90000"),))
        answer = self.refused({"a": [limited("20"), late]})
        self.assertEqual(answer.headers["retry-after"], "20")
        self.assertNotIn("retry-after-ms", answer.headers)

    def test_a_key_that_was_not_asked(self) -> None:
        """A key for which no attempt was left is free now."""
        answer = self.refused({"a": [limited("30")], "b": [Says("x")]}, {"routing": {"max_attempts": 1}}, {})
        self.assertEqual(answer.headers["retry-after"], "1")

    def test_a_key_at_its_own_limit(self) -> None:
        """A key that is full frees when its minute slides on."""
        acts = {"a": lambda asked: Says("x") if asked.number == 1 else limited("45")}
        stack = Stack(self, acts, keys=keys({"rpm_limit": 1, "priority": 2}, {}))
        stack.ask()
        stack.go(40)
        self.assertEqual(stack.ask().headers["retry-after"], "20")
        self.assertEqual(used(stack), ["a/k0", "a/k1"])

    def test_keys_that_never_free(self) -> None:
        """Keys that are no longer valid, and providers that have failed, are no hope."""
        answer = self.refused({"a": [Refuses(401), limited("30")]})
        self.assertEqual(answer.headers["retry-after"], "30")
        answer = self.refused({"a": [Refuses(500)], "b": [limited("30")]}, None, {})
        self.assertEqual(answer.headers["retry-after"], "30")

    def test_other_statuses(self) -> None:
        """What is no limit keeps its time, whoever else might be free."""
        busy = Refuses(503, headers=((b"retry-after", b"30"),))
        stack = Stack(self, {"a": [busy]}, NOBODY_TWICE, keys=keys({}, {}))
        self.assertEqual(stack.ask().headers["retry-after"], "30")


class NoKeyTests(SynchronousTestCase):
    """Where no key can be used nobody is asked, and the client is told until when, or why."""

    def test_the_true_time(self) -> None:
        """With every key limited it is 429, and the time is that of the soonest, however long."""
        acts = {"a": [limited("90000")], "b": [limited("3600")]}
        stack = Stack(self, acts, keys=keys({}))
        self.assertEqual(stack.ask().headers["retry-after"], "3600")
        stack.go(600.5)
        for stream in (False, True):
            answer = stack.ask(body(stream=stream))
            self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "3000"))
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertIn("add one, or wait", message(answer))
        self.assertEqual((len(stack.asked("a")), len(stack.asked("b"))), (1, 1))
        stack.go(3000)
        self.assertEqual(stack.ask().status, 429)
        self.assertEqual(len(stack.asked("b")), 2)

    def test_limited_for_one_model(self) -> None:
        """A limit of one model is no limit of the others."""
        words = "You are over the limit of this model."
        stack = Stack(self, {"a": [Refuses(429, words, headers=((b"retry-after", b"60"),)), Says("x")]})
        self.assertEqual(stack.ask().status, 429)
        self.assertEqual((stack.ask().status, len(stack.asked("a"))), (429, 1))
        self.assertEqual(stack.ask(body(model="claude-haiku-4-5")).status, 200)

    def test_soft_facts_refuse_nobody(self) -> None:
        """A key that was refused without a time is asked again when there is no other."""
        stack = Stack(self, {"a": [Refuses(429), Says("x")]}, NOBODY_TWICE)
        self.assertEqual([stack.ask().status for _ in range(2)], [429, 200])

    def test_all_invalid(self) -> None:
        """With every key refused as unknown it is 503, with the reason and a short time; nobody is asked."""

        def acts(asked: Asked) -> Any:
            return Refuses(401) if asked.at < 1010 else Says("x")

        stack = Stack(self, {"a": [Refuses(401)], "b": acts}, keys=keys({}, {}))
        self.assertEqual(stack.ask().status, 401)
        self.assertEqual(len(used(stack)), 4)
        for stream in (False, True):
            answer = stack.ask(body(stream=stream))
            self.assertEqual((answer.status, json.loads(answer.body)["error"]["type"]), (503, "api_error"))
            self.assertIn("No provider accepts its key any more (401)", message(answer))
            self.assertLessEqual(int(answer.headers["retry-after"]), 30)
        self.assertEqual(len(used(stack)), 4)
        stack.go(10)
        stack.upstreams["b"].backend.pool.keys[0].validated()
        self.assertEqual((stack.ask().status, used(stack)[4:]), (200, ["b/k0"]))

    def test_some_invalid(self) -> None:
        """Where a key is limited and the others are invalid, the limited one's time is the answer."""
        stack = Stack(self, {"a": [Refuses(401)], "b": [limited("40")]}, keys=keys({}))
        stack.ask()
        stack.go(10)
        answer = stack.ask()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "30"))

    def test_all_disabled(self) -> None:
        """With no provider enabled it is 503, with the reason; nobody is asked, and never without a key."""
        for more in ({}, {"keys": []}, {"type": "zai"}):
            stack = Stack(self, {"a": [Says("x")], "b": [Says("x")]}, enabled=False, **more)
            for asked in (body(), body(stream=True)):
                answer = stack.ask(asked)
                self.assertEqual(
                    (answer.status, json.loads(answer.body)["error"]["type"]), (503, "api_error")
                )
                self.assertIn("No provider is enabled", message(answer))
                self.assertLessEqual(int(answer.headers["retry-after"]), 30)
            self.assertEqual((stack.asked("a"), stack.asked("b")), ([], []))


class LearnedTests(SynchronousTestCase):
    """What anthropic-ratelimit-* fields tell orders keys, and refuses nobody (5.2, 5.3)."""

    def stack(self, act: Any, number: int = 2) -> Stack:
        """Return a relay whose first answer is C{act}."""
        return Stack(self, {"a": [act, Says("x")]}, keys=keys(*[{}] * number))

    def places(self, stack: Stack, count: int = 12) -> set[str]:
        """Return the keys that new conversations are placed on."""
        before = len(used(stack))
        for n in range(count):
            self.assertEqual(stack.ask(headers=session((before, n))).status, 200)
        return set(used(stack)[before:])

    def test_short_keys_go_last(self) -> None:
        """New conversations avoid a key that has nothing left, until its limit resets."""
        for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
            stack = self.stack(left(0, WALL + 1000 + 60, kind))
            stack.ask(headers=session("first"))
            (short,) = used(stack)
            self.assertNotIn(short, self.places(stack), kind)
            stack.go(61)
            self.assertIn(short, self.places(stack), kind)

    def test_nobody_is_refused(self) -> None:
        """A key that has nothing left is asked all the same where there is no other."""
        for number in (1, 2):
            stack = Stack(self, {"a": [left(0, WALL + 5000)]}, keys=keys(*[{}] * number))
            self.assertEqual(len(self.places(stack, 6)), number)

    def test_without_a_reset(self) -> None:
        """Nothing is learned from a limit of which nobody says when it resets."""
        stack = self.stack(left(0, None))
        stack.ask(headers=session("first"))
        self.assertEqual(len(self.places(stack)), 2)

    def test_only_for_that_class_of_models(self) -> None:
        """What is left for one family of models says nothing about another."""
        stack = self.stack(left(0, WALL + 5000))
        stack.ask(headers=session("first"))
        (short,) = used(stack)
        asked = [stack.ask(body(model="claude-haiku-4-5"), headers=session(n)) for n in range(12)]
        self.assertEqual({answer.status for answer in asked}, {200})
        self.assertIn(short, used(stack)[1:])

    def test_a_refusal_teaches_too(self) -> None:
        """The fields of a refusal are as good; they reach the client as they are."""
        fields = left(0, WALL + 5000).headers
        stack = self.stack(Refuses(400, headers=fields))
        answer = stack.ask(headers=session("first"))
        (short,) = used(stack)
        self.assertEqual(answer.headers["anthropic-ratelimit-requests-remaining"], "0")
        self.assertNotIn(short, self.places(stack))

    def test_a_conversation_stays(self) -> None:
        """A conversation that is there already stays: its cache is worth more than a guess."""

        def acts(asked: Asked) -> Any:
            return left(0, WALL + 5000) if asked.number < 5 else Says("x")

        stack = Stack(self, {"a": acts}, keys=keys({}, {}))
        for _ in range(6):
            self.assertEqual(stack.ask(headers=session("s")).status, 200)
        self.assertEqual(len(set(used(stack))), 1)

"""An operator's limits of keys really hold, through the whole relay, and the time told is true (5.2, 5.5)."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Stalls
from tests.network import Answer
from tests.relay.test_affinity import session
from tests.stack import Stack, body


def keys(*limits: dict[str, int]) -> list[dict[str, Any]]:
    """Return keys with these limits."""
    return [
        {"key": f"sk-test-of-key-{n}-0123456789", "name": f"k{n}", **each} for n, each in enumerate(limits)
    ]


def used(stack: Stack) -> list[str]:
    """Return the keys of all attempts that were made."""
    return [f"{attempt.provider}/{attempt.key}" for attempt in stack.told.attempts]


def at_most(times: Sequence[float], seconds: float = 60.0) -> int:
    """Return how many of some times lie within so many seconds, wherever these begin."""
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


class Limits(SynchronousTestCase):
    """What the tests share."""

    def assert_told(self, answer: Answer, seconds: int) -> None:
        """Assert that a client is told when the soonest key frees."""
        error = json.loads(answer.body)["error"]
        self.assertEqual((answer.status, error["type"]), (429, "rate_limit_error"))
        self.assertEqual(answer.headers["retry-after"], str(seconds))


class RequestTests(Limits):
    """rpm_limit: requests in any minute."""

    def test_one_more_goes_to_the_other_key(self) -> None:
        """Request N+1 within the minute goes to the other key, also when answers came in between."""
        for stream in (False, True):
            stack = Stack(self, {"a": [Says("x")]}, keys=keys({"rpm_limit": 3}, {"rpm_limit": 3}))
            for _ in range(6):
                self.assertEqual(stack.ask(body(stream=stream), 1, headers=session("s")).status, 200)
            first, second = used(stack)[0], used(stack)[3]
            self.assertNotEqual(first, second)
            self.assertEqual(used(stack), [first] * 3 + [second] * 3)
            self.assert_told(stack.ask(body(stream=stream), headers=session("s")), 54)
            self.assertEqual(len(stack.asked("a")), 6)

    def test_at_once(self) -> None:
        """Requests that are under way count as well as those that were answered."""
        slow = Stalls(before_head=True, seconds=20, act=Says("x"))
        stack = Stack(self, {"a": [slow]}, keys=keys({"rpm_limit": 2}, {"rpm_limit": 2}))
        peers = [stack.send(body(), headers=session(n)) for n in range(5)]
        self.assertEqual(len(stack.asked("a")), 4)
        self.assert_told(stack.answer(peers[4]), 60)
        stack.go(21)
        self.assertEqual([stack.answer(peer).status for peer in peers], [200] * 4 + [429])
        self.assertEqual(sorted(used(stack)), ["a/k0", "a/k0", "a/k1", "a/k1"])

    def test_the_minute_slides(self) -> None:
        """Any minute is one: the time told is when the oldest request leaves it, and then there is room."""
        stack = Stack(self, {"a": [Says("x")]}, keys=keys({"rpm_limit": 3}))
        for _ in range(3):
            self.assertEqual(stack.ask().status, 200)
            stack.go(15)
        self.assert_told(stack.ask(), 15)
        stack.go(14)
        self.assert_told(stack.ask(), 1)
        stack.go(1)
        self.assertEqual(stack.ask().status, 200)
        self.assert_told(stack.ask(), 15)

    def test_no_minute_has_more(self) -> None:
        """However requests come, no minute of a key has more of them than its limit."""
        chance = Random(7)
        stack = Stack(self, {"a": [Says("x")]}, keys=keys({"rpm_limit": 5}, {"rpm_limit": 9}))
        for _ in range(250):
            stack.ask(headers=session(chance.randrange(20)))
            stack.go(chance.choice((0, 0.2, 2, 5)))
        times: dict[str, list[float]] = {"0": [], "1": []}
        for asked in stack.asked("a"):
            times[(asked.header("x-api-key") or "").split("-")[4]].append(asked.at)
        self.assertEqual([at_most(times["0"]), at_most(times["1"])], [5, 9])

    def test_the_next_provider(self) -> None:
        """Where all keys of a provider are full, another provider serves."""
        stack = Stack(self, {"a": [Says("x")], "b": [Says("y")]}, keys=keys({"rpm_limit": 2}))
        for n in range(4):
            self.assertEqual(stack.ask(headers=session(n)).status, 200)
        self.assertEqual(used(stack), ["a/k0", "a/k0", "b/k0", "b/k0"])
        self.assert_told(stack.ask(), 60)

    def test_refused_requests_count(self) -> None:
        """A request that the provider has refused was a request; one that never arrived was none."""
        stack = Stack(self, {"a": [Refuses(400), Says("x")]}, keys=keys({"rpm_limit": 2}))
        self.assertEqual([stack.ask().status for _ in range(3)], [400, 200, 429])
        stack = Stack(self, {"a": [Says("x")]}, {"routing": {"max_wait_ms": 0}}, keys=keys({"rpm_limit": 2}))
        stack.network.refuse("a")
        self.assertEqual([stack.ask().status for _ in range(3)], [502] * 3)
        stack.network.restore("a")
        self.assertEqual([stack.ask().status for _ in range(3)], [200, 200, 429])

    def test_counting_is_not_charged(self) -> None:
        """Counting tokens uses up nothing of the limits of messages."""
        stack = Stack(self, {"a": [Says("x")]}, keys=keys({"rpm_limit": 1}))
        for _ in range(5):
            self.assertEqual(stack.ask(body(), path="/v1/messages/count_tokens").status, 200)
        self.assertEqual([stack.ask().status for _ in range(2)], [200, 429])


class InputTests(Limits):
    """itpm_limit: input tokens in any minute, cache reads left out."""

    def stack(self, usage: dict[str, int], *limits: dict[str, int], **more: Any) -> Stack:
        """Return a relay whose provider's answers cost so much."""
        return Stack(self, {"a": [Says("x", usage=usage)]}, keys=keys(*limits), **more)

    def test_a_conversation_s_next_turn(self) -> None:
        """The next turn is reserved as the last one was charged: what would not fit goes to the other key."""
        for usage in ({"input_tokens": 400}, {"input_tokens": 100, "cache_creation_input_tokens": 300}):
            for stream in (False, True):
                stack = self.stack(usage, {"itpm_limit": 1000}, {"itpm_limit": 1000})
                for _ in range(4):
                    self.assertEqual(stack.ask(body(stream=stream), 1, headers=session("s")).status, 200)
                first, second = used(stack)[0], used(stack)[2]
                self.assertEqual(used(stack), [first, first, second, second])
                self.assertNotEqual(first, second)
                self.assert_told(stack.ask(body(stream=stream), headers=session("s")), 56)

    def test_cache_reads(self) -> None:
        """What is read from the cache costs nothing of the limit, unless the operator says so."""
        usage = {"input_tokens": 5, "cache_read_input_tokens": 90_000}
        stack = self.stack(usage, {"itpm_limit": 1000}, {"itpm_limit": 1000})
        for _ in range(10):
            stack.ask(headers=session("s"))
        self.assertEqual(len(set(used(stack))), 1)
        stack = self.stack(usage, {"itpm_limit": 1000}, {"itpm_limit": 1000}, count_cache_reads=True)
        for _ in range(2):
            stack.ask(headers=session("s"))
        self.assertEqual(len(set(used(stack))), 2)

    def test_a_request_larger_than_the_limit(self) -> None:
        """It passes where nothing else was used: the limit would else refuse it for ever."""
        stack = self.stack({"input_tokens": 2000}, {"itpm_limit": 1000}, {"itpm_limit": 1000})
        large = body(system="word " * 1600)
        self.assertEqual([stack.ask(large, headers=session("s")).status for _ in range(3)], [200, 200, 429])
        self.assertEqual(len(set(used(stack))), 2)
        stack.go(60)
        self.assertEqual(stack.ask(large, headers=session("s")).status, 200)

    def test_at_once(self) -> None:
        """What is under way is reserved by an estimate of its size, and does not go where it has no room."""
        slow = Stalls(before_head=True, seconds=5, act=Says("x", usage={"input_tokens": 600}))
        stack = Stack(self, {"a": [slow]}, keys=keys({"itpm_limit": 1000}, {"itpm_limit": 1000}))
        large = body(system="word " * 480)
        peers = [stack.send(large, headers=session(n)) for n in range(3)]
        stack.go(6)
        self.assertEqual([stack.answer(peer).status for peer in peers], [200, 200, 429])
        self.assertEqual(sorted(used(stack)), ["a/k0", "a/k1"])

    def test_an_estimate_that_was_too_high(self) -> None:
        """What an answer says corrects the estimate: there is room again at once."""
        stack = self.stack({"input_tokens": 10}, {"itpm_limit": 1000})
        large = body(system="word " * 480)
        self.assertEqual([stack.ask(large, headers=session(n)).status for n in range(5)], [200] * 5)


class OutputTests(Limits):
    """otpm_limit: output tokens in any minute, reserved as answers usually are, never as max_tokens."""

    def test_at_once(self) -> None:
        """Answers that are under way are reserved as 500 tokens while nobody knows better."""
        slow = Stalls(before_head=True, seconds=5, act=Says("x", usage={"output_tokens": 400}))
        stack = Stack(self, {"a": [slow]}, keys=keys({"otpm_limit": 1000}, {"otpm_limit": 1000}))
        peers = [stack.send(body(max_tokens=64_000), headers=session("s")) for _ in range(5)]
        stack.go(6)
        self.assertEqual([stack.answer(peer).status for peer in peers], [200] * 4 + [429])
        first, second = used(stack)[0], used(stack)[-1]
        self.assertEqual(sorted(used(stack)), sorted([first] * 2 + [second] * 2))

    def test_one_after_the_other(self) -> None:
        """What answers have cost holds the next one to the limit; it goes to the other key."""
        for stream in (False, True):
            act = Says("x", usage={"output_tokens": 400})
            stack = Stack(self, {"a": [act]}, keys=keys({"otpm_limit": 1000}, {"otpm_limit": 1000}))
            for _ in range(4):
                self.assertEqual(stack.ask(body(stream=stream), 1, headers=session("s")).status, 200)
            first, second = used(stack)[0], used(stack)[2]
            self.assertEqual(used(stack), [first, first, second, second])
            self.assertNotEqual(first, second)
            self.assert_told(stack.ask(body(stream=stream), headers=session("s")), 56)

    def test_short_answers(self) -> None:
        """Short answers use little, whatever max_tokens allows them."""
        stack = Stack(self, {"a": [Says("x", usage={"output_tokens": 10})]}, keys=keys({"otpm_limit": 1000}))
        self.assertEqual({stack.ask(body(max_tokens=64_000)).status for _ in range(50)}, {200})

    def test_both_halves(self) -> None:
        """tpm_limit is for both together."""
        act = Says("x", usage={"input_tokens": 300, "output_tokens": 300})
        stack = Stack(self, {"a": [act]}, keys=keys({"tpm_limit": 1300}, {"tpm_limit": 1300}))
        for _ in range(4):
            self.assertEqual(stack.ask(headers=session("s")).status, 200)
        self.assertEqual(len({*used(stack)[:2]}), 1)
        self.assertEqual(len({*used(stack)}), 2)
        self.assert_told(stack.ask(headers=session("s")), 60)

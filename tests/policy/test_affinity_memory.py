"""The rules of how many conversations are remembered, for how long, and at what cost."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Affinity, Move, Place
from ccrelay.policy.conversation import Conversation

NOW = 1_700_000_000.0
A1, B1 = Place("a", "1"), Place("b", "1")


def affinity(*, limit: int = 100_000, idle: float = 600.0) -> Affinity:
    """Return one in which nobody has a place yet."""
    return Affinity(idle, 60.0, limit, returning=True)


def conversation(number: int) -> Conversation:
    """Return one of many."""
    return Conversation("", str(number), "claude-opus-5")


def crowded(count: int, *, limit: int = 100_000) -> Affinity:
    """Return one in which many conversations began at C{NOW}."""
    one = affinity(limit=limit)
    for number in range(count):
        one.settle(conversation(number), "a", str(number % 7), NOW)
    return one


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called in doing something."""
    counted = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


class IdleTests(SynchronousTestCase):
    """Conversations that are over."""

    def test_forgotten_after_idle_ms(self) -> None:
        """A conversation without a request for longer than `idle_ms` is new when it comes back."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW)
        self.assertEqual(one.places(conversation(1), NOW + 600), (A1,))
        self.assertEqual(one.places(conversation(1), NOW + 1200.1), ())
        self.assertEqual(len(one), 0)

    def test_placed_anew(self) -> None:
        """One that comes back is placed like a new one: that is no move, and there is no return."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW)
        self.assertIsNone(one.settle(conversation(1), "b", "1", NOW + 601))
        self.assertEqual(one.moves, {})
        self.assertEqual(one.places(conversation(1), NOW + 700), (B1,))

    def test_an_answer_is_a_sign_of_life(self) -> None:
        """What counts is the last time that it asked or was answered."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW)
        one.places(conversation(1), NOW + 500)
        one.settle(conversation(1), "a", "1", NOW + 1000, asked=NOW + 500)
        self.assertEqual(one.places(conversation(1), NOW + 1600), (A1,))

    def test_never(self) -> None:
        """With an `idle_ms` of never, none is forgotten for its age."""
        one = affinity(idle=inf)
        one.settle(conversation(1), "a", "1", NOW)
        self.assertEqual(one.places(conversation(1), NOW + 1e9), (A1,))

    def test_others_are_forgotten_on_the_way(self) -> None:
        """Conversations that never come back are forgotten as others go on, a few at a time."""
        one = crowded(1000)
        one.settle(conversation(-1), "b", "1", NOW + 601)
        left = len(one)
        self.assertTrue(900 < left < 1001)
        for _ in range(200):
            one.places(conversation(-1), NOW + 601)
        self.assertEqual(len(one), 1)
        self.assertEqual((one.loads("a"), one.loads("b")), ({}, {"1": 1}))


class LimitTests(SynchronousTestCase):
    """No more than `max_sessions`."""

    def test_the_one_unused_for_longest_goes(self) -> None:
        """Beyond `max_sessions` the conversation without a request for longest is forgotten."""
        one = affinity(limit=3)
        for number in range(3):
            one.settle(conversation(number), "a", "1", NOW + number)
        one.places(conversation(0), NOW + 3)
        one.settle(conversation(3), "a", "1", NOW + 4)
        self.assertEqual(one.places(conversation(1), NOW + 5), ())
        for number in (0, 2, 3):
            self.assertEqual(one.places(conversation(number), NOW + 5), (A1,), number)

    @settings(max_examples=40)
    @given(st.integers(1, 8), st.lists(st.integers(0, 30), max_size=60))
    def test_never_more(self, limit: int, numbers: list[int]) -> None:
        """Whoever comes, no more than `max_sessions` are remembered, and those are the latest."""
        one = affinity(limit=limit)
        for at, number in enumerate(numbers):
            one.settle(conversation(number), "a", "1", NOW + at)
            self.assertLessEqual(len(one), limit)
        latest = list(dict.fromkeys(reversed(numbers)))[:limit]
        for number in set(numbers):
            found = one.places(conversation(number), NOW + len(numbers))
            self.assertEqual(found, (A1,) if number in latest else ())

    def test_a_lower_limit(self) -> None:
        """A lower limit, after a reload, is reached as new conversations come, a few at a time."""
        one = crowded(1000)
        one.limit = 10
        one.settle(conversation(-1), "b", "1", NOW)
        self.assertTrue(900 < len(one) < 1000)
        for number in range(2000, 2100):
            one.settle(conversation(number), "b", "1", NOW)
        self.assertEqual(len(one), 10)


class LoadTests(SynchronousTestCase):
    """How many conversations are on each key."""

    def test_a_new_conversation_counts_at_once(self) -> None:
        """The next conversation sees where the last one was placed."""
        one = affinity()
        self.assertEqual(one.loads("a"), {})
        one.settle(conversation(1), "a", "1", NOW)
        self.assertEqual(one.loads("a"), {"1": 1})

    @given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from("12"))))
    def test_counted_where_they_are(self, served: list[tuple[int, str, str]]) -> None:
        """However conversations move and are forgotten, each is counted once, where it is now."""
        one = affinity(limit=6, idle=30.0)
        now = NOW
        for number, provider, key in served:
            now += 1.0
            one.settle(conversation(number), provider, key, now)
        places = Counter(stay.place for stay in one._stays.values())
        for provider in "abc":
            counted = {place.key: count for place, count in places.items() if place.provider == provider}
            self.assertEqual(one.loads(provider), counted)

    def test_conversations_are_spread_evenly(self) -> None:
        """A hundred conversations placed one after the other are spread over five keys within a fifth."""
        one, random = affinity(), Random(1)
        for _ in range(100):
            new = conversation(random.getrandbits(60))
            key = one.choose_key(new, list("12345"), one.loads("a"))
            one.settle(new, "a", key, NOW)
        self.assertEqual(sum(one.loads("a").values()), 100)
        for key in "12345":
            self.assertTrue(16 <= one.loads("a")[key] <= 24)


class CostTests(SynchronousTestCase):
    """What it costs to remember many."""

    def test_it_does_not_grow(self) -> None:
        """Asking, settling and moving cost the same, however many conversations there are."""
        costs = []
        for count in (20, 5000):
            one = crowded(count, limit=count)
            known, new = conversation(1), conversation(-1)

            def work(one: Affinity = one, known: Conversation = known, new: Conversation = new) -> None:
                one.places(known, NOW + 1)
                one.settle(known, "a", "1", NOW + 2)
                one.settle(known, "b", "1", NOW + 3)
                one.failed("a", NOW + 4)
                one.settle(new, "a", "2", NOW + 5)
                one.places(new, NOW + 6)

            costs.append(calls(work))
            self.assertEqual((len(one), one.moves), (count, {Move.PROVIDER: 1}))
        self.assertEqual(costs[0], costs[1])

    def test_not_after_a_quiet_night_either(self) -> None:
        """The first request in the morning does not pay for forgetting all of yesterday's."""
        costs = []
        for count in (100, 5000):
            one = crowded(count)
            costs.append(calls(lambda one=one: one.places(conversation(-1), NOW + 50_000)))
        self.assertEqual(costs[0], costs[1])


class ClockTests(SynchronousTestCase):
    """A clock that is put back by an hour."""

    def test_conversations_still_move(self) -> None:
        """A conversation that moved before the clock was put back can move after it."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW + 3600)
        one.settle(conversation(1), "b", "1", NOW + 3600)
        one.places(conversation(1), NOW)
        self.assertIs(one.settle(conversation(1), "c", "1", NOW + 1, asked=NOW), Move.PROVIDER)

    def test_conversations_still_return(self) -> None:
        """It is time to return `return_after_ms` after the clock was put back, not an hour later."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW + 3600)
        one.settle(conversation(1), "b", "1", NOW + 3600)
        one.failed("a", NOW + 3600)
        one.places(conversation(1), NOW)
        self.assertEqual(one.places(conversation(1), NOW + 59), (B1,))
        self.assertEqual(one.places(conversation(1), NOW + 60), (A1, B1))

    def test_new_failures_count(self) -> None:
        """What fails after the clock was put back puts the return off."""
        one = affinity()
        one.settle(conversation(1), "a", "1", NOW)
        one.settle(conversation(1), "b", "1", NOW)
        one.failed("a", NOW + 3600)
        one.failed("a", NOW + 50)
        self.assertEqual(one.places(conversation(1), NOW + 109), (B1,))
        self.assertEqual(one.places(conversation(1), NOW + 110), (A1, B1))

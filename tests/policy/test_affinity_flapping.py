"""The rule that conversations do not flap, however providers fail and recover."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Affinity, Move, Place
from ccrelay.policy.conversation import Conversation

NOW = 1_700_000_000.0
RETURN_AFTER = 60.0
PROVIDERS = "abc"

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 7.0, 30.0, 59.9, 60.0, 61.0, 200.0]),
        st.sets(st.sampled_from(PROVIDERS), max_size=2),
        st.integers(0, 2),
    ),
    max_size=40,
)
"""Seconds that pass, who fails then, and whose request comes."""


@dataclass
class Relay:
    """
    A relay that asks the places of a conversation first, and then everybody in the order of the file.

    @ivar returns: for each conversation, when it went back although its place could have served.
    @ivar vain: for each provider, when a conversation wanted to go back to it and it failed.
    @ivar uncalled: moves away from a place that could have served, and were no return.
    """

    affinity: Affinity
    now: float = NOW
    returns: dict[Conversation, list[float]] = field(default_factory=dict)
    vain: dict[str, list[float]] = field(default_factory=dict)
    uncalled: list[Move] = field(default_factory=list)

    def request(self, conversation: Conversation, failing: set[str]) -> None:
        """Serve a request while some providers fail."""
        affinity, now = self.affinity, self.now
        places = affinity.places(conversation, now)
        if not places:
            affinity.settle(conversation, PROVIDERS[0], "1", now, preferred=PROVIDERS[0])
            places = (Place(PROVIDERS[0], "1"),)
        order = dict.fromkeys([place.provider for place in places] + list(PROVIDERS))
        for provider in order:
            if provider not in failing:
                break
            affinity.failed(provider, now)
            if len(places) > 1 and provider == places[0].provider:
                self.vain.setdefault(provider, []).append(now)
        else:
            return
        move = affinity.settle(conversation, provider, "1", now, asked=now)
        was = places[-1].provider
        if move is not None and was not in failing:
            if move is Move.RETURN:
                self.returns.setdefault(conversation, []).append(now)
            else:
                self.uncalled.append(move)

    def play(self, steps: list[tuple[float, set[str], int]]) -> None:
        """Let requests come one after the other."""
        for seconds, failing, number in steps:
            self.now += seconds
            self.request(Conversation("", str(number), "claude-opus-5"), failing)


def shortest(times: list[float]) -> float:
    """Return the shortest time between one and the next."""
    return min((later - sooner for sooner, later in pairwise(times)), default=RETURN_AFTER)


class FlappingTests(SynchronousTestCase):
    """However providers fail and recover."""

    @settings(max_examples=120)
    @given(STEPS)
    def test_where_one_is_preferred(self, steps: list[tuple[float, set[str], int]]) -> None:
        """None returns more often than once in `return_after_ms`, or leaves a place that serves otherwise."""
        relay = Relay(Affinity(3600.0, RETURN_AFTER, returning=True))
        relay.play(steps)
        self.assertEqual(relay.uncalled, [])
        for times in relay.returns.values():
            self.assertGreaterEqual(shortest(times) + 1e-6, RETURN_AFTER)

    @settings(max_examples=120)
    @given(STEPS)
    def test_all_find_out_together(self, steps: list[tuple[float, set[str], int]]) -> None:
        """All together try a provider that still fails no more than once in `return_after_ms`."""
        relay = Relay(Affinity(3600.0, RETURN_AFTER, returning=True))
        relay.play(steps)
        for times in relay.vain.values():
            self.assertGreaterEqual(shortest(times) + 1e-6, RETURN_AFTER)

    @given(STEPS)
    def test_where_load_is_shared(self, steps: list[tuple[float, set[str], int]]) -> None:
        """Under balancing strategies a conversation never leaves a place that serves."""
        relay = Relay(Affinity(3600.0, RETURN_AFTER, returning=False))
        relay.play(steps)
        self.assertEqual((relay.uncalled, relay.returns, relay.vain), ([], {}, {}))

    def test_a_provider_that_fails_every_other_second(self) -> None:
        """In ten minutes of failing half the time, a busy conversation returns a few times at most."""
        relay = Relay(Affinity(3600.0, RETURN_AFTER, returning=True))
        relay.play([(1.0, {"a"} if second % 2 else set(), 0) for second in range(600)])
        self.assertLessEqual(relay.affinity.moves[Move.RETURN], 10)
        self.assertLessEqual(relay.affinity.moves[Move.PROVIDER], 11)
        self.assertLessEqual(len(relay.vain.get("a", [])), 10)

    def test_it_does_return_in_the_end(self) -> None:
        """Once the preferred provider stays well, every conversation that goes on is back with it."""
        relay = Relay(Affinity(3600.0, RETURN_AFTER, returning=True))
        relay.play([(1.0, {"a"}, number) for number in (0, 1, 2)])
        relay.play([(30.0, set(), number) for number in (0, 1, 2) * 3])
        for number in range(3):
            place = relay.affinity.place(Conversation("", str(number), "claude-opus-5"), relay.now)
            self.assertEqual(place, Place("a", "1"))
        self.assertEqual(relay.affinity.moves, {Move.PROVIDER: 3, Move.RETURN: 3})

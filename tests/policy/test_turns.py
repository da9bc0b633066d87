"""The rules of the strategies by which providers take turns."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.turns import RoundRobin, Shuffle, WeightedRoundRobin
from tests.policy.strategy_contract import DEMAND, Provider, firsts, named, names

WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)
AWAY = st.lists(st.sets(st.sampled_from("cdef"), max_size=4), max_size=25)
"""Who cannot serve at each of a row of requests; C{a} and C{b} always can."""


def weighted(weights: list[int]) -> list[Provider]:
    """Return a provider for each weight."""
    return [Provider("abcdef"[at], weight=weight) for at, weight in enumerate(weights)]


class RoundRobinTests(SynchronousTestCase):
    """C{round_robin}."""

    def test_a_circle(self) -> None:
        """Each begins one conversation, in the order of the file, and then all again."""
        self.assertEqual(firsts(RoundRobin(), named("abc"), 8), "abcabcab")

    def test_priority_begins(self) -> None:
        """The circle begins with the highest priority, and all have as many turns."""
        self.assertEqual(firsts(RoundRobin(), [*named("ab"), Provider("c", 5)], 6), "cabcab")

    def test_the_next_is_asked_where_the_first_fails(self) -> None:
        """Behind the first come those whose turn is next."""
        strategy = RoundRobin()
        self.assertEqual(names(strategy.order(named("abc"), DEMAND)), "abc")
        self.assertEqual(names(strategy.order(named("abc"), DEMAND)), "bca")

    def test_what_is_shown_is_the_next_turn(self) -> None:
        """What is shown is what the next new conversation gets."""
        strategy = RoundRobin()
        for _ in range(7):
            self.assertEqual(strategy.preview(named("abc"), DEMAND), strategy.order(named("abc"), DEMAND))

    def test_who_was_away_does_not_catch_up(self) -> None:
        """A provider that was away is next on its return, and then has every so many turns as ever."""
        strategy = RoundRobin()
        firsts(strategy, named("abc"), 3)
        firsts(strategy, named("ab"), 20)
        self.assertEqual(firsts(strategy, named("abc"), 6), "cabcab")

    @given(AWAY)
    def test_whoever_comes_and_goes(self, away: list[set[str]]) -> None:
        """Providers that can always serve have as many turns as each other, and never wait for long."""
        strategy = RoundRobin()
        begun = Counter[str]()
        waits = Counter[str]()
        for missing in away:
            present = [one for one in named("abcdef") if one.name not in missing]
            first = strategy.order(present, DEMAND)[0].name
            begun[first] += 1
            waits.update("ab")
            waits[first] = 0
            self.assertLessEqual(abs(begun["a"] - begun["b"]), 1)
            self.assertLess(max(waits["a"], waits["b"]), 6)


class WeightedRoundRobinTests(SynchronousTestCase):
    """C{weighted_round_robin}."""

    def test_exact_shares(self) -> None:
        """Of 600 conversations with weights 3, 2 and 1 the providers begin 300, 200 and 100."""
        begun = Counter(firsts(WeightedRoundRobin(), weighted([3, 2, 1]), 600))
        self.assertEqual(begun, {"a": 300, "b": 200, "c": 100})

    def test_evenly_interleaved(self) -> None:
        """Turns are spread over time: the same six again and again, and nobody twice in a row."""
        self.assertEqual(firsts(WeightedRoundRobin(), weighted([3, 2, 1]), 600), "abacba" * 100)
        self.assertEqual(firsts(WeightedRoundRobin(), weighted([5, 1, 1]), 7), "aabacaa")

    @settings(max_examples=60)
    @given(WEIGHTS, st.integers(1, 4))
    def test_after_each_whole_round(self, weights: list[int], rounds: int) -> None:
        """Whatever the weights, after as many turns as their sum each has had exactly its own."""
        strategy = WeightedRoundRobin()
        for done in range(1, rounds + 1):
            begun = Counter(firsts(strategy, weighted(weights), sum(weights)))
            self.assertEqual([begun["abcdef"[at]] for at in range(len(weights))], weights, done)

    @given(WEIGHTS)
    def test_nobody_is_ahead(self, weights: list[int]) -> None:
        """At no time has a provider had a whole turn more than its share, or two turns less."""
        strategy = WeightedRoundRobin()
        total = sum(weights)
        begun = Counter[str]()
        for turn in range(1, total + 1):
            begun[strategy.order(weighted(weights), DEMAND)[0].name] += 1
            for at, weight in enumerate(weights):
                ahead = begun["abcdef"[at]] - turn * weight / total
                self.assertTrue(-2 < ahead < 1, (turn, at, ahead))

    def test_equal_weights_are_a_circle(self) -> None:
        """Providers of equal weight take turns in the order of the file."""
        self.assertEqual(firsts(WeightedRoundRobin(), named("abc", weight=4), 7), "abcabca")

    def test_what_is_shown_is_the_next_turn(self) -> None:
        """What is shown is what the next new conversation gets."""
        strategy, providers = WeightedRoundRobin(), weighted([3, 0, 2, 1])
        for _ in range(12):
            self.assertEqual(strategy.preview(providers, DEMAND), strategy.order(providers, DEMAND))

    def test_weight_0(self) -> None:
        """A provider of weight 0 begins nothing, and is asked when all others have failed."""
        strategy, providers = WeightedRoundRobin(), weighted([0, 2, 1, 0])
        for _ in range(9):
            self.assertEqual(names(strategy.order(providers, DEMAND))[2:], "ad")
        self.assertEqual(firsts(strategy, providers[:1], 3), "aaa")

    def test_weight_0_all(self) -> None:
        """Providers that all have weight 0 share evenly."""
        self.assertEqual(firsts(WeightedRoundRobin(), named("abc", weight=0), 6), "abcabc")

    def test_who_was_away_does_not_catch_up(self) -> None:
        """A provider that was away has its share again on its return, not what it missed."""
        strategy, providers = WeightedRoundRobin(), weighted([3, 2, 1])
        firsts(strategy, providers, 6)
        firsts(strategy, providers[1:], 300)
        self.assertEqual(Counter(firsts(strategy, providers, 60)), {"a": 30, "b": 20, "c": 10})

    def test_new_weights_hold_at_once(self) -> None:
        """After a reload the shares are those of the new weights."""
        strategy = WeightedRoundRobin()
        firsts(strategy, weighted([9, 1]), 100)
        begun = Counter(firsts(strategy, weighted([1, 3]), 400))
        self.assertEqual(begun, {"a": 100, "b": 300})

    @given(AWAY, st.lists(st.integers(1, 5), min_size=6, max_size=6))
    def test_whoever_comes_and_goes(self, away: list[set[str]], weights: list[int]) -> None:
        """However others come and go, nobody who can always serve is left out for long, or has all turns."""
        strategy = WeightedRoundRobin()
        waits = Counter[str]()
        for missing in away:
            present = [one for one in weighted(weights) if one.name not in missing]
            waits.update("ab")
            waits[strategy.order(present, DEMAND)[0].name] = 0
            self.assertLessEqual(max(waits["a"], waits["b"]), 2 * sum(weights))


class ShuffleTests(SynchronousTestCase):
    """C{shuffle}."""

    @given(st.integers(1, 6), st.integers())
    def test_once_before_any_comes_twice(self, count: int, seed: int) -> None:
        """In each round every provider begins one conversation."""
        strategy, providers = Shuffle(Random(seed).random), named("abcdef"[:count])
        for _ in range(8):
            self.assertEqual(sorted(firsts(strategy, providers, count)), sorted(names(tuple(providers))))

    def test_all_orders_alike(self) -> None:
        """Each round is shuffled anew, and every order of it is as likely as any other."""
        strategy = Shuffle(Random(3).random)
        rounds = Counter(firsts(strategy, named("abc"), 3) for _ in range(6000))
        self.assertEqual(len(rounds), 6)
        for times in rounds.values():
            self.assertLess(abs(times / 6000 - 1 / 6), 0.02)

    def test_not_yet_dealt_before_dealt(self) -> None:
        """Where the first fails, those come next that have not had their turn in this round."""
        strategy, providers = Shuffle(Random(4).random), named("abcd")
        for _ in range(10):
            dealt = ""
            for _ in range(4):
                ordered = names(strategy.order(providers, DEMAND))
                self.assertEqual(set(ordered[4 - len(dealt) :]), set(dealt))
                dealt += ordered[0]

    def test_what_is_shown_is_the_next_card(self) -> None:
        """What is shown is what the next new conversation gets, once all are known."""
        strategy, providers = Shuffle(Random(5).random), named("abcd")
        firsts(strategy, providers, 1)
        for _ in range(20):
            self.assertEqual(strategy.preview(providers, DEMAND), strategy.order(providers, DEMAND))

    def test_who_was_away_is_next(self) -> None:
        """Who was away when it was its turn is next on its return, once, and does not catch up."""
        for seed in range(30):
            strategy = Shuffle(Random(seed).random)
            firsts(strategy, named("abc"), 3)
            firsts(strategy, named("ab"), 20)
            self.assertEqual(firsts(strategy, named("abc"), 1), "c")
            self.assertEqual(sorted(firsts(strategy, named("abc"), 3)), list("abc"))

    def test_who_is_new(self) -> None:
        """A new provider has its turn in the round under way, and one in each round after that."""
        for seed in range(30):
            strategy = Shuffle(Random(seed).random)
            already = firsts(strategy, named("abc"), 1)
            self.assertEqual(sorted(already + firsts(strategy, named("abcd"), 3)), list("abcd"))
            self.assertEqual(sorted(firsts(strategy, named("abcd"), 4)), list("abcd"))

    @given(AWAY, st.integers())
    def test_whoever_comes_and_goes(self, away: list[set[str]], seed: int) -> None:
        """Providers that can always serve are never more than a turn apart, whoever else comes and goes."""
        strategy = Shuffle(Random(seed).random)
        begun = Counter[str]()
        for missing in away:
            present = [one for one in named("abcdef") if one.name not in missing]
            begun[strategy.order(present, DEMAND)[0].name] += 1
            self.assertLessEqual(abs(begun["a"] - begun["b"]), 1)

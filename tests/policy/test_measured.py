"""The rules of the strategies that measure."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.measured import CostBased, FirstByte, LatencyBased, LeastLoaded
from ccrelay.policy.prices import Demand, Price
from tests.policy.strategy_contract import CROWDS, DEMAND, Provider, firsts, named, names


def never() -> float:
    """Return the luck with which no other than the fastest is tried."""
    return 1 - 2**-53


class LeastLoadedTests(SynchronousTestCase):
    """C{least_loaded}."""

    @given(CROWDS)
    def test_the_fewest_first(self, crowd: list[Provider]) -> None:
        """Whoever is busy with fewer requests is asked first."""
        busy = [one.in_flight for one in LeastLoaded().order(crowd, DEMAND)]
        self.assertEqual(busy, sorted(busy))

    def test_load_before_priority(self) -> None:
        """Priority decides only between providers that are as busy as each other."""
        crowd = [Provider("a", 9, in_flight=2), Provider("b", 1, in_flight=1), Provider("c", 2, in_flight=1)]
        self.assertEqual(names(LeastLoaded().order(crowd, DEMAND)), "cba")


class CostBasedTests(SynchronousTestCase):
    """C{cost_based}."""

    def order(self, demand: Demand, **prices: Price | None) -> str:
        """Return the names in the order for a request."""
        providers = [Provider(name, price=price) for name, price in prices.items()]
        return names(CostBased().order(providers, demand))

    def test_by_size(self) -> None:
        """Which provider is cheapest depends on what the request reads, writes and is answered."""
        prices = {
            "a": Price(input=1.0, output=20.0, cache_read=1.0, cache_write=1.0),
            "b": Price(input=5.0, output=5.0, cache_read=0.1, cache_write=6.0),
            "c": Price(input=3.0, output=9.0, cache_read=0.5, cache_write=0.2),
        }
        self.assertEqual(self.order(Demand("m", input=1000, output=10), **prices), "acb")
        self.assertEqual(self.order(Demand("m", input=10, output=1000), **prices), "bca")
        self.assertEqual(self.order(Demand("m", cache_read=1000), **prices), "bca")
        self.assertEqual(self.order(Demand("m", cache_write=1000), **prices), "cab")

    def test_without_a_price(self) -> None:
        """A provider whose price nobody knows comes last, one that is free first."""
        self.assertEqual(self.order(DEMAND, a=None, b=Price(99.0), c=Price(), d=None), "cbad")
        self.assertEqual(self.order(Demand("m"), a=None, b=Price(99.0), c=Price(), d=None), "bcad")

    @given(CROWDS, st.integers(0, 10**6), st.integers(0, 10**6))
    def test_the_cheapest_first(self, crowd: list[Provider], reads: int, writes: int) -> None:
        """No provider is asked before one that is cheaper for this request."""
        demand = Demand("m", reads, writes)
        costs = [one.price.of(demand) for one in CostBased().order(crowd, demand) if one.price]
        self.assertEqual(costs, sorted(costs))


class LatencyBasedTests(SynchronousTestCase):
    """C{latency_based}."""

    crowd = (Provider("a", first_byte=2.0), Provider("b"), Provider("c", first_byte=0.5), Provider("d"))

    def test_the_fastest_first(self) -> None:
        """Whoever answers soonest on average is asked first, those not measured yet last."""
        self.assertEqual(names(LatencyBased(never).preview(self.crowd, DEMAND)), "cabd")

    def test_each_once(self) -> None:
        """A provider that is not measured yet is first for one conversation, and then last until it is."""
        strategy = LatencyBased(never)
        self.assertEqual(
            [names(strategy.order(self.crowd, DEMAND)) for _ in range(4)], ["bcad", "dcab", "cabd", "cabd"]
        )

    def test_speed_before_priority(self) -> None:
        """Priority decides only between providers that are as fast as each other."""
        crowd = [Provider("a", 9), Provider("b", 1, first_byte=3.0), Provider("c", 2, first_byte=3.0)]
        self.assertEqual(names(LatencyBased(never).preview(crowd, DEMAND)), "cba")

    def test_a_small_share_keeps_the_others_measured(self) -> None:
        """One conversation in twenty begins elsewhere, with each of the others as often."""
        begun = Counter(firsts(LatencyBased(Random(5).random), list(self.crowd), 30_000))
        self.assertLess(abs(begun["c"] / 30_000 - 0.95), 0.005)
        for other in "abd":
            self.assertLess(abs(begun[other] / 30_000 - 0.05 / 3), 0.003)

    def test_who_is_tried_falls_back_on_the_fastest(self) -> None:
        """Behind one that is tried to be measured, the others come as ever."""
        strategy = LatencyBased(Random(6).random, share=1.0)
        firsts(strategy, list(self.crowd), 2)
        seen = {names(strategy.order(self.crowd, DEMAND)) for _ in range(200)}
        self.assertEqual(seen, {"acbd", "bcad", "dcab"})

    def test_no_share_at_all(self) -> None:
        """With a share of 0 the fastest is always first once all were, whatever the luck."""
        self.assertEqual(firsts(LatencyBased(lambda: 0.0, share=0.0), list(self.crowd), 5), "bdccc")

    def test_extreme_luck(self) -> None:
        """The luckiest and the unluckiest draw there is both give a whole order."""
        for luck in (0.0, never()):
            ordered = names(LatencyBased(lambda luck=luck: luck, share=1.0).order(self.crowd, DEMAND))
            self.assertEqual(sorted(ordered), list("abcd"))
            self.assertNotEqual(ordered[0], "c")

    def test_nobody_to_try(self) -> None:
        """A provider that is alone is asked first, also where others were to be tried."""
        self.assertEqual(firsts(LatencyBased(lambda: 0.0, share=1.0), named("a"), 3), "aaa")

    def test_who_was_slow_gets_another_chance(self) -> None:
        """A provider that recovers from a slow hour is found out and is first again."""
        strategy, average = LatencyBased(Random(9).random), FirstByte()
        average.took(60.0)
        for _ in range(4000):
            crowd = [Provider("a", first_byte=average.seconds), Provider("b", first_byte=1.0)]
            if firsts(strategy, crowd, 1) == "a":
                average.took(0.5)
        self.assertLess(average.seconds, 1.0)


class FirstByteTests(SynchronousTestCase):
    """The moving average of the time to first byte."""

    def test_before_the_first_answer(self) -> None:
        """Before the first answer nothing is known, and then what it took."""
        average = FirstByte()
        self.assertIsNone(average.seconds)
        average.took(3.0)
        self.assertEqual(average.seconds, 3.0)

    def test_it_moves(self) -> None:
        """A new answer counts a fifth, or as much as it is told to."""
        for newest, seconds in ((0.2, 2.6), (0.5, 2.0), (1.0, 1.0)):
            average = FirstByte(newest)
            average.took(3.0)
            average.took(1.0)
            self.assertAlmostEqual(average.seconds, seconds)

    @given(st.lists(st.floats(0, 600), min_size=1))
    def test_it_stays_among_what_was_seen(self, times: list[float]) -> None:
        """The average is never faster than the fastest answer, nor slower than the slowest."""
        average = FirstByte()
        for seconds in times:
            average.took(seconds)
        self.assertTrue(min(times) - 1e-9 <= average.seconds <= max(times) + 1e-9)

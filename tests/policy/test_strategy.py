"""The rules that every strategy keeps, and those of the ones that follow what the operator prefers."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.prices import Demand
from ccrelay.policy.strategy import Failover, ModelBased, WeightedFailover, strategy_of
from tests.policy.strategy_contract import (
    CROWDS,
    DEMAND,
    Provider,
    StrategyContract,
    firsts,
    named,
    names,
)

SPELLINGS = {
    "failover": "failover",
    "round_robin": "round-robin",
    "weighted_round_robin": "weighted-round-robin",
    "shuffle": "simple-shuffle",
    "least_loaded": "least-busy",
    "weighted_failover": "weighted-failover",
    "model_based": "model-based",
    "cost_based": "cost-based",
    "latency_based": "latency-based",
}


class FailoverContractTests(StrategyContract, SynchronousTestCase):
    """C{failover}."""

    name = "failover"
    returning = True


class RoundRobinContractTests(StrategyContract, SynchronousTestCase):
    """C{round_robin}."""

    name = "round_robin"
    remembers = True


class WeightedRoundRobinContractTests(StrategyContract, SynchronousTestCase):
    """C{weighted_round_robin}."""

    name = "weighted_round_robin"
    remembers = True


class ShuffleContractTests(StrategyContract, SynchronousTestCase):
    """C{shuffle}."""

    name = "shuffle"
    draws = True
    remembers = True


class LeastLoadedContractTests(StrategyContract, SynchronousTestCase):
    """C{least_loaded}."""

    name = "least_loaded"


class WeightedFailoverContractTests(StrategyContract, SynchronousTestCase):
    """C{weighted_failover}."""

    name = "weighted_failover"
    returning = True
    draws = True


class ModelBasedContractTests(StrategyContract, SynchronousTestCase):
    """C{model_based}."""

    name = "model_based"
    returning = True


class CostBasedContractTests(StrategyContract, SynchronousTestCase):
    """C{cost_based}."""

    name = "cost_based"
    returning = True


class LatencyBasedContractTests(StrategyContract, SynchronousTestCase):
    """C{latency_based}."""

    name = "latency_based"
    draws = True


class LeastBusyContractTests(LeastLoadedContractTests):
    """C{least_busy}, as others call it."""

    name = "least_busy"


class SimpleShuffleContractTests(ShuffleContractTests):
    """C{simple-shuffle}, as others call it."""

    name = "simple-shuffle"


class NamesTests(SynchronousTestCase):
    """What the strategies are called."""

    def test_every_strategy_keeps_the_contract(self) -> None:
        """There is no strategy that the contract is not run over."""
        self.assertEqual({suite.name for suite in StrategyContract.__subclasses__()}, set(SPELLINGS))

    def test_other_spellings(self) -> None:
        """Hyphens are underscores, and the names that other relays use mean the same strategies."""
        others = [("shuffle", "simple_shuffle"), ("least_loaded", "least_busy")]
        for name, spelling in [*SPELLINGS.items(), *others]:
            one, other = (strategy_of(each, Random(1).random, {}, None) for each in (name, spelling))
            self.assertIs(type(one), type(other), spelling)

    def test_a_name_that_there_is_not(self) -> None:
        """No strategy stands in for one that there is not."""
        for name in ("", "random", "Failover", "round robin"):
            self.assertRaises(KeyError, strategy_of, name, Random(1).random, {}, None)

    def test_each_relay_has_its_own(self) -> None:
        """Two strategies of one name do not take each other's turns."""
        one, other = (strategy_of("round_robin", Random(1).random, {}, None) for _ in range(2))
        self.assertEqual(firsts(one, named("ab"), 1) + firsts(other, named("ab"), 1), "aa")


class FailoverTests(SynchronousTestCase):
    """C{failover}."""

    @given(CROWDS)
    def test_by_priority_then_as_in_the_file(self, crowd: list[Provider]) -> None:
        """Higher priority is asked first, equals in the order of the file, however busy or dear."""
        ordered = Failover().order(crowd, DEMAND)
        place = {one.name: at for at, one in enumerate(crowd)}
        self.assertEqual(
            [one.name for one in ordered],
            sorted(place, key=lambda name: (-crowd[place[name]].priority, place[name])),
        )


class WeightedFailoverTests(SynchronousTestCase):
    """C{weighted_failover}."""

    def test_shares_by_weight(self) -> None:
        """Of many conversations each provider begins as many as its weight says."""
        providers = [Provider("a", weight=1), Provider("b", weight=3), Provider("c", weight=6)]
        begun = Counter(firsts(WeightedFailover(Random(7).random), providers, 20_000))
        for provider in providers:
            self.assertLess(abs(begun[provider.name] / 20_000 - provider.weight / 10), 0.015)

    def test_the_rest_by_weight_too(self) -> None:
        """Where the first fails, those left share what was its by their weights."""
        strategy = WeightedFailover(Random(8).random)
        providers = [Provider("a", weight=1), Provider("b", weight=3), Provider("c", weight=6)]
        seconds = Counter(
            ordered[1].name
            for _ in range(20_000)
            if (ordered := strategy.order(providers, DEMAND))[0].name == "c"
        )
        self.assertLess(abs(seconds["b"] / seconds.total() - 3 / 4), 0.02)

    @given(CROWDS, st.integers())
    def test_priority_before_weight(self, crowd: list[Provider], seed: int) -> None:
        """No weight is heavier than a higher priority; weight 0 comes last of its own priority."""
        strategy = WeightedFailover(Random(seed).random)
        for ordered in (strategy.order(crowd, DEMAND), strategy.preview(crowd, DEMAND)):
            ranks = [(-one.priority, one.weight == 0) for one in ordered]
            self.assertEqual(ranks, sorted(ranks))

    def test_weightless_all(self) -> None:
        """Providers of weight 0 among themselves are asked in the order of the file."""
        self.assertEqual(firsts(WeightedFailover(Random(9).random), named("ba", weight=0), 50), "b" * 50)

    def test_any_luck_will_do(self) -> None:
        """The luckiest and the unluckiest draw there is both give an order."""
        for luck in (0.0, 1 - 2**-53):
            self.assertEqual(names(WeightedFailover(lambda luck=luck: luck).order(named("ab"), DEMAND)), "ab")

    def test_the_likeliest_order_is_shown(self) -> None:
        """Shown without being used, the heaviest of equals comes first."""
        providers = [Provider("a"), Provider("b", weight=3), Provider("c", 2), Provider("d", weight=3)]
        self.assertEqual(names(WeightedFailover(Random(9).random).preview(providers, DEMAND)), "cbda")


class ModelBasedTests(SynchronousTestCase):
    """C{model_based}."""

    mapping = {"claude": "a", "claude-opus": "b", "claude-opus-5": "c", "qwen": "d"}  # noqa: RUF012  never changed

    def order(self, model: str, providers: list[Provider], default: str | None = None) -> str:
        """Return the names in the order for a model."""
        return names(ModelBased(self.mapping, default).order(providers, Demand(model)))

    def test_the_longest_prefix(self) -> None:
        """The provider named for the longest prefix is asked first, those for shorter ones next."""
        providers = named("defcba")
        self.assertEqual(self.order("claude-opus-5-20261001", providers), "cbadef")
        self.assertEqual(self.order("claude-opus-5[1m]", providers), "cbadef")
        self.assertEqual(self.order("claude-opus-4", providers), "badefc")
        self.assertEqual(self.order("claude-sonnet-5", providers), "adefcb")
        self.assertEqual(self.order("qwen3", providers), "defcba")

    def test_the_default(self) -> None:
        """A model without a prefix goes to `default_provider`, one with a prefix after all that fit."""
        providers = named("abcdef")
        self.assertEqual(self.order("glm-5", providers, "e"), "eabcdf")
        self.assertEqual(self.order("claude-opus-4", providers, "e"), "baecdf")
        self.assertEqual(self.order("claude-opus-4", providers, "b"), "bacdef")

    def test_all(self) -> None:
        """Without a prefix and a default all are asked, by priority and in the order of the file."""
        providers = [*named("ab"), Provider("c", 2)]
        self.assertEqual(self.order("glm-5", providers), "cab")

    def test_those_named_are_away(self) -> None:
        """While the providers named for a model cannot serve, the next best can."""
        self.assertEqual(self.order("claude-opus-5", named("fed"), "e"), "efd")
        self.assertEqual(self.order("claude-opus-5", named("fd"), "e"), "fd")

    def test_a_name_is_meant_before_priority(self) -> None:
        """The provider named for a model is asked before others, whatever their priority."""
        providers = [Provider("f", 9), Provider("e", 5), Provider("b", 1), Provider("a", 2)]
        self.assertEqual(self.order("claude-opus-4", providers, "e"), "baef")

    def test_a_prefix_is_at_the_beginning(self) -> None:
        """What stands within the name of a model is no prefix of it, and case counts."""
        for model in ("us.anthropic.claude-opus-5", "Claude-opus-5", "claud", ""):
            self.assertEqual(self.order(model, named("abcdef")), "abcdef")

    def test_the_order_of_the_mapping_does_not_count(self) -> None:
        """A shorter prefix written first hides no longer one."""
        for mapping in (self.mapping, dict(reversed(self.mapping.items()))):
            ordered = ModelBased(mapping, None).order(named("abcd"), Demand("claude-opus-5"))
            self.assertEqual(names(ordered), "cbad")

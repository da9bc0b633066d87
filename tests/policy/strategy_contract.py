"""What every strategy must do: a suite that a subclass statement runs over each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrelay.policy.candidate import Strategy
from ccrelay.policy.prices import Demand, Price
from ccrelay.policy.strategy import strategy_of

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Base
else:
    Base = object

DEMAND = Demand("claude-opus-5", input=1000, output=500, cache_read=20_000, cache_write=300)


@dataclass(frozen=True)
class Provider:
    """A candidate of which everything is as the test says."""

    name: str
    priority: int = 1
    weight: int = 1
    in_flight: int = 0
    first_byte: float | None = None
    price: Price | None = None


def named(names: str, **facts: Any) -> list[Provider]:
    """Return a provider for each letter, all alike."""
    return [Provider(name, **facts) for name in names]


def names(providers: tuple[Provider, ...]) -> str:
    """Return the names of providers that are called by letters."""
    return "".join(provider.name for provider in providers)


def firsts(strategy: Strategy, providers: list[Provider], times: int) -> str:
    """Return the names of those that so many conversations begin with."""
    return "".join(strategy.order(providers, DEMAND)[0].name for _ in range(times))


FACTS = st.builds(
    Provider,
    name=st.just(""),
    priority=st.integers(-1, 2),
    weight=st.integers(0, 5),
    in_flight=st.integers(0, 3),
    first_byte=st.none() | st.floats(0, 20),
    price=st.none() | st.builds(Price, *[st.sampled_from([0.0, 0.3, 3.0, 15.0])] * 4),
)
CROWDS = st.lists(FACTS, max_size=7).map(
    lambda crowd: [replace(one, name=f"p{at}") for at, one in enumerate(crowd)]
)
"""Providers of all kinds, in the order of the file."""


@st.composite
def traffic(draw: st.DrawFn) -> list[list[Provider]]:
    """Draw who could serve each of a row of requests: some of the same providers, some later ones."""
    crowd = draw(CROWDS)
    away = draw(st.lists(st.sets(st.integers(0, 6), max_size=5), max_size=12))
    return [[one for at, one in enumerate(crowd) if at not in missing] for missing in away]


def each(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return C{given} for a rule that several suites inherit, with fewer examples for each of them."""
    inherited = settings(max_examples=12, suppress_health_check=[HealthCheck.differing_executors])
    return lambda rule: inherited(given(*strategies)(rule))


class StrategyContract(Base):
    """
    What holds for every strategy.

    @cvar name: as C{routing.strategy} has it.
    @cvar returning: whether conversations go back to the provider that they had to leave.
    @cvar draws: whether chance has a part in the order.
    @cvar remembers: whether the order depends on earlier ones.
    """

    name: ClassVar[str]
    returning: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    remembers: ClassVar[bool] = False

    def strategy(self, seed: int = 1) -> Strategy:
        """Return a new one, with its own luck."""
        return strategy_of(self.name, Random(seed).random, {"claude-haiku": "p2"}, None)

    def test_whether_conversations_return(self) -> None:
        """Conversations return under strategies that prefer a provider, not under those that share out."""
        self.assertIs(self.strategy().returning, self.returning)

    @each(traffic(), st.integers())
    def test_all_are_ordered_each_once(self, requests: list[list[Provider]], seed: int) -> None:
        """Whoever could serve comes into the order, once, whoever came and went before."""
        strategy = self.strategy(seed)
        for present in requests:
            listed = list(present)
            for order in (strategy.preview, strategy.order):
                ordered = order(present, DEMAND)
                self.assertIsInstance(ordered, tuple)
                self.assertEqual(sorted(map(id, ordered)), sorted(map(id, present)))
                self.assertEqual(present, listed)

    def test_nobody_and_nobody_else(self) -> None:
        """Where there is no provider the order is empty, and the only one there is comes first."""
        strategy = self.strategy()
        for alone in named("aab", weight=0) + named("ab"):
            self.assertEqual(strategy.order([], DEMAND), ())
            self.assertEqual(strategy.preview([], DEMAND), ())
            self.assertEqual(strategy.preview([alone], DEMAND), (alone,))
            self.assertEqual(strategy.order([alone], DEMAND), (alone,))

    @each(traffic(), st.integers(), st.data())
    def test_looking_changes_nothing(
        self, requests: list[list[Provider]], seed: int, data: st.DataObject
    ) -> None:
        """However often orders are only shown, new conversations begin where they would have."""
        watched, alone = self.strategy(seed), self.strategy(seed)
        for present in requests:
            for _ in range(data.draw(st.integers(0, 2))):
                shown = data.draw(st.sampled_from([present, *requests]))
                self.assertEqual(watched.preview(shown, DEMAND), watched.preview(shown, DEMAND))
            self.assertEqual(watched.order(present, DEMAND), alone.order(present, DEMAND))

    @each(st.integers(1, 7))
    def test_ties_keep_the_order_of_the_file(self, count: int) -> None:
        """Providers that are alike are asked in the order of the file, but where chance decides."""
        alike = [Provider(f"p{9 - at}") for at in range(count)]
        self.assertEqual(list(self.strategy().preview(alike, DEMAND)), alike)
        if not self.draws:
            self.assertEqual(list(self.strategy().order(alike, DEMAND)), alike)

    @each(st.lists(st.integers(-1, 2), max_size=7))
    def test_priority_breaks_ties(self, priorities: list[int]) -> None:
        """Among providers that are alike otherwise, one of higher priority is asked first."""
        providers = [Provider(f"p{9 - at}", priority) for at, priority in enumerate(priorities)]
        ranked = sorted(providers, key=lambda one: -one.priority)
        self.assertEqual(list(self.strategy().preview(providers, DEMAND)), ranked)
        if not self.draws:
            self.assertEqual(list(self.strategy().order(providers, DEMAND)), ranked)

    @each(traffic(), st.integers())
    def test_what_was_before(self, requests: list[list[Provider]], seed: int) -> None:
        """Where providers do not take turns, the order depends on who can serve now and on nothing else."""
        strategy = self.strategy(seed)
        for present in requests:
            if not self.remembers:
                self.assertEqual(
                    strategy.preview(present, DEMAND), self.strategy(seed + 1).preview(present, DEMAND)
                )
            ordered = strategy.order(present, DEMAND)
            if not self.draws and not self.remembers:
                self.assertEqual(ordered, self.strategy(seed).order(present, DEMAND))

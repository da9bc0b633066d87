"""The rules of what a request costs, and of what strategies share."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.candidate import C, Strategy, ranked
from ccrelay.policy.prices import Demand, Price, Prices
from tests.policy.strategy_contract import CROWDS, DEMAND, Provider, named, names

OPUS, HAIKU, OTHER = Price(5.0, 25.0, 0.5, 6.25), Price(1.0, 5.0), Price(2.0)
SIZES = st.integers(0, 10**9)
MONEY = st.floats(0, 1000)


class PriceTests(SynchronousTestCase):
    """What a request costs."""

    def test_the_four_kinds_of_tokens(self) -> None:
        """A price is for a million tokens, and each kind has its own."""
        million = 1_000_000
        for demand, dollars in (
            (Demand("m"), 0.0),
            (Demand("m", input=million), 5.0),
            (Demand("m", output=million), 25.0),
            (Demand("m", cache_read=million), 0.5),
            (Demand("m", cache_write=million), 6.25),
            (Demand("m", 1000, 500, 20_000, 300), 0.029375),
        ):
            self.assertAlmostEqual(OPUS.of(demand), dollars)

    def test_no_price_is_free(self) -> None:
        """What the operator left out of a price costs nothing."""
        self.assertEqual(Price().of(DEMAND), 0.0)

    @given(st.builds(Price, MONEY, MONEY, MONEY, MONEY), st.lists(SIZES, min_size=4, max_size=4), SIZES)
    def test_more_never_costs_less(self, price: Price, sizes: list[int], more: int) -> None:
        """A larger request costs as much or more, whichever of its sizes is larger."""
        for kind in range(4):
            larger = [size + more * (at == kind) for at, size in enumerate(sizes)]
            self.assertGreaterEqual(price.of(Demand("m", *larger)), price.of(Demand("m", *sizes)))


class PricesTests(SynchronousTestCase):
    """A provider's C{price}."""

    prices = Prices({"claude-opus-5": OPUS, "claude-opus-5[1m]": OTHER, "haiku": HAIKU})

    def test_by_name(self) -> None:
        """Each model has its own price, and one that is not in the table has none."""
        self.assertIs(self.prices("claude-opus-5"), OPUS)
        self.assertIs(self.prices("haiku"), HAIKU)
        self.assertIsNone(self.prices("sonnet"))
        self.assertIsNone(Prices({})("haiku"))
        self.assertIsNone(self.prices())

    def test_every_model(self) -> None:
        """A price for all models holds for those without one of their own."""
        prices = Prices({"*": OTHER, "haiku": HAIKU})
        self.assertIs(prices("haiku"), HAIKU)
        self.assertIs(prices("sonnet", "claude-sonnet-5"), OTHER)

    def test_variants(self) -> None:
        """A variant costs what its model costs, unless it has a price of its own."""
        self.assertIs(self.prices("haiku[1m]"), HAIKU)
        self.assertIs(self.prices("claude-opus-5[1m]"), OTHER)
        self.assertIsNone(self.prices("[1m]"))

    def test_the_providers_own_name_counts_first(self) -> None:
        """The price of what the provider calls a model goes before that of what the client calls it."""
        self.assertIs(self.prices("haiku", "claude-opus-5"), HAIKU)
        self.assertIs(self.prices("glm-5", "claude-opus-5"), OPUS)
        self.assertIs(self.prices("haiku[1m]", "claude-opus-5"), HAIKU)

    def test_what_is_free_has_a_price(self) -> None:
        """A price of nothing is a price, not a price that is missing."""
        free = Price()
        self.assertIs(Prices({"haiku": free, "*": OPUS})("haiku"), free)

    def test_a_table_is_kept_as_it_was(self) -> None:
        """Whoever changes the table afterwards changes no price."""
        table = {"haiku": HAIKU}
        prices = Prices(table)
        table.clear()
        self.assertIs(prices("haiku"), HAIKU)


class RankedTests(SynchronousTestCase):
    """The order that breaks ties."""

    @given(CROWDS)
    def test_higher_priority_first(self, crowd: list[Provider]) -> None:
        """Candidates are ranked by priority, higher first; equals keep the order of the file."""
        self.assertEqual(ranked(iter(crowd)), sorted(crowd, key=lambda one: -one.priority))


class Backwards(Strategy):
    """A strategy of another's making."""

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        return tuple(reversed(candidates))


class StrategyTests(SynchronousTestCase):
    """What a new strategy need not say."""

    def test_a_strategy_without_turns_is_shown_as_it_is(self) -> None:
        """What a strategy orders without taking turns is what it shows, and nobody returns under it."""
        self.assertEqual(names(Backwards().preview(named("abc"), DEMAND)), "cba")
        self.assertFalse(Backwards().returning)

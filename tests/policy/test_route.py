"""The rules of the order in which routes are tried."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.keys import Key
from ccrelay.policy.route import Route, by_priority
from ccrelay.wire.secret import Secret


@st.composite
def configured(draw: st.DrawFn) -> list[Route]:
    """Draw the routes of some providers, as they stand in the file: each provider's keys together."""
    routes = []
    for at in range(draw(st.integers(0, 4))):
        priority = draw(st.integers(-1, 2))
        routes += [
            Route(f"p{at}", priority, Key(f"k{n}", priority=draw(st.integers(-1, 2))), "m")
            for n in range(draw(st.integers(1, 3)))
        ]
    return routes


class ByPriorityTests(SynchronousTestCase):
    """Failover order."""

    def test_providers_then_keys(self) -> None:
        """Higher providers first, among equals the file's order; within one, higher keys first."""
        names = [
            (route.provider, route.key_name)
            for route in by_priority(
                [
                    Route("low", 1, Key("a"), "m"),
                    Route("high", 5, Key("b"), "m"),
                    Route("high", 5, Key("c", priority=9), "m"),
                    Route("also-low", 1, Key("d", priority=100), "m"),
                    Route("low", 1, Key("e"), "m"),
                ]
            )
        ]
        self.assertEqual(names, [("high", "c"), ("high", "b"), ("low", "a"), ("low", "e"), ("also-low", "d")])

    def test_a_clients_own_bearer_has_its_place(self) -> None:
        """The route of a client's own token, which has no key, keeps the place of its provider."""
        own = Route("anthropic", 1, None, "m")
        pooled = Route("anthropic", 1, Key("a"), "m")
        self.assertEqual([r.key_name for r in by_priority([own, pooled])], ["a", "client"])
        self.assertEqual(own.key_name, "client")

    @given(configured())
    def test_nothing_is_lost_and_the_order_is_stable(self, routes: list[Route]) -> None:
        """Every route is there once; of two neighbours the first ranks higher, or stood first in the file."""
        ordered = by_priority(routes)
        self.assertEqual(sorted(map(id, ordered)), sorted(map(id, routes)))
        place = {id(route): at for at, route in enumerate(routes)}
        for one, next_one in pairwise(ordered):
            self.assertGreaterEqual(one.priority, next_one.priority)
            if one.provider == next_one.provider:
                self.assertGreaterEqual(one.key.priority, next_one.key.priority)
                if one.key.priority == next_one.key.priority:
                    self.assertLess(place[id(one)], place[id(next_one)])
            elif one.priority == next_one.priority:
                self.assertLess(one.provider, next_one.provider)

    def test_what_is_told_of_a_route(self) -> None:
        """A route is told by provider, model and the name of its key; its secret is nowhere in it."""
        key = Key("main", Secret("sk-test-0123456789"))
        shown = Route("zai", 1, key, "glm-5.3", mapped=True)
        self.assertEqual(shown.key_name, "main")
        self.assertNotIn("6789", repr(shown))

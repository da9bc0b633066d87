"""The strategies by which providers take turns."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from ccrelay.policy.candidate import Strategy, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ccrelay.policy.candidate import C
    from ccrelay.policy.prices import Demand


class RoundRobin(Strategy):
    """
    C{round_robin}: whoever has waited longest.

    With the same candidates each time that is a circle, begun by priority and
    the order of the file.  A provider that was away gets one turn on its
    return, not all that it missed.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._last: dict[str, int] = {}

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""
        ordered = self.preview(candidates, demand)
        if ordered:
            self._turn += 1
            self._last[ordered[0].name] = self._turn
        return ordered

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  the demand changes no turn
        """See L{Strategy.preview}."""
        return tuple(sorted(ranked(candidates), key=lambda c: self._last.get(c.name, 0)))


class WeightedRoundRobin(Strategy):
    """
    C{weighted_round_robin}, smooth: turns in proportion to weight, spread evenly over time.

    At each turn every candidate is credited its weight, the one with the most
    credit goes first, and pays what all were credited together.  So out of as many
    turns as the weights' sum each gets exactly its own: 3:2:1 goes a b a c b a.
    A weight of 0 gets no turn, unless all are 0, which then count as equal.
    """

    def __init__(self) -> None:
        self._credit: dict[str, int] = {}

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""
        ordered = self.preview(candidates, demand)
        if ordered:
            self._credit.update(self._credited(candidates))
            self._credit[ordered[0].name] -= sum(_weights(candidates))
        return ordered

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  the demand changes no turn
        """See L{Strategy.preview}."""
        credit = self._credited(candidates)
        weightless = [c for c in candidates if c.weight == 0]
        if 0 < len(weightless) < len(candidates):
            paid = [c for c in candidates if c.weight > 0]
            return (*self._by_credit(paid, credit), *ranked(weightless))
        return self._by_credit(candidates, credit)

    def _by_credit(self, candidates: Sequence[C], credit: dict[str, int]) -> tuple[C, ...]:
        return tuple(sorted(ranked(candidates), key=lambda c: -credit[c.name]))

    def _credited(self, candidates: Sequence[C]) -> dict[str, int]:
        weights = _weights(candidates)
        return {c.name: self._credit.get(c.name, 0) + w for c, w in zip(candidates, weights, strict=True)}


def _weights(candidates: Sequence[C]) -> list[int]:
    weights = list(map(attrgetter("weight"), candidates))
    return weights if any(weights) else [1] * len(weights)


class Shuffle(Strategy):
    """
    C{shuffle}: a shuffled deck is dealt, and every provider comes once before any comes twice.

    Who was away when it was its turn is next once it is back, for one turn and
    not for all that it missed; who is new has its turn in the round under way.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        """@param chance: returns random numbers, at least 0 and less than 1."""
        self._chance = chance
        self._cards: dict[str, tuple[int, float]] = {}  # the round in which each is next, and its place there

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""
        cards = self._cards
        begun = self._begun(candidates)
        for candidate in candidates:
            if candidate.name not in cards:
                cards[candidate.name] = begun, self._chance()
        ordered = self.preview(candidates, demand)
        if ordered:
            dealt = ordered[0].name
            latest = max(cards[c.name][0] for c in ordered)
            cards[dealt] = max(cards[dealt][0] + 1, latest), self._chance()
        return ordered

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  the demand changes no deck
        """See L{Strategy.preview}; who is new comes last in the round, for nothing is drawn."""
        new = self._begun(candidates), 1.0
        return tuple(sorted(ranked(candidates), key=lambda c: self._cards.get(c.name, new)))

    def _begun(self, candidates: Sequence[C]) -> int:
        """Return the round that is being dealt to these."""
        return min((self._cards[c.name][0] for c in candidates if c.name in self._cards), default=0)

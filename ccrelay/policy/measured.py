"""The strategies that measure: by load, by cost, by time to first byte."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from ccrelay.policy.candidate import Strategy, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ccrelay.policy.candidate import C
    from ccrelay.policy.prices import Demand


class LeastLoaded(Strategy):
    """C{least_loaded}: the fewest requests in flight first."""

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  load alone counts
        """See L{Strategy.order}."""
        return tuple(sorted(ranked(candidates), key=attrgetter("in_flight")))


class CostBased(Strategy):
    """
    C{cost_based}: the cheapest for this very request first.

    A provider without a price comes behind all that have one, for not knowing
    is not free; what is free has a price of 0.
    """

    returning: ClassVar[bool] = True

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""

        def cost(candidate: C) -> float:
            price = candidate.price
            return float("inf") if price is None else price.of(demand)

        return tuple(sorted(ranked(candidates), key=cost))


class LatencyBased(Strategy):
    """
    C{latency_based}: the lowest moving average of time to first byte first.

    A share of the new conversations begins with one of the others, each as
    likely as the next, so that all stay measured.  A provider not measured yet
    is first for one conversation; then it comes behind all that are, as it may
    not answer at all.
    """

    def __init__(self, chance: Callable[[], float], share: float = 0.05) -> None:
        """
        @param chance: returns random numbers, at least 0 and less than 1.
        @param share: of the orders that begin with another than the fastest.
        """
        self._chance = chance
        self._share = share
        self._offered: set[str] = set()

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""
        ordered = self.preview(candidates, demand)
        fresh = [
            at for at, one in enumerate(ordered) if one.first_byte is None and one.name not in self._offered
        ]
        if fresh:
            self._offered.add(ordered[fresh[0]].name)
            at = fresh[0]
            return (*ordered[at : at + 1], *ordered[:at], *ordered[at + 1 :])
        if not ordered[1:] or self._chance() >= self._share:
            return ordered
        at = 1 + int(self._chance() * (len(ordered) - 1))
        return (*ordered[at : at + 1], *ordered[:at], *ordered[at + 1 :])

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  speed alone counts
        """See L{Strategy.preview}: the fastest is always first."""

        def seconds(candidate: C) -> float:
            return float("inf") if candidate.first_byte is None else candidate.first_byte

        return tuple(sorted(ranked(candidates), key=seconds))


class FirstByte:
    """
    The moving average of a provider's time to first byte.

    @ivar seconds: what it is; None before the first answer.
    """

    __slots__ = ("_newest", "seconds")

    def __init__(self, newest: float = 0.2) -> None:
        """@param newest: the share that the newest answer has in the average."""
        self._newest = newest
        self.seconds: float | None = None

    def took(self, seconds: float) -> None:
        """Take note of an answer that began after so long."""
        known = seconds if self.seconds is None else self.seconds
        self.seconds = known + self._newest * (seconds - known)

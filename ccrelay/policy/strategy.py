"""The strategies that follow what the operator prefers, and the names of all."""

from __future__ import annotations

from math import inf, log1p
from typing import TYPE_CHECKING, ClassVar

from ccrelay.policy.candidate import Strategy, ranked
from ccrelay.policy.measured import CostBased, LatencyBased, LeastLoaded
from ccrelay.policy.turns import RoundRobin, Shuffle, WeightedRoundRobin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ccrelay.policy.candidate import C
    from ccrelay.policy.prices import Demand


class Failover(Strategy):
    """C{failover}: by priority, then as in the file."""

    returning: ClassVar[bool] = True

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  the order is fixed
        """See L{Strategy.order}."""
        return tuple(ranked(candidates))


class WeightedFailover(Strategy):
    """
    C{weighted_failover}: by priority, and among equals drawn by weight.

    Whoever has weight 2 is twice as often before an equal with weight 1.  A
    weight of 0 is asked only when no equal with more is left.
    """

    returning: ClassVar[bool] = True

    def __init__(self, chance: Callable[[], float]) -> None:
        """@param chance: returns random numbers, at least 0 and less than 1."""
        self._chance = chance

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  weight alone counts
        """See L{Strategy.order}."""

        def drawn(candidate: C) -> tuple[int, float]:
            # A race: who is drawn w times as often arrives after an exponential time of rate w.
            arrives = -log1p(-self._chance()) / candidate.weight if candidate.weight else inf
            return -candidate.priority, arrives

        return tuple(sorted(candidates, key=drawn))

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:  # noqa: ARG002  weight alone counts
        """See L{Strategy.preview}: nothing is drawn, the likeliest order is returned."""
        return tuple(sorted(candidates, key=lambda c: (-c.priority, -c.weight)))


class ModelBased(Strategy):
    """
    C{model_based}: the provider that C{routing.model_mapping} names for the model first.

    The longest prefix goes before shorter ones that fit too, then comes
    C{default_provider}; all others follow by priority and the order of the file,
    so that a request still finds a way while those named cannot serve it.
    """

    returning: ClassVar[bool] = True

    def __init__(self, mapping: Mapping[str, str], default: str | None) -> None:
        """
        @param mapping: prefixes of models, each with a provider's name.
        @param default: the name of the provider for models without a prefix, or None.
        """
        self._prefixes = sorted(mapping.items(), key=lambda pair: -len(pair[0]))
        self._default = default

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.order}."""
        place: dict[str | None, int] = {}
        for prefix, provider in self._prefixes:
            if demand.model.startswith(prefix):
                place.setdefault(provider, len(place))
        place.setdefault(self._default, len(place))
        return tuple(sorted(ranked(candidates), key=lambda c: place.get(c.name, len(place))))


def strategy_of(
    name: str,
    chance: Callable[[], float],
    model_mapping: Mapping[str, str],
    default_provider: str | None,
) -> Strategy:
    """
    Return the strategy of a name, as C{routing.strategy} has it.

    Other spellings are C{least_busy} for C{least_loaded}, C{simple_shuffle} for
    C{shuffle}, and hyphens for underscores.

    @param chance: returns random numbers, at least 0 and less than 1.
    @param model_mapping: C{routing.model_mapping}.
    @param default_provider: C{routing.default_provider}.
    @raise KeyError: for a name that no strategy has.
    """
    makers: dict[str, Callable[[], Strategy]] = {
        "failover": Failover,
        "round_robin": RoundRobin,
        "weighted_round_robin": WeightedRoundRobin,
        "shuffle": lambda: Shuffle(chance),
        "simple_shuffle": lambda: Shuffle(chance),
        "least_loaded": LeastLoaded,
        "least_busy": LeastLoaded,
        "weighted_failover": lambda: WeightedFailover(chance),
        "model_based": lambda: ModelBased(model_mapping, default_provider),
        "cost_based": CostBased,
        "latency_based": lambda: LatencyBased(chance),
    }
    return makers[name.replace("-", "_")]()

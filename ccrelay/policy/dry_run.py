"""Routing as it would be, for those who only want to know: nothing is taken, moved or counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.policy.candidate import Strategy
from ccrelay.policy.routing import Routing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccrelay.policy.affinity import Place
    from ccrelay.policy.candidate import C
    from ccrelay.policy.conversation import Conversation
    from ccrelay.policy.prices import Demand


class _Previewed(Strategy):
    """A strategy whose turns are looked at and not taken."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy

    @property
    def returning(self) -> bool:  # type: ignore[override]
        """As the strategy itself."""
        return self._strategy.returning

    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """See L{Strategy.preview}."""
        return self._strategy.preview(candidates, demand)


class DryRouting(Routing):
    """What decides where requests go, as it stands; a selection with it must not be taken from."""

    def __init__(self, routing: Routing) -> None:
        super().__init__(
            routing.name, _Previewed(routing.strategy), routing.breakers, routing.affinity,
            routing.budget, routing.estimates, routing.chance,
        )  # fmt: skip

    def _places(self, conversation: Conversation, now: float) -> tuple[Place, ...]:
        return () if self.affinity is None else self.affinity.peek(conversation, now)

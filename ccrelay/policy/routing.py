"""What is remembered between requests, and decides where the next one goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ccrelay.policy.affinity import Affinity, Place
    from ccrelay.policy.backend import Way
    from ccrelay.policy.breakers import Breakers
    from ccrelay.policy.budget import RetryBudget
    from ccrelay.policy.candidate import Strategy
    from ccrelay.policy.conversation import Conversation
    from ccrelay.policy.estimates import Estimates
    from ccrelay.policy.keys import Key


class Routing:
    """
    The strategy and all that outlives a request: breakers, places of conversations, the budget for repeats.

    @ivar name: the strategy's, as C{routing.strategy} has it.
    @ivar affinity: None where conversations have no place.
    @ivar chance: returns a random number, at least 0 and less than 1.
    """

    def __init__(
        self,
        name: str,
        strategy: Strategy,
        breakers: Breakers,
        affinity: Affinity | None,
        budget: RetryBudget,
        estimates: Estimates,
        chance: Callable[[], float],
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.breakers = breakers
        self.affinity = affinity
        self.budget = budget
        self.estimates = estimates
        self.chance = chance

    def place_for(self, conversation: Conversation | None, way: Way, now: float) -> Key | None:
        """
        Return the key of a provider that a new conversation is placed on, or None if none may be used.

        Among the usable keys of the highest priority that nothing speaks
        against, by rendezvous hashing with bounded load.
        """
        keys = way.backend.pool.best(now, way.ask)
        if conversation is None or self.affinity is None or len(keys) < 2:  # noqa: PLR2004  nothing to choose
            return keys[0] if keys else None
        names = [key.name for key in keys]
        chosen = self.affinity.choose_key(conversation, names, self.affinity.loads(way.name))
        return keys[names.index(chosen)]

    def places_of(
        self, conversation: Conversation | None, ways: Iterable[Way], now: float
    ) -> tuple[Place, ...]:
        """
        Return where a conversation goes before all others, in order; nowhere for a new one.

        It does not return to a provider that is draining.

        @param ways: all that its request may go.
        """
        if conversation is None or self.affinity is None:
            return ()
        places = self._places(conversation, now)
        if len(places) < 2:  # noqa: PLR2004  it is where it is, and stays
            return places
        leaving = {way.name for way in ways if way.backend.draining}
        return tuple(place for place in places if place is places[-1] or place.provider not in leaving)

    def _places(self, conversation: Conversation, now: float) -> tuple[Place, ...]:
        return () if self.affinity is None else self.affinity.places(conversation, now)

    def provider_failed(self, provider: str, now: float) -> None:
        """Take note that a provider could not serve: no conversation returns to it for a while."""
        if self.affinity is not None:
            self.affinity.failed(provider, now)

"""What PRODUCT says of the series of attempts: which there are, in which order, and what is the end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.matrix.cell import Topology
from tests.matrix.fault import Blame, Effect, Repeats, Row, Scope

MOST: Final = 4
"""C{routing.max_attempts} (3.3)."""
LAST_START_S: Final = 180.0
"""C{routing.failover_timeout} (3.3)."""

Place = tuple[str, int]
"""A provider, and which of its keys: 0 is the one it was asked with first."""


class End(Enum):
    """How the request ends."""

    SERVED = "served"
    REFUSED = "refused"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Step:
    """
    One attempt.

    @ivar places: where it may be made; several where all were tried, and it is a matter of chance.
    """

    places: frozenset[Place]
    repeat: bool
    faulty: bool


@dataclass(frozen=True, slots=True)
class Series:
    """All attempts, and the end."""

    steps: tuple[Step, ...]
    end: End


@dataclass(slots=True)
class _Walk:
    """The way through a topology, as 3.1 to 3.3 have it."""

    effect: Effect
    scope: Scope
    left: list[Place]
    steps: list[Step]
    elapsed: float = 0.0

    def faulty(self, place: Place) -> bool:
        """Return whether an attempt at a place fails."""
        first = next(iter(self.steps[0].places)) if self.steps else place
        here = place == first if self.effect.blame is Blame.KEY else place[0] == first[0]
        return {
            Scope.ONCE: not self.steps,
            Scope.TWICE: len(self.steps) < 2,
            Scope.THERE: here,
            Scope.EVERYWHERE: True,
        }[self.scope]

    def go(self, place: Place) -> Series:
        """Return the series that begins at a place."""
        places, repeat = frozenset({place}), False
        while True:
            fails = self.faulty(next(iter(places)))
            self.steps.append(Step(places, repeat, fails))
            if not fails:
                return Series(tuple(self.steps), End.SERVED)
            if self.effect.blame is Blame.CUT:
                return Series(tuple(self.steps), End.CUT)
            self.elapsed += self.effect.seconds
            following = self._following(places) if self._more() else None
            if following is None:
                return Series(tuple(self.steps), End.REFUSED)
            places, repeat = following

    def _more(self) -> bool:
        return len(self.steps) < MOST and self.elapsed < LAST_START_S

    def _following(self, places: frozenset[Place]) -> tuple[frozenset[Place], bool] | None:
        """Return where the next attempt goes after one that failed, and whether it is a repeat."""
        blame, tried = self.effect.blame, [place for step in self.steps for place in step.places]
        self.left = [place for place in self.left if place not in places]
        if blame is not Blame.KEY:
            failed = {provider for provider, _ in places}
            self.left = [place for place in self.left if place[0] not in failed]
        if blame is Blame.CLIENT:
            once = self.effect.repeats is Repeats.ONCE and len(self.steps) == 1
            return (places, True) if once else None
        again = self.effect.repeats is Repeats.WITHIN_BOUNDS
        if blame is Blame.OVERLOAD and again:
            here = sum(step.places == places for step in self.steps) - 1
            if here < (1 if self.left else 2):
                return (places if self.left else frozenset(tried)), True
        if self.left:
            return frozenset({self.left[0]}), False
        if blame is Blame.OVERLOAD or not again:
            return None
        return frozenset(tried), True


def expected(row: Row, topology: Topology, scope: Scope, *, stream: bool) -> Series:
    """Return the series that a fault leads to."""
    effect = row.effect(stream=stream)
    assert effect is not None
    places = topology.places
    return _Walk(effect, scope, places, []).go(places[0])

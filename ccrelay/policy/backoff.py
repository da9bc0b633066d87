"""How long to wait before the same provider is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_GROWTH: Final = 3

OVERLOAD_S: Final = 8.0
"""Seconds after the first refusal for overload within which the last repeat begins where nobody else is."""
_BRIEFLY: Final = (0.1, 0.3)
_PATIENTLY: Final = ((1.0, 3.0), (2.0, 5.0))


class Backoff:
    """
    Waits with decorrelated jitter: each between the base and three times the one before.

    Those who failed together so do not come back together.
    (U{https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/})
    """

    __slots__ = ("_base", "_cap", "_chance", "_last")

    def __init__(self, base: float, cap: float, chance: Callable[[], float]) -> None:
        """
        @param base: the shortest wait, in seconds.
        @param cap: the longest.
        @param chance: returns a random number from 0 to 1, 1 excluded.
        """
        self._base = base
        self._cap = cap
        self._chance = chance
        self._last = base

    def next(self) -> float:
        """Return the seconds to wait this time."""
        self._last = min(self._cap, _between(self._base, self._last * _GROWTH, self._chance))
        return self._last


def overload_wait(repeats: int, elapsed: float, *, alone: bool, chance: Callable[[], float]) -> float | None:
    """
    Return the seconds to wait before an overloaded provider is asked again, or None to leave it.

    Overload passes quickly or not at all: where somebody else can be asked, one repeat after a moment is
    enough; where nobody can, there are two, the last beginning within L{OVERLOAD_S} of the first refusal.

    @param repeats: how many there were already.
    @param elapsed: seconds since the first refusal.
    @param alone: whether there is no other candidate.
    @param chance: returns a random number from 0 to 1, 1 excluded.
    """
    if not alone:
        return _between(*_BRIEFLY, chance) if repeats == 0 else None
    if repeats >= len(_PATIENTLY):
        return None
    shortest, longest = _PATIENTLY[repeats]
    longest = min(longest, OVERLOAD_S - elapsed)
    return _between(shortest, longest, chance) if longest >= shortest else None


def _between(shortest: float, longest: float, chance: Callable[[], float]) -> float:
    return shortest + (longest - shortest) * chance()

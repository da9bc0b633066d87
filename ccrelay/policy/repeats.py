"""Repeats in place: whether the same provider and key are asked once more, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ccrelay.policy.backoff import OVERLOAD_S, Backoff, overload_wait
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.policy.moment import Moment
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.route import Route

_BASE_S: Final = 0.25
_JUDGED_LATER_S: Final = 0.1
"""Seconds by which a key may be told of a wait later than the attempt has ended."""


class Repeat(NamedTuple):
    """A repeat of what ended in C{outcome}, after so many seconds."""

    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class _Tried:
    """
    A route and how it went.

    @ivar overloads: refusals for overload, the first one C{since}.
    @ivar invited: whether it was repeated for no other reason than that the provider asked for it.
    """

    last: Outcome
    overloads: int = 0
    since: float = 0.0
    invited: bool = False


class Repeats:
    """What one request has tried, and what of it is worth a repeat."""

    def __init__(
        self,
        longest_wait: float,
        chance: Callable[[], float],
        ready_at: Callable[[Outcome, float], float | None],
    ) -> None:
        """
        @param longest_wait: seconds that a provider may ask for and be waited for; nobody is repeated with 0.
        @param chance: returns a random number from 0 to 1, 1 excluded.
        @param ready_at: returns when a route may be asked again, in seconds since the epoch, or None if
            never by itself.
        """
        self._longest = longest_wait
        self._chance = chance
        self._ready_at = ready_at
        self._backoff = Backoff(_BASE_S, max(longest_wait, _BASE_S), chance)
        self._tried: dict[tuple[str, int], _Tried] = {}

    def failed(self, outcome: Outcome) -> None:
        """Take note of an attempt that did not answer."""
        name = _name(outcome.route)
        tried = self._tried.get(name)
        if tried is None:
            tried = self._tried[name] = _Tried(outcome)
        else:
            tried.invited |= not tried.last.worth_a_repeat(self._longest, invited=False)
            tried.last = outcome
        if outcome.verdict is Verdict.BUSY:
            tried.since = tried.since if tried.overloads else outcome.at.clock
            tried.overloads += 1

    def at_once(self, outcome: Outcome, *, elsewhere: bool) -> Repeat | None:
        """
        Return the repeat that goes before any other candidate, if there is one.

        Overload is repeated after a moment, if the provider does not ask for
        longer, and so is what a provider asks to be sent again although it is
        the request's own fault.

        @param elsewhere: whether there is a candidate that was not tried.
        """
        tried = self._tried[_name(outcome.route)]
        if outcome.verdict is Verdict.BUSY and elsewhere:
            wait = overload_wait(tried.overloads - 1, 0.0, alone=False, chance=self._chance)
            repeat = self._after(wait, tried, outcome.at)
            return repeat if repeat is not None and repeat.seconds == wait else None
        if outcome.verdict is Verdict.CLIENT:
            return self._after(self._backoff.next(), tried, outcome.at)
        return None

    def nowhere_else(self, now: Moment) -> Repeat | None:
        """Return the repeat of what can be asked again soonest, when every candidate was tried."""
        pause = self._backoff.next()
        possible = [self._of(tried, now, pause) for tried in self._tried.values()]
        found = [repeat for repeat in possible if repeat is not None]
        return min(found, key=lambda repeat: repeat.seconds, default=None)

    def _of(self, tried: _Tried, now: Moment, pause: float) -> Repeat | None:
        if tried.last.verdict is Verdict.CLIENT:
            return None
        if tried.last.verdict is not Verdict.BUSY:
            return self._after(pause, tried, now)
        elapsed = now.clock - tried.since
        wait = overload_wait(tried.overloads - 1, elapsed, alone=True, chance=self._chance)
        repeat = self._after(wait, tried, now)
        return repeat if repeat is not None and elapsed + repeat.seconds <= OVERLOAD_S else None

    def _after(self, pause: float | None, tried: _Tried, now: Moment) -> Repeat | None:
        """Return a repeat after a pause, or as much later as the provider and its key want it, if they do."""
        last = tried.last
        if pause is None or not self._longest:
            return None
        if not last.worth_a_repeat(self._longest, invited=not tried.invited):
            return None
        ready = self._ready_at(last, now.wall)
        if ready is None or ready - now.wall > self._longest + _JUDGED_LATER_S:
            return None
        asked_for = (last.retry_after or 0.0) - (now.clock - last.at.clock)
        return Repeat(last, max(pause, asked_for, ready - now.wall))


def _name(route: Route) -> tuple[str, int]:
    return route.provider, id(route.key)

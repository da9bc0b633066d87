"""Repeats in place: whether the same provider and key are asked once more, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ccrelay.policy.backoff import Backoff, overload_wait
from ccrelay.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.policy.moment import Moment
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.route import Route

_BASE_S: Final = 0.25


class Repeat(NamedTuple):
    """A repeat of what ended in C{outcome}, after so many seconds."""

    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class _Tried:
    """
    A route and how it went.

    @ivar overloads: refusals for overload, the first one C{since}.
    @ivar invited: whether it was repeated because the provider said so.
    """

    last: Outcome
    overloads: int = 0
    since: float = 0.0
    invited: bool = False


class Repeats:
    """What one request has tried, and what of it is worth a repeat."""

    def __init__(self, longest_wait: float, chance: Callable[[], float]) -> None:
        """
        @param longest_wait: seconds that a provider may ask for and be waited for.
        @param chance: returns a random number from 0 to 1, 1 excluded.
        """
        self._longest = longest_wait
        self._chance = chance
        self._backoff = Backoff(_BASE_S, max(longest_wait, _BASE_S), chance)
        self._tried: dict[tuple[str, int], _Tried] = {}

    def failed(self, outcome: Outcome) -> None:
        """Take note of an attempt that did not answer."""
        name = _name(outcome.route)
        tried = self._tried.setdefault(name, _Tried(outcome))
        tried.last = outcome
        if outcome.verdict is Verdict.BUSY:
            tried.since = tried.since if tried.overloads else outcome.at.clock
            tried.overloads += 1

    def at_once(self, outcome: Outcome, *, elsewhere: bool) -> Repeat | None:
        """
        Return the repeat that goes before any other candidate, if there is one.

        Overload is repeated after a moment, and so is what a provider asks to
        be sent again although it is the request's own fault.

        @param elsewhere: whether there is a candidate that was not tried.
        """
        tried = self._tried[_name(outcome.route)]
        if outcome.verdict is Verdict.BUSY:
            return self._overloaded(tried, outcome.at, alone=not elsewhere)
        if outcome.verdict is Verdict.CLIENT and outcome.should_retry and not tried.invited:
            tried.invited = True
            return self._waiting(tried.last, outcome.at, self._backoff.next())
        return None

    def nowhere_else(self, now: Moment) -> Repeat | None:
        """Return the repeat of what can be asked again soonest, when every candidate was tried."""
        pause = self._backoff.next()
        possible = [self._of(tried, now, pause) for tried in self._tried.values()]
        found = [repeat for repeat in possible if repeat is not None]
        return min(found, key=lambda repeat: repeat.seconds, default=None)

    def _of(self, tried: _Tried, now: Moment, pause: float) -> Repeat | None:
        if tried.last.verdict is Verdict.BUSY:
            return self._overloaded(tried, now, alone=True)
        if tried.last.verdict is Verdict.CLIENT:
            return None
        return self._waiting(tried.last, now, pause)

    def _overloaded(self, tried: _Tried, now: Moment, *, alone: bool) -> Repeat | None:
        if not tried.last.worth_a_repeat(self._longest):
            return None
        elapsed = now.clock - tried.since
        wait = overload_wait(tried.overloads - 1, elapsed, alone=alone, chance=self._chance)
        if wait is None:
            return None
        return Repeat(tried.last, max(wait, tried.last.retry_after or 0.0))

    def _waiting(self, last: Outcome, now: Moment, pause: float) -> Repeat | None:
        if not last.worth_a_repeat(self._longest):
            return None
        asked_for = (last.retry_after or 0.0) - (now.clock - last.at.clock)
        return Repeat(last, max(pause, asked_for))


def _name(route: Route) -> tuple[str, int]:
    return route.provider, id(route.key)

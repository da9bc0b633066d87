"""A circuit breaker: whether a provider, or one model of it, may be asked."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ccrelay.policy.admission import Ending, Pass
from ccrelay.policy.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

JITTER: Final = 0.1
"""The part of its time that a breaker may stay open longer, so that several do not try again together."""


class State(enum.Enum):
    """Where a breaker is."""

    CLOSED = "closed"
    """Every request may pass."""
    OPEN = "open"
    """None may, but as a last resort."""
    HALF_OPEN = "half_open"
    """A few may at once, to find out."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """
    When a breaker opens and closes.

    @ivar failures: so many in a row open it.
    @ivar open_for: seconds it then stays open at least.
    @ivar half_open_probes: so many requests may pass it at once when half open, and so many
        successes close it.
    @ivar failure_rate: the share of failed requests, from 0 to 1, that opens it; None for never.
    @ivar window: seconds over which that share is taken.
    @ivar minimum_requests: fewer requests than that have no share.
    @ivar unhealthy_after: so many failed health probes in a row open it.
    @ivar longest: seconds that it stays open at most, unless C{open_for} is longer.
    """

    failures: int = 5
    open_for: float = 30.0
    half_open_probes: int = 3
    failure_rate: float | None = None
    window: float = 60.0
    minimum_requests: int = 20
    unhealthy_after: int = 3
    longest: float = 300.0


def _nobody(_breaker: Breaker) -> None:
    """Nobody watches."""


class Breaker:
    """
    A circuit breaker, which is this table.

    ::

        in         on                                               goes to
        ---------  -----------------------------------------------  ------------------------------------
        CLOSED     a request succeeded                              CLOSED, the row of failures ends
        CLOSED     a request failed, C{failures} in a row           OPEN for C{open_for}
        CLOSED     a request failed, C{failure_rate} reached        OPEN for C{open_for}
        OPEN       its time is over                                 HALF_OPEN
        OPEN       a health probe succeeded                         HALF_OPEN
        OPEN       a request enters early                           HALF_OPEN, and takes a place
        HALF_OPEN  a request failed, one having entered early       OPEN for the rest of its time
        HALF_OPEN  a request succeeded, C{half_open_probes} in all  CLOSED
        HALF_OPEN  a request failed                                 OPEN for twice as long as before
        not OPEN   a health probe failed, C{unhealthy_after}        OPEN, as above
                   or more in a row
        any        a request was cancelled                          itself
        any        reset                                            CLOSED, all is forgotten

    The time it is open doubles up to C{longest} until it is closed again, and has some jitter.

    Each change of state and each reset begins an era.  A request speaks for the era it entered in: one that
    ends in a later era gives its place back and says nothing else, so that stragglers of an outage do not
    open a breaker again, nor do those from before it close one.  Places are counted over all eras: there are
    never more than C{half_open_probes} out.

    A request that succeeds ends the row of failed health probes as well: it is the better witness.
    Health probes alone never close a breaker: a provider may list its models and yet answer nothing.
    """

    __slots__ = (
        "_chance",
        "_changed",
        "_doubled",
        "_due",
        "_era",
        "_out",
        "_probe_failures",
        "_resumes",
        "_state",
        "_successes",
        "_tally",
        "_thresholds",
        "failures",
    )

    def __init__(
        self,
        thresholds: Thresholds,
        chance: Callable[[], float],
        changed: Callable[[Breaker], None] = _nobody,
    ) -> None:
        """
        @param chance: returns a random number from 0 to 1, 1 excluded.
        @param changed: told after each change of state.
        """
        self._thresholds = thresholds
        self._chance = chance
        self._changed = changed
        self._era = 0
        self._out = 0
        self._state = State.CLOSED
        self._resumes = 0.0
        self.reset()

    def state(self, now: float) -> State:
        """Return where it is at C{now}, seconds since the epoch."""
        if self._state is State.OPEN and now >= self._due:
            return State.HALF_OPEN
        return self._state

    def due(self, now: float) -> float:
        """
        Return when it lets something through, seconds since the epoch: C{now} where it is not open.

        A breaker that is half open with all places taken is due now as well: nobody knows when one is
        given back.
        """
        return max(now, self._due) if self._state is State.OPEN else now

    def admits(self, now: float, *, early: bool = False) -> bool:
        """
        Return whether L{enter} would give a pass; nothing changes.

        @param early: see there.
        """
        if self._state is State.CLOSED:
            return True
        state = self.state(now)
        return (early or state is State.HALF_OPEN) and self._out < self._thresholds.half_open_probes

    def enter(self, now: float, *, early: bool = False) -> Pass | None:
        """
        Take a pass, to be ended exactly once, or return None if there is none.

        @param early: whether a breaker that is open becomes half open for it before it is due, which is for
            requests that nobody else could take.
        """
        if self._state is State.CLOSED:
            return Pass(partial(self._ended, self._era, False), gated=False)  # noqa: FBT003  not gated
        if not self.admits(now, early=early):
            return None
        if self._state is State.OPEN:
            self._half_open(early=now < self._due)
        gated = self._state is State.HALF_OPEN
        self._out += gated
        return Pass(partial(self._ended, self._era, gated), gated=gated)

    def tick(self, now: float) -> None:
        """Become half open if its time is over, rather than when somebody asks next."""
        if self._state is State.OPEN and now >= self._due:
            self._half_open()

    def probe_succeeded(self, now: float) -> None:
        """Take note of a health probe that succeeded."""
        self._probe_failures = 0
        if self.state(now) is State.OPEN:
            self._half_open()
        elif self._resumes:
            self._resumes = 0.0
            self._changed(self)

    def probe_failed(self, now: float) -> None:
        """Take note of a health probe that failed."""
        self._probe_failures += 1
        if self._probe_failures >= self._thresholds.unhealthy_after and self.state(now) is not State.OPEN:
            self._open(now)

    def reset(self) -> None:
        """Close it and forget everything, but for the places that are out."""
        self._probe_failures = 0
        self._close()

    def adapt(self, thresholds: Thresholds) -> None:
        """Go on from here with other thresholds."""
        if thresholds.window != self._thresholds.window:
            self._tally = Tally(thresholds.window)
        self._thresholds = thresholds

    @property
    def degraded(self) -> bool:
        """Whether the last health probe failed, and no request succeeded since."""
        return self._probe_failures > 0

    def _ended(self, era: int, gated: bool, ending: Ending, now: float) -> None:  # noqa: FBT001  for partial
        self._out -= gated
        if era != self._era or ending is Ending.NOTHING:
            return
        if ending is Ending.SUCCESS:
            self._succeeded(now)
        else:
            self._failed(now)

    def _succeeded(self, now: float) -> None:
        self._probe_failures = 0
        if self._state is State.HALF_OPEN:
            self._successes += 1
            if self._successes >= self._thresholds.half_open_probes:
                self._close()
            return
        self.failures = 0
        if self._thresholds.failure_rate is not None:
            self._tally.add(now, failed=False)

    def _failed(self, now: float) -> None:
        self.failures += 1
        if self._state is State.HALF_OPEN and self._resumes > now:
            self._resume()
        elif self._state is State.HALF_OPEN or self._too_many(now):
            self._open(now)

    def _too_many(self, now: float) -> bool:
        limits, tally = self._thresholds, self._tally
        if limits.failure_rate is not None:
            tally.add(now, failed=True)
            share = tally.failures / tally.requests
            if tally.requests >= limits.minimum_requests and share >= limits.failure_rate:
                return True
        return self.failures >= limits.failures

    def _close(self) -> None:
        before = self._state
        self._era += 1
        self._state = State.CLOSED
        self._doubled = self._due = self._resumes = 0.0
        self.failures = 0
        self._successes: int = 0
        self._tally = Tally(self._thresholds.window)
        if before is not State.CLOSED:
            self._changed(self)

    def _open(self, now: float) -> None:
        self._era += 1
        self._state = State.OPEN
        self._resumes = 0.0
        limits = self._thresholds
        self._doubled = max(limits.open_for, min(self._doubled * 2, limits.longest / (1 + JITTER)))
        seconds = self._doubled * (1 + JITTER * self._chance())
        self._due = now + min(seconds, max(limits.open_for, limits.longest))
        self._changed(self)

    def _half_open(self, *, early: bool = False) -> None:
        """
        Become half open.

        @param early: whether it is not due: then nothing of it is told, and a failure undoes it, or every
            request of an outage would make the circuit stay open twice as long.
        """
        self._era += 1
        self._state = State.HALF_OPEN
        self._successes = 0
        self._resumes = self._due if early else 0.0
        if not early:
            self._changed(self)

    def _resume(self) -> None:
        """Be open again as before somebody entered early."""
        self._era += 1
        self._state = State.OPEN
        self._due, self._resumes = self._resumes, 0.0

"""The circuit-breaker service: it says which circuits change, and half-opens those whose time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.logger import Logger

from ccrelay.observe.log import FIELDS
from ccrelay.policy.breaker import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall

    from ccrelay.policy.breaker import Breaker


class CircuitBreakerService(Service):
    """
    Watches the breakers of all providers, of every configuration there is and was.

    A breaker decides by itself when it is asked.  This gives it the time: when
    a circuit has been open long enough it becomes half open then, for all to
    see, and not when the next request happens to come.
    """

    name = "circuit breakers"
    log = Logger()

    def __init__(self, clock: Any, wall: Callable[[], float]) -> None:  # noqa: ANN401  a reactor or a Clock
        """@param wall: returns seconds since the epoch."""
        self._clock = clock
        self._wall = wall
        self._timers: dict[Breaker, IDelayedCall] = {}
        self._log = self.log

    def changed(self, provider: str, model: str, breaker: Breaker) -> None:
        """
        Take note of a circuit that has changed its state.

        @param model: empty where it is that of the whole provider.
        """
        now = self._wall()
        self._forget(breaker)
        state = breaker.state(now)
        fields: dict[str, Any] = {"provider": provider, "model": model}
        if state is State.OPEN:
            seconds = max(breaker.due(now) - now, 0.0)
            fields |= {"failures": breaker.failures, "open_s": round(seconds, 1)}
            self._timers[breaker] = self._clock.callLater(seconds, self._due, breaker)
            self._log.warn("circuit open", **{FIELDS: fields})
        else:
            self._log.info("circuit {state}", state=state.value.replace("_", " "), **{FIELDS: fields})

    def stopService(self) -> None:
        """Stop waiting."""
        super().stopService()
        for breaker in tuple(self._timers):
            self._forget(breaker)

    def _due(self, breaker: Breaker) -> None:
        self._timers.pop(breaker, None)
        now = self._wall()
        if breaker.due(now) > now:  # the time of day was put back
            self._timers[breaker] = self._clock.callLater(breaker.due(now) - now, self._due, breaker)
        else:
            breaker.tick(now)

    def _forget(self, breaker: Breaker) -> None:
        timer = self._timers.pop(breaker, None)
        if timer is not None and timer.active():
            timer.cancel()

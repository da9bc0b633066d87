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
    from ccrelay.policy.breakers import Breakers


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
        self._timers: dict[Breaker, tuple[str, IDelayedCall]] = {}
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
            why = "requests" if breaker.failures else "probes"
            fields |= {"failures": breaker.failures or None, "failed": why, "open_s": round(seconds, 1)}
            self._wait(breaker, provider, seconds)
            self._log.warn("circuit open", **{FIELDS: fields})
        else:
            self._log.info("circuit {state}", state=state.value.replace("_", " "), **{FIELDS: fields})

    def change(self, old: Breakers, new: Breakers) -> None:
        """Wait no more for the circuits of those providers that are gone, or begin afresh."""
        for breaker, (provider, _) in tuple(self._timers.items()):
            if _of(old, provider) is not _of(new, provider):
                self._forget(breaker)

    def stopService(self) -> None:
        """Stop waiting."""
        super().stopService()
        for breaker in tuple(self._timers):
            self._forget(breaker)

    def _due(self, breaker: Breaker) -> None:
        provider, _ = self._timers.pop(breaker)
        now = self._wall()
        if breaker.due(now) > now:  # the time of day was put back
            self._wait(breaker, provider, breaker.due(now) - now)
        else:
            breaker.tick(now)

    def _wait(self, breaker: Breaker, provider: str, seconds: float) -> None:
        if self.running:
            self._timers[breaker] = provider, self._clock.callLater(seconds, self._due, breaker)

    def _forget(self, breaker: Breaker) -> None:
        waiting = self._timers.pop(breaker, None)
        if waiting is not None:
            waiting[1].cancel()


def _of(breakers: Breakers, provider: str) -> Breaker | None:
    try:
        return breakers.of(provider)
    except KeyError:
        return None

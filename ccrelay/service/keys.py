"""The watch over keys: which ones cannot be used for long, and which can again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ccrelay.observe.log import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ccrelay.policy.keys import Key, KeyState
    from ccrelay.relay.upstreams import Upstreams

INTERVAL_S: Final = 1.0
_LONG_S: Final = 60.0
"""Seconds from which on a wait is worth a line; shorter ones come and go with the traffic."""

_Reason: TypeAlias = tuple[str, str, str, str]
"""Provider, key, what it cannot be used for and why."""


class KeyWatchService(Service):
    """
    Looks at all keys once a second, and says in the log which have gone out of use and which have come back.

    A key that was refused is an alarm; so is one without credit.  Limits that
    are over within a minute are the business of the day.
    """

    name = "key watch"
    log = Logger()

    def __init__(self, upstreams: Callable[[], Upstreams], clock: Any, wall: Callable[[], float]) -> None:  # noqa: ANN401
        """
        @param upstreams: returns the providers in use.
        @param wall: returns seconds since the epoch.
        """
        self._upstreams = upstreams
        self._wall = wall
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._known: dict[_Reason, Key] = {}
        self._log = self.log

    def startService(self) -> None:
        """Look from now on."""
        super().startService()
        self._loop.start(INTERVAL_S, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        now = self._wall()
        found: dict[_Reason, Key] = {}
        for upstream in self._upstreams().listed:
            for key in upstream.backend.pool.keys:
                if key.usable(now) and not key.waiting(now):
                    continue
                for model, why, until in _reasons(key.state(now), now):
                    reason = (upstream.name, key.name, model, why)
                    found[reason] = key
                    if reason not in self._known:
                        self._tell(reason, until, now)
        for provider, name, model, why in self._known.keys() - found.keys():
            fields = {"provider": provider, "key": name, "model": model, "was": why}
            self._log.info("key usable again", **{FIELDS: fields})
        self._known = found

    def _tell(self, reason: _Reason, until: float | None, now: float) -> None:
        provider, name, model, why = reason
        left = None if until is None else round(until - now)
        fields = {"provider": provider, "key": name, "model": model, "why": why, "for_s": left}
        self._log.warn("key out of use", **{FIELDS: fields})


def _reasons(state: KeyState, now: float) -> Iterator[tuple[str, str, float | None]]:
    """Yield for which model, why and until when a key is out of use for long; an empty model for all."""
    if state.standing in {"invalid", "exhausted"}:
        yield "", state.standing, state.until
    for wait in state.waits:
        if wait.until - now > _LONG_S:
            yield wait.model or "", wait.why, wait.until

"""One health probe: the cheapest request that shows that a provider is there, and that it knows a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from ccrelay.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.breaker import Breaker
    from ccrelay.policy.keys import Key
    from ccrelay.relay.upstreams import Upstream

RETEST_S: Final = 300.0
"""Seconds after which a key that was refused is shown again."""
_TRUSTED_S: Final = 300.0
"""Seconds for which the success of a real request weighs more than what a probe says of its key."""
_UNAUTHORIZED: Final = 401
_REFUSED: Final = frozenset({_UNAUTHORIZED, 403})
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """
    How a probe went.

    @ivar key: the name of the key that was shown.
    @ivar healthy: whether the provider is there.
    @ivar status: of its answer; 0 where it gave none.
    @ivar reason: why it is not, or what it said of the key; empty where all is well.
    @ivar duration: seconds.
    """

    provider: str
    key: str
    healthy: bool
    status: int
    reason: str
    duration: float


class Prober:
    """
    Probes one provider, with one of its keys after the other.

    Any answer below 500 shows that it is there, also that there is nothing at
    the path.  Where a key was shown, a 401 or 403 is about that key and says
    nothing of the provider.  Probes cost no tokens.
    """

    def __init__(
        self,
        upstream: Upstream,
        breaker: Callable[[], Breaker],
        clock: IReactorTime,
        wall: Callable[[], float],
        within: float,
    ) -> None:
        """
        @param breaker: returns that of the provider.
        @param wall: returns seconds since the epoch.
        @param within: seconds that a probe may take in all.
        """
        self._upstream = upstream
        self._breaker = breaker
        self._clock = clock
        self._wall = wall
        self._within = within
        self._turn = 0

    async def probe(self) -> ProbeEnded | None:
        """Ask, judge provider and key, and return how it went; None where no key is due to be shown."""
        started = self._clock.seconds()
        key = self._next_key()
        if key is None and self._upstream.backend.pool.keys:
            return None
        status, reason = 0, ""
        asking = Deferred.fromCoroutine(self._ask(key))
        try:
            status = await asking.addTimeout(self._within, self._clock, _too_late)
        except UpstreamError as error:
            reason = error.message
        healthy = 0 < status < _SERVER_ERROR
        now = self._wall()
        if not healthy:
            reason = reason or f"answered {status}"
            self._breaker().probe_failed(now)
        elif self._judges(key) and key is not None and status in _REFUSED:
            reason = _refused(key, status, now)
        elif status in _REFUSED and key is not None and self._shows_fetched(key):
            reason = f"the credential was refused ({status})"
            if status in self._upstream.provider.capabilities.uncountable:
                self._breaker().probe_succeeded(now)  # it may not count, and still serve
            elif now - key.last_success > _TRUSTED_S:
                key.degrade()
        else:
            self._breaker().probe_succeeded(now)
            if key is not None and status not in _REFUSED:
                _accepted(key)
        name = key.name if key is not None else "-"
        return ProbeEnded(self._upstream.name, name, healthy, status, reason, self._clock.seconds() - started)

    def _judges(self, key: Key | None) -> bool:
        """Return whether a refusal would speak of the key that was shown."""
        judging = self._upstream.provider.capabilities.probe_judges
        return judging and key is not None and key.secret is not None

    def _shows_fetched(self, key: Key) -> bool:
        """Return whether a refusal would speak of a credential that was fetched."""
        judging = self._upstream.provider.capabilities.probe_judges
        return judging and self._upstream.fetched is not None and key.secret is None

    async def _ask(self, key: Key | None) -> int:
        request = self._upstream.health
        if key is not None:
            credential = self._upstream.key_credential(key)
            request = await credential.authorize(request, self._wall())
        answer = await self._upstream.client.send(request, self._within, queued=False)
        await answer.complaint()  # read, so that the connection can be used again
        if answer.head.status == _UNAUTHORIZED and key is not None and self._shows_fetched(key):
            credential.refused(request)
        return answer.head.status

    def _next_key(self) -> Key | None:
        """Return the key whose turn it is; one that was refused waits for five minutes."""
        keys, now = self._upstream.backend.pool.keys, self._wall()
        for _ in keys:
            key = keys[self._turn % len(keys)]
            self._turn += 1
            if key.valid or now - key.tested >= RETEST_S:
                return key
        return None


def _accepted(key: Key) -> None:
    """Note that the provider knows a key."""
    key.degraded = False
    key.validated()  # which tells the pool of both


def _refused(key: Key, status: int, now: float) -> str:
    """Note that the provider refused a key, and return that in words."""
    trusted = now - key.last_success <= _TRUSTED_S
    if not key.valid or (status == _UNAUTHORIZED and not trusted):
        key.invalidate(now)
        return f"the key was refused ({status})"
    key.degrade()
    return f"the key was refused here ({status}){', though not for messages' if trusted else ''}"


def _too_late(_result: object, seconds: float) -> int:
    msg = f"no answer within {seconds:g} s"
    raise UpstreamError(msg)

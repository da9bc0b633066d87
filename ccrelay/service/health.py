"""The health-probe services: one for each provider, from the start to the stop, whatever the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ccrelay.observe.log import FIELDS
from ccrelay.relay.probe import Prober

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.relay.probe import ProbeEnded
    from ccrelay.relay.upstreams import Upstream, Upstreams

_JITTER: Final = 0.2
"""The part of the interval by which a probe may come later, so that many relays do not probe together."""


class HealthProbeService(Service):
    """
    Probes one provider again and again.

    A probe that fails, hangs or raises ends no loop: each has a timeout, and
    what it raises is logged.
    """

    log = Logger()

    def __init__(
        self,
        upstream: Upstream,
        prober: Prober,
        interval: float,
        clock: Any,  # noqa: ANN401  a reactor or a Clock
        chance: Callable[[], float],
        told: Callable[[ProbeEnded], None] = lambda _ended: None,
    ) -> None:
        """
        @param interval: seconds from one probe to the next, on average.
        @param chance: returns a random number, at least 0 and less than 1.
        @param told: hears of each probe.
        """
        self.name = f"probe {upstream.name}"
        self.upstream = upstream
        self._prober = prober
        self._interval = interval
        self._clock = clock
        self._chance = chance
        self._told = told
        self._probing: Deferred[None] | None = None
        self._loop = LoopingCall(self._round)
        self._loop.clock = clock
        self._healthy = True
        self._refused: dict[str, str] = {}
        self._log = self.log

    def startService(self) -> None:
        """Probe from now on; the first probe comes after one interval."""
        super().startService()
        self._loop.start(self._interval, now=False)

    def stopService(self) -> None:
        """Probe no more, and hang up on the probe that is under way."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        probing, self._probing = self._probing, None
        if probing is not None:
            probing.cancel()

    def _round(self) -> Deferred[None]:
        self._probing = Deferred.fromCoroutine(self._probe())
        return self._probing.addErrback(self._failed)

    async def _probe(self) -> None:
        late = Deferred[None](lambda _: call.cancel())
        call = self._clock.callLater(_JITTER * self._interval * self._chance(), late.callback, None)
        await late
        ended = await self._prober.probe()
        if ended is not None:
            self._told(ended)
            self._tell(ended)

    def _failed(self, failure: Any) -> None:  # noqa: ANN401
        """Log what should not have been raised; the loop goes on."""
        if self.running:
            self._log.failure("a probe of {name} failed in itself", failure, name=self.upstream.name)

    def _tell(self, ended: ProbeEnded) -> None:
        """Log what is news: that it fails, that it is well again, that it refuses a key or no longer does."""
        fields = {
            "provider": ended.provider,
            "key": ended.key,
            "status": ended.status or None,
            "reason": ended.reason,
            "duration_ms": round(ended.duration * 1000, 1),
        }
        said = self._refused.get(ended.key, "")
        refusal = ended.reason if ended.healthy else said
        if not ended.healthy and self._healthy:
            self._log.warn("probe failed", **{FIELDS: fields})
        elif ended.healthy and not self._healthy:
            self._log.info("probe succeeded again", **{FIELDS: fields})
        elif refusal == said:
            self._log.debug("probe", **{FIELDS: fields})
        if refusal and refusal != said:
            self._log.warn("probe: key refused", **{FIELDS: fields})
        elif said and not refusal:
            self._log.info("probe: key accepted again", **{FIELDS: fields})
        self._healthy = ended.healthy
        self._refused[ended.key] = refusal


class HealthService(MultiService):
    """The probes of all providers."""

    name = "health"

    def __init__(
        self,
        clock: Any,  # noqa: ANN401
        wall: Callable[[], float],
        chance: Callable[[], float],
        told: Callable[[ProbeEnded], None] = lambda _ended: None,
    ) -> None:
        """
        @param wall: returns seconds since the epoch.
        @param chance: returns a random number, at least 0 and less than 1.
        @param told: hears of each probe.
        """
        super().__init__()
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._told = told
        self._upstreams: Upstreams | None = None
        self._timing: tuple[float, float] = (0.0, 0.0)

    def watch(self, upstreams: Upstreams, interval: float, within: float, *, enabled: bool) -> None:
        """
        Probe the providers of a configuration from now on; those that did not change go on as they were.

        @param interval: seconds; C{within}: seconds that a probe may take.
        """
        same = self._timing == (interval, within) and enabled
        self._timing = (interval, within)
        self._upstreams = upstreams
        staying = set(upstreams.listed) if same else set()
        for child in tuple(self):
            if isinstance(child, HealthProbeService) and child.upstream not in staying:
                child.disownServiceParent()
        probed = {child.upstream for child in self if isinstance(child, HealthProbeService)}
        for upstream in upstreams.listed if enabled else ():
            if upstream not in probed:
                prober = Prober(upstream, self._breaker_of(upstream.name), self._clock, self._wall, within)
                service = HealthProbeService(
                    upstream, prober, interval, self._clock, self._chance, self._told
                )
                service.setServiceParent(self)

    def _breaker_of(self, name: str) -> Callable[[], Any]:
        def found() -> Any:  # noqa: ANN401  a Breaker
            if self._upstreams is None:
                msg = "nobody is probed before there is a configuration"
                raise AssertionError(msg)
            return self._upstreams.routing.breakers.of(name)

        return found

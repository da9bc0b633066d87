"""The relay as one service: builds every room, starts and stops them, and changes what they work with."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import DeferredLock

from ccrelay.observe.request_log import RequestLog
from ccrelay.relay.in_flight import InFlight
from ccrelay.service.assembly import (
    endpoints_of,
    gate_of,
    serving_of,
    site_of,
    upstreams_of,
)
from ccrelay.service.breakers import CircuitBreakerService
from ccrelay.service.endpoints import network_endpoints
from ccrelay.service.health import HealthService
from ccrelay.service.journal import Journal
from ccrelay.service.keys import KeyWatchService
from ccrelay.service.listening import shown
from ccrelay.service.operations import OperationsService
from ccrelay.service.overrides import Overrides
from ccrelay.service.process import ProcessService
from ccrelay.service.reload import STOPPING, Place, Reloader, change_doors, held
from ccrelay.service.tree import (
    ConnectionsService,
    CredentialsService,
    DoorService,
    RequestsService,
    Rooms,
)
from ccrelay.service.watch import FileWatchService
from ccrelay.web.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

    from twisted.application.service import Service
    from twisted.internet.defer import Deferred
    from twisted.web.iweb import IAgentEndpointFactory

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.config.read import Loaded
    from ccrelay.relay.events import IObserver
    from ccrelay.relay.probe import ProbeEnded
    from ccrelay.relay.upstreams import Upstreams

    _Endpoints = Callable[[ProviderSettings], IAgentEndpointFactory]


class Ccrelay(Rooms):
    """
    The whole relay, as one service.

    @ivar upstreams: the providers of the configuration in use.
    @ivar overrides: what was changed at run time.
    @ivar wall: returns seconds since the epoch.
    """

    def __init__(
        self,
        loaded: Loaded,
        reactor: Any,  # noqa: ANN401
        wall: Callable[[], float] = time.time,
        reread: Callable[[], Loaded] | None = None,
        endpoints: _Endpoints | None = None,
        environ: MutableMapping[str, str] | None = None,
        **how: Any,  # noqa: ANN401
    ) -> None:
        """
        @param wall: returns seconds since the epoch.
        @param reread: returns what is configured now, for a reload; None where nothing can be read anew.
        @param endpoints: how a provider is reached; None for real.
        @param environ: the process's variables; None where the process is not the relay's alone.
        @param how: see L{Reloader}.
        """
        super().__init__()
        self._loaded = loaded
        self._reactor = reactor
        self.wall = wall
        self.overrides = Overrides()
        self._changing = DeferredLock()
        self._chance = Random().random  # noqa: S311  jitter and shares, nothing secret
        self._endpoints = endpoints or network_endpoints(reactor)
        self._settings = settings = loaded.settings
        self._journal = Journal(settings)
        self._process = ProcessService(self, reactor, environ)
        self.upgrade = self._process.upgrade
        self._in_flight = InFlight(settings.server.max_concurrent)
        self._breakers = CircuitBreakerService(reactor, wall)
        self._health = HealthService(reactor, wall, self._chance, self._probed)
        self._credentials = CredentialsService(reactor, wall)
        self.upstreams = self._made(settings, self._endpoints)
        self._door = Door(serving_of(settings, self.upstreams, reactor, wall), self._in_flight, reactor, wall)
        self._site = site_of(settings, self._door, reactor, ())
        self._operations = OperationsService(
            self, self._in_flight, self._door, reactor, wall, self._process.sockets
        )
        self._connections = ConnectionsService(self.upstreams)
        self._requests = RequestsService(
            self._in_flight, self._site, reactor, settings.server.drain_ms / 1000
        )
        self._keys = KeyWatchService(lambda: self.upstreams, reactor, wall)
        self._watch = FileWatchService(self._files, self.reload, reactor)
        self._reloader = Reloader(
            reread or (lambda: self._loaded), self._take_over, self._watch.reading,
            ended=self._operations.view.reloaded, **how,
        )  # fmt: skip
        rooms: list[Service] = [
            self._credentials, self._connections, self._breakers, self._health, self._keys,
            self._operations, self._requests, self._watch, self._process,
        ]  # fmt: skip
        for room in rooms:
            room.setServiceParent(self)
        for place in self._places(settings):
            place.make().setServiceParent(place.parent)
        self._credentials.change(self.upstreams)
        self._show(settings)
        self._watch_health(settings)
        self._watch.reading()

    def setServiceParent(self, parent: Any) -> None:  # noqa: ANN401  Twisted's application
        """Bring the log along: C{twistd} writes where the application's observer says."""
        if self._journal.come_along(parent, self._reactor):
            self._show(self._settings)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start every room, and say what is served and what of the configuration is not in effect."""
        super().startService()
        self._say("configuration")
        door = next((shown(d.port) for d in self if isinstance(d, DoorService) and d.port is not None), None)
        if door is not None and door.startswith("http:"):
            self.log.info(
                "to use it from Claude Code: ccrelay claude setup --url {door} "
                "(or for one run: ANTHROPIC_BASE_URL={door} ANTHROPIC_AUTH_TOKEN={token} claude)",
                door=door, token="its-key" if self._settings.server.auth.asks else "any",
            )  # fmt: skip

    def reload(self) -> Deferred[None] | None:
        """Read the configuration anew and use it, if it can be used; see L{Reloader.reload}."""
        return self._reloader.reload() if self.running else None

    def _files(self) -> tuple[Path, ...]:
        return (*self._loaded.files, *self._reloader.wanted)

    def _made(self, settings: Settings, endpoints: _Endpoints, old: Upstreams | None = None) -> Upstreams:
        return upstreams_of(
            settings, self._reactor, endpoints, self._chance, self._breakers.changed, old,
            self._credentials.threads.run,
        )  # fmt: skip

    def _watch_health(self, settings: Settings) -> None:
        check = settings.health.health_check
        self._health.watch(
            self.upstreams, check.interval_ms / 1000, check.timeout_ms / 1000, enabled=check.enabled
        )

    @property
    def written(self) -> Settings:
        """What the file says, without what was changed at run time."""
        return self._loaded.settings

    async def change(self, overrides: Overrides) -> str | None:
        """
        Work with other changes at run time from now on; return why that cannot be, or None.

        @raise ConfigError: if they do not agree with the rest.
        """
        async with held(self._changing):
            return await self._use(self._loaded, overrides)

    async def reread(self) -> str | None:
        """Read the configuration anew and use it; return why that cannot be, or None."""
        reloading = self.reload()
        if reloading is None:
            return "a reload is under way already; ask again"
        await reloading
        return self._reloader.problem

    async def _take_over(self, loaded: Loaded) -> str | None:
        """Work with another file from now on; see L{_use}."""
        async with held(self._changing):
            problem = await self._use(loaded, self.overrides.fitting(loaded.settings))
            if problem is None:
                self._say("configuration reloaded")
                for upstream in self.upstreams.listed:
                    for key in upstream.backend.pool.keys:
                        if not key.valid:
                            key.validated()  # the provider may know it by now
            return problem

    async def _use(self, loaded: Loaded, overrides: Overrides) -> str | None:
        """
        Work with another configuration from now on; return why that cannot be, or None.

        Whatever can fail comes first; from then on everything changes at one moment.

        @raise ConfigError: if a file that it names cannot be used, or if the changes at run time do not fit.
        """
        if not self.running:
            return STOPPING
        settings = overrides.checked(loaded.settings)
        ways = endpoints_of(settings, self._endpoints, self.upstreams)
        try:
            file = self._journal.other(settings)
        except OSError as problem:
            return f"logging.output: {problem}"
        problem_there = await change_doors(self._places(settings), (self, self._operations))
        if problem_there is not None:
            if file is not None:
                file.close()
            return problem_there
        self._loaded, self.overrides, old = loaded, overrides.fitting(loaded.settings), self.upstreams
        self._settings = settings
        self.upstreams = self._made(settings, lambda provider: ways[provider.name], old)
        self._door.serving = serving_of(
            settings, self.upstreams, self._reactor, self.wall, self._door.serving
        )
        self._site.gate = gate_of(settings)
        self._site.speak(settings.server.http)
        self._in_flight.limit = settings.server.max_concurrent
        self._requests.drain = settings.server.drain_ms / 1000
        self._connections.change(self.upstreams)
        self._credentials.change(self.upstreams)
        self._breakers.change(old.routing.breakers, self.upstreams.routing.breakers)
        self._show(settings)
        self._watch_health(settings)
        self._journal.change(settings, file)
        return None

    def _places(self, settings: Settings) -> list[Place]:
        """Return where clients and operators are listened to."""
        clients = (
            Place(self, address, partial(self._new_door, address)) for address in settings.server.listen
        )
        return [*self._operations.places(settings), *clients]

    def _new_door(self, address: str) -> DoorService:
        return DoorService(address, self._site, self._reactor, sockets=self._process.sockets)

    def _show(self, settings: Settings) -> None:
        """Let operators see this configuration; what nobody can see is not added up."""
        for upstream in self.upstreams.listed:
            upstream.backend.draining = upstream.name in self.overrides.draining
        seen = settings.metrics.enabled or settings.admin.socket is not None
        observers: list[IObserver] = [
            RequestLog(lambda ended: self._operations.ledger.costs(ended)[0], self._journal.direct, self.wall)
        ]
        self._site.observers = [*observers, self._operations.ledger] if seen else observers
        self._operations.change(self._loaded, settings, self.upstreams, self.overrides)

    def _probed(self, ended: ProbeEnded) -> None:
        self._operations.view.probe_ended(ended, self.wall())

    def _say(self, what: str) -> None:
        loaded = self._loaded
        names = ", ".join(f"{u.name} ({u.provider.kind})" for u in self.upstreams.listed)
        self.log.info(
            "{what}: {source}; providers: {names}", what=what, source=loaded.source, names=names or "none"
        )
        for note in loaded.notes:
            self.log.info("note: {note}", note=note)
        if loaded.not_in_effect:
            self.log.warn(  # noqa: G010  Twisted's Logger has no other
                "configured, but not in effect in this version: {keys}", keys=", ".join(loaded.not_in_effect)
            )

    def hung_up(self) -> None:
        """Open the log file anew, and read the configuration anew."""
        self._journal.reopen()
        self.reload()

    def doors(self) -> list[DoorService]:
        """Return every address that is listened on."""
        return [door for door in chain(self, self._operations) if isinstance(door, DoorService)]

    def hand_over(self) -> None:
        """Let requests that run take their time at the end: nobody waits for it."""
        self._requests.handed_over = True

    def hurry(self) -> bool:
        """Wait for them no longer than at any end; return whether that is new."""
        if self._requests.at_leisure:
            self._reactor.callFromThread(self._requests.hurry)
            return True
        return False

    def standing(self) -> str:
        """Return what is served, in words."""
        where = ", ".join(shown(door.port) for door in self.doors() if door.parent is self and door.port)
        return f"serving on {where}; providers: {', '.join(u.name for u in self.upstreams.listed) or 'none'}"

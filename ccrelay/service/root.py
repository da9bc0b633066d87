"""The relay as one service: builds every room, starts and stops them in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from twisted.logger import ILogObserver

from ccrelay.observe import log as logs
from ccrelay.observe.request_log import RequestLog
from ccrelay.relay.in_flight import InFlight
from ccrelay.service.assembly import network_endpoints, serving_of, site_of, upstreams_of
from ccrelay.service.listening import shown
from ccrelay.service.signals import heed
from ccrelay.service.tree import ConnectionsService, DoorService, RequestsService, Rooms

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.application.service import Service

    from ccrelay.config.read import Loaded


class Ccrelay(Rooms):
    """The whole relay, as one service."""

    def __init__(self, loaded: Loaded, reactor: Any, wall: Callable[[], float] = time.time) -> None:  # noqa: ANN401
        """@param wall: returns seconds since the epoch."""
        super().__init__()
        self._loaded = loaded
        self._reactor = reactor
        settings = loaded.settings
        self._file = logs.standard(settings.logging.output)
        in_flight = InFlight(settings.server.max_concurrent)
        self.upstreams = upstreams_of(settings, reactor, network_endpoints(reactor))
        serving = serving_of(settings, self.upstreams, reactor, wall)
        site = site_of(settings, serving, in_flight, reactor, wall=wall, observers=[RequestLog()])
        rooms: list[Service] = [
            ConnectionsService(self.upstreams),
            RequestsService(in_flight, site, reactor, settings.server.drain_ms / 1000),
        ]
        rooms.extend(DoorService(address, site, reactor) for address in settings.server.listen)
        for room in rooms:
            room.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:  # noqa: ANN401  Twisted's application
        """Bring the log along: C{twistd} writes where the application's observer says."""
        logging = self._loaded.settings.logging
        set_component = getattr(parent, "setComponent", None)
        if set_component is not None:
            set_component(ILogObserver, logs.observer(self._file, logging.format, logging.level))
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start every room, and say what is served and what of the configuration is not in effect."""
        super().startService()
        heed(self._reactor, self._reopen_log)
        loaded = self._loaded
        names = ", ".join(f"{u.name} ({u.provider.kind})" for u in self.upstreams.listed)
        self.log.info(
            "configuration: {source}; providers: {names}", source=loaded.source, names=names or "none"
        )
        for note in loaded.notes:
            self.log.info("note: {note}", note=note)
        if loaded.not_in_effect:
            self.log.warn(  # noqa: G010  Twisted's Logger has no other
                "configured, but not in effect in this version: {keys}", keys=", ".join(loaded.not_in_effect)
            )
        door = next((shown(d.port) for d in self if isinstance(d, DoorService) and d.port is not None), None)
        if door is not None and door.startswith("http:"):
            self.log.info(
                "to use it from Claude Code: ccrelay claude setup --url {door} "
                "(or for one run: ANTHROPIC_BASE_URL={door} claude)",
                door=door,
            )

    def _reopen_log(self) -> None:
        try:
            self._file.reopen()
        except OSError as problem:
            self.log.error(  # noqa: TRY400  the words say enough
                "cannot open the log file anew ({problem}); it goes on", problem=problem
            )
        else:
            self.log.info("log file opened anew")

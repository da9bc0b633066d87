"""The operations service: everything that shows the running relay and takes orders for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from ccrelay.observe.ledger import Ledger
from ccrelay.observe.metrics import Exposition
from ccrelay.observe.status import Status
from ccrelay.observe.view import Configured, Picture, View
from ccrelay.service.assembly import new_request_id
from ccrelay.service.listening import socket_at
from ccrelay.service.reload import Place
from ccrelay.service.steward import STRATEGIES, Steward
from ccrelay.service.tree import DoorService, Rooms
from ccrelay.web.admin import Admin
from ccrelay.web.gate import Gate
from ccrelay.web.operations import Operations, Seen
from ccrelay.web.site import RelaySite

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from ccrelay.config.model import Settings
    from ccrelay.config.read import Loaded
    from ccrelay.relay.in_flight import InFlight
    from ccrelay.relay.upstreams import Upstreams
    from ccrelay.service.overrides import Overrides
    from ccrelay.service.sockets import Sockets
    from ccrelay.service.steward import IRelay
    from ccrelay.web.door import Door

_LOOK_S: Final = 0.5


class LagService(Service):
    """Looks twice a second how late the reactor is with that."""

    name = "lag"

    def __init__(self, view: View, clock: Any) -> None:  # noqa: ANN401  a reactor or a Clock
        self._view = view
        self._clock = clock
        self._due = 0.0
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def startService(self) -> None:
        """Look from now on."""
        super().startService()
        self._due = self._clock.seconds() + _LOOK_S
        self._loop.start(_LOOK_S, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        now = self._clock.seconds()
        self._view.lag.note(max(now - self._due, 0.0))
        # A loop that is late keeps to its grid: the next look is due when that says.
        self._due = now + _LOOK_S - (now - self._due) % _LOOK_S


class OperationsService(Rooms):
    """
    The listeners for operators, and what they see.

    @ivar view: what is to be seen; C{ledger}: what was added up.
    """

    name = "operations"

    def __init__(
        self,
        relay: IRelay,
        in_flight: InFlight,
        door: Door,
        reactor: Any,  # noqa: ANN401
        wall: Callable[[], float],
        sockets: Sockets | None = None,
    ) -> None:
        """
        @param door: what clients ask.
        @param wall: returns seconds since the epoch.
        @param sockets: listens.
        """
        super().__init__()
        self._reactor = reactor
        self._sockets = sockets
        self._wall = wall

        def listed(provider: str, model: str) -> bool:
            return door.serving.models.lists(provider, model)  # of the configuration in use by then

        self.ledger = Ledger(lambda: relay.upstreams, wall, listed)
        nothing = Picture(relay.upstreams, (), "", wall())
        self.view = View(nothing, in_flight, wall(), Counter(), Counter())
        status, exposition = Status(self.view, self.ledger, wall), Exposition(self.view, self.ledger, wall)
        seen = Seen(status, exposition, door, self._disabled)
        self._admin = Admin(Steward(relay))
        self._operations = Operations(seen, self._admin, reactor, wall)
        self._site = RelaySite(self._operations.app.resource(), Gate(), reactor, new_request_id, ())
        LagService(self.view, reactor).setServiceParent(self)

    def places(self, settings: Settings) -> list[Place]:
        """Return where operators are listened to under a configuration."""
        metrics, found = settings.metrics, []
        if metrics.enabled:
            # Another program may have what is nobody's but a default.
            found.append(self._place(metrics.listen, "metrics.listen", "listen" in metrics.model_fields_set))
        if settings.admin.socket is not None:
            found.append(self._place(socket_at(settings.admin.socket), "admin.socket", needed=True))
        return found

    def change(self, loaded: Loaded, settings: Settings, upstreams: Upstreams, overrides: Overrides) -> None:
        """
        Show another configuration from now on.

        @param settings: what it says with the changes at run time on it.
        """
        admin = settings.admin
        self._admin.token = admin.token
        self._operations.metrics_path = settings.metrics.path
        hosts = frozenset(host.lower() for host in settings.metrics.allowed_hosts)
        self._site.gate = Gate(hosts, setting="metrics.allowed_hosts", serves_pages=True)
        self._site.speak(settings.server.http)
        written = loaded.settings
        self.view.picture = Picture(
            upstreams,
            tuple(
                Configured(
                    provider.name,
                    provider.type,
                    _address(provider.name, provider.base_url, upstreams),
                    provider.enabled,
                    provider.models,
                    overrides.of(provider),
                    overrides.added_names(provider),
                )
                for provider in settings.providers
            ),
            loaded.source,
            self._wall(),
            STRATEGIES,
            overrides.strategy is not None,
            overrides.words(written),
            "token" if admin.token is not None else "socket" if admin.socket is not None else "none",
        )
        names = {provider.name for provider in settings.providers}
        self.view.forget(names)
        self.ledger.forget(names)

    def stopService(self) -> Deferred[None]:
        """Listen no more, and let those who watch go."""
        stopped = super().stopService()
        self._operations.viewers.close()
        return stopped.addCallback(lambda _: self._site.close())

    def _disabled(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.view.picture.providers if not one.enabled)

    def _place(self, address: str, setting: str, needed: bool) -> Place:  # noqa: FBT001
        def make() -> DoorService:
            return DoorService(
                address, self._site, self._reactor, setting, needed=needed, sockets=self._sockets
            )

        return Place(self, address, make)


def _address(name: str, base_url: str | None, upstreams: Upstreams) -> str:
    """Return where a provider is asked; of one that is disabled, where the file says."""
    upstream = upstreams.get(name)
    used: str | None = None if upstream is None else upstream.provider.base_url
    return used or base_url or ""

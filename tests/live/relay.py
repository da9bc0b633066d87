"""A relay and its provider in the test's own process, on loopback ports and the real reactor."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from ccrelay.config.model import Settings
from ccrelay.observe.request_log import RequestLog
from ccrelay.relay.in_flight import InFlight
from ccrelay.service.assembly import serving_of, site_of, upstreams_of
from ccrelay.service.endpoints import network_endpoints
from ccrelay.service.tree import (
    ConnectionsService,
    CredentialsService,
    DoorService,
    RequestsService,
    Rooms,
)
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.web.door import Door
from tests.stack import Told, scripted

reactor: Any = _reactor

KEY = "sk-test-0123456789abcdef"


class Provider:
    """A simulated provider behind a port that the kernel chose."""

    def __init__(
        self, test: TestCase, acts: Sequence[Any] | Callable[..., Any] | Script = (), clock: Any = None
    ) -> None:
        """
        @param acts: of its script, or the script; none, and it behaves as the simulator does by itself.
        @param clock: a C{Clock}, where the test decides when the events go out.
        """
        self.simulator = Simulator(clock or reactor, script=scripted(acts) if acts else None, pace=0.0)
        self._port = reactor.listenTCP(0, self.simulator.site, backlog=1024, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"
        test.addCleanup(self.stop)

    @property
    def asked(self) -> list[Any]:
        """What it was asked."""
        return self.simulator.asked

    def stop(self) -> Deferred[None]:
        """Stop listening and close every connection."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        await self.simulator.disconnect()


class LiveRelay:
    """
    The service tree of a relay with one provider, all but its signals and its log.

    When it stops, at the end of the test, no slot and no connection may be taken.
    """

    def __init__(self, test: TestCase, provider: Provider, settings: Mapping[str, Any] | None = None) -> None:
        """@param settings: sections of the configuration, beside the provider."""
        self._test = test
        one = {"name": "one", "type": "anthropic", "base_url": provider.url, "keys": [{"key": KEY}]}
        server = {"drain_ms": 5000, "listen": "127.0.0.1:0"}
        given: dict[str, Any] = {"server": server, "providers": [one], **(settings or {})}
        self.settings = Settings.model_validate(given)
        self.told = Told()
        credentials = CredentialsService(reactor, time.time)
        self.upstreams = upstreams_of(
            self.settings, reactor, network_endpoints(reactor), in_thread=credentials.threads.run
        )
        credentials.change(self.upstreams)
        self.in_flight = InFlight(self.settings.server.max_concurrent)
        serving = serving_of(self.settings, self.upstreams, reactor, time.time)
        entrance = Door(serving, self.in_flight, reactor, time.time)
        self.site = site_of(self.settings, entrance, reactor, [self.told, RequestLog()])
        self._rooms = Rooms()
        door = DoorService(self.settings.server.listen[0], self.site, reactor)
        drain = self.settings.server.drain_ms / 1000
        for room in (
            credentials,
            ConnectionsService(self.upstreams),
            RequestsService(self.in_flight, self.site, reactor, drain),
            door,
        ):
            room.setServiceParent(self._rooms)
        self._rooms.privilegedStartService()
        self._rooms.startService()
        port: Any = door.port
        self.port = port.getHost().port
        self.url = f"http://127.0.0.1:{self.port}"
        test.addCleanup(self.stop)

    def stop(self) -> Deferred[None]:
        """Stop as the process would, and see that everything was given back."""
        return Deferred.fromCoroutine(self._stop())

    async def idle(self) -> None:
        """Wait until no request is served and every client has closed its connections."""
        await until(lambda: not len(self.in_flight) and not self.site.channels)

    async def _stop(self) -> None:
        await self._rooms.stopService()
        self._test.assertEqual(len(self.in_flight), 0)
        for upstream in self.upstreams.listed:
            self._test.assertEqual(upstream.client.free, upstream.client.limit)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; a test for which it never is ends by its timeout."""
    while not condition():
        await deferLater(reactor, 0.01)

"""The simulator itself: the Messages API over HTTP, answered by a script or a scenario."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred, succeed

from ccrelay.simulator.acts import SIMULATED, Refuses, Sends
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.default import complaint
from ccrelay.simulator.messages import tokens
from ccrelay.simulator.models import listed, one
from ccrelay.simulator.performance import Performance
from ccrelay.simulator.scenarios import scenario as named
from ccrelay.simulator.site import SimulatorRequest, SimulatorSite

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IRequest
    from twisted.web.resource import IResource
    from twisted.web.server import Request

    from ccrelay.simulator.acts import Act
    from ccrelay.simulator.script import Script

PACE: Final = 0.02
"""Seconds between two events, unless told otherwise: about as fast as a model."""

_REMEMBERED: Final = 1000


class Simulator:
    """
    A provider of the Messages API that no model stands behind.

    Serves C{POST /v1/messages}, C{POST /v1/messages/count_tokens}, C{GET /v1/models}, C{GET /v1/models/{id}}
    and C{GET /}, the first four under any prefix; any credential and any model will do.

    @ivar asked: what it was asked, the oldest first: no more than C{remember} records.
    @ivar count: how many requests there were.
    @ivar open_requests: how many of them are being answered now.
    @ivar site: what to listen with, or to give to a L{SocketPairEndpoint<ccrelay.simulator.pair>}.
    """

    app = Klein()

    def __init__(
        self,
        clock: IReactorTime,
        *,
        script: Script | None = None,
        scenario: str = "default",
        pace: float = PACE,
        error_rate: float = 0.0,
        random: Random | None = None,
        remember: int = _REMEMBERED,
    ) -> None:
        """
        @param clock: when events go out: a reactor or a C{Clock}.
        @param script: answers first; what it has no act for, the scenario answers.
        @param scenario: a name or a file, see L{ccrelay.simulator.scenarios}.
        @param pace: seconds between two events of the scenario's answers.
        @param error_rate: the share of requests, 0 to 1, that meet a fault.
        @param random: decides which ones.
        @param remember: how many records to keep, with their bodies; 0 for a simulator that runs for long.
        @raise ConfigError: the scenario cannot be had.
        """
        self._clock = clock
        self._script = script
        self._play = named(scenario, pace=pace, error_rate=error_rate, random=random or Random())  # noqa: S311
        self._remember = remember
        self.asked: list[Asked] = []
        self.count = 0
        self.open_requests = 0
        self._waiting: list[tuple[int, Deferred[Asked]]] = []
        early = script.early if script is not None else (lambda _: False)
        self.site = SimulatorSite(self.resource(), clock, early)

    def resource(self) -> IResource:
        """Return the simulator for a site that is not L{site}: without answers ahead of the body, say."""
        resource: IResource = self.app.resource()
        return resource

    def disconnect(self) -> Deferred[None]:
        """Close every connection of L{site}; the Deferred fires when they are closed."""
        return self.site.disconnect()

    def when_asked(self, number: int) -> Deferred[Asked]:
        """Return a Deferred that fires with the request of that number (from 1) when it is there."""
        kept = next((asked for asked in self.asked if asked.number == number), None)
        if kept is not None:
            return succeed(kept)
        waiting: Deferred[Asked] = Deferred()
        self._waiting.append((number, waiting))
        return waiting

    @app.route("/v1/messages", methods=["POST"])
    @app.route("/<path:_prefix>/v1/messages", methods=["POST"])
    async def messages(self, request: IRequest, _prefix: str = "") -> None:
        """Answer with a Message."""
        await self._answer(request, self._play)

    @app.route("/v1/messages/count_tokens", methods=["POST"])
    @app.route("/<path:_prefix>/v1/messages/count_tokens", methods=["POST"])
    async def count_tokens(self, request: IRequest, _prefix: str = "") -> None:
        """Answer with the number of tokens that the same request would cost."""
        await self._answer(request, _counted)

    @app.route("/v1/models", methods=["GET"])
    @app.route("/<path:_prefix>/v1/models", methods=["GET"])
    async def models(self, request: IRequest, _prefix: str = "") -> None:
        """Answer with a page of the models."""
        await self._answer(request, listed)

    @app.route("/v1/models/<path:name>", methods=["GET"])
    @app.route("/<path:_prefix>/v1/models/<path:name>", methods=["GET"])
    async def model(self, request: IRequest, name: str, _prefix: str = "") -> None:
        """Answer with one model."""
        await self._answer(request, lambda _: one(name))

    @app.route("/", methods=["GET", "HEAD"])
    async def root(self, request: IRequest) -> None:
        """Say what this is."""
        await self._answer(request, lambda _: _json({"simulated": True, "message": SIMULATED + "ccrelay"}))

    @app.route("/")
    @app.route("/<path:_other>")
    async def anything(self, request: IRequest, _other: str = "") -> None:
        """Answer as the script says, else that there is nothing here."""
        await self._answer(request, _unknown)

    async def _answer(self, request: IRequest, usual: Callable[[Asked], Act]) -> None:
        asked = self._note(cast("Request", request))
        act = self._script.act(asked) if self._script is not None else None
        steps = (act or usual(asked)).steps(asked)
        await Performance(self._clock, cast("Request", request), asked).play(steps)

    def _note(self, request: Request) -> Asked:
        self.count += 1
        self.open_requests += 1
        asked = Asked(
            number=self.count,
            at=self._clock.seconds(),
            method=request.method.decode("latin-1"),
            target=request.uri.decode("latin-1"),
            headers=tuple(
                (name.lower(), value)
                for name, values in request.requestHeaders.getAllRawHeaders()
                for value in values
            ),
            body=request.content.read() if request.content else b"",
        )
        if isinstance(request, SimulatorRequest) and request.rest is not None:
            request.rest.addCallback(asked.take)
        request.notifyFinish().addCallbacks(lambda _: self._over(asked, None), lambda _: self._lost(asked))
        if self._remember:
            self.asked.append(asked)
            del self.asked[: -self._remember]
        due = [waiting for number, waiting in self._waiting if number <= self.count]
        self._waiting = [pair for pair in self._waiting if pair[0] > self.count]
        for waiting in due:
            waiting.callback(asked)
        return asked

    def _lost(self, asked: Asked) -> None:
        self._over(asked, self._clock.seconds())

    def _over(self, asked: Asked, lost_at: float | None) -> None:
        self.open_requests -= 1
        asked.end(lost_at)


def _counted(asked: Asked) -> Act:
    wrong = complaint(asked, ("model", "messages"))
    if wrong is not None:
        return wrong
    return _json({"input_tokens": tokens([asked.json.get(key) for key in ("system", "messages", "tools")])})


def _unknown(asked: Asked) -> Act:
    posted = asked.path.endswith(("/v1/messages", "/v1/messages/count_tokens"))
    if posted or asked.path == "/":
        allowed = b"POST" if posted else b"GET, HEAD"
        return Refuses(405, "Method Not Allowed", headers=((b"allow", allowed),))
    return Refuses(404, f"{SIMULATED}There is nothing at {asked.method} {asked.path}")


def _json(value: dict[str, Any]) -> Act:
    return Sends(msgspec.json.encode(value), "application/json")

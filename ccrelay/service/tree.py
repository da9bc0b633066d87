"""The services of the tree: each starts and stops one part of the relay."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL, crypto
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ccrelay.credentials.threads import Threads
from ccrelay.service import listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IListeningPort

    from ccrelay.relay.in_flight import InFlight
    from ccrelay.relay.upstreams import Upstreams
    from ccrelay.service.sockets import Sockets
    from ccrelay.web.site import RelaySite

EX_UNAVAILABLE: Final = 69
"""The exit status where an address cannot be listened on (sysexits.h)."""


class Rooms(MultiService):
    """Starts its children in order, and stops them one after the other, the last started first."""

    log = Logger()

    def stopService(self) -> Deferred[None]:
        """Stop; a child that fails to is logged and does not keep the others from it."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.running = 0
        for child in reversed(list(self)):
            stopping: Deferred[object] = maybeDeferred(child.stopService)
            await stopping.addErrback(self._not_stopped, child.name)

    def _not_stopped(self, failure: Failure, name: str) -> None:
        self.log.failure("cannot stop {name}", failure, name=name)


class CredentialsService(Service):
    """The threads in which credentials are fetched, and the fetching before a request needs one."""

    name = "credentials"

    def __init__(self, reactor: Any, wall: Callable[[], float]) -> None:  # noqa: ANN401
        """@param wall: returns seconds since the epoch."""
        self.threads = Threads(reactor)
        self._wall = wall
        self._upstreams: Upstreams | None = None

    def change(self, upstreams: Upstreams) -> None:
        """Fetch the credentials of a configuration; those that are held already stay."""
        self._upstreams = upstreams
        fetched = [upstream.fetched for upstream in upstreams.listed if upstream.fetched is not None]
        if fetched:
            self.threads.resize(len(fetched))
        if self.running:
            for credential in fetched:
                credential.warm(self._wall())

    def startService(self) -> None:
        """Begin to fetch."""
        super().startService()
        if self._upstreams is not None:
            self.change(self._upstreams)

    def stopService(self) -> None:
        """Let the threads end; one that hangs is not waited for."""
        super().stopService()
        self.threads.stop()


class ConnectionsService(Service):
    """The kept connections to providers; closed when nobody needs them any more."""

    name = "connections"

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    def change(self, upstreams: Upstreams) -> None:
        """Keep the connections of another configuration; those of no use in it end with their requests."""
        staying = {upstream.client for upstream in upstreams.listed}
        for upstream in self._upstreams.listed:
            if upstream.client not in staying:
                upstream.client.retire()
        self._upstreams = upstreams

    def stopService(self) -> Deferred[Any]:
        """Close them."""
        super().stopService()
        return gatherResults([u.client.close() for u in self._upstreams.listed])


_LONGEST_S: Final = 3600.0
"""Seconds that requests may go on after a hand-over: nobody waits for them."""


class RequestsService(Service):
    """
    The requests being served; at the end they may finish, for a time.

    @ivar handed_over: whether another process serves, so that nobody waits for this one.
    """

    name = "requests"
    handed_over = False

    def __init__(self, in_flight: InFlight, site: RelaySite, clock: Any, drain: float) -> None:  # noqa: ANN401
        """@param drain: seconds."""
        self._in_flight = in_flight
        self._site = site
        self._clock = clock
        self._left: Deferred[None] | None = None
        self.drain = drain

    def stopService(self) -> Deferred[None]:
        """Drain, then close what connections of clients are left."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    @property
    def at_leisure(self) -> bool:
        """Whether it waits longer than at any stop, since another process serves."""
        return self._left is not None

    def hurry(self) -> None:
        """Wait no longer than at any stop."""
        left, self._left = self._left, None
        if left is not None:
            left.callback(None)

    async def _stop(self) -> None:
        retired = self._site.retire()
        if self.handed_over:
            # A client that kept its connection is served on it once more, and told to come anew.
            self._left = Deferred()
            retired.addCallback(lambda _: self.hurry())
            await self._left.addTimeout(_LONGEST_S, self._clock, lambda _result, _seconds: self.hurry())
        await self._in_flight.drain(self._clock, self.drain)
        await self._site.close()


class DoorService(Service):
    """
    One address that clients connect to.

    @ivar needed: whether it is a fault if it cannot be had.
    """

    log = Logger()

    def __init__(
        self,
        address: str,
        site: RelaySite,
        reactor: Any,  # noqa: ANN401
        setting: str = "server.listen",
        *,
        needed: bool = True,
        sockets: Sockets | None = None,
    ) -> None:
        """
        @param address: as in C{server.listen}.
        @param sockets: listens for it; None for a socket that nobody shares.
        @param setting: where an operator sets it.
        @param needed: whether nothing is to be served without it; else a warning says that it cannot be had.
        """
        self.name = f"door {address}"
        self.address = address
        self.needed = needed
        self._setting = setting
        self._site = site
        self._reactor = reactor
        self._sockets = sockets
        self.port: IListeningPort | None = None
        self._warned = ""

    def privilegedStartService(self) -> None:
        """
        Listen, before privileges are shed.

        @raise SystemExit: if that cannot be, with a line that says why.
        """
        problem = self.open()
        if problem is not None:
            if sys.__stderr__ is not None:
                sys.__stderr__.write(f"ccrelay: {problem}\n")
            raise SystemExit(EX_UNAVAILABLE)

    def open(self) -> str | None:
        """Listen, unless that is done already; return why it cannot be, or None."""
        if self.port is not None:
            return None
        failures: list[Failure] = []
        try:
            with listening.ours_alone():
                listened = self._listen()
            listened.addCallbacks(self._listening, failures.append)
        except (OSError, ValueError, TypeError, LookupError, SSL.Error, crypto.Error):
            # An endpoint description may name a file or a socket that is not there, or not right.
            failures.append(Failure())
        if not failures:
            return None
        problem = self._words(failures[0].value)
        if self.needed:
            return problem
        if problem != self._warned:
            self.log.warn("{problem}", problem=problem)  # noqa: G010  Twisted's Logger has no other
        self._warned = problem
        return None

    def stopService(self) -> Deferred[Any]:
        """Let no new connection in; at the end of the process its socket is kept for the next one."""
        super().stopService()
        return self.close(for_good=self.parent is None or bool(self.parent.running))

    def close(self, *, for_good: bool = True) -> Deferred[Any]:
        """
        Listen no more.

        @param for_good: whether the next process need not be kept the socket.
        """
        port, self.port = self.port, None
        if port is None:
            return maybeDeferred(lambda: None)
        if self._sockets is not None:
            self._sockets.closed(self.address, for_good=for_good)
        return maybeDeferred(port.stopListening)

    def _listen(self) -> Deferred[IListeningPort]:
        if self._sockets is not None:
            return self._sockets.listen(self.address, self._site)
        return listening.endpoint(self._reactor, self.address).listen(self._site)

    def _listening(self, port: IListeningPort) -> None:
        self.port = port
        what = "serving" if self._setting == "server.listen" else self._setting.partition(".")[0]
        self.log.info("{what} on {where}", what=what, where=listening.shown(port))

    def _words(self, problem: BaseException | None) -> str:
        cause: Any = getattr(problem, "socketError", problem)
        if getattr(cause, "errno", None):
            words = os.strerror(cause.errno) + (f": {cause.filename}" if cause.filename else "")
        else:
            words = str(cause) if isinstance(cause, ValueError) else f"{type(cause).__name__}: {cause}"
        return (
            f"cannot listen on {self.address}: {words}. "
            f"Stop what listens there, or set {self._setting} to another address."
        )

"""The process the relay runs in: what it hears, what it says of itself, and how another takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ccrelay.errors import Conflict
from ccrelay.service.signals import heed
from ccrelay.service.sockets import Sockets, inherited
from ccrelay.service.succession import Predecessor, Succession
from ccrelay.service.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ccrelay.service.tree import DoorService


class IRelayProcess(Protocol):
    """The relay, as far as its process is concerned."""

    def hung_up(self) -> None:
        """Open the log file anew, and read the configuration anew."""

    def doors(self) -> list[DoorService]:
        """Return every address that is listened on."""

    def hand_over(self) -> None:
        """Let requests that run take their time at the end: nobody waits for it."""

    def hurry(self) -> bool:
        """Wait for them no longer than at any end; return whether that is new."""

    def standing(self) -> str:
        """Return what is served, in words."""


class ProcessService(Service):
    """
    The process: its signals, its supervisor, and its hand-over to another.

    @ivar sockets: what is listened with; None where the process is not the relay's alone, as in tests.
    """

    name = "process"
    log = Logger()

    def __init__(
        self,
        relay: IRelayProcess,
        reactor: Any,  # noqa: ANN401
        environ: MutableMapping[str, str] | None,
    ) -> None:
        """@param environ: the environment's variables; None where the process is not the relay's alone."""
        variables = {} if environ is None else environ
        self._relay = relay
        self._reactor = reactor
        self._supervisor = supervisor = Supervisor.of(variables)
        self._predecessor = Predecessor.of(variables)
        self.sockets = None
        self._succession = None
        if environ is not None:
            self.sockets = Sockets(reactor, supervisor, tuple(inherited(environ)))
            self._succession = Succession(reactor, self.sockets, supervisor, relay.doors, self._leave)
        self._alive = LoopingCall(supervisor.tell, "WATCHDOG=1")
        self._alive.clock = reactor

    def startService(self) -> None:
        """Heed signals, and once the reactor runs say that the relay serves: if it cannot, it is gone."""
        super().startService()
        heed(self._reactor, self._relay.hung_up, self._signalled, self._relay.hurry)
        self._reactor.callWhenRunning(self._started)

    def stopService(self) -> None:
        """Say that it stops."""
        super().stopService()
        if self._alive.running:
            self._alive.stop()
        self._supervisor.tell("STOPPING=1", "STATUS=Requests in flight may finish.")

    async def upgrade(self) -> str:
        """
        Hand over to a new process; see L{Succession.hand_over}.

        @raise Conflict: if it does not come to serve; then this one goes on.
        """
        if self._succession is None:
            msg = "this process cannot hand over: something else runs in it"
            raise Conflict(msg)
        return await self._succession.hand_over()

    def _signalled(self) -> None:
        # What fails is in the log already.
        Deferred.fromCoroutine(self.upgrade()).addErrback(lambda failure: failure.trap(Conflict) and None)

    def _started(self) -> None:
        if self.running:
            self._predecessor.ready(self._reactor, self._ours)

    def _ours(self) -> None:
        """Speak for the relay: only the process that serves alone may."""
        self._supervisor.tell("READY=1", f"STATUS={self._relay.standing()}")
        if self.sockets is not None:
            self.sockets.keep()
        if self._supervisor.watchdog is not None:
            # From the reactor itself, so that it proves that the reactor turns.
            self._alive.start(self._supervisor.watchdog / 2)

    def _leave(self) -> None:
        self._relay.hand_over()
        self._reactor.stop()

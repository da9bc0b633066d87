"""The hand-over: a new process of the relay takes the sockets, and this one ends with its requests."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred  # noqa: A004  what addTimeout raises
from twisted.internet.protocol import Factory, ProcessProtocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from ccrelay.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from twisted.python.failure import Failure

    from ccrelay.service.sockets import Sockets
    from ccrelay.service.supervisor import Supervisor
    from ccrelay.service.tree import DoorService

PREDECESSOR: Final = "CCRELAY_PREDECESSOR"
"""The variable that names the descriptor over which a new process talks with the one before it."""
_FIRST: Final = 3
_PATIENCE_S: Final = 25.0
_READY: Final = b"ready"
_YOURS: Final = b"yours"
_NOT_INHERITED: Final = frozenset(
    {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID", PREDECESSOR}
)


class _Line(LineOnlyReceiver):
    """One end of what two processes say to each other during a hand-over."""

    delimiter = b"\n"

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard

    def lineReceived(self, line: bytes) -> None:
        self._heard(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self._heard(b"")


def _talk(reactor: Any, descriptor: int, heard: Callable[[bytes], None]) -> Any:  # noqa: ANN401
    """Return the protocol at this end of a socket; C{heard} is told each line, and nothing at its end."""
    line = _Line(heard)
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, Factory.forProtocol(lambda: line))
    return line


class _Child(ProcessProtocol):
    """The new process, as long as this one is there."""

    def __init__(self, ended: Callable[[int | None, int | None], None]) -> None:
        self._ended = ended

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self._ended(ended.exitCode, ended.signal)


class Predecessor:
    """The process before this one, which hands over to it."""

    def __init__(self, descriptor: int | None) -> None:
        """@param descriptor: what it is talked with over; None where there is none."""
        self._descriptor = descriptor

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Predecessor:
        """Return the predecessor that the environment names, and take it out of there."""
        named = environ.pop(PREDECESSOR, "")
        return cls(int(named) if named.isdecimal() else None)

    def ready(self, reactor: Any, ours: Callable[[], None]) -> None:  # noqa: ANN401
        """
        Say that this process serves.

        @param ours: called when the relay is this process's alone; at once if there is no other.
        """
        if self._descriptor is None:
            ours()
            return
        descriptor, self._descriptor = self._descriptor, None
        waiting = [ours]

        def heard(_line: bytes) -> None:
            if waiting:  # its word, or its end
                waiting.pop()()
                line.transport.loseConnection()

        line = _talk(reactor, descriptor, heard)
        os.close(descriptor)  # the transport has its own
        line.sendLine(_READY)


class Succession:
    """Starts a new process of the relay, waits until it serves, and then leaves."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401
        sockets: Sockets,
        supervisor: Supervisor,
        doors: Callable[[], Sequence[DoorService]],
        leave: Callable[[], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param doors: returns every door there is.
        @param leave: lets this process end once its requests have.
        """
        self._reactor = reactor
        self._sockets = sockets
        self._supervisor = supervisor
        self._doors = doors
        self._leave = leave
        self._environ = environ
        self._under_way = False

    async def hand_over(self) -> str:
        """
        Hand over to a new process, and return what was done, in words.

        @raise Conflict: if it does not come to serve; then this one goes on.
        """
        if self._under_way:
            msg = "a hand-over is under way already"
            raise Conflict(msg)
        self._under_way = True
        self._supervisor.tell("STATUS=handing over to a new process")
        # What cannot be shared (a unix socket, a certificate's port) changes hands with a short gap.
        alone = [d for d in self._doors() if d.port is not None and not self._sockets.holds(d.address)]
        for door in alone:
            await maybeDeferred(door.close)
        try:
            number = await self._successor()
        except Conflict as problem:
            self._under_way = False
            self._supervisor.tell(f"STATUS=not handed over: {problem.message}")
            lost = [words for door in alone if (words := door.open()) is not None]
            self.log.error(  # noqa: TRY400  the words say enough
                "not handed over, this process goes on: {problem}",
                problem="; ".join([problem.message, *lost]),
            )
            raise
        self._supervisor.leave()
        self.log.info("process {number} serves from now on; what this one has begun it ends", number=number)
        # Whoever asked for this is to be answered first.
        self._reactor.callLater(0, self._leave)
        return f"process {number} serves from now on; what process {os.getpid()} has begun it ends"

    async def _successor(self) -> int:
        """Start the new process and return its number, once it serves and the supervisor knows of it."""
        here, there = socket.socketpair()
        said: Deferred[bytes] = Deferred()

        def heard(line: bytes) -> None:
            # An end without a word is told by the process's end, which says more.
            if line and not said.called:
                said.callback(line)

        def ended(status: int | None, signal: int | None) -> None:
            if not said.called:
                why = f"status {status}" if signal is None else f"signal {signal}"
                said.errback(Conflict(f"the new process ended ({why}); the log has what it said"))

        with here, there:
            line = _talk(self._reactor, here.fileno(), heard)
            child = self._spawn(_Child(ended), there.fileno())
        try:
            await said.addTimeout(_PATIENCE_S, self._reactor)
            number: int = child.pid
            self._supervisor.tell(f"MAINPID={number}")
            line.sendLine(_YOURS)
        except TimeoutError:
            child.signalProcess("KILL")
            msg = f"the new process did not serve within {_PATIENCE_S:g} s"
            raise Conflict(msg) from None
        else:
            return number
        finally:
            line.transport.loseConnection()

    def _spawn(self, protocol: ProcessProtocol, line: int) -> Any:  # noqa: ANN401
        shared = self._sockets.open()
        descriptors = {number: number for number in range(_FIRST)}
        descriptors.update(enumerate(shared.values(), _FIRST))
        environ = {name: value for name, value in self._environ.items() if name not in _NOT_INHERITED}
        if shared:
            environ["LISTEN_FDS"] = str(len(shared))
            environ["LISTEN_FDNAMES"] = ":".join(shared)
        environ[PREDECESSOR] = str(len(descriptors))
        descriptors[len(descriptors)] = line
        # As this one was started, by the interpreter that is there now.
        words = [sys.executable, *sys.orig_argv[1:]]
        return self._reactor.spawnProcess(protocol, sys.executable, words, environ, childFDs=descriptors)

"""The listening sockets: some were there before this process, and may be there after it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ccrelay.config.reach import address_of
from ccrelay.service import listening
from ccrelay.service.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

_FIRST: Final = 3
"""The first descriptor that is handed over (sd_listen_fds(3))."""
_ANY: Final = 0


class Inherited(NamedTuple):
    """A listening socket that was handed over, and its name there."""

    name: str
    socket: socket.socket


def inherited(environ: Mapping[str, str]) -> Iterator[Inherited]:
    """
    Yield the listening sockets that were handed over to this process.

    C{LISTEN_PID} and C{LISTEN_FDS} are taken out of the environment by Twisted
    when it looks for endpoints, so what counts is C{LISTEN_FDNAMES}; and since
    that reaches other programs too, what is no listening socket is left alone.
    """
    names = environ.get("LISTEN_FDNAMES")
    if not names or environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return
    for descriptor, name in enumerate(names.split(":"), _FIRST):
        try:
            found = socket.socket(fileno=descriptor)
        except OSError:
            continue
        if _listens(found):
            found.setblocking(False)  # noqa: FBT003  Python's
            found.set_inheritable(False)
            yield Inherited(name, found)
        else:
            found.detach()


def _listens(found: socket.socket) -> bool:
    try:
        return found.family in {socket.AF_INET, socket.AF_INET6} and bool(
            found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        )
    except OSError:
        return False


class Sockets:
    """
    Listens on addresses.

    A socket for the address that was handed over is used rather than a new
    one, so nobody who connects meanwhile is refused. Sockets are kept by the
    supervisor too (C{FDSTORE=1}), and so outlive a crash and a restart.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, supervisor: Supervisor | None = None, before: tuple[Inherited, ...] = ()  # noqa: ANN401
    ) -> None:  # fmt: skip
        """@param before: sockets that were handed over."""
        self._reactor = reactor
        self._supervisor = supervisor or Supervisor()
        self._before = list(before)
        self._ports: dict[str, Any] = {}
        self._kept = False

    def listen(self, address: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param address: as in C{server.listen}.
        @raise OSError: if it cannot be had.
        """
        place = address_of(address)
        if place is None:
            return listening.endpoint(self._reactor, address).listen(factory)
        family, where = _resolved(*place)
        made = self._taken(family, where) or _bound(family, where)
        # A socket that Twisted made it shuts down, which ends every copy; one that it adopted it only closes.
        port = self._reactor.adoptStreamPort(made.fileno(), family, factory)
        made.close()
        self._ports[address] = port
        if self._kept:
            self._keep(address, port)
        return succeed(port)

    def closed(self, address: str, *, for_good: bool) -> None:
        """
        Note that an address is listened on no more.

        @param for_good: whether it is not to be kept for the next process either: nobody would answer there.
        """
        if self._ports.pop(address, None) is not None and for_good and self._kept:
            self._supervisor.tell("FDSTOREREMOVE=1", f"FDNAME={_name(address)}")

    def keep(self) -> None:
        """Have the supervisor keep what is listened on, and let go of what was handed over in vain."""
        self._kept = True
        for address, port in self._ports.items():
            self._keep(address, port)
        before, self._before = self._before, []
        for name, unwanted in before:
            host, port = unwanted.getsockname()[:2]
            self.log.warn(  # noqa: G010  Twisted's Logger has no other
                "nobody listens with the socket for {host}:{port} that was handed over ({name}): "
                "it is no address of the configuration",
                host=host, port=port, name=name,
            )  # fmt: skip
            unwanted.close()
            self._supervisor.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def open(self) -> dict[str, int]:
        """Return the descriptors of what is listened on, by the name under which they are handed over."""
        return {_name(address): port.fileno() for address, port in self._ports.items()}

    def holds(self, address: str) -> bool:
        """Return whether an address is among them."""
        return address in self._ports

    def _taken(self, family: int, where: tuple[Any, ...]) -> socket.socket | None:
        for one in self._before:
            if one.socket.family == family and one.socket.getsockname()[:2] == where[:2] and where[1] != _ANY:
                self._before.remove(one)
                return one.socket
        return None

    def _keep(self, address: str, port: Any) -> None:  # noqa: ANN401  an adopted port
        self._supervisor.tell(
            "FDSTORE=1", f"FDNAME={_name(address)}", "FDPOLL=0", descriptors=[port.fileno()]
        )


def _name(address: str) -> str:
    """Return an address as a name of a descriptor, which has no colon."""
    return address.replace(":", "_")


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Return the family and the address, as the system has them, of what L{address_of} returns."""
    name = {"localhost": "127.0.0.1", "": "0.0.0.0"}.get(host, host)  # noqa: S104
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return found[0][0], found[0][4]


def _bound(family: int, where: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)  # noqa: FBT003  Python's
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        made.listen(listening.BACKLOG)
    except OSError:
        made.close()
        raise
    return made

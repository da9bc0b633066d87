"""A way to a server in the same process: a pair of real sockets, without a port."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, NoProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorSocket


@implementer(IStreamClientEndpoint)
class SocketPairEndpoint:
    """
    Connects to a server's factory through C{socketpair(2)}.

    Both ends are the reactor's own unix transports, so what is true of a network is true here: writes wait
    for the reader, and either side may leave at any time.  Only a RST does not exist: an aborted connection
    ends like a closed one.  Neither factory's C{doStart} is called.
    """

    def __init__(
        self,
        reactor: IReactorSocket,
        server: IProtocolFactory,
        pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
    ) -> None:
        """
        @param server: builds the protocol of the other end of each connection.
        @param pair: makes two sockets that are joined.
        """
        self._reactor = reactor
        self._server = server
        self._pair = pair

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect at once.

        @return: fires with the client's protocol; fails with L{ConnectError} where the process may open no
            more sockets, with L{NoProtocol} where either factory builds no protocol.
        """
        try:
            theirs, ours = self._pair()
        except OSError as problem:
            return fail(ConnectError(problem.errno, problem.strerror or ""))
        # The reactor works with duplicates of these.
        with theirs, ours:
            server, client = self._adopt(theirs, self._server), self._adopt(ours, protocolFactory)
        return fail(NoProtocol()) if server is None or client is None else succeed(client)

    def _adopt(self, end: socket.socket, factory: IProtocolFactory) -> IProtocol | None:
        end.setblocking(False)  # noqa: FBT003  the socket module's own
        built = _Built(factory)
        self._reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, built)  # type: ignore[arg-type]
        return built.built


class _Built(Factory):
    """A factory that remembers what it built."""

    noisy = False
    built: IProtocol | None = None

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        self.built = self._factory.buildProtocol(addr)  # type: ignore[arg-type]
        return self.built

"""The addresses the relay listens on, from what stands in the configuration to a port."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    quoteStringArgument,
    serverFromString,
)

from ccrelay.config.reach import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint

BACKLOG: Final = 4096


def endpoint(reactor: Any, address: str) -> IStreamServerEndpoint:  # noqa: ANN401
    """
    Return the endpoint of an address.

    @param address: C{host:port}, C{[v6]:port}, C{:port}, or a Twisted
        endpoint description (C{unix:…}, C{ssl:…}, C{systemd:…}).
    @raise ValueError: if it is none of these.
    """
    found = address_of(address)
    if found is None:
        described: IStreamServerEndpoint = serverFromString(reactor, address)
        return described
    host, port = found
    if ":" in host:
        return TCP6ServerEndpoint(reactor, port, BACKLOG, host)
    return TCP4ServerEndpoint(reactor, port, BACKLOG, "127.0.0.1" if host == "localhost" else host)


@contextmanager
def ours_alone() -> Iterator[None]:
    """
    Let nobody else open what is made meanwhile.

    A unix socket gets its mode after it is there; what comes in between
    must not be anybody's.
    """
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def socket_at(path: str) -> str:
    """
    Return the description of a unix socket that nobody but its owner and root can open.

    One that a process left behind that is no more is put away.

    @param path: C{~} is the home directory.
    """
    return f"unix:{quoteStringArgument(os.path.expanduser(path))}:mode=600:lockfile=1"  # noqa: PTH111


def shown(port: IListeningPort) -> str:
    """Return a port as an address that a person can use."""
    address: Any = port.getHost()
    if isinstance(address, UNIXAddress):
        return "unix:" + os.fsdecode(address.name or b"")
    host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
    return f"http://{host}:{address.port}"

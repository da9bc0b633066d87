"""The addresses to listen on, and which of them other machines reach."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

_KINDS: Final = frozenset({"tcp", "tcp4", "tcp6", "ssl", "tls", "unix", "systemd", "fd"})
"""How a Twisted endpoint description may begin, where a number alone follows."""

_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_DESCRIPTION: Final = re.compile(r"(?!localhost:)(?P<kind>[a-z][a-z0-9]*):(?!//).+")
_ARGUMENT: Final = re.compile(r"(?:\\.|[^:\\])+")
_HIGHEST_PORT: Final = 65535


def address_of(listen: str) -> tuple[str, int] | None:
    """
    Return the host and port of C{host:port}, C{[v6]:port} or C{:port}.

    @return: the host, empty for all addresses of the machine, and the port; or None where C{listen}
        is a description of a Twisted endpoint
        (https://docs.twisted.org/en/stable/core/howto/endpoints.html#servers).
    @raise ValueError: if it is none of these; the text says what is allowed.
    """
    description = _DESCRIPTION.fullmatch(listen)
    found = _ADDRESS.fullmatch(listen)
    if description is not None and (found is None or description["kind"] in _KINDS):
        return None
    if found is None:
        msg = "host:port, [v6]:port, :port, or a Twisted endpoint such as unix:/run/ccrelay.sock"
        raise ValueError(msg)
    host, port = found["host"] if found["v6"] is None else found["v6"], int(found["port"])
    if port > _HIGHEST_PORT:
        msg = f"a port up to {_HIGHEST_PORT}"
        raise ValueError(msg)
    if not _listenable(host, bracketed=found["v6"] is not None):
        msg = "an IP address as the host (an IPv6 one in brackets), localhost, or none for all addresses"
        raise ValueError(msg)
    return host, port


def reachable_from_outside(listen: str) -> bool:
    """
    Return whether other machines can reach an address; what is not known counts as reachable.

    @param listen: as in C{server.listen}.
    @raise ValueError: if it is no address (L{address_of}).
    """
    address = address_of(listen)
    if address is not None:
        return not _loopback(address[0])
    kind, *arguments = (re.sub(r"\\(.)", r"\1", part) for part in _ARGUMENT.findall(listen))
    if kind == "unix":
        return False
    if kind not in {"tcp", "tcp4", "tcp6", "ssl"}:
        return True
    interfaces = [value for key, equals, value in (a.partition("=") for a in arguments) if key == "interface"]
    return not interfaces or not all(_loopback(interface) for interface in interfaces)


def _listenable(host: str, *, bracketed: bool) -> bool:
    """Return whether a host is an address, written as it should be, or a name that needs no looking up."""
    if not bracketed and host in {"", "localhost"}:
        return True
    try:
        return isinstance(ip_address(host), IPv6Address) == bracketed
    except ValueError:
        return False


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback

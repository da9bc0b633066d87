"""Which HTTP proxy is asked for a provider: as the operator writes one, and as the environment says."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORT: Final = 80  # of any address that begins with http://
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    An HTTP proxy.

    @ivar authorization: for C{Proxy-Authorization}; empty where it asks for nothing.
    """

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """
        Return the proxy of a URL: C{http://[user:password@]host[:port]}.

        @raise ValueError: if it is no such URL; the text says what is allowed, and holds no password.
        """
        msg = "an address such as http://proxy.example:8080"
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
        except ValueError:
            raise ValueError(msg) from None
        try:
            host, port = _host(parts.hostname or ""), parts.port or _PORT
        except ValueError:
            raise ValueError(msg) from None
        if parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(msg)
        authorization = b""
        if parts.username is not None:
            shown = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = b"Basic " + base64.b64encode(shown.encode("utf-8"))
        return cls(host, port, authorization)


def _host(name: str) -> str:
    """
    Return an address, or a name as it is looked up.

    @raise ValueError: if it is neither.
    """
    if ":" in name:
        return str(ip_address(name))
    ascii_only = name.encode("idna").decode("ascii")
    if not _NAME.fullmatch(ascii_only):
        msg = "no name of a host"
        raise ValueError(msg)
    return ascii_only


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy that the environment has for a URL, or None.

    C{HTTPS_PROXY} is for C{https} alone, C{NO_PROXY} lists hosts to be reached
    without: C{*}, names and all names under them, addresses, each with a port
    if one is meant.  Loopback is never proxied.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    found = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    host = parts.hostname.lower()
    if not found or _loopback(host):
        return None
    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    excepted = (entry.strip().lower() for entry in without.split(","))
    return None if any(_covers(entry, host, parts.port or 443) for entry in excepted if entry) else found


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    return host == entry or host.endswith(f".{entry}")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""Where Claude Code is told to go, and with what: checked before it is written down, never shown whole."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ccrelay.wire.secret import Secret

_SECRET_NAMES: Final = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|HEADERS")
_PORTS: Final = {"http": 80, "https": 443}


def base_url(value: str) -> str:
    """
    Return an address as C{ANTHROPIC_BASE_URL} wants it: what stands before C{/v1/messages}.

    @raise ValueError: if it is none; the text says what to do.
    """
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (it is looked at only to be checked)
    except ValueError as problem:
        msg = f"--url: {problem}"
        raise ValueError(msg) from problem
    if parts.scheme not in _PORTS or not parts.hostname or re.search(r"[^!-~]", value):
        msg = f"--url: {shown(value)!r} is no address such as http://127.0.0.1:8787"
        raise ValueError(msg)
    if parts.username is not None or parts.query or parts.fragment:
        msg = "--url: leave out user name, query and fragment; a credential goes into --key-file"
        raise ValueError(msg)
    plain = value.rstrip("/")
    if plain.endswith("/v1"):
        msg = "--url: leave out /v1, Claude Code adds it"
        raise ValueError(msg)
    return plain


def token(value: str) -> Secret:
    """
    Return what is to be sent as a bearer token.

    @raise ValueError: if it cannot stand in a header; the text says so, and not what it is.
    """
    if not re.fullmatch(r"[!-~]+", value):
        msg = "the token is empty, or holds spaces or other characters that a header cannot"
        raise ValueError(msg)
    return Secret(value)


def same(one: str, other: str) -> bool:
    """Return whether two addresses lead to the same place; all names of this machine are one."""
    return _place(one) == _place(other)


def loopback(url: str) -> bool:
    """Return whether an address is one of this machine alone."""
    return _host(urlsplit(url)) == "localhost"


def shown(value: str, name: str = "") -> str:
    """
    Return a variable's value as it may be shown: of a secret, or a password in an address, a trace.

    @param name: the variable's name.
    """
    if _SECRET_NAMES.search(name):
        return str(Secret(value))
    return re.sub(r"//[^/@]*@", "//…@", value)


def _place(url: str) -> tuple[str, str, int | None, str] | str:
    """Return what two addresses of one place have in common; of a broken one, itself."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return url
    return parts.scheme, _host(parts), port, parts.path.rstrip("/")


def _host(parts: SplitResult) -> str:
    """Return the host of an address, with one name for all that mean this machine."""
    host = parts.hostname or ""
    try:
        return "localhost" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host

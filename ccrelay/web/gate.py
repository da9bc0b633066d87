"""Which requests may come in at all: what a web page in the user's browser must not do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from ccrelay.errors import Forbidden, Malformed
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.wire.http import Pairs


_USUAL: Final = frozenset(
    b"%b:%d" % (host, port) if port else host for host in (b"localhost", b"127.0.0.1") for port in (0, 8787)
)


@dataclass(frozen=True, slots=True)
class Gate:
    """
    Judges C{Host} and C{Origin}.

    A page that rebinds its own name to this machine still sends that name, so
    a C{Host} must be an IP literal, C{localhost}, or one the operator allows;
    and a browser tells with C{Origin} from which page a request comes.

    @ivar hosts: names, in lower case; C{origins}: as browsers send them.
    @ivar setting: where an operator allows more hosts.
    @ivar serves_pages: whether pages of its own may ask, and no others.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    setting: str = "server.allowed_hosts"
    serves_pages: bool = False

    def judge(self, headers: Pairs, *, http11: bool, local: bool) -> str | None:
        """
        Return the allowed origin a request comes from, or None if it names none.

        @param http11: whether C{Host} is compulsory.
        @param local: whether it came over a unix socket, where no browser reaches.
        @raise Malformed, Forbidden: if it may not come in.
        """
        named = [value for name, value in headers if name == b"host"]
        origin = first(headers, b"origin")
        if origin is None and len(named) == 1 and (local or named[0] in _USUAL):
            return None  # nearly always
        if len(named) > 1 or (http11 and not named):
            msg = "A request must have exactly one Host header."
            raise Malformed(msg)
        if named and not local:
            self._judge_host(named[0].decode("latin-1"))
        if origin is None:
            return None
        page = origin.decode("latin-1")
        if self.serves_pages:
            if named and page.partition("://")[2].lower() == named[0].decode("latin-1").lower():
                return None
            msg = f"Web pages of {page} may not ask here."
            raise Forbidden(msg)
        if page not in self.origins:
            msg = f"Web pages of {page} may not ask here; add it to server.allowed_origins if they should."
            raise Forbidden(msg)
        return page

    def _judge_host(self, value: str) -> None:
        host = (
            value.rpartition("]")[0].removeprefix("[") if value.startswith("[") else value.partition(":")[0]
        )
        host = host.lower().rstrip(".")
        if host == "localhost" or host in self.hosts or _is_address(host):
            return
        msg = f"The host name {value!r} is not this relay's; add it to {self.setting} if it should be."
        raise Forbidden(msg)


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

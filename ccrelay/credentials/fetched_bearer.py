"""A bearer token that is fetched: Google's and Entra's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import implementer

from ccrelay.credentials.interfaces import ICredential
from ccrelay.wire.http import first
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ccrelay.credentials.cache import CredentialCache, Standing
    from ccrelay.wire.http import UpstreamRequest

_BEARER = b"Bearer "


@implementer(ICredential)
class FetchedBearer:
    """
    A token shown in C{Authorization} (RFC 6750).

    @ivar cache: where it comes from.
    """

    def __init__(self, cache: CredentialCache[Secret]) -> None:
        self.cache = cache

    def authorize(self, request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:
        """Return the request with the token on, as soon as there is one."""

        def shown(token: Secret) -> UpstreamRequest:
            return request.adding((b"authorization", _BEARER + token.reveal().encode("utf-8")))

        return self.cache.get(now).addCallback(shown)

    def warm(self, now: float) -> None:
        """Begin to fetch, unless it is held."""
        if self.cache.held is None:
            self.cache.warm(now)

    def state(self, now: float) -> Standing:
        """See L{ICredential.state}."""
        return self.cache.state(now)

    def refused(self, request: UpstreamRequest) -> bool:
        """Drop the token that the request showed, and return whether there may be another."""
        shown = first(request.headers, b"authorization") or b""
        return self.cache.invalidate(Secret(shown.removeprefix(_BEARER).decode("utf-8", "replace")))

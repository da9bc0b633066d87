"""What a credential is to the rest of the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ccrelay.wire.http import UpstreamRequest


class ICredential(Interface):
    """Something that makes a request one that the provider accepts."""

    def authorize(request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:
        """
        Return the request with the credential put on, or signed.

        @param now: seconds since the epoch.
        """

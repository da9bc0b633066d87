"""What a credential is to the rest of the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ccrelay.credentials.cache import Standing
    from ccrelay.wire.http import UpstreamRequest


class ICredential(Interface):
    """Something that makes a request one that the provider accepts."""

    def authorize(request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:
        """
        Return the request with the credential put on, or signed.

        @param now: seconds since the epoch.
        """

    def warm(now: float) -> None:
        """
        Begin to fetch what has to be fetched, so that no request waits for it.

        @param now: seconds since the epoch.
        """

    def refused(request: UpstreamRequest) -> bool:
        """
        Hear that the provider refused what a request was authorized with, as expired or unknown.

        A credential that can be had anew is dropped, if it is still the one in use.

        @param request: as it was sent.
        @return: whether the request is worth authorizing and sending once more.
        """

    def state(now: float) -> Standing | None:
        """
        Return how it stands, for display; None for one that is not fetched.

        @param now: seconds since the epoch.
        """

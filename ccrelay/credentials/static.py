"""Credentials that need no fetching: API keys, a client's own bearer, and none at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from ccrelay.credentials.interfaces import ICredential

if TYPE_CHECKING:
    from ccrelay.wire.http import UpstreamRequest
    from ccrelay.wire.secret import Secret


@implementer(ICredential)
@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key shown in C{x-api-key}, as Anthropic documents it."""

    secret: Secret

    def authorize(self, request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:  # noqa: ARG002
        """Return the request with the key in C{x-api-key}."""
        return succeed(request.adding((b"x-api-key", self.secret.reveal().encode("utf-8"))))

    def warm(self, now: float) -> None:
        """Do nothing: it is here."""

    def state(self, now: float) -> None:
        """See L{ICredential.state}: nothing is fetched."""

    def refused(self, request: UpstreamRequest) -> bool:  # noqa: ARG002
        """Return that there is no other key."""
        return False


@implementer(ICredential)
@dataclass(frozen=True, slots=True)
class Bearer:
    """A key or token shown in C{Authorization} (RFC 6750)."""

    secret: Secret

    def authorize(self, request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:  # noqa: ARG002
        """Return the request with the token in C{Authorization}."""
        return succeed(request.adding((b"authorization", b"Bearer " + self.secret.reveal().encode("utf-8"))))

    def warm(self, now: float) -> None:
        """Do nothing: it is here."""

    def state(self, now: float) -> None:
        """See L{ICredential.state}: nothing is fetched."""

    def refused(self, request: UpstreamRequest) -> bool:  # noqa: ARG002
        """Return that there is no other token."""
        return False


@implementer(ICredential)
@dataclass(frozen=True, slots=True)
class NoCredential:
    """For providers that ask for none."""

    def authorize(self, request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:  # noqa: ARG002
        """Return the request as it is."""
        return succeed(request)

    def warm(self, now: float) -> None:
        """Do nothing: it is here."""

    def state(self, now: float) -> None:
        """See L{ICredential.state}: nothing is fetched."""

    def refused(self, request: UpstreamRequest) -> bool:  # noqa: ARG002
        """Return that there is none at all."""
        return False


def static_credential(scheme: str, secret: Secret | None) -> ICredential:
    """Return the credential that shows C{secret} the way C{scheme} says."""
    if secret is None or scheme == "none":
        return NoCredential()
    return Bearer(secret) if scheme == "bearer" else ApiKey(secret)

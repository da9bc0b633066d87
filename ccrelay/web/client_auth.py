"""Who may use the relay: the credential a client shows, and what it is good for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ccrelay.errors import TooMany, Unauthorized
from ccrelay.policy.client import NOBODY, Client
from ccrelay.wire.http import first
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccrelay.wire.http import Pairs

_OAUTH: Final = "sk-ant-oat"
_MINUTE_S: Final = 60.0


@dataclass(slots=True, eq=False)
class KnownClient:
    """
    A client with a key of its own.

    @ivar rpm_limit: requests in any minute; 0 for no limit.
    """

    client: Client
    key: Secret
    rpm_limit: int = 0
    recent: deque[float] = field(default_factory=deque, repr=False)

    def charge(self, now: float) -> None:
        """
        Count a request.

        @param now: seconds of a clock that does not jump.
        @raise TooMany: if it is over the limit; with the time the window frees.
        """
        if not self.rpm_limit:
            return
        while self.recent and self.recent[0] <= now - _MINUTE_S:
            self.recent.popleft()
        if len(self.recent) >= self.rpm_limit:
            msg = f"This client may make {self.rpm_limit} requests a minute, and has."
            raise TooMany(msg, retry_after=self.recent[0] + _MINUTE_S - now)
        self.recent.append(now)


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """
    Admits clients by the credential they show, in C{x-api-key} or as a bearer.

    @ivar api_key: of the whole relay, accepted in either place.
    @ivar bearer_secret: accepted as a bearer.
    @ivar any_bearer: whether any bearer is taken, where there is no C{bearer_secret}.
    @ivar subscription: whether a claude.ai token is admitted, for passthrough providers.
    """

    api_key: Secret | None = None
    bearer_secret: Secret | None = None
    any_bearer: bool = False
    subscription: bool = False
    clients: Sequence[KnownClient] = ()

    @property
    def asks(self) -> bool:
        """Whether a credential is asked for at all."""
        return bool(self.api_key or self.bearer_secret or self.clients or self.any_bearer)

    def admit(self, headers: Pairs, now: float, *, charged: bool = False) -> Client:
        """
        Return who is asking.

        Where both places hold a credential, one that is valid is enough.

        @param charged: whether the request counts against the client's C{rpm_limit}.
        @param now: seconds of a clock that does not jump.
        @raise Unauthorized: which place held the wrong one, never what it was.
        @raise TooMany: if the client is over its own limit.
        """
        if not self.subscription and not self.asks:
            return NOBODY
        key = _text(first(headers, b"x-api-key"))
        bearer = bearer_of(headers)
        known = self._known(key, bearer)
        own = Secret(bearer) if self._is_login(bearer) else None
        if known is not None:
            if charged:
                known.charge(now)
            client = known.client
            return client if own is None else Client(
                client.name, client.providers, client.models, own, pooled=True
            )  # fmt: skip
        if own is not None:
            return Client("subscription", bearer=own, pooled=False)
        if not self.asks:
            return NOBODY
        raise Unauthorized(_why(key, bearer))

    def _is_login(self, bearer: str) -> bool:
        """Return whether a bearer is a claude.ai token to pass on; those are ASCII (RFC 6750, 2.1)."""
        return self.subscription and bearer.startswith(_OAUTH) and bearer.isascii()

    def _known(self, key: str, bearer: str) -> KnownClient | None:
        """Return whose credential this is; every one is compared, so that time tells nothing."""
        found: KnownClient | None = None
        for shown in (key, bearer):
            if not shown:
                continue
            for known in self.clients:
                if known.key.matches(shown) and found is None:
                    found = known
            if self.api_key is not None and self.api_key.matches(shown) and found is None:
                found = KnownClient(Client("relay key"), self.api_key)
        if self.bearer_secret is not None and bearer and self.bearer_secret.matches(bearer) and found is None:
            found = KnownClient(Client("bearer"), self.bearer_secret)
        any_bearer = self.any_bearer and self.bearer_secret is None and not self._is_login(bearer)
        if any_bearer and bearer and found is None:
            found = KnownClient(Client("bearer"), Secret(bearer))
        return found


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "surrogateescape").strip()


def bearer_of(headers: Pairs) -> str:
    """Return the token of C{Authorization: Bearer}; empty where there is none."""
    scheme, _, token = _text(first(headers, b"authorization")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _why(key: str, bearer: str) -> str:
    shown = [place for place, value in (("x-api-key", key), ("Authorization: Bearer", bearer)) if value]
    if not shown:
        return "No credential: show your ccrelay key in x-api-key or as Authorization: Bearer."
    return f"The credential in {' and '.join(shown)} is not one that ccrelay knows; check your ccrelay key."

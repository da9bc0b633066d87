"""The providers of one configuration, and the routes to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccrelay.credentials.static import Bearer, static_credential
from ccrelay.policy.route import Route, by_priority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ccrelay.credentials.interfaces import ICredential
    from ccrelay.policy.client import Client
    from ccrelay.policy.keys import Key
    from ccrelay.providers.interfaces import IProvider
    from ccrelay.upstream.client import UpstreamClient
    from ccrelay.wire.http import Pairs


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long a provider may take, in seconds.

    @ivar first_byte: until the head of a streamed answer.
    @ivar idle: between two bytes of it.
    @ivar whole: for all of an answer that is not streamed.
    """

    first_byte: float = 120.0
    idle: float = 300.0
    whole: float = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    """
    One configured provider.

    @ivar model_name: what it calls the model that a client asks for.
    @ivar models: the names the operator lists for it.
    @ivar headers: added to every request.
    @ivar estimates: whether tokens are estimated where it cannot count them.
    """

    name: str
    provider: IProvider
    client: UpstreamClient
    keys: tuple[Key, ...]
    model_name: Callable[[str], str] = str
    priority: int = 1
    models: tuple[str, ...] = ()
    mapped_names: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    headers: Pairs = ()
    passthrough: bool = False
    estimates: bool = True

    def credential(self, route: Route, client: Client) -> ICredential:
        """Return what authorizes a request on a route."""
        if route.key is None and client.bearer is not None:
            return Bearer(client.bearer)
        return self.key_credential(route.key)

    def key_credential(self, key: Key | None) -> ICredential:
        """Return what authorizes a request with one of the provider's keys."""
        return static_credential(self.provider.scheme, key.secret if key else None)


class Upstreams:
    """
    All enabled providers, in the order of the file.

    @ivar account: the one that batches, files and the like go to, or None.
    """

    def __init__(self, listed: Sequence[Upstream], account: str | None = None) -> None:
        """@param account: C{routing.account_provider}; None for the first that has such resources."""
        self.listed = tuple(listed)
        self._by_name = {upstream.name: upstream for upstream in listed}
        chosen = [u for u in self.listed if u.name == account] if account else [
            u for u in self.listed if u.provider.kind == "anthropic"
        ]  # fmt: skip
        self.account = chosen[0] if chosen else None

    def __getitem__(self, name: str) -> Upstream:
        return self._by_name[name]

    def routes(self, model: str, client: Client, now: float) -> tuple[Route, ...]:
        """
        Return the routes a client's request may take, in the order they are tried.

        A client's own bearer goes to passthrough providers, first; pooled
        keys follow only for a client that may use them.

        @param now: seconds since the epoch.
        """
        own: list[Route] = []
        pooled: list[Route] = []
        for upstream in self.listed:
            if not client.may_use(upstream.name):
                continue
            there = upstream.model_name(model)
            if client.bearer is not None and upstream.passthrough:
                own.append(Route(upstream.name, upstream.priority, None, there, there != model))
            if client.pooled:
                pooled.extend(
                    Route(upstream.name, upstream.priority, key, there, there != model)
                    for key in upstream.keys
                    if key.usable(now)
                )
        return by_priority(own) + by_priority(pooled)

    def frees_at(self, client: Client) -> float | None:
        """Return when the soonest barred key of the client's providers frees, seconds since the epoch."""
        allowed = [u for u in self.listed if client.may_use(u.name)]
        times = [key.barred_until for u in allowed for key in u.keys if key.barred_until]
        return min(times) if client.pooled and times else None

    def why_not_ready(self, now: float) -> str | None:
        """Return why no request could be served now, or None if one could."""
        if not self.listed:
            return "no provider is enabled"
        if not any(u.passthrough or any(k.usable(now) for k in u.keys) for u in self.listed):
            return "every key is exhausted"
        return None

"""The providers of one configuration, and the ways of a request to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ccrelay.credentials.static import Bearer, static_credential
from ccrelay.policy.backend import Way
from ccrelay.policy.breaker import State
from ccrelay.policy.ways import Pooled, Ways, candidates
from ccrelay.relay.lessons import Lessons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccrelay.credentials.interfaces import ICredential
    from ccrelay.policy.ask import Ask
    from ccrelay.policy.backend import Backend
    from ccrelay.policy.client import Client
    from ccrelay.policy.keys import Key
    from ccrelay.policy.route import Route
    from ccrelay.policy.routing import Routing
    from ccrelay.policy.ways import Candidates
    from ccrelay.providers.interfaces import IProvider
    from ccrelay.upstream.client import UpstreamClient
    from ccrelay.wire.http import Pairs, UpstreamRequest


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

    @ivar backend: what is decided about it.
    @ivar headers: added to every request.
    @ivar estimates: whether tokens are estimated where it cannot count them.
    @ivar health: the request that shows whether it is there, not yet authorized.
    @ivar fetched: the credential of those that have none of their keys written down.
    @ivar family: of those that can read its thinking.
    @ivar learns: whether a refused flag or field is left out from then on.
    @ivar lessons: what was learned, of this provider and of all others.
    @ivar made_from: what it was made of; another configuration with the same goes on with it.
    """

    provider: IProvider
    client: UpstreamClient
    backend: Backend
    health: UpstreamRequest
    limits: Limits = field(default_factory=Limits)
    headers: Pairs = ()
    estimates: bool = True
    made_from: object = None
    fetched: ICredential | None = None
    family: str = ""
    learns: bool = True
    lessons: Lessons = field(default_factory=Lessons)

    @property
    def name(self) -> str:
        """What the operator called it."""
        return self.backend.name

    def credential(self, route: Route, client: Client) -> ICredential:
        """Return what authorizes a request on a route."""
        if route.key is None and client.bearer is not None:
            return Bearer(client.bearer)
        return self.key_credential(route.key)

    def key_credential(self, key: Key | None) -> ICredential:
        """Return what authorizes a request with one of the provider's keys, or with what it has fetched."""
        if self.fetched is not None and (key is None or key.secret is None):
            return self.fetched
        return static_credential(self.provider.scheme, key.secret if key else None)


_MOST_CANDIDATES: Final = 1000


class Upstreams:
    """
    All enabled providers, in the order of the file.

    @ivar routing: what decides among them.
    @ivar account: the one that batches, files and the like go to, or None.
    """

    def __init__(
        self,
        listed: Sequence[Upstream],
        routing: Routing,
        account: str | None = None,
        lessons: Lessons | None = None,
    ) -> None:
        """
        @param account: C{routing.account_provider}; None for the first that has such resources.
        @param lessons: what all providers have taught.
        """
        self.lessons = lessons or Lessons()
        self.listed = tuple(listed)
        self.routing = routing
        self._by_name = {upstream.name: upstream for upstream in listed}
        self._candidates: dict[object, Candidates] = {}
        chosen = [u for u in self.listed if u.name == account] if account else [
            u for u in self.listed if u.provider.kind == "anthropic"
        ]  # fmt: skip
        self.account = chosen[0] if chosen else None

    def __getitem__(self, name: str) -> Upstream:
        return self._by_name[name]

    def get(self, name: str) -> Upstream | None:
        """Return the provider of that name, or None."""
        return self._by_name.get(name)

    def ways(self, model: str, client: Client, session: str = "", size: int = 0) -> Ways:
        """
        Return the ways that a client's request may go, in the order of the file.

        A client's own bearer goes to passthrough providers alone; pooled keys
        are for clients that may use them.

        @param session: what stands for the conversation; C{size}: bytes of the request.
        """
        key = model, client.providers, client.bearer is not None, client.pooled
        found = self._candidates.get(key)
        if found is None:
            if len(self._candidates) >= _MOST_CANDIDATES:
                self._candidates.clear()  # models are what clients name
            found = self._candidates[key] = candidates(
                [upstream.backend for upstream in self.listed], model, client.may_use,
                bearer=client.bearer is not None, pooled=client.pooled,
            )  # fmt: skip
        own = [Way(backend, model, own=True) for backend in found.own]
        return Ways(
            own, Pooled(found.pooled, model, lambda backend: self._ask(backend, model, session, size))
        )

    def why_not_ready(self, now: float) -> str | None:
        """Return why no request could be served now, or None if one could."""
        if not self.listed:
            return "no provider is enabled"
        breakers = self.routing.breakers
        paying = [
            u
            for u in self.listed
            if u.backend.passthrough or any(key.usable(now) for key in u.backend.pool.keys)
        ]
        if not paying:
            return "every key is exhausted"
        failing = [u.name for u in paying if breakers.of(u.name).state(now) is State.OPEN]
        if len(failing) == len(paying):
            others = len(self.listed) - len(paying)
            more = "; every key of the others is exhausted" if others else ""
            return f"the circuit of {', '.join(failing)} is open{more}"
        return None

    def _ask(self, backend: Backend, model: str, session: str, size: int) -> Ask:
        return self.routing.estimates.ask(session, backend.model_name(model), size)

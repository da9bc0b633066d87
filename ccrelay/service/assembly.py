"""Builds the rooms of one configuration: providers, routes, and what requests are served with."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ccrelay.policy.client import Client
from ccrelay.policy.plan import Bounds
from ccrelay.providers.registry import ANTHROPIC
from ccrelay.relay.lessons import Lessons
from ccrelay.relay.relay import Manners, Relay
from ccrelay.relay.resource import ResourceRelay
from ccrelay.relay.upstreams import Limits, Upstream, Upstreams
from ccrelay.service.clouds import credential_of, dialect_of, fetched_as_before
from ccrelay.service.routing import backend_of, routing_of
from ccrelay.upstream.agent import client_over
from ccrelay.web.client_auth import ClientAuth, KnownClient
from ccrelay.web.door import Door, Serving
from ccrelay.web.gate import Gate
from ccrelay.web.models import ModelList
from ccrelay.web.site import RelaySite
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.thinking import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.defer import Deferred
    from twisted.web.iweb import IAgentEndpointFactory

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.credentials.interfaces import ICredential
    from ccrelay.credentials.threads import InThread
    from ccrelay.policy.breaker import Breaker
    from ccrelay.relay.events import IObserver
    from ccrelay.upstream.client import UpstreamClient


_RANDOM: Final = Random()  # noqa: S311  jitter and shares, nothing secret


def _no_threads(_function: Callable[[], Any]) -> Deferred[Any]:
    msg = "credentials are fetched in threads, and nobody gave any"
    raise AssertionError(msg)


def new_request_id() -> str:
    """Return an id that no other request has."""
    return f"req_ccrelay_{_RANDOM.getrandbits(80):020x}"


def endpoints_of(
    settings: Settings,
    endpoints: Callable[[ProviderSettings], IAgentEndpointFactory],
    old: Upstreams,
) -> dict[str, IAgentEndpointFactory]:
    """
    Return how the enabled providers are reached, by name, without those that are reached as before.

    @raise ConfigError: if a file that this needs cannot be used.
    """
    enabled = [p for p in settings.providers if p.enabled]
    http = settings.server.http
    return {p.name: endpoints(p) for p in enabled if not _connected_as(old.get(p.name), p, http)}


def upstreams_of(
    settings: Settings,
    clock: Any,  # noqa: ANN401  a reactor or a Clock
    endpoints: Callable[[ProviderSettings], IAgentEndpointFactory],
    chance: Callable[[], float] = _RANDOM.random,
    watch: Callable[[str, str, Breaker], None] = lambda _provider, _model, _breaker: None,
    old: Upstreams | None = None,
    in_thread: InThread = _no_threads,
) -> Upstreams:
    """
    Return the enabled providers of a configuration, each with connections of its own.

    @param chance: returns a random number, at least 0 and less than 1.
    @param watch: told of each circuit that changes its state.
    @param old: those of the configuration before; what did not change goes on as it is.
    @param in_thread: where credentials are fetched.
    """
    lessons = old.lessons if old is not None else Lessons()
    enabled = [p for p in settings.providers if p.enabled]
    passing = {p.name for p in enabled if p.passthrough}
    if settings.server.auth.allow_subscription and not passing:
        own = [p.name for p in enabled if p.type == "anthropic" and p.base_url in (None, ANTHROPIC)]
        passing = set(own[:1])
    whole = settings.server.timeout_ms / 1000
    listed: list[Upstream] = []
    unchanged: set[str] = set()
    for provider in enabled:
        passthrough = provider.name in passing
        made_from = _MadeFrom(provider, whole, passthrough, settings.server.http)
        before = old.get(provider.name) if old is not None else None
        if before is not None and before.made_from == made_from:
            listed.append(before)
            unchanged.add(provider.name)
        else:
            if _same(_PLACE, before, provider):
                unchanged.add(provider.name)
            if not _same((*_PLACE, "betas"), before, provider):
                lessons.betas.forget(provider.name)
            listed.append(_upstream(provider, clock, endpoints, made_from, before, lessons, in_thread))
    backends = [upstream.backend for upstream in listed]
    routing = routing_of(
        settings, backends, unchanged, chance, watch, old.routing if old is not None else None
    )
    return Upstreams(listed, routing, settings.routing.account_provider, lessons)


class _MadeFrom(NamedTuple):
    """
    What a provider was made of.

    @ivar whole: seconds for an answer that is not streamed.
    @ivar http: what speaks HTTP with it.
    """

    provider: ProviderSettings
    whole: float
    passthrough: bool
    http: str


_PLACE: Final = ("type", "base_url", "aws_region", "gcp_region", "gcp_project_id", "azure_resource_name")
"""The settings that say where a provider is."""
_CONNECTING: Final = (
    *_PLACE, "proxy", "ca_file", "client_certificate", "max_connections", "connect_timeout_ms", "scenario",
    "pace_ms", "error_rate",
)  # fmt: skip
"""The settings of a provider that its connections depend on."""


def _same(names: tuple[str, ...], before: Upstream | None, provider: ProviderSettings) -> bool:
    """Return whether settings of these names are what they were; not if there was no such provider."""
    if before is None:
        return False
    was = cast("_MadeFrom", before.made_from).provider
    return all(getattr(was, name) == getattr(provider, name) for name in names)


def _connected_as(before: Upstream | None, provider: ProviderSettings, http: str) -> bool:
    """Return whether a provider was reached in the way that it is to be reached in."""
    if before is None or cast("_MadeFrom", before.made_from).http != http:
        return False
    return _same(_CONNECTING, before, provider)


def _upstream(
    provider: ProviderSettings,
    clock: Any,  # noqa: ANN401
    endpoints: Callable[[ProviderSettings], IAgentEndpointFactory],
    made_from: _MadeFrom,
    before: Upstream | None,
    lessons: Lessons,
    in_thread: InThread,
) -> Upstream:
    whole, passthrough = made_from.whole, made_from.passthrough
    same_place = _same(_PLACE, before, provider)
    kind = dialect_of(provider)
    client = _client(made_from, clock, endpoints, before)
    health = kind.probe()
    if provider.health_path is not None:
        health = UpstreamRequest("GET", kind.base_url + provider.health_path, health.headers)
    headers = tuple(
        (name.lower().encode("ascii"), value.encode("utf-8")) for name, value in provider.headers.items()
    )
    return Upstream(
        kind,
        client,
        backend_of(provider, before.backend if before and same_place else None, passthrough=passthrough),
        health.adding(*headers),
        Limits(provider.first_byte_timeout_ms / 1000, provider.idle_timeout_ms / 1000, whole),
        headers,
        provider.count_tokens == "estimate",
        made_from,
        _fetched(provider, before, in_thread, clock),
        family_of(provider.type, provider.name),
        provider.learn_betas,
        lessons,
    )


def _fetched(
    provider: ProviderSettings,
    before: Upstream | None,
    in_thread: InThread,
    clock: Any,  # noqa: ANN401
) -> ICredential | None:
    """Return the credential that is fetched for a provider; one that is fetched as before goes on."""
    if before is not None and fetched_as_before(cast("_MadeFrom", before.made_from).provider, provider):
        return before.fetched
    return credential_of(provider, in_thread, clock)


def _client(
    made_from: _MadeFrom,
    clock: Any,  # noqa: ANN401
    endpoints: Callable[[ProviderSettings], IAgentEndpointFactory],
    before: Upstream | None,
) -> UpstreamClient:
    """Return the way to a provider; who is reached as before keeps its connections."""
    provider = made_from.provider
    if before is not None and _connected_as(before, provider, made_from.http):
        return before.client
    patience = provider.connect_timeout_ms / 1000
    return client_over(made_from.http, clock, endpoints(provider), provider.max_connections, patience)


def auth_of(settings: Settings, old: ClientAuth | None = None) -> ClientAuth:
    """Return who may use the relay; a client that was known keeps what it has used of its own limit."""
    auth = settings.server.auth
    clients = tuple(
        KnownClient(
            Client(c.name, frozenset(c.providers) if c.providers else None, c.models), c.key, c.rpm_limit
        )
        for c in auth.clients
    )
    recent = {(known.client.name, known.key): known.recent for known in (old.clients if old else ())}
    for known in clients:
        known.recent = recent.get((known.client.name, known.key), known.recent)
    return ClientAuth(auth.api_key, auth.bearer_secret, auth.allow_bearer, auth.allow_subscription, clients)


def serving_of(
    settings: Settings,
    upstreams: Upstreams,
    clock: Any,  # noqa: ANN401
    wall: Callable[[], float],
    old: Serving | None = None,
) -> Serving:
    """Return what requests are served with under a configuration, and what it knows from the one before."""
    routing, server = settings.routing, settings.server
    manners = Manners(
        Bounds(routing.max_attempts, routing.failover_timeout / 1000, routing.max_wait_ms / 1000),
        server.ping_interval_ms / 1000,
        server.timeout_ms / 1000,
        routing.debug,
    )
    return Serving(
        auth_of(settings, old.auth if old is not None else None),
        Relay(upstreams, manners, clock, wall),
        ResourceRelay(upstreams, clock, wall),
        ModelList(upstreams, clock, wall, old.models if old is not None else None),
        server.max_body_bytes,
        routing.debug,
    )


def gate_of(settings: Settings) -> Gate:
    """Return which names and origins the relay is asked under."""
    return Gate(
        frozenset(host.lower() for host in settings.server.allowed_hosts),
        frozenset(settings.server.allowed_origins),
    )


def site_of(
    settings: Settings,
    door: Door,
    clock: Any,  # noqa: ANN401
    observers: Sequence[IObserver],
) -> RelaySite:
    """Return the site that clients connect to."""
    return RelaySite(
        door.app.resource(),
        gate_of(settings),
        clock,
        new_request_id,
        observers,
        settings.server.http,
        door.direct,
    )

"""Builds the rooms of one configuration: providers, routes, and what requests are served with."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from ccrelay.policy.client import Client
from ccrelay.policy.keys import Key
from ccrelay.policy.mapping import ModelMapping
from ccrelay.policy.plan import Bounds
from ccrelay.providers.registry import ANTHROPIC, provider_of
from ccrelay.relay.relay import Manners, Relay
from ccrelay.relay.resource import ResourceRelay
from ccrelay.relay.upstreams import Limits, Upstream, Upstreams
from ccrelay.upstream.agent import Connections, Endpoints, agent_over
from ccrelay.upstream.client import UpstreamClient
from ccrelay.upstream.tls import TrustPolicy
from ccrelay.web.client_auth import ClientAuth, KnownClient
from ccrelay.web.door import Door, Serving
from ccrelay.web.gate import Gate
from ccrelay.web.models import ModelList
from ccrelay.web.site import RelaySite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.web.client import URI

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.relay.events import IObserver
    from ccrelay.relay.in_flight import InFlight


def new_request_id() -> str:
    """Return an id that no other request has."""
    return "req_ccrelay_" + secrets.token_hex(10)


@implementer(IAgentEndpointFactory)
class OneEndpoint:
    """Connects every URL to the same place."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002
        """Return the one endpoint there is."""
        return self._endpoint


def network_endpoints(reactor: Any) -> Callable[[ProviderSettings], IAgentEndpointFactory]:  # noqa: ANN401
    """Return how providers are reached for real: by their URL, the simulator inside the process."""

    def of(provider: ProviderSettings) -> IAgentEndpointFactory:
        if provider.type == "simulator" and provider.base_url is None:
            from ccrelay.simulator.app import Simulator  # noqa: PLC0415  only where it is used
            from ccrelay.simulator.pair import SocketPairEndpoint  # noqa: PLC0415

            simulator = Simulator(
                reactor,
                scenario=provider.scenario,
                pace=provider.pace_ms / 1000,
                error_rate=provider.error_rate,
                remember=0,
            )
            return OneEndpoint(SocketPairEndpoint(reactor, simulator.site))
        policy = TrustPolicy(provider.ca_file, provider.client_certificate)
        return Endpoints(reactor, policy, provider.connect_timeout_ms / 1000)

    return of


def upstreams_of(
    settings: Settings,
    clock: Any,  # noqa: ANN401  a reactor or a Clock
    endpoints: Callable[[ProviderSettings], IAgentEndpointFactory],
) -> Upstreams:
    """Return the enabled providers of a configuration, each with connections of its own."""
    enabled = [p for p in settings.providers if p.enabled]
    passing = {p.name for p in enabled if p.passthrough}
    if settings.server.auth.allow_subscription and not passing:
        own = [p.name for p in enabled if p.type == "anthropic" and p.base_url in (None, ANTHROPIC)]
        passing = set(own[:1])
    whole = settings.server.timeout_ms / 1000
    listed = [_upstream(p, clock, endpoints(p), whole, passthrough=p.name in passing) for p in enabled]
    return Upstreams(listed, settings.routing.account_provider)


def _upstream(
    provider: ProviderSettings,
    clock: Any,  # noqa: ANN401
    endpoints: IAgentEndpointFactory,
    whole: float,
    *,
    passthrough: bool,
) -> Upstream:
    kind = provider_of(provider.type, provider.base_url, provider.auth, has_key=bool(provider.keys))
    patience = provider.connect_timeout_ms / 1000
    pool = Connections(clock, provider.max_connections, patience)
    client = UpstreamClient(
        clock, agent_over(clock, endpoints, pool), pool, provider.max_connections, patience
    )
    mapping = ModelMapping(provider.model_mapping)
    keys = tuple(Key(k.name or str(k.key), k.key, k.priority) for k in provider.keys)
    if not keys and not passthrough:
        keys = (Key("-"),)  # keyless kinds count as one key
    return Upstream(
        provider.name,
        kind,
        client,
        keys,
        mapping,
        provider.priority,
        provider.models,
        mapping.names(),
        Limits(provider.first_byte_timeout_ms / 1000, provider.idle_timeout_ms / 1000, whole),
        tuple(
            (name.lower().encode("ascii"), value.encode("utf-8")) for name, value in provider.headers.items()
        ),
        passthrough,
        provider.count_tokens == "estimate",
    )


def auth_of(settings: Settings) -> ClientAuth:
    """Return who may use the relay."""
    auth = settings.server.auth
    clients = tuple(
        KnownClient(
            Client(c.name, frozenset(c.providers) if c.providers else None, c.models), c.key, c.rpm_limit
        )
        for c in auth.clients
    )
    return ClientAuth(auth.api_key, auth.bearer_secret, auth.allow_bearer, auth.allow_subscription, clients)


def serving_of(settings: Settings, upstreams: Upstreams, clock: Any, wall: Callable[[], float]) -> Serving:  # noqa: ANN401
    """Return what requests are served with under a configuration."""
    routing, server = settings.routing, settings.server
    manners = Manners(
        Bounds(routing.max_attempts, routing.failover_timeout / 1000),
        server.ping_interval_ms / 1000,
        server.timeout_ms / 1000,
        routing.debug,
    )
    return Serving(
        auth_of(settings),
        Relay(upstreams, manners, clock, wall),
        ResourceRelay(upstreams, clock, wall),
        ModelList(upstreams, clock, wall),
        server.max_body_bytes,
        routing.debug,
    )


def site_of(
    settings: Settings,
    serving: Serving,
    in_flight: InFlight,
    clock: Any,  # noqa: ANN401
    *,
    wall: Callable[[], float],
    observers: Sequence[IObserver],
) -> RelaySite:
    """Return the site that clients connect to."""
    door = Door(serving, in_flight, clock, wall)
    gate = Gate(
        frozenset(host.lower() for host in settings.server.allowed_hosts),
        frozenset(settings.server.allowed_origins),
    )
    return RelaySite(door.app.resource(), gate, clock, new_request_id, observers)

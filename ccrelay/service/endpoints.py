"""How providers are reached: by their URL, through a proxy, or inside the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from ccrelay.errors import ConfigError
from ccrelay.service.clouds import dialect_of
from ccrelay.upstream.agent import Endpoints
from ccrelay.upstream.tls import TrustPolicy
from ccrelay.wire.proxy import Proxy, proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.web.client import URI

    from ccrelay.config.model import ProviderSettings


@implementer(IAgentEndpointFactory)
class OneEndpoint:
    """Connects every URL to the same place."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002
        """Return the one endpoint there is."""
        return self._endpoint


def network_endpoints(
    reactor: Any,  # noqa: ANN401
    environ: Mapping[str, str] = os.environ,
) -> Callable[[ProviderSettings], IAgentEndpointFactory]:
    """
    Return how providers are reached for real: by their URL, the simulator inside the process.

    @param environ: may name a proxy, for providers that have none of their own.
    @return: a function that raises L{ConfigError} for what cannot be used.
    """

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
        proxy = _proxy_of(provider, environ)
        return Endpoints(reactor, policy, provider.connect_timeout_ms / 1000, proxy)

    return of


def _proxy_of(provider: ProviderSettings, environ: Mapping[str, str]) -> Proxy | None:
    """
    Return what connects to a provider for us, or None for nobody.

    @raise ConfigError: if what is named is no proxy.
    """
    named = provider.proxy or proxy_for(dialect_of(provider).base_url, environ)
    if not named:
        return None
    try:
        return Proxy.parse(named)
    except ValueError as problem:
        whose = f"providers: {provider.name}: proxy" if provider.proxy else "HTTPS_PROXY in the environment"
        raise ConfigError((f"{whose}: found something else; allowed: {problem}",)) from None

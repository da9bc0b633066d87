"""The whole configuration, as the rest of the program sees it."""

from __future__ import annotations

from pydantic import Field

from ccrelay.config.fields import Section
from ccrelay.config.operation import (
    AdminSettings,
    HealthSettings,
    LoggingSettings,
    MetricsSettings,
    StateSettings,
)
from ccrelay.config.provider import KeySettings, Kind, PoolingSettings, PriceSettings, ProviderSettings
from ccrelay.config.routing import AffinitySettings, RoutingSettings
from ccrelay.config.server import AuthSettings, ClientSettings, ServerSettings

__all__ = [
    "AdminSettings",
    "AffinitySettings",
    "AuthSettings",
    "ClientSettings",
    "HealthSettings",
    "KeySettings",
    "Kind",
    "LoggingSettings",
    "MetricsSettings",
    "PoolingSettings",
    "PriceSettings",
    "ProviderSettings",
    "RoutingSettings",
    "ServerSettings",
    "Settings",
    "StateSettings",
]


class Settings(Section):
    """Everything that can be configured, each key with its value or its default."""

    server: ServerSettings = Field(
        default_factory=ServerSettings,
        description="Where the relay listens, whom it lets in, and how much it takes.",
    )
    routing: RoutingSettings = Field(
        default_factory=RoutingSettings,
        description="Which provider is asked, and for how long others are tried.",
    )
    providers: tuple[ProviderSettings, ...] = Field(
        default=(), description="The providers, in the order in which equals are asked."
    )
    health: HealthSettings = Field(default_factory=HealthSettings, description="How providers are watched.")
    logging: LoggingSettings = Field(
        default_factory=LoggingSettings, description="What is logged, how, and where."
    )
    metrics: MetricsSettings = Field(
        default_factory=MetricsSettings, description="The listener for Prometheus and the status page."
    )
    admin: AdminSettings = Field(
        default_factory=AdminSettings, description="Who may change things while the relay runs."
    )
    state: StateSettings = Field(default_factory=StateSettings, description="What several relays share.")

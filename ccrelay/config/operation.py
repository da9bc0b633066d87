"""The sections C{health}, C{logging}, C{metrics}, C{admin} and C{state}: what keeps the relay in view."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ccrelay.config.fields import (
    Address,
    Flag,
    HiddenText,
    Milliseconds,
    Positive,
    SecretText,
    Section,
    Share,
    Text,
)


def _format(value: object) -> object:
    return "text" if value in ("console", "pretty") else value


class HealthCheckSettings(Section):
    """How providers are probed."""

    enabled: Flag = Field(default=True, description="Whether providers are probed.")
    interval_ms: Milliseconds = Field(default=10_000, description="The time from one probe to the next.")
    timeout_ms: Milliseconds = Field(default=5_000, description="How long a probe may take.")
    unhealthy_after: Positive = Field(
        default=3, description="How many failed probes in a row open a provider's breaker."
    )


class CircuitBreakerSettings(Section):
    """When a failing provider is left alone, and for how long."""

    failure_threshold: Positive = Field(default=5, description="How many failures in a row open the breaker.")
    open_duration_ms: Milliseconds = Field(
        default=30_000, description="How long it stays open at first; doubled while probes keep failing."
    )
    half_open_probes: Positive = Field(
        default=3, description="How many requests are let through to try, and must succeed to close it."
    )
    failure_rate: Share | None = Field(
        default=None, description="The share of failures that opens it; left out, only failures in a row do."
    )
    window_ms: Milliseconds = Field(default=60_000, description="Over how long that share is taken.")
    minimum_requests: Positive = Field(
        default=20, description="How many requests that share needs to be taken at all."
    )


class HealthSettings(Section):
    """How providers are watched."""

    health_check: HealthCheckSettings = Field(
        default_factory=HealthCheckSettings, description="How providers are probed."
    )
    circuit_breaker: CircuitBreakerSettings = Field(
        default_factory=CircuitBreakerSettings, description="When a failing provider is left alone."
    )


class LoggingSettings(Section):
    """What is logged, how, and where."""

    level: Literal["debug", "info", "warn", "error"] = Field(
        default="info", description="The least that is logged."
    )
    format: Annotated[Literal["json", "text"], BeforeValidator(_format)] = Field(
        default="text", description="One JSON object for each line, or text to read."
    )
    output: Text = Field(default="stdout", description="stdout, stderr, or the path of a file.")


class MetricsSettings(Section):
    """The listener for Prometheus and the status page."""

    enabled: Flag = Field(default=True, description="Whether there is such a listener.")
    listen: Address = Field(default="127.0.0.1:9100", description="Where it listens.")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = Field(
        default="/metrics", description="The path that Prometheus reads."
    )
    allowed_hosts: tuple[Text, ...] = Field(
        default=(), description="Host names under which it may be asked, beside localhost and IP addresses."
    )


class AdminSettings(Section):
    """Who may change things while the relay runs."""

    token: SecretText | None = Field(default=None, description="The token that such a request must show.")
    socket: Text | None = Field(
        default=None, description="The path of a unix socket that takes such requests without a token."
    )


class StateSettings(Section):
    """What several relays share."""

    url: HiddenText | None = Field(
        default=None, repr=False, description="Where it is kept; left out, in this process alone."
    )
    interval_ms: Milliseconds = Field(default=100, description="How often it is brought up to date.")

"""The section C{routing}: which provider is asked, and for how long others are tried."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotations
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from ccrelay.config.fields import (
    Flag,
    MillisecondsOrNever,
    Name,
    Positive,
    Section,
    Share,
    Text,
)

StrategyName: TypeAlias = Literal[
    "failover", "round_robin", "weighted_round_robin", "shuffle", "least_loaded", "weighted_failover",
    "model_based", "cost_based", "latency_based",
]  # fmt: skip


def underscored(value: object) -> object:
    """Return the usual spelling of a strategy's name: hyphens are underscores."""
    return value.replace("-", "_") if isinstance(value, str) else value


def _strategy(value: object) -> object:
    name = underscored(value)
    other = {"least_busy": "least_loaded", "simple_shuffle": "shuffle"}
    return other.get(name, name) if isinstance(name, str) else name


class AffinitySettings(Section):
    """How a conversation is kept at the provider whose cache knows it."""

    enabled: Flag = Field(default=True, description="Whether a session stays with its provider and key.")
    idle_ms: MillisecondsOrNever = Field(
        default=3_600_000, description="After how long without a request a session is forgotten."
    )
    return_after_ms: MillisecondsOrNever = Field(
        default=60_000, description="How long the first provider must be well before a session returns to it."
    )
    max_sessions: Positive = Field(default=100_000, description="How many sessions are remembered.")


class RoutingSettings(Section):
    """Which provider is asked, and for how long others are tried."""

    strategy: Annotated[StrategyName, BeforeValidator(_strategy)] = Field(
        default="failover", description="How the order of the providers is found."
    )
    failover_timeout: MillisecondsOrNever = Field(
        default=180_000,
        description="Milliseconds after which no new attempt starts; a running one is never cut.",
    )
    max_attempts: Positive = Field(default=4, description="How many attempts a request gets at most.")
    max_wait_ms: MillisecondsOrNever = Field(
        default=5_000,
        description="The longest Retry-After that is waited for inside a request; 0, nobody is asked twice.",
    )
    retry_budget: Share = Field(
        default=0.2, description="Which share of the requests may be repeated in place."
    )
    debug: Flag = Field(default=False, description="Whether answers carry x-ccrelay-* headers.")
    model_mapping: Mapping[Text, Name] = Field(
        default_factory=dict, description="For model_based: which provider serves models of a prefix."
    )
    default_provider: Name | None = Field(
        default=None, description="For model_based: the provider of all other models."
    )
    account_provider: Name | None = Field(
        default=None,
        description="Where batches and files live; left out, the first provider of type anthropic.",
    )
    affinity: AffinitySettings = Field(
        default_factory=AffinitySettings,
        description="How a conversation is kept at the provider whose cache knows it.",
    )

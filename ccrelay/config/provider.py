"""The entries of C{providers}: what is asked, how, and with which keys."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotations
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from ccrelay.config.fields import (
    Count,
    Flag,
    HeaderName,
    HeaderValue,
    HiddenText,
    Milliseconds,
    ModelPattern,
    Name,
    Number,
    Positive,
    SecretText,
    Section,
    Share,
    Text,
    Url,
    Whole,
)
from ccrelay.config.routing import underscored

Kind: TypeAlias = Literal[
    "anthropic",
    "zai",
    "minimax",
    "deepseek",
    "ollama",
    "bedrock",
    "azure",
    "vertex",
    "anthropic_compatible",
    "simulator",
]

EVERY_MODEL: Final = "*"
"""The name, in C{price}, of a price that holds for all models."""


class KeySettings(Section):
    """One key of a provider."""

    key: SecretText | None = Field(default=None, description="The key; better as ${NAME} or in a key_file.")
    key_file: Text | None = Field(
        default=None,
        description="The file that holds it; without a leading slash, a systemd credential.",
    )
    name: Name | None = Field(default=None, description="What it is called in logs; left out, …last4.")
    rpm_limit: Count = Field(default=0, description="Requests in any minute; 0, no limit.")
    itpm_limit: Count = Field(default=0, description="Input tokens in any minute; 0, no limit.")
    otpm_limit: Count = Field(default=0, description="Output tokens in any minute; 0, no limit.")
    tpm_limit: Count = Field(default=0, description="Input and output tokens in any minute; 0, no limit.")
    priority: Whole = Field(default=1, description="Higher is used first.")
    weight: Count = Field(default=1, description="Its share of the requests, where the pooling is weighted.")


class PoolingSettings(Section):
    """How a provider's keys share the requests."""

    strategy: Annotated[
        Literal["least_loaded", "round_robin", "random", "weighted"], BeforeValidator(underscored)
    ] = Field(default="least_loaded", description="How the key of a request is chosen.")


def _times(factor: float) -> Any:  # noqa: ANN401  what Field wants as a factory
    """Return the usual price of caching: a multiple of what input costs."""
    return lambda price: factor * price.get("input", 0.0)


class PriceSettings(Section):
    """What a million tokens cost."""

    input: Number = Field(default=0.0, description="US dollars for a million input tokens.")
    output: Number = Field(default=0.0, description="US dollars for a million output tokens.")
    cache_read: Number = Field(
        default_factory=_times(0.1),
        description="US dollars for a million read from the cache; left out, a tenth of input.",
    )
    cache_write: Number = Field(
        default_factory=_times(1.25),
        description="US dollars for a million put into it for five minutes; left out, 1.25 of input.",
    )
    cache_write_1h: Number = Field(
        default_factory=_times(2.0),
        description="US dollars for a million put into it for an hour; left out, twice input.",
    )


def _prices() -> dict[str, Any]:
    one = PriceSettings.model_json_schema()
    return {"anyOf": [one, {"type": "object", "additionalProperties": one}]}


def _first_byte(provider: dict[str, Any]) -> int:
    return 600_000 if provider.get("type") == "ollama" else 120_000


def _of_first_key(name: str) -> Any:  # noqa: ANN401  what Field wants as a factory
    return lambda provider: getattr(next(iter(provider.get("keys", ())), None), name, 1)


class ProviderSettings(Section):
    """One provider of the Messages API."""

    name: Name = Field(description="What it is called in logs and elsewhere in this file; unique.")
    type: Kind = Field(description="Which kind of provider it is.")
    enabled: Flag = Field(default=True, description="Whether it is used; a disabled one needs no secrets.")
    base_url: Url | None = Field(
        default=None, description="What stands before /v1/messages; left out, the kind's own address."
    )
    auth: Literal["x-api-key", "bearer", "none"] = Field(
        default="x-api-key", description="For anthropic_compatible: how the key is shown."
    )
    passthrough: Flag = Field(
        default=False, description="For anthropic: a client's own subscription token may go here."
    )
    models: tuple[Text, ...] = Field(default=(), description="The models it shows in /v1/models.")
    model_mapping: Mapping[ModelPattern, Text] = Field(
        default_factory=dict, description="What it calls a model, by exact name first, then by prefix*."
    )
    keys: tuple[KeySettings, ...] = Field(default=(), description="Its keys.")
    pooling: PoolingSettings = Field(
        default_factory=PoolingSettings, description="How its keys share the requests."
    )
    priority: Whole = Field(
        default_factory=_of_first_key("priority"),
        description="Higher is asked first; left out, that of its first key, or 1.",
    )
    weight: Count = Field(
        default_factory=_of_first_key("weight"),
        description="Its share in weighted strategies; left out, that of its first key, or 1.",
    )
    price: Annotated[Mapping[Text, PriceSettings], WithJsonSchema(_prices())] = Field(
        default_factory=dict, description="What tokens cost, for all models, or for each by its name."
    )
    connect_timeout_ms: Milliseconds = Field(default=10_000, description="How long connecting may take.")
    first_byte_timeout_ms: Milliseconds = Field(
        default_factory=_first_byte,
        description="How long a streamed answer may take to begin; left out, 120000, or 600000 for ollama.",
    )
    idle_timeout_ms: Milliseconds = Field(default=300_000, description="How long an answer may fall silent.")
    max_connections: Positive = Field(default=1024, description="How many connections it gets at once.")
    headers: Mapping[HeaderName, HeaderValue] = Field(
        default_factory=dict, repr=False, description="Headers that every request to it carries as well."
    )
    proxy: HiddenText | None = Field(
        default=None, repr=False, description="http://host:port; left out, as HTTPS_PROXY and NO_PROXY say."
    )
    ca_file: Text | None = Field(
        default=None, description="Certificates (PEM) to trust in place of the system's."
    )
    client_certificate: Text | None = Field(
        default=None, description="The certificate to show it, and its key, in one PEM file."
    )
    count_tokens: Annotated[
        Literal["estimate", "404"], BeforeValidator(lambda value: "404" if value == 404 else value)  # noqa: PLR2004
    ] = Field(default="estimate", description="What count_tokens answers where the provider cannot count.")
    betas: Mapping[Text, Text] = Field(
        default_factory=dict, description="For each beta flag: allow, drop, or its name there."
    )
    learn_betas: Flag = Field(
        default_factory=lambda provider: provider.get("type") != "anthropic",
        description="Whether a flag or field that it refuses is left out for some hours; not for anthropic.",
    )
    count_cache_reads: Flag = Field(
        default=False, description="Whether tokens read from the cache use up input limits."
    )
    health_path: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = Field(
        default=None, description="The path that probes ask for; left out, the kind's own."
    )
    anthropic_version: Text | None = Field(default=None, description="For bedrock and vertex: which to send.")
    aws_region: Text | None = Field(default=None, description="For bedrock: the region.")
    aws_access_key_id: Text | None = Field(default=None, description="For bedrock: the access key's id.")
    aws_secret_access_key: SecretText | None = Field(default=None, description="For bedrock: that key.")
    aws_session_token: SecretText | None = Field(default=None, description="For bedrock: its session token.")
    aws_profile: Text | None = Field(default=None, description="For bedrock: a profile of ~/.aws.")
    aws_bearer_token: SecretText | None = Field(default=None, description="For bedrock: an API key.")
    azure_resource_name: Text | None = Field(default=None, description="For azure: the resource's name.")
    azure_auth: Literal["key", "entra"] = Field(default="key", description="For azure: what is shown.")
    azure_tenant_id: Text | None = Field(default=None, description="For azure with entra: the tenant.")
    azure_client_id: Text | None = Field(default=None, description="For azure with entra: the client.")
    azure_client_secret: SecretText | None = Field(
        default=None, description="For azure with entra: its secret."
    )
    azure_scope: Text | None = Field(default=None, description="For azure with entra: the scope to ask for.")
    gcp_project_id: Text | None = Field(default=None, description="For vertex: the project.")
    gcp_region: Text | None = Field(default=None, description="For vertex: global, us, eu or a region.")
    gcp_credentials_file: Text | None = Field(
        default=None, description="For vertex: a service account's file; left out, Google's own search."
    )
    scenario: Text = Field(default="default", description="For simulator: a scenario's name, or its file.")
    pace_ms: Number = Field(default=20.0, description="For simulator: milliseconds from event to event.")
    error_rate: Share = Field(default=0.0, description="For simulator: the share of requests with a fault.")

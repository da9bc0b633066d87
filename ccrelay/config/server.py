"""The section C{server}: where the relay listens, whom it lets in, and how much it takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ccrelay.config.fields import (
    Addresses,
    Count,
    Flag,
    Milliseconds,
    MillisecondsOrNever,
    ModelPattern,
    Name,
    Origin,
    SecretText,
    Section,
    Size,
    Text,
    Workers,
)


class ClientSettings(Section):
    """A named client of the relay."""

    name: Name = Field(description="What the client is called in logs; unique.")
    key: SecretText = Field(description="What the client shows, as x-api-key or as bearer.")
    providers: tuple[Name, ...] = Field(
        default=(), min_length=1, description="The providers it may use; left out, all of them."
    )
    models: tuple[ModelPattern, ...] = Field(
        default=(), min_length=1, description="The models it may ask for, name* for many; left out, all."
    )
    rpm_limit: Count = Field(default=0, description="Requests it may make in any minute; 0, no limit.")


class AuthSettings(Section):
    """What clients must show."""

    api_key: SecretText | None = Field(
        default=None, description="The relay's own key, accepted as x-api-key and as bearer."
    )
    bearer_secret: SecretText | None = Field(default=None, description="A secret that is accepted as bearer.")
    allow_bearer: Flag = Field(
        default=False, description="Without a bearer_secret, take any bearer; on loopback only."
    )
    allow_subscription: Flag = Field(
        default=False,
        description="Pass a client's own claude.ai token on, to providers with passthrough alone.",
    )
    allow_anonymous: Flag = Field(
        default=False, description="Serve other machines without asking for a credential, knowingly."
    )
    clients: tuple[ClientSettings, ...] = Field(
        default=(), description="Clients with a name, a key and limits of their own."
    )

    @property
    def asks(self) -> bool:
        """Whether a credential is configured that a client has to know."""
        return self.api_key is not None or self.bearer_secret is not None or bool(self.clients)


class ServerSettings(Section):
    """Where the relay listens, whom it lets in, and how much it takes."""

    listen: Addresses = Field(
        default=("127.0.0.1:8787",),
        description="Where to listen: host:port, [v6]:port, :port or a Twisted endpoint; one, or a list.",
    )
    auth: AuthSettings = Field(default_factory=AuthSettings, description="What clients must show.")
    allowed_hosts: tuple[Text, ...] = Field(
        default=(), description="Host names under which clients may ask, beside localhost and IP addresses."
    )
    allowed_origins: tuple[Origin, ...] = Field(default=(), description="Origins of web pages that may ask.")
    timeout_ms: Milliseconds = Field(
        default=600_000, description="How long an answer that is not streamed may take, whole."
    )
    ping_interval_ms: MillisecondsOrNever = Field(
        default=15_000, description="After how long a silence a streaming client gets a ping; 0, never."
    )
    max_concurrent: Count = Field(default=0, description="How many requests are served at once; 0, no limit.")
    max_body_bytes: Size = Field(
        default=33_554_432, description="The longest request body, in bytes or as 32MiB."
    )
    drain_ms: MillisecondsOrNever = Field(
        default=30_000, description="How long requests may go on when the relay is told to stop."
    )
    http: Literal["llhttp", "twisted"] = Field(
        default="llhttp",
        description="What speaks HTTP/1.1 on new connections: llhttp, the faster, or twisted's own.",
    )
    workers: Workers = Field(default=1, description="How many processes serve; auto, one for each processor.")

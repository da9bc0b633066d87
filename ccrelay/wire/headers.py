"""Which header fields go up to a provider, which come down to the client, and which are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.wire.http import first
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from ccrelay.wire.http import Pairs

# Open lists: names under these prefixes pass although nobody knows them today.
_UP_PREFIXES: Final = (b"anthropic-", b"x-stainless-", b"x-claude-code-")
_UP_NAMES: Final = frozenset({b"content-type", b"accept", b"user-agent", b"x-app", b"x-client-request-id"})

_DOWN_PREFIX: Final = b"anthropic-"
_DOWN_NAMES: Final = frozenset(
    {
        b"content-type",
        b"request-id",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    }
)
# What a download of a file or of a batch's results needs beside these.
_DOWN_RESOURCE: Final = frozenset({b"content-disposition", b"etag", b"last-modified"})

# What providers call their own id of a request.
_IDS: Final = (b"request-id", b"x-amzn-requestid", b"apim-request-id")

_SECRET_NAMES: Final = frozenset({
    b"authorization", b"x-api-key", b"api-key", b"cookie", b"set-cookie", b"proxy-authorization",
    b"x-amz-security-token",
})  # fmt: skip

OAUTH_BETA: Final = b"oauth-2025-04-20"
"""The beta that goes with a claude.ai login; API keys are refused with it (docs/wire.md, Betas)."""


def upward(pairs: Pairs) -> Pairs:
    """
    Return the client's fields that a provider of Anthropic's format gets, byte for byte.

    Everything not named stays here: credentials, cookies, C{host}, forwarding
    and hop-by-hop fields, C{x-ccrelay-*}.
    """
    return tuple([pair for pair in pairs if pair[0] in _UP_NAMES or pair[0].startswith(_UP_PREFIXES)])


def downward(pairs: Pairs) -> Pairs:
    """Return the provider's fields that the client gets with an answer to a message."""
    return tuple([pair for pair in pairs if pair[0] in _DOWN_NAMES or pair[0].startswith(_DOWN_PREFIX)])


def request_id(pairs: Pairs) -> str:
    """Return the id that an answer's provider has given to the request; empty where it told none."""
    for name in _IDS:
        given = first(pairs, name)
        if given is not None:
            return given.decode("ascii", "replace")
    return ""


def downward_resource(pairs: Pairs) -> Pairs:
    """Return the provider's fields that the client gets with a file, a batch and the like."""
    return tuple(
        pair
        for pair in pairs
        if pair[0] in _DOWN_NAMES or pair[0] in _DOWN_RESOURCE or pair[0].startswith(_DOWN_PREFIX)
    )


def without_beta(pairs: Pairs, flag: bytes) -> Pairs:
    """Return the fields with one flag taken out of C{anthropic-beta}; the field goes if nothing is left."""
    if first(pairs, b"anthropic-beta") is None:
        return pairs
    kept: list[tuple[bytes, bytes]] = []
    for name, value in pairs:
        if name != b"anthropic-beta" or flag not in value:
            kept.append((name, value))
            continue
        flags = [f for f in (part.strip() for part in value.split(b",")) if f and f != flag]
        if flags:
            kept.append((name, b",".join(flags)))
    return tuple(kept)


def secrets_in(pairs: Pairs) -> tuple[Secret, ...]:
    """Return the credentials that fields show."""
    shown = (value.removeprefix(b"Bearer ") for name, value in pairs if name in _SECRET_NAMES)
    return tuple(Secret(value.decode("utf-8", "replace")) for value in shown if value)


def redacted(pairs: Pairs) -> Pairs:
    """Return the fields as a log may show them: no credential, no cookie."""
    return tuple((name, b"(redacted)" if name in _SECRET_NAMES else value) for name, value in pairs)

"""Counting tokens: what a provider's count looks like, and what is answered where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import NotFound
from ccrelay.wire.tokens import estimate

if TYPE_CHECKING:
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstream
    from ccrelay.wire.request import MessagesRequest

NO_COUNTING: Final = frozenset({404, 405, 501})
"""Statuses by which a provider says that it has no such path, rather than that it failed."""


class _Count(msgspec.Struct):
    input_tokens: int


_COUNT: Final = msgspec.json.Decoder(_Count)


def counted(body: bytes) -> bytes | None:
    """Return a provider's answer if it is a count of tokens, else None."""
    try:
        _COUNT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body


def cannot_count(upstream: Upstream, request: MessagesRequest, response: IClientResponse) -> None:
    """
    Answer with an estimate that says so, or with 404 where the operator wants that.

    @raise NotFound: for C{count_tokens: 404}; Claude Code then counts for itself.
    """
    if not upstream.estimates:
        msg = f"The provider {upstream.name} cannot count tokens, and its count_tokens is set to 404."
        raise NotFound(msg)
    body = msgspec.json.encode({"input_tokens": estimate(request.body)})
    headers = ((b"content-type", b"application/json"), (b"x-ccrelay-estimate", b"true"))
    response.whole(200, headers, body)

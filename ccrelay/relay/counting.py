"""Counting tokens: what is answered where a provider cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ccrelay.errors import NotFound
from ccrelay.wire.tokens import estimate

if TYPE_CHECKING:
    from ccrelay.relay.interfaces import IClientResponse
    from ccrelay.relay.upstreams import Upstream
    from ccrelay.wire.request import MessagesRequest


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

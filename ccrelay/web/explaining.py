"""The dry run of a request that an operator sends: where it would go, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ccrelay.errors import Malformed, NotFound
from ccrelay.policy.client import Client
from ccrelay.relay.explain import explain
from ccrelay.wire.request import MessagesRequest

if TYPE_CHECKING:
    from ccrelay.relay.explain import Explained
    from ccrelay.web.admin import Asked
    from ccrelay.web.door import Serving


def explained(asked: Asked, serving: Serving, disabled: tuple[str, ...], now: float) -> Explained:
    """
    Return where a request would go.

    @param disabled: the names of providers that are configured and not used.
    @param now: seconds since the epoch.
    @raise Malformed: if it is no request for a message; L{NotFound}: if there is no such client.
    """
    body = bytes(asked.request)
    if not body and not asked.model:
        msg = "explain: say which request, or which model"
        raise Malformed(msg)
    request = MessagesRequest.parse(body or smallest(asked.model))
    headers = tuple((name.lower().encode(), value.encode()) for name, value in asked.headers.items())
    return explain(serving.relay.upstreams, _client(asked.client, serving), request, headers, now, disabled)


def smallest(model: str) -> bytes:
    """Return the smallest request for a message of a model."""
    return msgspec.json.encode(
        {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}
    )


def _client(name: str, serving: Serving) -> Client:
    if not name:
        return Client()
    for known in serving.auth.clients:
        if known.client.name == name:
            return known.client
    names = ", ".join(known.client.name for known in serving.auth.clients)
    msg = f"There is no client {name!r}; there are: {names or 'none'}."
    raise NotFound(msg)

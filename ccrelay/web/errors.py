"""The relay's own errors as answers in Anthropic's envelope."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ccrelay.errors import RelayUnavailable
from ccrelay.web.response import dress
from ccrelay.wire.error_json import envelope

if TYPE_CHECKING:
    from ccrelay.errors import RelayError
    from ccrelay.web.request import RelayRequest

_LONGEST_OWN_WAIT_S: Final = 30
_UNAVAILABLE: Final = 503


def error_answer(request: RelayRequest, error: RelayError) -> bytes:
    """
    Put an error on an answer that has not begun, and return its body.

    C{Retry-After} tells the truth on a 429; on a 503 of our own at most 30 s,
    because clients give up at once on a long one (docs/clients.md).
    """
    exchange = request.exchange
    request_id = exchange.id if exchange is not None else ""
    if exchange is not None:
        exchange.because(error.message)
    body = envelope(error.kind, error.message, request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-ccrelay-request-id", request_id.encode("ascii")),
        (b"request-id", request_id.encode("ascii")),
        *error.headers,
    ]
    wait = error.retry_after
    if wait is None and isinstance(error, RelayUnavailable):
        wait = 1.0
    if wait is not None:
        seconds = max(math.ceil(wait), 1)
        if error.status == _UNAVAILABLE:
            seconds = min(seconds, _LONGEST_OWN_WAIT_S)
        headers.append((b"retry-after", b"%d" % seconds))
    dress(request, error.status, tuple(headers))
    return body

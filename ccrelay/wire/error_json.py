"""Errors as JSON: Anthropic's envelope, read and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ccrelay.wire.sse import render

_ENCODE: Final = msgspec.json.Encoder()

KIND_OF_STATUS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's C{error.type} of a status (docs/wire.md, Errors)."""


def kind_of(status: int) -> str:
    """Return Anthropic's C{error.type} for a status, known or not."""
    usual = "invalid_request_error" if status < 500 else "api_error"  # noqa: PLR2004  the 4xx
    return KIND_OF_STATUS.get(status, usual)


def envelope(kind: str, message: str, request_id: str) -> bytes:
    """Return an error as Anthropic words one."""
    words = message.encode("utf-8", "backslashreplace").decode("utf-8")  # a path may hold any bytes
    return _ENCODE.encode(
        {
            "type": "error",
            "error": {"type": kind, "message": words},
            "request_id": request_id,
        }
    )


def error_event(kind: str, message: str, request_id: str) -> bytes:
    """Return an error as the event that ends a stream."""
    return render(b"error", envelope(kind, message, request_id))


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """
    What the body of an error says, whoever worded it.

    @ivar enveloped: whether it is Anthropic's envelope, which goes on byte for byte.
    @ivar kind: C{error.type}; empty where it has none.
    @ivar code: a provider's own C{error.code} or C{code}; empty where it has none.
    @ivar message: its words; empty where it has none.
    """

    enveloped: bool
    kind: str
    code: str
    message: str


NO_WORDS: Final = ErrorBody(enveloped=False, kind="", code="", message="")


def read_error(body: bytes) -> ErrorBody:
    """
    Read an error body of any shape seen in the field.

    C{{"type":"error","error":{…}}}, C{{"error":{…}}}, C{{"error":"…"}},
    C{{"message":…}}; anything else has no words.
    """
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NO_WORDS
    if isinstance(said, list) and len(said) == 1:
        said = said[0]  # some front ends wrap the error in an array
    if not isinstance(said, dict):
        return NO_WORDS
    error = said.get("error")
    if isinstance(error, str):
        return ErrorBody(enveloped=False, kind="", code="", message=error)
    inner: dict[str, Any] = error if isinstance(error, dict) else said
    kind = _text(inner.get("type"))
    named = isinstance(error, dict) and bool(kind) and "message" in inner
    return ErrorBody(
        enveloped=named and said.get("type") == "error",
        kind=kind,
        code=_text(inner.get("code")),
        message=_text(inner.get("message")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

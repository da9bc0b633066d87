"""What the errors of Google's platform mean in Anthropic's terms."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.answers import too_long
from ccrelay.wire.error_json import ErrorBody, kind_of, read_error

# Facts: docs/wire.md, Vertex; https://google.aip.dev/193 and google.rpc.Code.
_TABLE: Final[dict[str, tuple[Verdict, int]]] = {
    "INVALID_ARGUMENT": (Verdict.CLIENT, 400),
    "FAILED_PRECONDITION": (Verdict.CLIENT, 400),
    "OUT_OF_RANGE": (Verdict.CLIENT, 400),
    "UNAUTHENTICATED": (Verdict.KEY, 401),
    "PERMISSION_DENIED": (Verdict.KEY, 403),
    "NOT_FOUND": (Verdict.CLIENT, 404),
    "ABORTED": (Verdict.BROKEN, 409),
    "RESOURCE_EXHAUSTED": (Verdict.KEY, 429),
    "CANCELLED": (Verdict.BROKEN, 499),
    "UNKNOWN": (Verdict.BROKEN, 500),
    "INTERNAL": (Verdict.BROKEN, 500),
    "DATA_LOSS": (Verdict.BROKEN, 500),
    "UNIMPLEMENTED": (Verdict.CLIENT, 501),
    "UNAVAILABLE": (Verdict.BUSY, 529),
    "DEADLINE_EXCEEDED": (Verdict.BROKEN, 504),
}
_LONG_ENOUGH: Final = 6  # as all ids of projects are


def read(body: bytes) -> tuple[ErrorBody, str]:
    """Return what a body says and C{error.status}; on C{streamRawPredict} it may be in an array of one."""
    said = read_error(body)
    try:
        whole: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return said, ""
    if isinstance(whole, list) and len(whole) == 1:
        whole = whole[0]
    error = whole.get("error") if isinstance(whole, dict) else None
    status = error.get("status") if isinstance(error, dict) else None
    return said, status if isinstance(status, str) else ""


def complaint_of(status: str, said: ErrorBody) -> Complaint | None:
    """Return what a status of Google's means, or None for one that is not known."""
    if status not in _TABLE:
        return None
    verdict, answered = _TABLE[status]
    message = said.message or f"Google answered {status}."
    if answered == 400:  # noqa: PLR2004
        message = too_long(message) or message
    return Complaint(verdict, answered, kind_of(answered), message)


@lru_cache(maxsize=64)
def private(project: str) -> re.Pattern[str]:
    """Return what of an error is nobody's business: ids and numbers of projects."""
    named = r"(?P<what>projects/|project_number:)[\w.:-]+|(?P<number>\bproject[ =]['\"`]?)\d{6,}"
    if len(project) < _LONG_ENOUGH:
        return re.compile(named)
    return re.compile(rf"{named}|(?<![\w-]){re.escape(project)}(?![\w-])")


def hidden(found: re.Match[str]) -> str:
    """Return what stands instead of an id or number of a project."""
    return f"{found['what'] or found['number'] or ''}(project)"

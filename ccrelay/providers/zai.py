"""What Z.AI's own error codes mean in Anthropic's terms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccrelay.policy.verdict import EXHAUSTED_S, Complaint, Verdict, seconds_until

if TYPE_CHECKING:
    from ccrelay.wire.error_json import ErrorBody

# Facts: docs/wire.md, Z.AI. Bodies come in three shapes: error.code holds the code, or error.type
# does, or the message is wrapped as "[code][text][stamp]". Codes are strings of four digits.
_CODE: Final = re.compile(r"[0-9]{4}")
_WRAPPED: Final = re.compile(r"\[(?P<code>[0-9]{4})\]\s*(?:\[(?P<text>[^\]]*)\])?(?P<rest>[^\[]*)")
_RESET: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_BEIJING: Final = 8
_TOO_LONG: Final = re.compile(r"context window limit", re.IGNORECASE)

_NEVER: Final = (b"x-should-retry", b"false")
_RESET_CODES: Final = ("1308", "1310")

# code: verdict, status, Anthropic's type, Retry-After in seconds (0: none), worth a repeat
_TABLE: Final[dict[str, tuple[Verdict, int, str, int, bool]]] = {
    "1000": (Verdict.KEY, 401, "authentication_error", 0, True),
    "1001": (Verdict.KEY, 401, "authentication_error", 0, True),
    "1002": (Verdict.KEY, 401, "authentication_error", 0, True),
    "1003": (Verdict.KEY, 401, "authentication_error", 0, True),
    "1004": (Verdict.KEY, 401, "authentication_error", 0, True),
    "1113": (Verdict.KEY, 402, "billing_error", 0, False),
    "1210": (Verdict.CLIENT, 400, "invalid_request_error", 0, True),
    "1302": (Verdict.KEY, 429, "rate_limit_error", 2, True),
    "1305": (Verdict.BUSY, 529, "overloaded_error", 0, True),
    "1309": (Verdict.KEY, 402, "billing_error", 0, False),
    "1311": (Verdict.KEY, 403, "permission_error", 0, True),
    "1313": (Verdict.KEY, 429, "rate_limit_error", 60, True),
    "1314": (Verdict.KEY, 402, "billing_error", 0, False),
}
_STATUSES: Final[dict[int, tuple[Verdict, int, str]]] = {
    434: (Verdict.KEY, 403, "permission_error"),
    435: (Verdict.CLIENT, 413, "request_too_large"),
}


def error_table(status: int, said: ErrorBody, now: float) -> Complaint | None:
    """
    Return the complaint behind a code or status of Z.AI's, or None where it uses neither.

    @param now: seconds since the epoch; reset times are given in Beijing time.
    """
    code, message = _unwrapped(said)
    if _TOO_LONG.search(message):
        # Claude Code compacts a conversation on this token, whoever says it (docs/wire.md, Errors).
        words = f"capability_rejected: prompt_too_long. {message}"
        return Complaint(Verdict.CLIENT, 400, "invalid_request_error", words)
    if code in _RESET_CODES:
        return _quota(message, now)
    if code == "1214":
        return _bad_parameter(message)
    if code in _TABLE:
        verdict, answered, kind, wait, worth = _TABLE[code]
        headers = ((b"retry-after", b"%d" % wait),) if wait else ()
        barred = EXHAUSTED_S if kind == "billing_error" else 0.0
        return Complaint(
            verdict, answered, kind, message, headers if worth else (*headers, _NEVER), barred_for=barred
        )
    if status in _STATUSES:
        verdict, answered, kind = _STATUSES[status]
        return Complaint(verdict, answered, kind, message or f"Z.AI answered {status}.")
    return None


def _unwrapped(said: ErrorBody) -> tuple[str, str]:
    """Return the code and the words of an error in any of the three shapes."""
    wrapped = _WRAPPED.match(said.message)
    words = said.message
    if wrapped is not None:
        words = (wrapped["text"] or wrapped["rest"] or "").strip() or said.message
    for code in (said.code, said.kind, wrapped["code"] if wrapped else ""):
        if _CODE.fullmatch(code):
            return code, words
    return "", words


def _quota(message: str, now: float) -> Complaint:
    """A quota of hours, days or weeks is used up; the message says until when."""
    stamp = _RESET.search(message)
    wait = seconds_until(stamp[1], _BEIJING, now) if stamp else None
    header = _NEVER if wait is None else (b"retry-after", b"%d" % max(round(wait), 1))
    return Complaint(
        Verdict.KEY,
        429,
        "rate_limit_error",
        message,
        (header,),
        barred_for=EXHAUSTED_S if wait is None else wait,
    )


def _bad_parameter(message: str) -> Complaint:
    if "model" in message.lower():
        return Complaint(Verdict.CLIENT, 404, "not_found_error", message)
    return Complaint(Verdict.CLIENT, 400, "invalid_request_error", message)

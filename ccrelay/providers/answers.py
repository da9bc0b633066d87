"""What an answer is: a message, a count of tokens, or a complaint in Anthropic's terms."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from ccrelay.policy.verdict import Complaint, Verdict, barred_for, judge
from ccrelay.wire import headers as fields
from ccrelay.wire.error_json import KIND_OF_STATUS, ErrorBody, kind_of
from ccrelay.wire.http import media_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.wire.http import Pairs, ResponseHead

ErrorTable: TypeAlias = "Callable[[int, ErrorBody, float], Complaint | None]"
"""
Given the status, the words of the body and the time in seconds since the
epoch, the complaint that a provider's own error code means, or None.
"""

_STATUS_OF_KIND: Final = {kind: status for status, kind in reversed(KIND_OF_STATUS.items())} | {
    "timeout_error": 504
}
_NOT_AN_ANSWER: Final = 400
_NOT_FOUND: Final = 404
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TOO_LONG: Final = re.compile(r"(?:input|prompt) is too long", re.IGNORECASE)


class _Message(msgspec.Struct):
    type: str = ""
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Count(msgspec.Struct):
    input_tokens: int


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_COUNT: Final = msgspec.json.Decoder(_Count)


def is_message(body: bytes) -> bool:
    """Return whether a whole answer is a message of Anthropic's."""
    try:
        return _MESSAGE.decode(body).type == "message"
    except _UNREADABLE:
        return False


def is_count(body: bytes) -> bool:
    """Return whether a whole answer is a count of tokens as Anthropic writes it."""
    try:
        return _COUNT.decode(body).input_tokens >= 0
    except _UNREADABLE:
        return False


def complaint(
    head: ResponseHead,
    body: bytes,
    said: ErrorBody,
    tabled: Complaint | None,
    now: float,
    *,
    mapped: bool,
    base_url: str,
) -> Complaint:
    """
    Return the complaint in an answer: by the provider's own table, in its own bytes, or put into words.

    @param said: what its body says.
    @param tabled: what the provider's table makes of it.
    """
    if tabled is not None:
        return _carrying(tabled, head.headers, mapped=mapped)
    verdict = judge(head.status, said, mapped=mapped)
    if head.status < _NOT_AN_ANSWER:
        message = (
            f"The provider answered {head.status} where a message was asked for; "
            f"check its base_url ({base_url})."
        )
        return Complaint(Verdict.BROKEN, 502, "api_error", message)
    if said.enveloped:
        return Complaint(
            verdict, head.status, said.kind, said.message, fields.downward(head.headers), body,
            barred_for(head.status, said, now),
        )  # fmt: skip
    what = media_type(head.headers).decode("ascii", "replace") or "no body"
    message = said.message or f"The provider answered {head.status} with {what} instead of an API error."
    return Complaint(
        verdict, head.status, kind_of(head.status), message, without_type(fields.downward(head.headers)),
        barred_for=barred_for(head.status, said, now),
    )  # fmt: skip


def status_of(kind: str) -> int:
    """Return the status that an C{error} event of this kind would have been."""
    return _STATUS_OF_KIND.get(kind, 500)


def event_complaint(said: ErrorBody, data: bytes) -> Complaint:
    """Return the complaint in an C{error} event that came first, as if it had been the answer."""
    status = status_of(said.kind)
    return Complaint(
        judge(status, said, mapped=False), status, said.kind or "api_error", said.message,
        body=data if said.enveloped else None,
    )  # fmt: skip


def too_long(message: str) -> str | None:
    """
    Return words on a prompt that is too long with the token that Claude Code compacts on, else None.

    It does so whoever says it (docs/wire.md, Errors).
    """
    return f"capability_rejected: prompt_too_long. {message}" if _TOO_LONG.search(message) else None


def scrubbed(said: Complaint, clean: Callable[[str], str], private: re.Pattern[str]) -> Complaint:
    """
    Return a complaint without what is nobody's business but the operator's.

    @param clean: makes words fit to be passed on.
    @param private: what must not be in bytes of the provider's either; where it is, or the
        words had to be cleaned, they are put into an envelope anew.
    """
    message = clean(said.message)
    if said.body is None:
        return said if message == said.message else replace(said, message=message)
    if message == said.message and not private.search(said.body.decode("utf-8", "replace")):
        return said
    return replace(said, message=message, body=None, headers=without_type(said.headers))


def without_type(pairs: Pairs) -> Pairs:
    """Return the header fields without C{content-type}."""
    return tuple(pair for pair in pairs if pair[0] != b"content-type")


def _carrying(tabled: Complaint, headers: Pairs, *, mapped: bool) -> Complaint:
    """Return a table's complaint with the provider's fields that it does not set itself."""
    own = {name for name, _ in tabled.headers}
    kept = tuple(pair for pair in without_type(fields.downward(headers)) if pair[0] not in own)
    strange = mapped and tabled.status == _NOT_FOUND  # another provider may know the model
    return replace(
        tabled, headers=kept + tabled.headers, verdict=Verdict.BROKEN if strange else tabled.verdict
    )

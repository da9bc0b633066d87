"""What an answer means for the request, the key and the provider."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from ccrelay.wire.error_json import envelope

if TYPE_CHECKING:
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs


class Verdict(enum.Enum):
    """Whose fault it is, and so where to go next."""

    OK = "ok"
    """An answer to pass on."""
    CLIENT = "client"
    """The request's own fault: passed on at once, whoever is asked would say the same."""
    KEY = "key"
    """This key cannot, another key of the same provider may."""
    BUSY = "busy"
    """The provider is overloaded, another may not be."""
    BROKEN = "broken"
    """The provider failed: no connection, no answer in time, 5xx, or not what was asked for."""
    UNFIT = "unfit"
    """This kind of provider cannot take such a request and was not asked; another may."""
    CANCELLED = "cancelled"
    """The client left or the relay ended it; that says nothing about the provider."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """
    A provider's refusal, as the client may see it.

    @ivar kind: Anthropic's C{error.type}.
    @ivar headers: the provider's fields that go down with it.
    @ivar body: its own bytes where they go on untouched; None where C{kind}
        and C{message} are put into an envelope.
    @ivar barred_for: seconds for which the key is exhausted (no credit, a quota used up); 0 if it is not.
    """

    verdict: Verdict
    status: int
    kind: str
    message: str
    headers: Pairs = ()
    body: bytes | None = None
    barred_for: float = 0.0

    def rendered(self, request_id: str) -> bytes:
        """Return the body of the answer, in Anthropic's envelope."""
        return envelope(self.kind, self.message, request_id) if self.body is None else self.body


TIMED_OUT: Final = 408
CONFLICT: Final = 409
OVERLOADED: Final = 529
EXHAUSTED_S: Final = 3600.0
"""Seconds a key without credit is left alone where the provider names no time."""

# "Your credit balance is too low …", "You have reached your specified API usage limits. You will
# regain access on 2026-12-01 at 00:00 UTC." (docs/wire.md, Errors)
_NO_CREDIT: Final = re.compile(r"credit balance|usage limits?\b", re.IGNORECASE)
_REGAIN: Final = re.compile(r"regain access on (\d{4}-\d\d-\d\d) at (\d\d:\d\d) UTC", re.IGNORECASE)


def judge(status: int, said: ErrorBody, *, mapped: bool) -> Verdict:
    """
    Return the verdict on an answer that is not a success.

    @param said: what its body says.
    @param mapped: whether the model was renamed for this provider; a 404 is
        then the mapping's fault, and another provider may know the model.
    """
    if status == OVERLOADED or said.kind == "overloaded_error":
        return Verdict.BUSY
    if status in (401, 402, 403, 429) or (status == 400 and _NO_CREDIT.search(said.message)):  # noqa: PLR2004
        return Verdict.KEY
    if status == 404 and mapped:  # noqa: PLR2004
        return Verdict.BROKEN
    if status in (TIMED_OUT, CONFLICT) or not 400 <= status < 500:  # noqa: PLR2004  the 4xx
        return Verdict.BROKEN
    return Verdict.CLIENT


def barred_for(status: int, said: ErrorBody, now: float) -> float:
    """
    Return for how many seconds a refusal exhausts its key; 0 where it does not.

    @param now: seconds since the epoch.
    """
    if status != 402 and not (status == 400 and _NO_CREDIT.search(said.message)):  # noqa: PLR2004
        return 0.0
    named = _REGAIN.search(said.message)
    if named is None:
        return EXHAUSTED_S
    try:
        until = datetime.fromisoformat(f"{named[1]}T{named[2]}+00:00")
    except ValueError:
        return EXHAUSTED_S
    return max(until.timestamp() - now, 1.0)


def seconds_until(stamp: str, utc_offset_hours: int, now: float) -> float | None:
    """
    Return the seconds from C{now} to a C{YYYY-MM-DD HH:MM:SS} stamp, or None if it is none.

    @param utc_offset_hours: of the clock the stamp was read from.
    """
    try:
        then = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  the zone is put on below
    except ValueError:
        return None
    zone = timezone(timedelta(hours=utc_offset_hours))
    return max(then.replace(tzinfo=zone).timestamp() - now, 1.0)

"""What a provider's answers tell about waits and about what is left of its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from ccrelay.policy.ask import model_class
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.policy.ask import Ask
    from ccrelay.wire.http import Pairs

_DECIMAL: Final = re.compile(rb"[0-9]{1,15}(?:\.[0-9]{0,15})?")
_WHOLE: Final = re.compile(rb"[0-9]{1,15}")
_YEAR_S: Final = 366 * 86400.0

_PREFIX: Final = b"anthropic-ratelimit-"
_KINDS: Final = (b"requests", b"tokens", b"input-tokens", b"output-tokens")
_MOST_CLASSES: Final = 100


def retry_after(headers: Pairs, now: float) -> float | None:
    """
    Return the seconds that an answer asks to wait, or None where it does not say.

    C{retry-after-ms} goes before C{retry-after}, which may be seconds, with or
    without a fraction, or an HTTP date (docs/clients.md; RFC 9110, 10.2.3).  A
    date that has passed is a wait of 0.  What is neither, is negative or is
    over a year (a time of day in seconds, say) was never said.

    @param now: seconds since the epoch.
    """
    wait = _decimal(first(headers, b"retry-after-ms"))
    if wait is not None and wait / 1000 <= _YEAR_S:
        return wait / 1000
    value = first(headers, b"retry-after")
    wait = _decimal(value)
    if wait is None and value is not None:
        then = _http_date(value)
        wait = None if then is None else max(then - now, 0.0)
    return wait if wait is not None and wait <= _YEAR_S else None


def _decimal(value: bytes | None) -> float | None:
    value = (value or b"").strip()
    return float(value) if _DECIMAL.fullmatch(value) else None


def _http_date(value: bytes) -> float | None:
    try:
        then = parsedate_to_datetime(value.decode("ascii"))
        # "-0000" is a zone nobody knows; HTTP knows no other than GMT.
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Learned:
    """
    What is left of one limit of a key.

    @ivar kind: C{requests}, C{tokens}, C{input-tokens} or C{output-tokens}.
    @ivar limit: None where it was not said; C{remaining} likewise.
    @ivar resets: when this is out of date, in seconds since the epoch.
    """

    kind: str
    limit: int | None
    remaining: int | None
    resets: float


def learned(headers: Pairs) -> tuple[Learned, ...]:
    """
    Return what the C{anthropic-ratelimit-*} fields of an answer tell (https://docs.anthropic.com/en/api/rate-limits).

    Only limits with a readable C{-reset} (RFC 3339) are told, as nobody could
    say when to forget the others; numbers that are none are left out.
    """
    found: dict[bytes, dict[bytes, bytes]] = {}
    for name, value in headers:
        if name.startswith(_PREFIX):
            kind, _, what = name[len(_PREFIX) :].rpartition(b"-")
            if kind in _KINDS:
                found.setdefault(kind, {}).setdefault(what, value.strip())
    told = []
    for kind, said in found.items():
        resets = _rfc_3339(said.get(b"reset", b""))
        limit, remaining = _whole(said.get(b"limit")), _whole(said.get(b"remaining"))
        if resets is not None and (limit is not None or remaining is not None):
            told.append(Learned(kind.decode("ascii"), limit, remaining, resets))
    return tuple(told)


def _whole(value: bytes | None) -> int | None:
    return int(value) if value is not None and _WHOLE.fullmatch(value) else None


def _rfc_3339(value: bytes) -> float | None:
    try:
        then = datetime.fromisoformat(value.decode("ascii"))
    except ValueError:
        return None
    return None if then.tzinfo is None else then.timestamp()


@dataclass(frozen=True, slots=True)
class _Told:
    """
    What is known of one class of models.

    @ivar enough: a request of so many tokens in all is short of nothing; -1 where any may be short.
    """

    limits: dict[str, Learned]
    enough: int


class LearnedLimits:
    """What a key's answers told about its limits, by class of models, until each is out of date."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def learn(self, headers: Pairs, model: str, now: float) -> None:
        """
        Take what an answer told; it replaces what was known of the same limit.

        @param model: as the provider calls it.
        @param now: seconds since the epoch.
        """
        told = learned(headers)
        if not told:
            return
        name = model_class(model)
        known = self._told.get(name)
        if known is None and len(self._told) >= _MOST_CLASSES:
            self._told = {other: limits for other, limits in self._told.items() if _lasting(limits, now)}
            if len(self._told) >= _MOST_CLASSES:
                del self._told[next(iter(self._told))]
        limits = (known.limits if known is not None else {}) | {limit.kind: limit for limit in told}
        self._told[name] = _Told(limits, _enough(limits))

    def short(self, ask: Ask, now: float) -> bool:
        """
        Return whether a limit has less left than a request needs.

        Of a request that is larger than the limit no more is needed than all of it.
        """
        known = self._told.get(ask.model_class)
        if known is None or ask.total <= known.enough:
            return False
        for limit in known.limits.values():
            if limit.remaining is None or limit.resets <= now:
                continue
            need = _need(limit.kind, ask)
            if limit.remaining < (need if limit.limit is None else min(need, limit.limit)):
                return True
        return False

    def shown(self, now: float) -> tuple[tuple[str, Learned], ...]:
        """Return what is not out of date, with the class of models each is about."""
        return tuple(
            (name, limit)
            for name, told in self._told.items()
            for limit in told.limits.values()
            if limit.resets > now
        )


def _lasting(told: _Told, now: float) -> bool:
    return any(limit.resets > now for limit in told.limits.values())


def _enough(limits: dict[str, Learned]) -> int:
    """Return what never is too much: asking this of the worst of all limits decides for most requests."""
    left = {kind: limit.remaining for kind, limit in limits.items() if limit.remaining is not None}
    if left.pop("requests", 1) < 1:
        return -1
    return min(left.values(), default=-1)


def _need(kind: str, ask: Ask) -> int:
    if kind == "requests":
        return 1
    if kind == "input-tokens":
        return ask.input
    return ask.output if kind == "output-tokens" else ask.total

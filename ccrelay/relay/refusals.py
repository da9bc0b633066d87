"""What a client is told when no provider has answered it."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING, Final

from ccrelay.errors import (
    AllFailed,
    ClientError,
    FirstByteTimeout,
    Forbidden,
    KeysExhausted,
    NothingOpen,
    Stalled,
)
from ccrelay.policy.rate_limits import retry_after
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccrelay.errors import RelayError
    from ccrelay.policy.client import Client
    from ccrelay.policy.outcome import Outcome
    from ccrelay.policy.selection import Selection
    from ccrelay.policy.verdict import Complaint
    from ccrelay.wire.http import Pairs

_LONGEST_S: Final = 30.0
"""Seconds that a 503 of ours asks to wait at most: clients give up at once on long ones (docs/clients.md)."""
_WAITS: Final = frozenset({b"retry-after", b"retry-after-ms"})


def nothing_to_try(selection: Selection, client: Client, now: float) -> RelayError:
    """Return why nobody could be asked at all."""
    if selection.empty:
        if not client.pooled:
            msg = (
                "No provider here takes a claude.ai login; mark one `passthrough: true`, or use a relay key."
            )
            return Forbidden(msg)
        msg = "No provider is enabled that could serve this; enable one in the configuration of ccrelay."
        return NothingOpen(msg, retry_after=_LONGEST_S)
    if selection.usable(now):
        msg = "Every provider that could serve this is failing, and being tried; wait a moment and try again."
        return NothingOpen(msg, retry_after=min(max(selection.due(now) - now, 1.0), _LONGEST_S))
    frees = selection.frees_at(now)
    if frees is None:
        msg = "No provider accepts its key any more (401); put valid ones into the configuration of ccrelay."
        return NothingOpen(msg, retry_after=_LONGEST_S)
    wait = max(frees - now, 1.0)
    if selection.forbidden(now):
        msg = (
            "No provider permits this model to its key or credential (403): grant access to it there, "
            f"or use another model; ccrelay asks again in {wait:.0f} s."
        )
        return Forbidden(msg, retry_after=wait)
    msg = "Every key that could serve this is exhausted or at its limit; add one, or wait until one is free."
    return KeysExhausted(msg, retry_after=wait)


def attempts_in_words(outcomes: Sequence[Outcome]) -> str:
    """Return each attempt as C{provider: reason}, for the log."""
    return "; ".join(f"{o.route.provider}: {o.reason}" for o in outcomes)


def all_failed(outcomes: Sequence[Outcome]) -> RelayError:
    """
    Return the error that lists every attempt; a gateway timeout if all of them were.

    Where every provider that was left cannot take such a request, what one of them says of it is the answer.
    """
    unfit = [o.error for o in outcomes if isinstance(o.error, ClientError)]
    if len(unfit) == len(outcomes):
        return unfit[0]
    reasons = "; ".join(f"{o.route.provider}: {o.public}" for o in outcomes)
    words = f"No provider answered ({reasons}); try again, or check their base_url and keys."
    error = AllFailed(words)
    if all(isinstance(o.error, (FirstByteTimeout, Stalled)) for o in outcomes):
        error.status, error.kind = FirstByteTimeout.status, FirstByteTimeout.kind
    return error


def honest_headers(complaint: Complaint, frees_at: float | None, now: float) -> Pairs:
    """
    Return the header fields of a refusal that is the answer.

    They are the provider's, but where another key frees sooner than it says:
    then C{retry-after} tells that, and nothing speaks against a repeat.

    @param frees_at: when the soonest other key frees, seconds since the epoch; None if none does.
    """
    pairs = complaint.headers
    never = first(pairs, b"x-should-retry") == b"false"
    said = retry_after(pairs, now)
    until = said if said is not None else inf if never else 0.0
    if frees_at is not None and frees_at - now < until:
        kept = (pair for pair in pairs if pair[0] not in _WAITS and pair[0] != b"x-should-retry")
        pairs = (*kept, (b"retry-after", b"%d" % max(ceil(frees_at - now), 1)))
    if complaint.body is not None and any(name == b"content-type" for name, _ in pairs):
        return pairs
    return (*pairs, (b"content-type", b"application/json"))

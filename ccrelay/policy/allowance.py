"""What a key may spend in any minute, as its operator says, and what is being spent."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from ccrelay.policy.ask import Ask, charged_input
from ccrelay.policy.windows import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccrelay.policy.windows import Reservation
    from ccrelay.wire.usage import Usage


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """
    An operator's limits of a key, in any minute; 0 for none.

    @ivar rpm: requests.
    @ivar itpm: input tokens; C{otpm}: output tokens; C{tpm}: both together.
    """

    rpm: int = 0
    itpm: int = 0
    otpm: int = 0
    tpm: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """
    How much of one limit is used.

    @ivar kind: C{requests}, C{input-tokens}, C{output-tokens} or C{tokens}.
    @ivar limit: in any minute; 0 for none.
    """

    kind: str
    limit: int
    used: int


Load: TypeAlias = tuple[float, float, int, float]
"""
How much of a key's limits is used: before when there is no room for any request, whatever it costs; the
share that is used of the limit that is used most; the requests of the last minute, and those in flight once
more; and when time alone makes any of this less.
"""

_Window: TypeAlias = "tuple[str, Callable[[Ask], int], SlidingWindow]"
"""The kind of token that is limited, how many of them a request costs, and what is used."""

_KINDS: Final = ("input-tokens", "output-tokens", "tokens")
_AMOUNTS: Final[tuple[Callable[[Ask], int], ...]] = (
    attrgetter("input"),
    attrgetter("output"),
    attrgetter("total"),
)


class Allowance:
    """
    A key's limits, and how much of them is used.

    Requests are counted without a limit too, so that keys can share them evenly.

    @ivar in_flight: requests that were reserved and neither settled nor released.
    @ivar taken: requests ever reserved.
    """

    __slots__ = ("_cache_reads", "_changed", "_requests", "_tokens", "in_flight", "taken")

    def __init__(self, limits: KeyLimits, changed: Callable[[], None], *, cache_reads: bool = False) -> None:
        """
        @param changed: called whenever more or less is used, but not when time has made it less.
        @param cache_reads: whether what was read from the prompt cache counts as input.
        """
        self._changed = changed
        self._cache_reads = cache_reads
        self._requests = SlidingWindow(limits.rpm)
        self._tokens = _windows(limits, {})
        self.in_flight = 0
        self.taken = 0

    def adapt(self, limits: KeyLimits, *, cache_reads: bool) -> None:
        """
        Hold what was used already to other limits; what was not counted before counts from now on.

        Requests that are under way count as they did when they began.
        """
        self._cache_reads = cache_reads
        self._requests.limit = limits.rpm
        known = {kind: window for kind, _, window in self._tokens}
        self._tokens = _windows(limits, known)
        self._changed()

    def fits(self, ask: Ask, now: float) -> bool:
        """
        Return whether a request is within every limit; if over one, whether that is not used at all.

        One that is expected to cost no tokens needs room for one, as nothing is ever free.
        """
        # A loop, not all(): this is asked of every candidate.
        if not self._requests.fits(1, now):
            return False
        for _, amount, window in self._tokens:  # noqa: SIM110
            if not window.fits(amount(ask) or 1, now):
                return False
        return True

    def fits_at(self, ask: Ask, now: float) -> float:
        """Return when a request will be within every limit if no other is made before."""
        tokens = [window.fits_at(amount(ask) or 1, now) for _, amount, window in self._tokens]
        return max([self._requests.fits_at(1, now), *tokens])

    def load(self, now: float) -> Load:
        """Return how much is used, and until when that is true if nothing is done."""
        requests, changes = self._requests.look(now)
        opens = share = 0.0
        # Plain comparisons, not max() and min(): this is asked whenever anything has changed.
        if self._requests.limit:
            share = requests / self._requests.limit
            if share >= 1:
                opens = self._requests.fits_at(1, now)
        for _, _, window in self._tokens:
            used, forgets = window.look(now)
            changes = min(changes, forgets)
            if used > share * window.limit:
                share = used / window.limit
            if used >= window.limit:
                opens = max(opens, window.fits_at(1, now))
        return opens, share, requests + self.in_flight, changes

    def spent(self, now: float) -> tuple[Spent, ...]:
        """Return the requests and, where they are limited, the tokens of the last minute."""
        tokens = (Spent(kind, window.limit, window.used(now)) for kind, _, window in self._tokens)
        return (Spent("requests", self._requests.limit, self._requests.used(now)), *tokens)

    def take(self, ask: Ask, now: float) -> Lease:
        """Reserve what a request is expected to cost, whether it fits or not."""
        request = self._requests.take(1, now)
        tokens = tuple([(amount, window.take(amount(ask), now)) for _, amount, window in self._tokens])
        self.in_flight += 1
        self.taken += 1
        self._changed()
        return Lease(ask, request, tokens, self._changed, self._end, cache_reads=self._cache_reads)

    def _end(self) -> None:
        self.in_flight -= 1
        self._changed()


def _windows(limits: KeyLimits, known: Mapping[str, SlidingWindow]) -> tuple[_Window, ...]:
    """Return the windows of the limits that there are, those known with what is in them."""
    found = []
    each = zip(_KINDS, _AMOUNTS, (limits.itpm, limits.otpm, limits.tpm), strict=True)
    for kind, amount, limit in each:
        if limit:
            window = known[kind] if kind in known else SlidingWindow(limit)
            window.limit = limit
            found.append((kind, amount, window))
    return tuple(found)


class Lease:
    """
    What one attempt has reserved of its key, until it is settled or released.

    The first of the two ends it; nothing that is called later has an effect,
    so a C{finally} may release what was settled already.
    """

    __slots__ = ("_ask", "_cache_reads", "_changed", "_end", "_open", "_request", "_tokens")

    def __init__(
        self,
        ask: Ask,
        request: Reservation,
        tokens: tuple[tuple[Callable[[Ask], int], Reservation], ...],
        changed: Callable[[], None],
        end: Callable[[], None],
        *,
        cache_reads: bool,
    ) -> None:
        self._ask = ask
        self._request = request
        self._tokens = tokens
        self._changed = changed
        self._end = end
        self._cache_reads = cache_reads
        self._open = True

    def correct(self, usage: Usage) -> None:
        """
        Replace the estimates by what the provider has said so far; the request goes on.

        The output that was said so far is not all of it, so no less than the estimate stays reserved.
        """
        if self._open:
            self._correct(usage, self._ask.output)
            self._changed()

    def settle(self, usage: Usage, *, cut_short: bool = False) -> None:
        """
        End with what the provider said; where it said nothing, what was reserved stays used.

        A refused request has cost C{Usage(0, 0)}, but it counts as a request.

        @param cut_short: the answer did not come to its end, so the output that
            was said is not all of it, and no less than the estimate is used.
        """
        if self._open:
            self._open = False
            self._correct(usage, self._ask.output if cut_short else 0)
            self._end()

    def release(self) -> None:
        """End as if there had been no request: it never reached the provider."""
        if self._open:
            self._open = False
            self._request.give_back()
            for _, reservation in self._tokens:
                reservation.give_back()
            self._end()

    def _correct(self, usage: Usage, least_output: int) -> None:
        if not self._tokens:
            return  # only requests are counted
        charged = charged_input(usage, cache_reads=self._cache_reads)
        self._ask = Ask(
            self._ask.model,
            self._ask.input if charged is None else charged,
            self._ask.output if usage.output is None else max(usage.output, least_output),
        )
        for amount, reservation in self._tokens:
            reservation.settle(amount(self._ask))

"""What was asked for and spent, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccrelay.wire.usage import Usage


class Sums:
    """
    The sum of some requests.

    @ivar failed: those that were answered with 400 or more, or not at all.
    @ivar input: tokens neither read from nor written to the prompt cache.
    @ivar cost: in US dollars, as far as prices are known.
    @ivar unpriced: requests that used tokens whose price is not known.
    """

    __slots__ = ("cache_read", "cache_write", "cost", "failed", "input", "output", "requests", "unpriced")

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.input = 0
        self.output = 0
        self.cache_read = 0
        self.cache_write = 0
        self.cost = 0.0
        self.unpriced = 0

    def add(self, usage: Usage, cost: float | None, *, failed: bool, priced: bool) -> None:
        """
        Add a request.

        @param cost: in US dollars; None where it is not known or is nobody's to pay.
        @param priced: whether C{cost} tells all there is.
        """
        self.requests += 1
        self.failed += failed
        self.input += usage.input or 0
        self.output += usage.output or 0
        self.cache_read += usage.cache_read or 0
        self.cache_write += usage.cache_write or 0
        self.cost += cost or 0.0
        self.unpriced += not priced

    def include(self, other: Sums) -> None:
        """Add the requests of another sum."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def cache_share(self) -> float | None:
        """The share of cached input that was read rather than written, or None where there was none."""
        cached = self.cache_read + self.cache_write
        return self.cache_read / cached if cached else None

    def kinds(self) -> tuple[tuple[str, int], ...]:
        """Return the tokens of each kind."""
        return (
            ("input", self.input),
            ("output", self.output),
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
        )

"""What tokens cost, and how a model is found in a table of prices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.wire.usage import Usage

_MILLION: Final = 1_000_000
_MOST_FOUND: Final = 1000
_EVERY_MODEL: Final = "*"
_LONGEST: Final = 256

# arn:aws:bedrock:…:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0, claude-opus-4@20250514, …
_BEFORE: Final = re.compile(r"^(?:.*/)?(?:[a-z-]+\.)?anthropic\.|^(?:models|anthropic)/")
_AFTER: Final = re.compile(r"(?:\[[^\[\]]*\]|-v\d+(?::\d+)?|[-@]20\d{6}|[-@](?:latest|default)|-0)+$")
_OLD_ORDER: Final = re.compile(r"^claude-(\d+(?:-\d+)?)-(opus|sonnet|haiku)$")


class Demand(msgspec.Struct, frozen=True):
    """
    What a new request wants, as far as it can be told beforehand; sizes are in tokens.

    @ivar model: as the client asked for it.
    @ivar input: neither read from nor written to the prompt cache.
    """

    model: str
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """
    What a million tokens cost at a provider, in US dollars.

    @ivar cache_write: for five minutes; C{cache_write_1h}: for an hour.
    @ivar over: with more tokens than this in the prompt, all of a request costs what C{then} says.
    """

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    cache_write_1h: float = 0.0
    over: int | None = None
    then: Price | None = None

    def of(self, demand: Demand) -> float:
        """Return what a request is expected to cost, in US dollars; what it writes, for five minutes."""
        return self.total(demand.input, demand.output, demand.cache_read, demand.cache_write, 0)

    def cost(self, usage: Usage) -> float:
        """Return what an answer has cost, in US dollars."""
        written, hour = usage.cache_write or 0, usage.cache_write_1h or 0
        return self.total(
            usage.input or 0, usage.output or 0, usage.cache_read or 0, max(written - hour, 0), hour
        )

    def total(self, fresh: int, output: int, read: int, written: int, hour: int) -> float:
        """
        Return what some tokens cost together, in US dollars.

        @param fresh: neither read from nor written to the prompt cache.
        @param written: to it for five minutes; C{hour}: for an hour.
        """
        if self.over is not None and self.then is not None and fresh + read + written + hour > self.over:
            return self.then.total(fresh, output, read, written, hour)
        return (
            self.input * fresh
            + self.output * output
            + self.cache_read * read
            + self.cache_write * written
            + self.cache_write_1h * hour
        ) / _MILLION


class Prices:
    """A provider's prices: what its operator wrote, for a model or for C{*}, then what is published."""

    __slots__ = ("_found", "_published", "_table")

    def __init__(self, table: Mapping[str, Price], published: Mapping[str, Price] | None = None) -> None:
        """
        @param table: the operator's.
        @param published: by plain names (see L{plain}).
        """
        self._table = dict(table)
        self._published = published or {}
        self._found: dict[tuple[str, ...], Price | None] = {}

    def __call__(self, *names: str) -> Price | None:
        """
        Return the price of a model; None where nobody has told.

        A variant such as C{[1m]} that the operator's table does not name costs
        what the model costs without it.

        @param names: what the model is called, the most telling first: by the provider, by the client.
        """
        # The same few names come with every request.
        if names not in self._found:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[names] = self._look(names)
        return self._found[names]

    def _look(self, names: tuple[str, ...]) -> Price | None:
        for name in names:
            found = self._table.get(name) or self._table.get(name.partition("[")[0])
            if found is not None:
                return found
        found = self._table.get(_EVERY_MODEL)
        if found is not None or not self._published:
            return found
        # By the provider's own name alone: what a client calls it says nothing of what it is there.
        return self._published.get(plain(names[0])) or self._published.get(_EVERY_MODEL)


@lru_cache(maxsize=1024)
def plain(model: str) -> str:
    """
    Return what a model is called without what clouds, dates and variants add to its name.

    C{us.anthropic.claude-haiku-4-5-20251001-v1:0}, C{claude-haiku-4-5@20251001} and
    C{claude-haiku-4-5[1m]} are all C{claude-haiku-4-5}; C{claude-3-5-haiku} is C{claude-haiku-3-5}.
    """
    if len(model) > _LONGEST:
        return model  # nothing is called so; looking for its end would take long
    name = _AFTER.sub("", _BEFORE.sub("", model.lower()))
    old = _OLD_ORDER.match(name)
    return f"claude-{old[2]}-{old[1]}" if old else name

"""What a strategy sees of a provider and of a request, and what a strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ccrelay.wire.usage import Usage

_MILLION: Final = 1_000_000
_EVERY_MODEL: Final = "*"


@dataclass(frozen=True, slots=True)
class Demand:
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
    """What a million tokens cost at a provider, in US dollars."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0

    def of(self, demand: Demand) -> float:
        """Return what a request costs, in US dollars."""
        return (
            self.input * demand.input
            + self.output * demand.output
            + self.cache_read * demand.cache_read
            + self.cache_write * demand.cache_write
        ) / _MILLION

    def cost(self, usage: Usage) -> float:
        """Return what an answer has cost, in US dollars."""
        return (
            self.input * (usage.input or 0)
            + self.output * (usage.output or 0)
            + self.cache_read * (usage.cache_read or 0)
            + self.cache_write * (usage.cache_write or 0)
        ) / _MILLION


class Prices:
    """A provider's C{price}: by the name of the model, or C{*} for all others."""

    __slots__ = ("_table",)

    def __init__(self, table: Mapping[str, Price]) -> None:
        self._table = dict(table)

    def __call__(self, *names: str) -> Price | None:
        """
        Return the price of a model; None where the table has none.

        A variant such as C{[1m]} that the table does not name costs what the
        model costs without it.

        @param names: what the model is called, the most telling first: by the provider, by the client.
        """
        for name in names:
            found = self._table.get(name) or self._table.get(name.partition("[")[0])
            if found is not None:
                return found
        return self._table.get(_EVERY_MODEL)


class Candidate(Protocol):
    """
    A provider that could take a request now.

    Every C{name} is another; what counts as a candidate (breaker closed,
    enabled, model known, a usable key) was decided before.
    """

    @property
    def name(self) -> str:
        """What the operator called it."""

    @property
    def priority(self) -> int:
        """Higher is asked first; it also breaks ties, before the order of the file."""

    @property
    def weight(self) -> int:
        """Its share where shares are weighted, 0 or more."""

    @property
    def in_flight(self) -> int:
        """How many requests it is busy with."""

    @property
    def first_byte(self) -> float | None:
        """The moving average of its time to first byte, in seconds; None while it is not known."""

    @property
    def price(self) -> Price | None:
        """What it charges for the model asked for; None where the operator did not say."""


C = TypeVar("C", bound=Candidate)


class Strategy(ABC):
    """
    The order in which providers are asked.

    @cvar returning: whether a conversation that had to leave the provider it
        was placed on goes back to it later; a balancing strategy has no
        provider that it prefers, so it leaves it where it went.
    """

    returning: ClassVar[bool] = False

    @abstractmethod
    def order(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """
        Return all candidates in the order they are asked for a new conversation.

        Where providers take turns, the first has now had one.

        @param candidates: in the order of the file.
        """

    def preview(self, candidates: Sequence[C], demand: Demand) -> tuple[C, ...]:
        """
        Return an order without taking a turn.

        For conversations that have their place already, and for showing the
        order: were turns taken for these, new conversations would not be
        shared out evenly.
        """
        return self.order(candidates, demand)


def ranked(candidates: Iterable[C]) -> list[C]:
    """Return candidates by priority, higher first; equals keep the order of the file."""
    return sorted(candidates, key=attrgetter("priority"), reverse=True)

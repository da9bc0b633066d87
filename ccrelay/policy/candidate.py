"""What a strategy sees of a provider and of a request, and what a strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ccrelay.policy.prices import Demand, Price


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

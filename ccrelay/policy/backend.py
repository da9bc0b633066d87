"""A provider as routing sees it: its keys, its price, how busy and how fast it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccrelay.policy.ask import Ask
from ccrelay.policy.measured import FirstByte
from ccrelay.policy.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.policy.pool import KeyPool
    from ccrelay.policy.prices import Price


@dataclass(slots=True, eq=False)
class Traffic:
    """
    What goes on at a provider.

    @ivar in_flight: attempts that are under way.
    @ivar first_byte: how long its streamed answers took to begin.
    """

    in_flight: int = 0
    first_byte: FirstByte = field(default_factory=FirstByte)


@dataclass(slots=True, eq=False)
class Backend:
    """
    What is decided about a provider, and what is remembered of it.

    @ivar model_name: what it calls the model that a client asks for.
    @ivar models: the names that its operator lists for it; empty where none are.
    @ivar mapped_names: the exact names that its mapping knows.
    @ivar targets: the names that its mapping maps to.
    @ivar passthrough: whether a client's own bearer may go there.
    @ivar count_cache_reads: whether what was read from the prompt cache uses up input limits.
    @ivar draining: whether new conversations go elsewhere while they can; those that are there stay.
    @ivar traffic: what goes on there; a backend that takes the place of another goes on with it.
    """

    name: str
    pool: KeyPool
    model_name: Callable[[str], str] = str
    priority: int = 1
    weight: int = 1
    prices: Prices = field(default_factory=lambda: Prices({}))
    models: tuple[str, ...] = ()
    mapped_names: tuple[str, ...] = ()
    passthrough: bool = False
    count_cache_reads: bool = False
    targets: tuple[str, ...] = ()
    draining: bool = False
    traffic: Traffic = field(default_factory=Traffic)

    def names(self, asked: str, there: str) -> bool:
        """
        Return whether its operator says that it has a model: by listing it, or by mapping it.

        @param asked: as the client calls it; C{there}: as the provider does.
        """
        if asked != there:
            return True
        plain = asked.partition("[")[0]
        return any(name in self.models or name in self.mapped_names for name in (asked, plain))

    def offers(self, name: str) -> bool:
        """Return whether its operator has written a model's name, be it the client's or its own."""
        return name in self.models or name in self.mapped_names or name in self.targets


class Way:
    """
    A provider as one request may go to it; a strategy orders these.

    @ivar model: as the provider calls it; C{asked}: as the client does.
    @ivar ask: what the request is expected to cost there.
    @ivar own: whether the client's own bearer goes, rather than one of the provider's keys.
    """

    __slots__ = ("ask", "asked", "backend", "model", "name", "own", "priority", "weight")

    def __init__(self, backend: Backend, asked: str, ask: Ask | None = None, *, own: bool = False) -> None:
        self.backend = backend
        self.asked = asked
        self.ask = ask or Ask(backend.model_name(asked))
        self.model = self.ask.model
        self.own = own
        # Strategies sort by these: plain values, not properties.
        self.name = backend.name
        self.priority = backend.priority
        self.weight = backend.weight

    @property
    def in_flight(self) -> int:
        """How many attempts the provider is busy with."""
        return self.backend.traffic.in_flight

    @property
    def first_byte(self) -> float | None:
        """The moving average of its time to first byte, in seconds."""
        return self.backend.traffic.first_byte.seconds

    @property
    def price(self) -> Price | None:
        """What it charges for the model."""
        return self.backend.prices(self.model, self.asked)

    @property
    def mapped(self) -> bool:
        """Whether the model has another name there."""
        return self.model != self.asked


def those_with_the_model(ways: list[Way]) -> list[Way]:
    """
    Leave out the providers that lack the model, as far as their operator has said so.

    A provider lacks it if it lists models and this is none of them, while
    another one lists or maps it; who lists nothing may have any.
    """
    if len(ways) == 1:
        return ways
    named = [way for way in ways if way.backend.names(way.asked, way.model)]
    if not named or len(named) == len(ways):
        return ways
    return [way for way in ways if not way.backend.models or way.backend.names(way.asked, way.model)]

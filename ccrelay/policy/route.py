"""One way a request may go, and the order of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccrelay.policy.keys import Key


@dataclass(frozen=True, slots=True)
class Route:
    """
    A provider, one of its keys, and the model's name there.

    @ivar priority: the provider's; higher is asked first.
    @ivar key: None for the client's own bearer, which is nobody's to pool.
    @ivar model: as the provider calls it.
    @ivar mapped: whether that differs from what the client asked for.
    """

    provider: str
    priority: int
    key: Key | None = field(compare=False)
    model: str
    mapped: bool = False

    @property
    def key_name(self) -> str:
        """What the key is called in logs."""
        return self.key.name if self.key else "client"


def by_priority(routes: Iterable[Route]) -> tuple[Route, ...]:
    """
    Return the routes in failover order.

    Higher provider priority first, then the order of the file; within a
    provider, higher key priority first, then the order of the file.
    """
    listed = list(routes)
    place: dict[str, int] = {}
    for route in listed:
        place.setdefault(route.provider, len(place))
    return tuple(
        sorted(
            listed,
            key=lambda r: (-r.priority, place[r.provider], -(r.key.priority if r.key else 0)),
        )
    )

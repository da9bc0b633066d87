"""One way a request may go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ccrelay.policy.backend import Way
    from ccrelay.policy.keys import Key


class Found(NamedTuple):
    """Where a request may go next; C{early}: through the half-open gate of a breaker that is not due."""

    way: Way
    key: Key | None
    early: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """
    A provider, one of its keys, and the model's name there.

    @ivar key: None for the client's own bearer, which is nobody's to pool.
    @ivar model: as the provider calls it.
    @ivar mapped: whether that differs from what the client asked for.
    """

    provider: str
    key: Key | None = field(compare=False)
    model: str
    mapped: bool = False

    @property
    def key_name(self) -> str:
        """What the key is called in logs."""
        return self.key.name if self.key else "client"

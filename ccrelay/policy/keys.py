"""A provider's key and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccrelay.wire.secret import Secret


@dataclass(slots=True, eq=False)
class Key:
    """
    One credential of a provider, and until when it may not be used.

    @ivar name: what the operator called it, else C{…last4}; C{-} for providers that want none.
    @ivar secret: None for providers that want none.
    @ivar barred_until: seconds since the epoch; a hard fact from the provider
        (no credit left, a quota used up), never a guess.
    """

    name: str
    secret: Secret | None = field(default=None, repr=False)
    priority: int = 1
    barred_until: float = 0.0

    def usable(self, now: float) -> bool:
        """Return whether the key may be asked at C{now}."""
        return now >= self.barred_until

    def bar(self, until: float) -> None:
        """Leave the key alone until then; a second refusal never moves that closer."""
        self.barred_until = max(self.barred_until, until)

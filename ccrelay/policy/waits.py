"""Until when a key is left alone: because it was told so, or as a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MOST: Final = 100
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 60.0

FORBIDDEN: Final = "not permitted"
"""Why a key is left alone after a 403."""


@dataclass(frozen=True, slots=True)
class Wait:
    """
    A time before which a key may not be used.

    @ivar model: the only one it may not be used for, as the provider calls it; None for all.
    @ivar until: seconds since the epoch.
    @ivar why: in a few words.
    """

    model: str | None
    until: float
    why: str


class Waits:
    """
    All times before which a key may not be used, for any model or for one.

    @ivar latest: the last of them, after which there is nothing to look for.
    """

    __slots__ = ("_by_model", "_whole", "latest")

    def __init__(self) -> None:
        self.latest = 0.0
        self._whole: Wait | None = None
        self._by_model: dict[str, Wait] = {}

    def put_off(self, wait: Wait, now: float) -> None:
        """
        Wait until then; a second wait for the same never moves that closer.

        Of very many models, as of names that were made up, only those with the longest waits are remembered.
        """
        model = wait.model
        known = self._whole if model is None else self._by_model.get(model)
        if known is not None and known.until >= wait.until:
            return
        self.latest = max(self.latest, wait.until)
        if model is None:
            self._whole = wait
            return
        self._by_model[model] = wait
        if len(self._by_model) > _MOST:
            self._by_model = {name: w for name, w in self._by_model.items() if w.until > now}
        if len(self._by_model) > _MOST:
            del self._by_model[min(self._by_model, key=lambda name: self._by_model[name].until)]

    def until(self, model: str | None) -> float:
        """Return the time before which a model may not be asked for; for None, nothing at all may be."""
        until = 0.0 if self._whole is None else self._whole.until
        one = self._by_model.get(model) if model is not None else None
        return until if one is None else max(until, one.until)

    def forbidden(self, model: str, now: float) -> bool:
        """Return whether a model is waited for because it is not permitted, and for nothing else."""
        waits = [wait for wait in (self._whole, self._by_model.get(model)) if wait and wait.until > now]
        return bool(waits) and all(wait.why == FORBIDDEN for wait in waits)

    def shown(self, now: float) -> tuple[Wait, ...]:
        """Return what is still waited for."""
        known = () if self._whole is None else (self._whole,)
        return tuple(wait for wait in (*known, *self._by_model.values()) if wait.until > now)


class CoolDown:
    """
    A pause after a refusal that named none: 1 s, then twice the last one, at most 60 s.

    Refusals during a pause are of the same burst of requests, and do not make it longer.

    @ivar until: seconds since the epoch.
    """

    __slots__ = ("_next", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self._next = _FIRST_S

    def refused(self, now: float) -> None:
        """Begin a pause, unless it is one."""
        if now >= self.until:
            self.until = now + self._next
            self._next = min(self._next * 2, _LONGEST_S)

    def reset(self) -> None:
        """End the pause; the next is 1 s again."""
        self.until = 0.0
        self._next = _FIRST_S

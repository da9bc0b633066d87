"""A script: which act answers which request."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from ccrelay.simulator.faults import Early

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ccrelay.simulator.acts import Act
    from ccrelay.simulator.asked import Asked

MESSAGES: Final = "*/v1/messages"
"""The paths that the acts of a script are for, unless it says otherwise: whatever prefix a provider has."""


class Script:
    """
    Successive requests are answered by successive acts; the last one answers all that follow.

    Each pattern of paths has a sequence of its own, so that a probe takes nothing from the requests.
    What no pattern fits is answered as the simulator does without a script.
    """

    def __init__(
        self,
        acts: Sequence[Act] | Callable[[Asked], Act] = (),
        paths: Mapping[str, Sequence[Act] | Callable[[Asked], Act]] | None = None,
    ) -> None:
        """
        @param acts: for L{MESSAGES}: some acts, or a function that says which one a request gets.
        @param paths: for other paths, by shell patterns (C{*} stands for slashes, too; no query), the first
            that fits: C{{"/v1/models": [Refuses(401)], "/model/*": [Streams(frames)]}}.
        """
        parts = [*(paths or {}).items(), (MESSAGES, acts)]
        self._parts = [(pattern, acts) for pattern, acts in parts if callable(acts) or acts]
        self._played = [0] * len(self._parts)

    def act(self, asked: Asked) -> Act | None:
        """Return the act for this request, which is thereby played; None where the script has none."""
        place = self._place(asked.path)
        if place is None:
            return None
        acts = self._parts[place][1]
        if callable(acts):
            return acts(asked)
        self._played[place] += 1
        return acts[min(self._played[place], len(acts)) - 1]

    def early(self, path: str) -> bool:
        """Return whether the next request for this path is answered before its body has come."""
        place = self._place(path)
        if place is None:
            return False
        acts = self._parts[place][1]
        return not callable(acts) and isinstance(acts[min(self._played[place], len(acts) - 1)], Early)

    def _place(self, path: str) -> int | None:
        fits = (place for place, (pattern, _) in enumerate(self._parts) if fnmatchcase(path, pattern))
        return next(fits, None)

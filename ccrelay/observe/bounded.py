"""Names that come from outside, as few of them as a label may have."""

from __future__ import annotations

from typing import Final

OTHER: Final = "other"
"""What all the others are called."""
NONE: Final = "-"
"""What stands where there is no name."""
MOST: Final = 100
LONGEST: Final = 256
"""Characters of a name that may be a label."""


class BoundedNames:
    """
    The first hundred names that are worth one, and C{other} for the rest.

    Clients may make up names without end, and every one of them would be a
    series that Prometheus keeps.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._names: set[str] = set()

    def known(self, name: str) -> str:
        """Return a name that is worth a label while there is room, else C{other}."""
        if name in self._names:
            return name
        if not name:
            return NONE
        if len(self._names) >= self._most or len(name) > LONGEST:
            return OTHER
        self._names.add(name)
        return name

    def named(self, name: str) -> str:
        """Return a name if it is known already, else C{other}."""
        if name in self._names:
            return name
        return OTHER if name else NONE

"""What a provider calls the models that clients ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# "[1m]", the way Claude Code asks for a variant of a model.
_VARIANT: Final = re.compile(r"\[[^\[\]]*\]$")


class ModelMapping:
    """
    A provider's C{model_mapping}: exact names first, then C{prefix*} patterns, the longest first.

    A variant suffix such as C{[1m]} is kept where the table does not name it, neither in the name nor in
    what that is mapped to.
    """

    __slots__ = ("_exact", "_prefixes")

    def __init__(self, table: Mapping[str, str]) -> None:
        self._exact = {name: to for name, to in table.items() if not name.endswith("*")}
        self._prefixes = sorted(
            ((name[:-1], to) for name, to in table.items() if name.endswith("*")),
            key=lambda pair: -len(pair[0]),
        )

    def __call__(self, model: str) -> str:
        """Return the provider's name for a model; unmapped names are returned as they are."""
        named = self._named(model)
        if named is not None:
            return named
        variant = _VARIANT.search(model)
        if variant is None:
            return model
        base = self._named(model[: variant.start()])
        if base is None:
            return model
        return base if _VARIANT.search(base) else base + variant[0]

    def names(self) -> tuple[str, ...]:
        """Return the exact names that clients may ask for."""
        return tuple(self._exact)

    def targets(self) -> tuple[str, ...]:
        """Return the provider's names that anything is mapped to."""
        return (*self._exact.values(), *(to for _, to in self._prefixes))

    def _named(self, model: str) -> str | None:
        if model in self._exact:
            return self._exact[model]
        if _VARIANT.search(model):
            return None  # a pattern would swallow the suffix; it is tried without it first
        for prefix, to in self._prefixes:
            if model.startswith(prefix):
                return to
        return None

"""A secret that shows only its last four characters, wherever it is printed."""

from __future__ import annotations

import hmac
from typing import Final

_SHOWN: Final = 4


class Secret:
    """
    A key, token or password.

    Its C{str}, C{repr} and C{format} are C{…last4} (C{…} alone where it has
    fewer than 12 characters), so no log line, error or traceback can hold it;
    only L{reveal} gives it away.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, to be put on the wire and nowhere else."""
        return self._value

    def matches(self, shown: str) -> bool:
        """Return whether C{shown} is this secret, in time that does not tell how near it was."""
        return hmac.compare_digest(_bytes(self._value), _bytes(shown))

    def __str__(self) -> str:
        return "…" + (self._value[-_SHOWN:] if len(self._value) >= 3 * _SHOWN else "")

    def __repr__(self) -> str:
        return f"<Secret {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str:
        msg = "a Secret is not to be copied out of the process"
        raise TypeError(msg)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # the environment and header fields may hold any bytes

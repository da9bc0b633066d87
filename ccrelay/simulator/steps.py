"""Steps: the smallest things an upstream does to a connection while it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ccrelay.wire.http import Pairs


@dataclass(frozen=True, slots=True)
class Head:
    """
    The status line and the header fields, sent at once.

    @ivar headers: exactly these, beside the framing; no C{request-id} is added.
    @ivar length: the C{content-length}; None frames the body in chunks.
    @ivar until_close: frames the body by the end of the connection, as HTTP/1.0 does;
        not together with C{length}.
    """

    status: int = 200
    headers: Pairs = ()
    length: int | None = None
    until_close: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of the body, in one write."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for the connection as they are, outside of all HTTP: a 103 ahead of the head, or garbage."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing for that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more until the peer leaves."""


@dataclass(frozen=True, slots=True)
class Reset:
    """
    The connection ends with a TCP RST; what was sent before has left this process.

    On a socket pair there is no RST: the peer sees an end, as after L{Cut}.
    """


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends with a FIN, whatever the framing had promised."""


@dataclass(frozen=True, slots=True)
class End:
    """The body ends as its framing says; the connection stays."""


Step: TypeAlias = Head | Chunk | Raw | Wait | Hang | Reset | Cut | End
"""After L{Hang}, L{Reset}, L{Cut} and L{End} no further step is taken."""

"""What the relay needs of the client's side of an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ccrelay.wire.http import Pairs


class IPausable(Protocol):
    """A source of bytes that can be held back; Twisted's C{IPushProducer}."""

    def pauseProducing(self) -> None:
        """Give nothing until told to go on."""

    def resumeProducing(self) -> None:
        """Go on."""

    def stopProducing(self) -> None:
        """Give nothing any more: the reader is gone."""


class IClientResponse(Protocol):
    """
    The answer to a client, safe to write to after the client has gone.

    @ivar begun: whether the head was sent.
    """

    begun: bool

    def begin(self, status: int, headers: Pairs) -> None:
        """Send the head of an answer whose length is not known yet."""

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""

    def finish(self) -> None:
        """End the answer properly."""

    def whole(self, status: int, headers: Pairs, body: bytes) -> None:
        """Send head and body in one write, and end the answer."""

    def abort(self) -> None:
        """Cut the connection, so that the client cannot take what it has for the whole."""

    def register(self, source: IPausable) -> None:
        """Let C{source} be paused while the client reads slower than it gives."""

    def unregister(self) -> None:
        """Forget the source."""

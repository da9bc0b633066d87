"""A request's body that arrives while it is sent."""

from __future__ import annotations

from typing import Any


class Outgoing:
    """
    The consumer of such a body, which frames it.

    It raises L{ValueError} for a body that is not as long as was said.
    """

    def __init__(self, transport: Any, length: int | None) -> None:  # noqa: ANN401  any transport
        """@param length: bytes that were announced; None for a body in chunks."""
        self._transport = transport
        self._left = length

    def write(self, data: bytes) -> None:
        """Send the next bytes."""
        if self._left is None:
            if data:
                self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            return
        self._left -= len(data)
        if self._left < 0:
            msg = "the body is longer than was said"
            raise ValueError(msg)
        self._transport.write(data)

    def finish(self) -> None:
        """The body is complete."""
        if self._left is None:
            self._transport.write(b"0\r\n\r\n")
        elif self._left:
            msg = "the body is shorter than was said"
            raise ValueError(msg)

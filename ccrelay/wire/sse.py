"""Server-sent events as bytes: where one ends, what it is called, how to write one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_HELD: Final = 64 * 1024
"""Bytes of an unfinished event that are held back for its end; a longer one goes on in pieces."""

PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'

# A blank line: two line ends in a row, where a line ends with LF, CR LF or CR
# (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_TYPE: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_]+)"')
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class EventReader:
    """
    Cuts a byte stream after its last complete event, changing no byte.

    @ivar split: whether a piece of an unfinished event was handed out, so that
        nothing may be written before its blank line has come.
    """

    __slots__ = ("_tail", "split")

    def __init__(self) -> None:
        self._tail = b""
        self.split = False

    @property
    def tail(self) -> bytes:
        """The bytes of an unfinished event that are held back."""
        return self._tail

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes and return those that may go on: whole events.

        An event that grows over L{LONGEST_HELD} is handed out in pieces.
        """
        if not self._tail and data.endswith(b"\n\n"):
            self.split = False
            return data
        if self._tail:
            data = self._tail + data
        end = _after_last_event(data)
        if end:
            self.split = False
        if len(data) - end > LONGEST_HELD:
            # The end of a line stays, as the next byte may make it the end of the event.
            cut = len(data.rstrip(b"\r\n"))
            self._tail = data[cut:]
            self.split = True
            return data[:cut]
        self._tail = data[end:]
        return data[:end] if self._tail else data


def _after_last_event(data: bytes) -> int:
    """Return the index behind the last blank line in C{data}, or 0."""
    if data.endswith(b"\n\n"):
        return len(data)  # nearly always
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    end = 0
    for blank in _BLANK.finditer(data):
        end = blank.end()
    return end


def events(whole: bytes) -> Iterator[tuple[bytes, bytes]]:
    """
    Yield C{(name, data)} of each event in C{whole}; comments and empty blocks are passed over.

    An event without a name has that of the C{type} its data begins with.

    @param whole: complete events, as L{EventReader.feed} returns them.
    """
    blocks = whole.split(b"\n\n") if b"\r" not in whole else _BLANK.split(whole)
    for block in blocks:
        if not block:
            continue
        name = b""
        data: list[bytes] = []
        for line in _LINE_END.split(block):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"event":
                name = value
            elif field == b"data":
                data.append(value)
        if name or data:
            said = b"\n".join(data)
            yield name or _implied(said), said


def unfinished(piece: bytes) -> bytes:
    """Return the name of the event that the last blank line leaves unfinished; empty while none is told."""
    return next((name for name, _ in events(piece[_after_last_event(piece) :])), b"")


def _implied(data: bytes) -> bytes:
    """Return the C{type} that an event without a name begins with: some clients go by that alone."""
    found = _TYPE.match(data)
    return found[1] if found else b""


def without(whole: bytes, name: bytes) -> bytes:
    """
    Return complete events but for those of one name; the bytes of all others stay as they are.

    @param whole: complete events, as L{EventReader.feed} returns them.
    """
    kept: list[bytes] = []
    start = 0
    for blank in _BLANK.finditer(whole):
        block = whole[start : blank.end()]
        start = blank.end()
        if all(other != name for other, _ in events(block)):
            kept.append(block)
    kept.append(whole[start:])
    return b"".join(kept)


def before(whole: bytes, name: bytes) -> bytes | None:
    """
    Return the bytes before the first event of a name, or None where there is none.

    @param whole: complete events, as L{EventReader.feed} returns them.
    """
    start = 0
    for blank in _BLANK.finditer(whole):
        if any(other == name for other, _ in events(whole[start : blank.end()])):
            return whole[:start]
        start = blank.end()
    return None


def render(name: bytes, data: bytes) -> bytes:
    """Return one event; C{data} must have no line end in it."""
    return b"event: " + name + b"\ndata: " + data + b"\n\n"

"""Where the parts of a JSON text are, and edits that leave every other byte of it as it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from ccrelay.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

Edit: TypeAlias = tuple[int, int, bytes]
"""From where, up to where, and what stands there instead."""

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KEY: Final = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_COMMA: Final = re.compile(rb"[ \t\r\n]*,?[ \t\r\n]*")
_OPEN: Final = re.compile(rb"[ \t\r\n]*[{\[][ \t\r\n]*")
_TWICE: Final = "A key stands twice in an object of the request body; send each key once."


class Part(NamedTuple):
    """
    A member of an object or an element of an array.

    @ivar key: of a member; empty for an element.
    @ivar at: where it begins, at its key if it has one.
    @ivar start: where its value begins; C{end}: where that ends.
    """

    key: str
    at: int
    start: int
    end: int


def members(text: bytes, start: int = 0, end: int | None = None) -> list[Part]:
    """
    Return the members of the object that C{text[start:end]} is.

    One decoding in C tells the lengths, so what is inside the values costs little.

    @raise Malformed: if it is no JSON object, or if a key stands twice.
    """
    try:
        values = _OBJECT.decode(memoryview(text)[start:end])
    except _UNREADABLE as error:
        msg = f"This is not a JSON object ({error}), so nothing in it can be changed."
        raise Malformed(msg) from None
    parts: list[Part] = []
    at = _after(_OPEN, text, start)
    for key, raw in values.items():
        found = _KEY.match(text, at)
        value = bytes(raw)
        if found is None or not text.startswith(value, found.end()) or not _is(found[1], key):
            raise Malformed(_TWICE)
        parts.append(Part(key, found.start(1), found.end(), found.end() + len(value)))
        at = _after(_COMMA, text, parts[-1].end)
    if text[at : at + 1] != b"}":
        raise Malformed(_TWICE)
    return parts


def elements(text: bytes, start: int, end: int) -> list[Part]:
    """
    Return the elements of the array that C{text[start:end]} is.

    @raise Malformed: if it is no JSON array.
    """
    try:
        values = _ARRAY.decode(memoryview(text)[start:end])
    except _UNREADABLE as error:
        msg = f"This is not a JSON array ({error}), so nothing in it can be changed."
        raise Malformed(msg) from None
    parts: list[Part] = []
    at = _after(_OPEN, text, start)
    for raw in values:
        parts.append(Part("", at, at, at + memoryview(raw).nbytes))
        at = _after(_COMMA, text, parts[-1].end)
    return parts


def without(parts: Sequence[Part], gone: Collection[int]) -> list[Edit]:
    """
    Return the edits that take parts out of their object or array, each with one comma.

    @param parts: all of them.
    @param gone: the indexes of those to take out.
    """
    kept = [index for index in range(len(parts)) if index not in gone]
    if not kept:
        return [(parts[0].at, parts[-1].end, b"")] if parts else []
    edits = [(parts[0].at, parts[kept[0]].at, b"")] if kept[0] else []
    for last, index in zip(kept, [*kept[1:], len(parts)], strict=True):
        if index - last > 1:  # from behind what stays to behind the last that goes
            edits.append((parts[last].end, parts[index - 1].end, b""))
    return edits


def with_members(
    text: bytes, parts: Sequence[Part], gone: Collection[str], first: Mapping[str, bytes]
) -> bytes:
    """
    Return an object without some members, and with others before the rest of them.

    @param parts: the L{members} of it.
    @param gone: keys that go where they are there.
    @param first: the JSON of values by their keys; members of these keys are replaced.
    """
    out = {index for index, part in enumerate(parts) if part.key in gone or part.key in first}
    edits = without(parts, out)
    if first:
        added = b",".join(b"%b:%b" % (msgspec.json.encode(key), value) for key, value in first.items())
        at = text.index(b"{") + 1
        edits.append((at, at, added + b"," if len(out) < len(parts) else added))
    return edited(text, edits)


def edited(text: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the text with the edits made; they must not overlap."""
    pieces: list[bytes] = []
    done = 0
    for start, end, instead in sorted(edits):
        pieces += (text[done:start], instead)
        done = end
    return b"".join((*pieces, text[done:])) if pieces else text


def _after(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _is(spelled: bytes, key: str) -> bool:
    return spelled[1:-1] == key.encode("utf-8", "surrogatepass") or msgspec.json.decode(spelled) == key

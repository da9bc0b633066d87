"""Edits of a JSON object's bytes that leave every other byte as it was."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING: Final = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_COMMA: Final = re.compile(rb"[ \t\r\n]*,")
_TWICE: Final = "A key stands more than once at the top of the request body; send each key once."
_END: Final = re.compile(rb"[ \t\r\n]*\}")


def spans(body: bytes) -> Iterator[tuple[str, int, int]]:
    """
    Yield C{(key, start, end)} of each top-level value of the JSON object C{body}.

    The lengths come from one decoding in C, so the cost does not grow with
    what is inside the values.

    @raise Malformed: if it is no JSON object, or if a key stands twice: which
        one a provider would take is anybody's guess, so nobody may edit it.
    """
    try:
        values = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"This is not a JSON object ({error}), so nothing in it can be changed."
        raise Malformed(msg) from None
    at = body.index(b"{") + 1
    for key, raw in values.items():
        found = _STRING.match(body, at)
        value = bytes(raw)
        if found is None or msgspec.json.decode(found[1]) != key or not body.startswith(value, found.end()):
            raise Malformed(_TWICE)
        at = found.end() + len(value)
        yield key, found.end(), at
        comma = _COMMA.match(body, at)
        at = comma.end() if comma else at
    if _END.match(body, at) is None:
        raise Malformed(_TWICE)


def with_value(body: bytes, key: str, value: bytes) -> bytes:
    """
    Return C{body} with the value of one top-level key replaced by other JSON.

    @raise KeyError: if the object has no such key.
    @raise Malformed: see L{spans}.
    """
    found = [(start, end) for name, start, end in spans(body) if name == key]
    if not found:
        raise KeyError(key)
    start, end = found[0]
    return b"".join((body[:start], value, body[end:]))

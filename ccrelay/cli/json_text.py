"""
The text of a JSON object, edited in place: what is not touched stays as it is, byte for byte.

A C{path} is the names that lead to a value, from the outermost object inwards;
a C{literal} is a value as JSON writes it.  Where a name occurs twice in one
object the last one counts, as it does for every parser of note.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_VALUE: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Member:
    """One C{"name": value} of an object: its name, and where name and value begin and the value ends."""

    name: str
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Object:
    """An object in the text: where its braces stand, and its members."""

    opening: int
    closing: int
    members: tuple[_Member, ...]

    def last(self, name: str) -> _Member | None:
        """Return the member that counts under a name, or None."""
        return next((member for member in reversed(self.members) if member.name == name), None)


def literal(text: str, path: Sequence[str]) -> str | None:
    """
    Return the value at a path as it is written, or None where nothing is.

    @param text: a JSON object.
    @raise TypeError: if something on the way to the value is not an object.
    """
    member = _containing(text, path).last(path[-1])
    return None if member is None else text[member.value : member.end]


def put(text: str, path: Sequence[str], written: str) -> str:
    """
    Return the text with a value at a path: replaced where one was, else added as the last of its object.

    @param text: a JSON object; the objects that lead to the value are there.
    @param written: the value's literal.
    @raise TypeError: if something on the way to the value is not an object.
    """
    holder = _containing(text, path)
    member = holder.last(path[-1])
    if member is not None:
        return text[: member.value] + written + text[member.end :]
    name = json.dumps(path[-1])
    if holder.members:
        # Its last neighbour shows the style of the file.
        last = holder.members[-1]
        colon = text[_VALUE.raw_decode(text, last.start)[1] : last.value]
        lead = text[len(text[: last.start].rstrip(" \t\r\n")) : last.start]
        if len(holder.members) == 1 and not lead and colon.endswith(" "):
            lead = " "
        return f"{text[: last.end]},{lead}{name}{colon}{written}{text[last.end :]}"
    newline, unit = _style(text)
    depth = len(path)
    return (
        f"{text[: holder.opening + 1]}{newline}{unit * depth}{name}: {written}"
        f"{newline}{unit * (depth - 1)}{text[holder.closing :]}"
    )


def drop(text: str, path: Sequence[str]) -> str:
    """
    Return the text without the value at a path, nor the comma that it needed.

    @param text: a JSON object.
    @raise TypeError: if something on the way to the value is not an object.
    @raise KeyError: if there is no such value.
    """
    holder = _containing(text, path)
    member = holder.last(path[-1])
    if member is None:
        raise KeyError(path[-1])
    at = holder.members.index(member)
    if len(holder.members) == 1:
        return text[: holder.opening + 1] + text[holder.closing :]
    if at == 0:
        return text[: member.start] + text[holder.members[1].start :]
    return text[: holder.members[at - 1].end] + text[member.end :]


def _style(text: str) -> tuple[str, str]:
    """Return the line ending and one step of indentation; both are empty if all is on one line."""
    top = _object(text, _space(text, 0))
    newline = "\r\n" if "\r\n" in text else "\n"
    if not top.members:
        return newline, "  "
    _, broken, indentation = text[top.opening + 1 : top.members[0].start].rpartition("\n")
    return (newline, indentation) if broken else ("", "")


def _containing(text: str, path: Sequence[str]) -> _Object:
    """Return the object that holds the last name of a path, or would."""
    found = _object(text, _space(text, 0))
    for name in path[:-1]:
        member = found.last(name)
        if member is None or text[member.value] != "{":
            raise TypeError(name)
        found = _object(text, member.value)
    return found


def _object(text: str, opening: int) -> _Object:
    """Return the object that begins at an index of a well-formed text."""
    if text[opening] != "{":
        msg = "not an object"
        raise TypeError(msg)
    members = []
    at = _space(text, opening + 1)
    while text[at] != "}":
        name, after = _VALUE.raw_decode(text, at)
        value = _space(text, _space(text, after) + 1)
        end = _VALUE.raw_decode(text, value)[1]
        members.append(_Member(name, at, value, end))
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
    return _Object(opening, at, tuple(members))


def _space(text: str, at: int) -> int:
    """Return the index of the first character at or after an index that is not space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at

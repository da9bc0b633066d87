"""The head of a message as bytes for the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def rendered(line: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Return a head: its first line, its fields, and the empty line.

    A line break within a value becomes a space, so that nobody smuggles a
    field in by way of another (RFC 9110, 5.5).
    """
    lines = [line, *map(b": ".join, fields)]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        head = b"\r\n".join(b" ".join(each.splitlines()) for each in lines)
    return head + b"\r\n\r\n"


def tokens(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the members of a list field, in lower case."""
    return [token.strip().lower() for key, value in fields if key == name for token in value.split(b",")]

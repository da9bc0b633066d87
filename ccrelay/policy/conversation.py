"""Which conversation a request belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccrelay.wire.http import Pairs

_SESSION: Final = b"x-claude-code-session-id"
_DIGEST_BYTES: Final = 16

# A mark of what to cache, with the comma behind it.  In a JSON string its quotes would be escaped.
_CACHE_MARK: Final = re.compile(
    rb'"cache_control"\s*+:\s*+(?:\{(?:[^{}]++|\{[^{}]*+\})*+\}|null)(?:\s*+(,)(\s*+))?'
)
_STRING: Final = rb'("(?:[^"\\]++|\\.)*+")'
_IS_TEXT: Final = rb'"type"\s*:\s*"text"'
_TEXT: Final = rb'"text"\s*:\s*' + _STRING
_ONE_TEXT: Final = re.compile(
    rb'("content"\s*:\s*)\[\s*\{\s*'
    rb"(?:" + _IS_TEXT + rb"\s*,\s*" + _TEXT + rb"|" + _TEXT + rb"\s*,\s*" + _IS_TEXT + rb")"
    rb"\s*\}\s*\]",
    re.DOTALL,
)
_FIRST_TEXT: Final = re.compile(
    rb'("content"\s*:\s*)\[\s*\{\s*(?:' + _IS_TEXT + rb"\s*,\s*)?" + rb'"text"\s*:\s*', re.DOTALL
)
_LOOKED_AT: Final = 128 * 1024
"""Bytes of what a conversation began with that are looked at."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    What keeps its prompt cache in one place: a client's session, for one model.

    @ivar client: the name of the client, empty where none is asked for.
    @ivar session: see L{named_session} and L{opening_session}.
    @ivar model: as the client asked for it.
    @ivar digest: 16 bytes that stand for it; the same in every process.
    """

    client: str
    session: str
    model: str
    digest: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make the digest, which is asked for several times in a request."""
        parts = (self.client, self.session, self.model)
        object.__setattr__(self, "digest", _digest([part.encode("utf-8", "surrogatepass") for part in parts]))


def named_session(headers: Pairs, user_session: str) -> str:
    """
    Return the session as the client names it; empty where it does not.

    Claude Code sends C{x-claude-code-session-id} with every request; subagents
    send that of their session (seen in 2.1.330), and so share its conversations.

    @param headers: the client's.
    @param user_session: what C{metadata.user_id} tells (L{MessagesRequest.session}).
    """
    named = (first(headers, _SESSION) or b"").strip()
    return named.decode("latin-1") or user_session


def opening_session(system: bytes, tools: bytes, message: bytes) -> str:
    """
    Return a session for a client that names none: what its conversation began with.

    Clients move the marks of what is to be cached along with the conversation,
    and write a message of one text as a list only while it bears such a mark;
    neither makes it another conversation.

    @param system: the JSON of C{system}, as the client wrote it; empty where it is absent.
    @param tools: likewise the JSON of C{tools}.
    @param message: likewise the JSON of the first message whose role is C{user}.
    Of a part longer than 128 KiB only the beginning counts.

    @return: 32 hexadecimal digits.
    """
    if len(message) > _LOOKED_AT:
        spoken = _FIRST_TEXT.sub(rb"\1", _beginning(message), 1)
    else:
        spoken = _ONE_TEXT.sub(lambda found: found[1] + (found[2] or found[3]), _unmarked(message))
    return _digest((_beginning(system), _beginning(tools), spoken)).hex()


def _beginning(json: bytes) -> bytes:
    """Return JSON without marks, and of much only the beginning."""
    if len(json) <= _LOOKED_AT:
        return _unmarked(json)
    return _unmarked(json[:_LOOKED_AT])[: _LOOKED_AT // 2]  # marks in it may have come or gone


def _unmarked(json: bytes) -> bytes:
    """Return JSON without the marks of what is to be cached."""
    parts: list[bytes] = []
    at = 0
    for mark in _CACHE_MARK.finditer(json):
        before = json[at : mark.start()]
        inside = before.rstrip()
        if inside.endswith(b","):
            parts += (inside[:-1], mark[1] or b"", mark[2] or b"")  # one comma goes, the other stays
        else:
            parts.append(before)
        at = mark.end()
    parts.append(json[at:])
    return b"".join(parts)


def _digest(parts: Iterable[bytes]) -> bytes:
    """Return a digest in which the borders between the parts count."""
    bordered = b"".join([b"%d:%b" % (len(part), part) for part in parts])
    return blake2b(bordered, digest_size=_DIGEST_BYTES).digest()

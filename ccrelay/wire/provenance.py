"""Signatures of thinking, and who made them."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.wire.sse import events

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 65536
"""Signatures that are remembered."""

_DIGEST_BYTES: Final = 12
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NONE: Final = msgspec.Raw(b"null")


class Mark(msgspec.Struct):
    """A block as far as it tells whether it is thinking, and whose."""

    type: str = ""
    signature: msgspec.Raw = _NONE
    data: msgspec.Raw = _NONE


class _Event(msgspec.Struct):
    delta: Mark | None = None
    content_block: Mark | None = None


class _Answer(msgspec.Struct):
    content: list[Mark] = []


_EVENT: Final = msgspec.json.Decoder(_Event)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


def signatures_in_events(whole: bytes) -> Iterator[str]:
    """Yield the signatures of thinking in events, and the data of thinking that is hidden."""
    for _, data in events(whole):
        if _signed(data):
            try:
                event = _EVENT.decode(data)
            except _UNREADABLE:
                continue
            for block in (event.delta, event.content_block):
                yield from signatures(block)


def signatures_in_answer(body: bytes) -> Iterator[str]:
    """Yield the same of a whole message."""
    if _signed(body):
        try:
            answer = _ANSWER.decode(body)
        except _UNREADABLE:
            return
        for block in answer.content:
            yield from signatures(block)


def _signed(data: bytes) -> bool:
    return b"signature" in data or b"redacted_thinking" in data


def signatures(block: Mark | None) -> Iterator[str]:
    """Yield the signature of a block, or the data of thinking that is hidden, if it has one."""
    if block is not None:
        raw = block.data if block.type == "redacted_thinking" else block.signature
        try:
            signed = msgspec.json.decode(raw, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # null, or nothing that was ever signed
        if signed:
            yield signed


class Provenance:
    """Which family made a signature, for the last ones that were seen or asked for."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._families: OrderedDict[bytes, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._families)

    def note_events(self, whole: bytes, family: str) -> None:
        """Remember the signatures in the events of a streamed answer; C{whole} may be any number of them."""
        if b"signature" in whole or b"redacted_thinking" in whole:
            for signature in signatures_in_events(whole):
                self.note(signature, family)

    def note_answer(self, body: bytes, family: str) -> None:
        """Remember the signatures in a whole answer."""
        for signature in signatures_in_answer(body):
            self.note(signature, family)

    def note(self, signature: str, family: str) -> None:
        """Remember one."""
        digest = _digest(signature)
        self._families[digest] = family
        self._families.move_to_end(digest)
        while len(self._families) > self._most:
            self._families.popitem(last=False)

    def family(self, signature: str) -> str | None:
        """Return who made a signature, or None where nobody knows any more."""
        digest = _digest(signature)
        family = self._families.get(digest)
        if family is not None:
            self._families.move_to_end(digest)
        return family


def _digest(signature: str) -> bytes:
    return blake2b(signature.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()

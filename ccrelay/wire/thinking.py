"""Thinking in answers and requests: who signed it, and a body without what another provider cannot read."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.wire.edits import edited, elements, members, without
from ccrelay.wire.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ccrelay.wire.edits import Edit, Part

CLAUDE: Final = "claude"
"""The family whose members verify signatures, each also those of the others."""
_CLAUDE_KINDS: Final = frozenset({"anthropic", "bedrock", "vertex", "azure"})
MOST: Final = 65536
"""Signatures that are remembered."""

_DIGEST_BYTES: Final = 12
_SIGNED: Final = (b"signature", b"redacted_thinking")
_KINDS: Final = ("thinking", "redacted_thinking")
_MARK: Final = b'thinking"'  # ends the type of either kind of block
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_INVALID: Final = re.compile(
    r"invalid\W+(?:signature|data)\W+in\W+(?:redacted_)?thinking"
    r"|thinking\W+blocks?\b.{0,120}cannot be modified",
    re.IGNORECASE | re.DOTALL,
)


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Event(msgspec.Struct):
    delta: _Block | None = None
    content_block: _Block | None = None


class _Answer(msgspec.Struct):
    content: list[_Block] = []


_BLOCK: Final = msgspec.json.Decoder(_Block)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_EVENT: Final = msgspec.json.Decoder(_Event)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


def family_of(kind: str, name: str) -> str:
    """
    Return the family of a provider: those that can read each other's thinking.

    @param kind: its type; C{name}: the operator's name for it.
    """
    return CLAUDE if kind in _CLAUDE_KINDS else f"{kind}:{name}"


def signatures_in_events(whole: bytes) -> Iterator[str]:
    """Yield the signatures of thinking in events, and the data of thinking that is hidden."""
    if not any(mark in whole for mark in _SIGNED):
        return
    for _, data in events(whole):
        if any(mark in data for mark in _SIGNED):
            try:
                event = _EVENT.decode(data)
            except _UNREADABLE:
                continue
            for block in (event.delta, event.content_block):
                yield from _signatures(block)


def signatures_in_answer(body: bytes) -> Iterator[str]:
    """Yield the same of a whole message."""
    if any(mark in body for mark in _SIGNED):
        try:
            answer = _ANSWER.decode(body)
        except _UNREADABLE:
            return
        for block in answer.content:
            yield from _signatures(block)


def _signatures(block: _Block | None) -> Iterator[str]:
    if block is not None:
        signed = block.data if block.type == "redacted_thinking" else block.signature
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


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A body, and how many blocks of thinking are no more in it; the very same bytes for none."""

    body: bytes
    removed: int = 0


def without_foreign(body: bytes, family: str, provenance: Provenance) -> Trimmed:
    """
    Return a request's body without thinking that a provider of C{family} cannot read.

    Thinking that another family is known to have signed goes; what nobody
    signed goes where signatures are verified; what nobody knows stays.
    """

    def foreign(block: _Block) -> bool:
        signed = next(_signatures(block), None)
        if signed is None:
            return family == CLAUDE
        maker = provenance.family(signed)
        return maker is not None and maker != family

    return _without(body, foreign)


def repaired(body: bytes) -> Trimmed:
    """Return a body without any thinking of earlier turns, for the repeat after a refused signature."""
    return _without(body, lambda _block: True)


def refuses_signature(status: int, message: str) -> bool:
    """Return whether a refusal is about the signature of thinking, so that L{repaired} may help."""
    return status == 400 and _INVALID.search(message) is not None  # noqa: PLR2004


def _without(body: bytes, unwanted: Callable[[_Block], bool]) -> Trimmed:
    if _MARK not in body:
        return Trimmed(body)
    try:
        found = next((part for part in members(body) if part.key == "messages"), None)
        if found is None or body.find(_MARK, found.start, found.end) < 0:
            return Trimmed(body)
        return _without_in(body, elements(body, found.start, found.end), unwanted)
    except Malformed:
        return Trimmed(body)  # what cannot be read is the provider's to refuse


def _without_in(body: bytes, messages: list[Part], unwanted: Callable[[_Block], bool]) -> Trimmed:
    edits: list[Edit] = []
    empty: set[int] = set()
    removed = 0
    for index, message in enumerate(messages):
        if body.find(_MARK, message.start, message.end) < 0:
            continue
        blocks = _blocks_of_assistant(body, message)
        gone = {at for at, (_, block) in enumerate(blocks) if block.type in _KINDS and unwanted(block)}
        if not gone:
            continue
        removed += len(gone)
        blank = {at for at, (_, block) in enumerate(blocks) if block.type == "text" and not _says(block)}
        if len(gone | blank) == len(blocks):
            empty.add(index)
        else:
            edits += without([part for part, _ in blocks], gone | blank)
    if len(empty) == len(messages):
        return Trimmed(body)  # a request without a message would be refused in any case
    edits += without(messages, empty)
    return Trimmed(edited(body, edits), removed)


def _blocks_of_assistant(body: bytes, message: Part) -> list[tuple[Part, _Block]]:
    """Return the blocks of an assistant's message; none for any other, or one that cannot be read."""
    try:
        if _MESSAGE.decode(memoryview(body)[message.start : message.end]).role != "assistant":
            return []
        parts = members(body, message.start, message.end)
        content = next((part for part in parts if part.key == "content"), None)
        if content is None or body[content.start : content.start + 1] != b"[":
            return []
        blocks = elements(body, content.start, content.end)
        return [(block, _read(body, block)) for block in blocks]
    except (*_UNREADABLE, Malformed):
        return []


def _read(body: bytes, part: Part) -> _Block:
    try:
        return _BLOCK.decode(memoryview(body)[part.start : part.end])
    except msgspec.ValidationError:
        return _Block()  # none of the kinds that are looked at


def _says(block: _Block) -> bool:
    return bool(block.text and block.text.strip())

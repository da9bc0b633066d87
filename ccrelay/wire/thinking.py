"""Thinking in answers and requests: who signed it, and a body without what another provider cannot read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.wire.body_fields import without_fields
from ccrelay.wire.edits import edited, elements, members, without
from ccrelay.wire.provenance import Mark, signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ccrelay.wire.edits import Edit, Part
    from ccrelay.wire.provenance import Provenance

CLAUDE: Final = "claude"
"""The family whose members verify signatures, each also those of the others."""
_CLAUDE_KINDS: Final = frozenset({"anthropic", "bedrock", "vertex", "azure"})
_KINDS: Final = ("thinking", "redacted_thinking")
_MARK: Final = b'thinking"'  # ends the type of either kind of block
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_INVALID: Final = re.compile(
    r"invalid\W+(?:signature|data)\W+in\W+(?:redacted_)?thinking"
    r"|thinking\W+blocks?\b.{0,120}cannot be modified",
    re.IGNORECASE | re.DOTALL,
)
# "… When `thinking` is enabled, a final `assistant` message must start with a thinking block …"
_WANTED: Final = re.compile(r"must start with a thinking block", re.IGNORECASE)
_OFF: Final = ("thinking", "context_management.edits[clear_thinking_]")
"""What of a request is there only where the model is to think."""


class _Message(msgspec.Struct):
    role: str = ""
    content: list[Mark] | str | None = None


class _Text(msgspec.Struct):
    type: str = ""
    text: str = ""


_TEXT: Final = msgspec.json.Decoder(_Text)
_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_BLOCKS: Final = msgspec.json.Decoder(list[Mark])
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_MESSAGE: Final = msgspec.json.Decoder(_Message)


def family_of(kind: str, name: str) -> str:
    """
    Return the family of a provider: those that can read each other's thinking.

    @param kind: its type; C{name}: the operator's name for it.
    """
    return CLAUDE if kind in _CLAUDE_KINDS else f"{kind}:{name}"


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
    return _without(body, _foreign(family, provenance))


def any_foreign(contents: Iterable[msgspec.Raw], family: str, provenance: Provenance) -> bool:
    """
    Return whether L{without_foreign} might take anything out.

    @param contents: of the assistant's messages.
    """
    foreign = _foreign(family, provenance)
    for content in contents:
        try:
            blocks = _BLOCKS.decode(content)
        except _UNREADABLE:
            return True
        if any(block.type in _KINDS and foreign(block) for block in blocks):
            return True
    return False


def _foreign(family: str, provenance: Provenance) -> Callable[[Mark], bool]:
    def foreign(block: Mark) -> bool:
        signed = next(signatures(block), None)
        if signed is None:
            return family == CLAUDE
        maker = provenance.family(signed)
        return maker is not None and maker != family

    return foreign


def repaired(body: bytes) -> Trimmed:
    """Return a body without any thinking of earlier turns, for the repeat after a refused signature."""
    return _without(body, lambda _block: True)


def refuses_signature(status: int, message: str) -> bool:
    """Return whether a refusal is about the signature of thinking, so that L{repaired} may help."""
    return status == 400 and _INVALID.search(message) is not None  # noqa: PLR2004


def wants_thinking(status: int, message: str) -> bool:
    """Return whether a refusal is about thinking that is missing, so that L{thinking_off} may help."""
    return status == 400 and _WANTED.search(message) is not None  # noqa: PLR2004


def thinking_off(body: bytes) -> bytes:
    """
    Return a body that asks for no thinking and has none, for the repeat after a refusal for lack of it.

    @raise Malformed: if a key of it stands twice.
    """
    return without_fields(repaired(body).body, _OFF)[0]


def _without(body: bytes, unwanted: Callable[[Mark], bool]) -> Trimmed:
    if body.rfind(_MARK) < 0:  # see L{ccrelay.wire.weight.has_media}
        return Trimmed(body)
    try:
        found = next((part for part in members(body) if part.key == "messages"), None)
        if found is None or body.find(_MARK, found.start, found.end) < 0:
            return Trimmed(body)
        affected = _affected(memoryview(body)[found.start : found.end], unwanted)
        return (
            _without_in(body, elements(body, found.start, found.end), affected) if affected else Trimmed(body)
        )
    except Malformed:
        return Trimmed(body)  # what cannot be read is the provider's to refuse


def _affected(messages: memoryview, unwanted: Callable[[Mark], bool]) -> dict[int, set[int]]:
    """Return the places of blocks that go, by the places of their messages; mostly there are none."""
    said: list[_Message | None]
    try:
        said = list(_MESSAGES.decode(messages))  # all at once, which is many times faster than one by one
    except msgspec.ValidationError:
        said = list(_each(messages))
    except _UNREADABLE:
        return {}
    affected = {
        index: {at for at, block in enumerate(message.content) if block.type in _KINDS and unwanted(block)}
        for index, message in enumerate(said)
        if message is not None and message.role == "assistant" and isinstance(message.content, list)
    }
    return {index: gone for index, gone in affected.items() if gone}


def _each(messages: memoryview) -> Iterator[_Message | None]:
    """Yield messages read one by one; None for what is none of the kind that is looked at."""
    try:
        raws = _RAWS.decode(messages)
    except _UNREADABLE:
        return
    for raw in raws:
        try:
            yield _MESSAGE.decode(raw)
        except _UNREADABLE:
            yield None


def _without_in(body: bytes, messages: list[Part], affected: dict[int, set[int]]) -> Trimmed:
    edits: list[Edit] = []
    empty: set[int] = set()
    for index, gone in affected.items():
        message = messages[index]
        parts = members(body, message.start, message.end)
        content = next(part for part in parts if part.key == "content")
        blocks = elements(body, content.start, content.end)
        leaving = gone | {at for at, block in enumerate(blocks) if at not in gone and _is_blank(body, block)}
        if len(leaving) == len(blocks):
            empty.add(index)
        else:
            edits += without(blocks, leaving)
    if len(empty) == len(messages):
        return Trimmed(body)  # a request without a message would be refused in any case
    edits += without(messages, empty)
    return Trimmed(edited(body, edits), sum(map(len, affected.values())))


def _is_blank(body: bytes, part: Part) -> bool:
    """Return whether a block is a text that says nothing."""
    if body.find(b'"text"', part.start, part.end) < 0:
        return False
    try:
        block = _TEXT.decode(memoryview(body)[part.start : part.end])
    except _UNREADABLE:
        return False
    return block.type == "text" and not block.text.strip()

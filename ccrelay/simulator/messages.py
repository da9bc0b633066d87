"""Messages: what a model would answer, as JSON and as a stream (the grammar is in docs/wire.md)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccrelay.wire.sse import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENCODE: Final = msgspec.json.Encoder().encode
_PIECE: Final = 12  # characters of text in one delta: about what a model sends at a time
_CHARACTERS_PER_TOKEN: Final = 4


def tokens(value: object) -> int:
    """Return about how many tokens a JSON value is: a fourth of the characters of its strings and keys."""
    return -(-_characters(value) // _CHARACTERS_PER_TOKEN)


def signature(thinking: str) -> str:
    """Return a signature for a thinking block, which nobody can take for a real one."""
    digest = hashlib.sha256(thinking.encode("utf-8")).digest()
    return "simulated/" + b64encode(digest).decode("ascii")


@dataclass(frozen=True, slots=True)
class Tool:
    """
    A call of a tool.

    @ivar id: made of the message's id and the call's place where it is None.
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """
    One answer of a model.

    @ivar thinking: None for none; an empty one is what C{display: omitted} leaves, a signature alone.
    @ivar input_tokens: what the request is taken to have cost.
    @ivar usage: further keys for C{usage}, and others in the place of the counted ones.
    """

    id: str
    model: str
    text: str
    thinking: str | None = None
    tools: tuple[Tool, ...] = ()
    stop_reason: str = "end_turn"
    input_tokens: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)

    def content(self) -> list[dict[str, Any]]:
        """Return the content blocks: thinking, text, calls of tools."""
        blocks: list[dict[str, Any]] = []
        if self.thinking is not None:
            signed = {"thinking": self.thinking, "signature": signature(self.thinking)}
            blocks.append({"type": "thinking", **signed})
        if self.text:
            blocks.append({"type": "text", "text": self.text})
        for place, tool in enumerate(self.tools):
            name = tool.id or self.id.replace("msg_", "toolu_", 1) + f"_{place}"
            blocks.append({"type": "tool_use", "id": name, "name": tool.name, "input": dict(tool.input)})
        return blocks

    def counted(self) -> dict[str, Any]:
        """Return C{usage} at the end of the answer."""
        output = tokens([self.text, self.thinking or "", [tool.input for tool in self.tools]])
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": max(1, output),
            **self.usage,
        }

    def whole(self) -> bytes:
        """Return the answer to a request without C{stream}."""
        return _ENCODE(
            {
                **self._envelope(),
                "content": self.content(),
                "stop_reason": self.stop_reason,
                "usage": {**self.counted(), "service_tier": "standard"},
            }
        )

    def events(self, pieces: int | None = None) -> Iterator[bytes]:
        """
        Yield the events of the stream, one by one.

        @param pieces: into how many deltas the text is cut; None for one every few characters.
        """
        usage = self.counted()
        yield _event(
            "message_start",
            message={
                **self._envelope(),
                "content": [],
                "stop_reason": None,
                "usage": {**usage, "output_tokens": 1, "service_tier": "standard"},
            },
        )
        for index, block in enumerate(self.content()):
            yield _event("content_block_start", index=index, content_block={**block, **_EMPTY[block["type"]]})
            if index == 0:
                yield _event("ping")
            for delta in _deltas(block, pieces):
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        stop = {"stop_reason": self.stop_reason, "stop_sequence": None}
        yield _event("message_delta", delta=stop, usage=usage)
        yield _event("message_stop")

    def _envelope(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "stop_sequence": None,
        }


_EMPTY: Final[Mapping[str, dict[str, Any]]] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}
"""What the deltas fill, by the block's type, as it stands in C{content_block_start}."""


def cut(text: str, pieces: int | None) -> Iterator[str]:
    """
    Yield a text in pieces that are not empty.

    @param pieces: how many, all about as long; None for one every few characters.
    """
    step = _PIECE if pieces is None else max(1, -(-len(text) // max(1, pieces)))
    for start in range(0, len(text), step):
        yield text[start : start + step]


def _deltas(block: Mapping[str, Any], pieces: int | None) -> Iterator[dict[str, str]]:
    match block["type"]:
        case "thinking":
            for piece in cut(block["thinking"], None):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            for piece in cut(block["text"], pieces):
                yield {"type": "text_delta", "text": piece}
        case _:
            # The real stream, too, begins with an empty piece.
            for piece in ("", *cut(_ENCODE(block["input"]).decode("utf-8"), None)):
                yield {"type": "input_json_delta", "partial_json": piece}


def _event(kind: str, **more: object) -> bytes:
    return render(kind.encode("ascii"), _ENCODE({"type": kind, **more}))


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _characters(inner) for key, inner in value.items())
    if isinstance(value, list):
        return sum(map(_characters, value))
    return 0 if value is None else 1

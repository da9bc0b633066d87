"""Ollama: Anthropic's format with the corners that its server leaves out put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.anthropic import AnthropicFormat
from ccrelay.providers.betas import EVERYTHING
from ccrelay.providers.interfaces import Capabilities, Stage
from ccrelay.providers.translators import PassThrough
from ccrelay.wire.splice import with_value
from ccrelay.wire.sse import events

if TYPE_CHECKING:
    from ccrelay.providers.betas import Betas
    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, UpstreamRequest
    from ccrelay.wire.request import MessagesRequest


class _Content(msgspec.Struct):
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Messages(msgspec.Struct):
    messages: list[Any]


_CONTENT: Final = msgspec.json.Decoder(_Content)
_MESSAGES: Final = msgspec.json.Decoder(_Messages)
_NULL: Final = msgspec.Raw(b"null")
_UNAVAILABLE: Final = 503
_OVERLOADED: Final = 529


def error_table(status: int, said: ErrorBody, _now: float) -> Complaint | None:
    """Return an overload for 503, which is how Ollama says that its queue is full."""
    if status in (_UNAVAILABLE, _OVERLOADED):
        message = said.message or "Ollama is busy; its queue of requests is full."
        return Complaint(Verdict.BUSY, _OVERLOADED, "overloaded_error", message)
    return None


class Ollama(AnthropicFormat):
    """
    A local or hosted Ollama server (facts: docs/wire.md, Ollama).

    It takes images only as base64, may answer C{content: null}, and leaves
    fields of C{message_start} out that SDKs expect.
    """

    __slots__ = ()

    def __init__(self, base_url: str, scheme: str = "none", betas: Betas = EVERYTHING) -> None:
        super().__init__(
            "ollama",
            base_url,
            scheme,
            Capabilities(counts_tokens=False),
            error_table,
            models_path="/v1/models",
            probe_path="/api/version",
            betas=betas,
        )

    def compose(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """
        Return the client's own bytes.

        @raise Malformed: for an image that is not base64; Ollama fetches none.
        """
        if b'"url"' in request.body and _has_url_image(request.body):
            msg = "Ollama takes images only as base64: send source {type: base64, media_type, data}, no URL."
            raise Malformed(msg)
        return super().compose(request, headers, query)

    def translator(self) -> ITranslator:
        """Return a translator that completes C{message_start}."""
        return _CompletedStart()

    def message(self, body: bytes) -> bytes | None:
        """Return the message, with C{content: null} as an empty list."""
        whole = super().message(body)
        if whole is None:
            return None
        try:
            empty = _CONTENT.decode(whole).content == _NULL
            return with_value(whole, "content", b"[]") if empty else whole
        except (msgspec.DecodeError, UnicodeDecodeError, Malformed):
            return None


class _CompletedStart(PassThrough):
    """Fills what C{message_start} lacks; all other events go on as they are."""

    def feed(self, data: bytes) -> bytes:
        before = self.stage
        whole = super().feed(data)
        if before == Stage.NOTHING and self.stage > Stage.NOTHING:
            for name, said in events(whole):
                if name == b"message_start":
                    return whole.replace(said, _completed(said), 1)
        return whole


def _completed(data: bytes) -> bytes:
    try:
        start: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    message = start.get("message") if isinstance(start, dict) else None
    if not isinstance(message, dict):
        return data
    usage = message.get("usage") or {}
    filled = {
        "content": message.get("content") or [],
        "stop_reason": message.get("stop_reason"),
        "stop_sequence": message.get("stop_sequence"),
        "usage": {"input_tokens": 0, "output_tokens": 0, **usage} if isinstance(usage, dict) else usage,
    }
    completed = {**message, **filled}
    return data if completed == message else msgspec.json.encode({**start, "message": completed})


def _has_url_image(body: bytes) -> bool:
    """Return whether a message, or a tool's result in one, has an image with a URL for its source."""
    try:
        todo: list[Any] = list(_MESSAGES.decode(body).messages)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # what cannot be read is the server's to refuse
    while todo:
        item = todo.pop()
        if not isinstance(item, dict):
            continue
        source = item.get("source")
        if item.get("type") == "image" and isinstance(source, dict) and source.get("type") == "url":
            return True
        inside = item.get("content")
        todo.extend(inside if isinstance(inside, list) else ())
    return False

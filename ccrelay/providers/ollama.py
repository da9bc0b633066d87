"""Ollama: Anthropic's format with the corners that its server leaves out put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.anthropic import AnthropicFormat
from ccrelay.providers.interfaces import Capabilities, Stage
from ccrelay.providers.translators import PassThrough
from ccrelay.wire.splice import with_value
from ccrelay.wire.sse import events, render

if TYPE_CHECKING:
    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, UpstreamRequest
    from ccrelay.wire.request import MessagesRequest

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

    def __init__(self, base_url: str, scheme: str = "none") -> None:
        super().__init__(
            "ollama",
            base_url,
            scheme,
            Capabilities(counts_tokens=False),
            error_table,
            models_path="/v1/models",
            probe_path="/api/version",
        )

    def compose(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """
        Return the client's own bytes.

        @raise Malformed: for an image that is not base64; Ollama fetches none.
        """
        if b'"url"' in request.body and _has_url_image(msgspec.json.decode(request.body)):
            msg = "Ollama takes images only as base64: send source {type: base64, media_type, data}, no URL."
            raise Malformed(msg)
        return super().compose(request, headers, query)

    def translator(self) -> ITranslator:
        """Return a translator that completes C{message_start}."""
        return _CompletedStart()

    def message(self, body: bytes) -> bytes | None:
        """Return the message, with C{content: null} as an empty list."""
        whole = super().message(body)
        if whole is not None and msgspec.json.decode(whole).get("content", ()) is None:
            return with_value(whole, "content", b"[]")
        return whole


class _CompletedStart(PassThrough):
    """Fills what C{message_start} lacks; all other events go on as they are."""

    def feed(self, data: bytes) -> bytes:
        before = self.stage
        whole = super().feed(data)
        if before == Stage.NOTHING and self.stage > Stage.NOTHING and b"message_start" in whole:
            return b"".join(
                render(name, _completed(said) if name == b"message_start" else said)
                for name, said in events(whole)
            )
        return whole


def _completed(data: bytes) -> bytes:
    try:
        start: Any = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data
    message = start.get("message") if isinstance(start, dict) else None
    if not isinstance(message, dict):
        return data
    message["content"] = message.get("content") or []
    for name in ("stop_reason", "stop_sequence"):
        message.setdefault(name, None)
    usage = message.setdefault("usage", {})
    if isinstance(usage, dict):
        usage.setdefault("input_tokens", 0)
        usage.setdefault("output_tokens", 0)
    return msgspec.json.encode(start)


def _has_url_image(value: Any) -> bool:  # noqa: ANN401  any JSON
    """Return whether an image block anywhere in the request has a URL for its source."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            source = item.get("source")
            if item.get("type") == "image" and isinstance(source, dict) and source.get("type") == "url":
                return True
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return False

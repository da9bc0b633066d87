"""A streamed answer of Bedrock's: from frames of Amazon's event stream to server-sent events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.providers import aws_errors
from ccrelay.providers.translators import PassThrough
from ccrelay.wire.edits import edited, members, without
from ccrelay.wire.error_json import kind_of
from ccrelay.wire.eventstream import EventStreamReader
from ccrelay.wire.sse import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.wire.eventstream import Value

_METRICS: Final = "amazon-bedrock-invocationMetrics"
_METRICS_BYTES: Final = _METRICS.encode()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TYPE: Final = re.compile(rb'\{"type":"([a-z_]+)"')
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class _Chunk(msgspec.Struct):
    """The payload of a C{chunk}; C{p} pads it to hide its length, and says nothing."""

    event: bytes = msgspec.field(name="bytes")  # base64 in the JSON


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_EVENT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class BedrockStream(PassThrough):
    """
    Turns frames into the events that are in them, each with the very bytes of its JSON.

    An exception among them, and a stream that is damaged, become an C{error}
    event; nothing is read after it, nor after the end of the message, which
    takes nothing from what the client has got whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self._frames = EventStreamReader()
        self._over = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of frames and return whole events."""
        events: list[bytes] = []
        for headers, payload in self._frames.feed(data):
            if not self._over:
                events.append(self._event(headers, payload))
        if self._frames.error is not None and not self._over:
            events.append(self._failed("api_error", f"Bedrock: {self._frames.error.message}"))
        return super().feed(b"".join(events)) if events else b""

    def _event(self, headers: Mapping[str, Value], payload: bytes) -> bytes:
        if headers.get(":event-type") == "chunk":
            try:
                return self._chunk(_CHUNK.decode(payload).event)
            except _UNREADABLE:
                return self._failed("api_error", "Bedrock sent a chunk that cannot be read.")
        kind = headers.get(":message-type")
        if kind == "exception":
            return self._exception(str(headers.get(":exception-type", "")), payload)
        if kind == "error":
            said = msgspec.json.encode({"message": str(headers.get(":error-message", ""))})
            return self._exception(str(headers.get(":error-code", "")), said)
        return b""  # a kind of event that nobody knows today is none of the Messages API's

    def _chunk(self, event: bytes) -> bytes:
        if _METRICS_BYTES in event:
            event = _without_metrics(event)
        found = _TYPE.match(event)
        name = found[1] if found else _name(event)
        if name is None:
            return b""  # figures of AWS's own
        self._over = name == b"message_stop"
        if b"\n" in event or b"\r" in event:
            event = b"\ndata: ".join(_LINE_END.split(event))
        return render(name, event)

    def _exception(self, name: str, payload: bytes) -> bytes:
        failure = aws_errors.read(name.encode("latin-1", "replace"), payload)
        found = aws_errors.complaint_of(failure)
        if found is None:
            unsaid = f"Bedrock ended the answer with {name or 'an error'}."
            return self._failed("api_error", aws_errors.clean(failure.said.message) or unsaid)
        return self._failed(kind_of(found.status), found.message)

    def _failed(self, kind: str, message: str) -> bytes:
        self._over = True
        return render(b"error", error_data(kind, message))


def error_data(kind: str, message: str) -> bytes:
    """Return the JSON of an C{error} event that stands for an exception."""
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})


def _name(event: bytes) -> bytes | None:
    """
    Return the C{type} of an event, or None where it has none.

    @raise msgspec.DecodeError: if it is no JSON object.
    """
    raw = _EVENT.decode(event).get("type")
    name = msgspec.json.decode(raw) if raw is not None else None
    return name.encode("utf-8", "replace") if isinstance(name, str) and name.isprintable() else None


def _without_metrics(event: bytes) -> bytes:
    """Return an event without AWS's figures, if they are a member of it."""
    try:
        parts = members(event)
    except Malformed:
        return event
    return edited(event, without(parts, {at for at, part in enumerate(parts) if part.key == _METRICS}))

"""Acts: what an upstream does in answer to one request, each a value that tells its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from ccrelay.simulator.messages import Message, Tool, tokens
from ccrelay.simulator.steps import Chunk, End, Head, Step, Wait
from ccrelay.wire.error_json import envelope, kind_of
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ccrelay.simulator.asked import Asked
    from ccrelay.wire.http import Pairs

SIMULATED: Final = "[simulated] "
"""How every text begins that the simulator makes up."""

_OVERLOADED: Final = 529  # Anthropic's own; no registry of HTTP knows it


class Act(Protocol):
    """One answer."""

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield what to do, in order, for this request."""


def head(asked: Asked, kind: str, headers: Pairs, status: int = 200, length: int | None = None) -> Head:
    """
    Return the head of an answer of Anthropic's: with a C{request-id}, unless C{headers} has its own.

    @param kind: the C{content-type}, unless C{headers} has its own; empty for none.
    """
    usual = (
        (b"content-type", kind.encode("latin-1")),
        (b"request-id", asked.request_id.encode("ascii")),
    )
    added = tuple((name, value) for name, value in usual if value and first(headers, name) is None)
    return Head(status, added + headers, length)


@dataclass(frozen=True, slots=True)
class Says:
    """
    A Message: an event stream where the request asks for one, else JSON.

    @ivar text: what it says, as it is.
    @ivar thinking: a thinking block ahead of it; empty for one whose text is left out.
    @ivar tools: calls of tools behind it; the C{stop_reason} is then C{tool_use}.
    @ivar pace: seconds between two events; JSON takes as long as its stream would.
    @ivar pieces: into how many deltas the text is cut; None for one every few characters.
    @ivar usage: keys of C{usage} in the place of the counted ones, or more.
    @ivar stop_reason: in the place of the one that fits.
    @ivar headers: further header fields: C{anthropic-ratelimit-…}, say.
    """

    text: str
    thinking: str | None = None
    tools: tuple[Tool, ...] = ()
    pace: float = 0.0
    pieces: int | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    headers: Pairs = ()

    def message(self, asked: Asked) -> Message:
        """Return the Message that answers this request."""
        body = asked.json if isinstance(asked.json, dict) else {}
        return Message(
            id=f"msg_sim_{asked.number:08d}",
            model=asked.model,
            text=self.text,
            thinking=self.thinking,
            tools=self.tools,
            stop_reason=self.stop_reason or ("tool_use" if self.tools else "end_turn"),
            input_tokens=tokens([body.get(key) for key in ("system", "messages", "tools")]),
            usage=self.usage,
        )

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the head, then each event at its time, or the JSON."""
        message = self.message(asked)
        if not asked.stream:
            if self.pace:
                yield Wait(self.pace * sum(1 for _ in message.events(self.pieces)))
            yield from Sends(message.whole(), "application/json", headers=self.headers).steps(asked)
            return
        yield head(asked, EVENT_STREAM, (*self.headers, (b"cache-control", b"no-cache")))
        for place, event in enumerate(message.events(self.pieces)):
            if place and self.pace:
                yield Wait(self.pace)
            yield Chunk(event)
        yield End()


EVENT_STREAM: Final = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sends:
    """An answer of these very bytes, with their length: HTML, garbage, nothing at all."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Pairs = ()

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield head, body and end."""
        yield head(asked, self.content_type, self.headers, self.status, len(self.body))
        if self.body:
            yield Chunk(self.body)
        yield End()


@dataclass(frozen=True, slots=True)
class Refuses:
    """
    An error.

    @ivar message: its words; by default one that fits the status.
    @ivar kind: C{error.type}; by default Anthropic's for the status.
    @ivar headers: further header fields: C{retry-after}, C{x-should-retry}.
    @ivar body: all of the body, where it is not to be Anthropic's envelope.
    @ivar content_type: the body's.
    """

    status: int
    message: str | None = None
    kind: str | None = None
    headers: Pairs = ()
    body: bytes | None = None
    content_type: str = "application/json"

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the steps of a L{Sends}."""
        body = self.body
        if body is None:
            message = SIMULATED + phrase(self.status) if self.message is None else self.message
            body = envelope(self.kind or kind_of(self.status), message, asked.request_id)
        yield from Sends(body, self.content_type, self.status, self.headers).steps(asked)


@dataclass(frozen=True, slots=True)
class Streams:
    """
    A body of these very pieces, each in a write of its own.

    @ivar events: bytes, and steps between them: L{Wait}, L{Hang}, L{Reset}, L{Cut}.
    @ivar pace: seconds between two pieces.
    """

    events: tuple[bytes | Step, ...]
    content_type: str = EVENT_STREAM
    status: int = 200
    headers: Pairs = ()
    pace: float = 0.0

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the head, the pieces, and an end."""
        yield head(asked, self.content_type, self.headers, self.status)
        for place, event in enumerate(self.events):
            if place and self.pace:
                yield Wait(self.pace)
            yield Chunk(event) if isinstance(event, bytes) else event
        yield End()


@dataclass(frozen=True, slots=True)
class Plays:
    """These very steps, with nothing added: no C{request-id}, no L{End} but the one they have."""

    script: tuple[Step, ...]

    def steps(self, asked: Asked) -> Iterator[Step]:  # noqa: ARG002  the same whoever asks
        """Yield them."""
        yield from self.script


def phrase(status: int) -> str:
    """Return what a status is called."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded" if status == _OVERLOADED else "Error"

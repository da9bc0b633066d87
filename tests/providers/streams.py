"""Streams of Anthropic's format, well-made and otherwise, and ways to cut them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ccrelay.simulator.messages import Message, Tool

if TYPE_CHECKING:
    from ccrelay.providers.interfaces import ITranslator

USAGE = {
    "input_tokens": 25,
    "output_tokens": 15,
    "cache_read_input_tokens": 7,
    "cache_creation_input_tokens": 3,
}
STREAM = b"".join(
    Message(
        "msg_1", "claude-opus-5", "Grüße, message_stop event: error\n\n", thinking="hm",
        tools=(Tool("a", {"n": 1}), Tool("b")), usage=USAGE,
    ).events()
)  # fmt: skip
"""A whole answer, with words in its text that look like events."""

_BLOCKS = [
    *(block for block in STREAM.split(b"\n\n") if block),
    b": comment",
    b"id: 7",
    b"event: of_tomorrow\ndata: {}",
    b'event: error\ndata: {"type":"error","error":{"type":"t","message":"m"}}',
    b"event: message_start\ndata: not json",
    b'event: message_delta\ndata: {"usage":{"output_tokens":9}}\ndata:',
    b'event: message_delta\ndata: {"usage":\xff}',
    b"event:message_stop\ndata:{}",
]


@st.composite
def _streams(draw: st.DrawFn) -> bytes:
    blocks = draw(st.lists(st.sampled_from(_BLOCKS), max_size=8))
    unfinished = draw(st.sampled_from([b"", b"event: message_stop\ndata: {}", b"da"]))
    stream = b"".join(block + b"\n\n" for block in blocks) + unfinished
    return stream.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n"])))


STREAMS = _streams() | st.just(STREAM)


@st.composite
def _pieces(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    cuts = draw(st.sets(st.integers(0, len(stream)), max_size=12))
    return [stream[start:end] for start, end in pairwise([0, *sorted(cuts), len(stream)])]


CUT = _pieces
"""A strategy for the pieces that a stream may come in, some of them empty."""


def fed(translator: ITranslator, pieces: list[bytes]) -> list[bytes]:
    """Return what a translator hands on for each piece."""
    return [translator.feed(piece) for piece in pieces]


def spelled(stream: bytes) -> bytes:
    """Return a stream up to the end of its last complete event."""
    ends = [blank.end() for blank in re.finditer(rb"(?:\r\n|\n){2}", stream)]
    return stream[: ends[-1]] if ends else b""

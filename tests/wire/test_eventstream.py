"""The rules of Amazon's event stream: read as by AWS's own library, and said to be damaged where it is."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any
from zlib import crc32

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.eventstream import LONGEST_HEADERS, LONGEST_PAYLOAD, EventStreamReader
from tests.wire.frames import chunk, exception, framed, header, message

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_KINDS: dict[int, st.SearchStrategy[Any]] = {
    0: st.just(True), 1: st.just(False), 2: st.integers(-128, 127), 3: st.integers(-(2**15), 2**15 - 1),
    4: st.integers(-(2**31), 2**31 - 1), 5: st.integers(-(2**63), 2**63 - 1), 6: st.binary(max_size=40),
    7: NAMES, 8: st.integers(-(2**63), 2**63 - 1), 9: st.binary(min_size=16, max_size=16),
}  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a message with headers of any type."""
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    kinds = [draw(st.sampled_from(sorted(_KINDS))) for _ in names]
    spelled = (header(name, draw(_KINDS[kind]), kind) for name, kind in zip(names, kinds, strict=True))
    return framed(b"".join(spelled), draw(st.binary(max_size=60)))


STREAMS = st.lists(messages(), max_size=6).map(b"".join)


def read(stream: bytes, *cuts: int) -> tuple[list[tuple[dict[str, Any], bytes]], EventStreamReader]:
    """Feed a stream, cut at places, to a new reader."""
    reader = EventStreamReader()
    found = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        found += [(dict(headers), payload) for headers, payload in reader.feed(stream[start:end])]
    return found, reader


def read_by_aws(stream: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Return what AWS's own library reads."""
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    return [(found.headers, found.payload) for found in buffer]


class ReadingTests(SynchronousTestCase):
    """Messages that are whole."""

    @given(STREAMS, st.data())
    def test_as_awss_own_library(self, stream: bytes, data: st.DataObject) -> None:
        """However a stream comes in pieces, its messages are those that botocore finds in it."""
        cuts = data.draw(st.sets(st.integers(0, len(stream)), max_size=8))
        found, reader = read(stream, *sorted(cuts))
        self.assertEqual(found, read_by_aws(stream))
        self.assertIsNone(reader.error)
        self.assertEqual(reader.held, 0)

    def test_byte_by_byte(self) -> None:
        """A stream that comes one byte at a time is the same stream."""
        stream = chunk(b'{"type":"ping"}') + exception("throttlingException", message="slow")
        stream += framed(b"", b"")
        self.assertEqual(read(stream, *range(1, len(stream)))[0], read_by_aws(stream))

    def test_a_message_is_told_when_it_is_whole(self) -> None:
        """A message is handed on with its last byte, and what is missing of the next one is known."""
        first, second = chunk(b"{}"), chunk(b"{}")
        reader = EventStreamReader()
        self.assertEqual(reader.feed(first[:-1]), [])
        self.assertEqual(len(reader.feed(first[-1:] + second[:5])), 1)
        self.assertEqual(reader.held, 5)
        self.assertEqual(len(reader.feed(second[5:])), 1)
        self.assertEqual(reader.held, 0)

    def test_a_large_message_in_small_pieces(self) -> None:
        """A message of some megabytes in pieces of some kilobytes is put together once."""
        payload = bytes(range(256)) * 12000
        stream = message(payload, event_type="chunk")
        found, _ = read(stream, *range(16384, len(stream), 16384))
        self.assertEqual(found, [({":event-type": "chunk"}, payload)])

    def test_headers_that_repeat(self) -> None:
        """The same headers mean the same in each message, and others mean others."""
        stream = message(b"1", a="x") + message(b"2", a="x") + message(b"3", a="y") + message(b"4", a="x")
        self.assertEqual([headers[":a"] for headers, _ in read(stream)[0]], ["x", "x", "y", "x"])


class DamageTests(SynchronousTestCase):
    """Streams that cannot be trusted."""

    def assert_broken(self, stream: bytes, *words: str) -> None:
        """Assert that a stream ends in an error, and stays so."""
        found, reader = read(stream)
        self.assertIsNotNone(reader.error)
        self.assertIn("event stream is damaged", reader.error.message)
        for word in words:
            self.assertIn(word, reader.error.message)
        self.assertEqual(found, [])
        self.assertEqual(reader.feed(framed(b"", b"")), [])

    @given(messages(), st.data())
    def test_any_flipped_bit_is_seen(self, good: bytes, data: st.DataObject) -> None:
        """One wrong byte, wherever it is, is never taken for a message."""
        at = data.draw(st.integers(0, len(good) - 1))
        flipped = bytes([good[at] ^ data.draw(st.integers(1, 255))])
        self.assert_broken(good[:at] + flipped + good[at + 1 :] + bytes(64), "checksum")

    def test_what_came_before_it(self) -> None:
        """Messages before the damage are handed on, and none after it."""
        bad = bytearray(chunk(b"{}"))
        bad[-1] ^= 1
        found, reader = read(chunk(b"{}") + bytes(bad) + chunk(b"{}"))
        self.assertEqual(len(found), 1)
        self.assertIsNotNone(reader.error)

    def test_lengths_that_cannot_be(self) -> None:
        """Lengths over AWS's limits, or that contradict each other, are refused before anything is kept."""
        for total, headers in (
            (LONGEST_HEADERS + 17, LONGEST_HEADERS + 1), (LONGEST_PAYLOAD + 17, 0), (15, 0), (0, 0),
            (100, 90), (2**32 - 1, 0), (2**32 - 1, 2**32 - 1),
        ):  # fmt: skip
            lengths = struct.pack("!II", total, headers)
            self.assert_broken(lengths + struct.pack("!I", crc32(lengths)), "bytes")

    def test_the_largest_that_may_be(self) -> None:
        """A message at the limits is waited for."""
        lengths = struct.pack("!II", LONGEST_HEADERS + LONGEST_PAYLOAD + 16, LONGEST_HEADERS)
        _, reader = read(lengths + struct.pack("!I", crc32(lengths)))
        self.assertIsNone(reader.error)

    def test_headers_that_cannot_be_read(self) -> None:
        """Headers cut short, of unknown types, not UTF-8 or that stand twice are refused."""
        for raw in (
            b"\x01", b"\x05abc", b"\x01a", b"\x01a\x07\x00", b"\x01a\x07\x00\x05abc", b"\x01a\x04\x00\x00",
            b"\x01a\x09abc", b"\x01a\x0a", b"\x01\xff\x00", header("a", b"\xff", 6)[:3] + b"\x07\x00\x01\xff",
            header("a", "x") + header("a", "y"),
        ):  # fmt: skip
            self.assert_broken(framed(raw, b""), "header")

    def test_a_web_page(self) -> None:
        """What is something else altogether is said to be damaged."""
        self.assert_broken(b"<html><body>Bad Gateway</body></html>", "checksum")

    def test_a_stream_cut_short(self) -> None:
        """Of a stream that ends within a message some bytes are left over, at whatever byte it ends."""
        stream = chunk(b'{"type":"ping"}')
        for at in range(1, len(stream)):
            found, reader = read(stream[:at])
            self.assertEqual((found, reader.held, reader.error), ([], at, None))

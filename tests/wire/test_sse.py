"""The rules of server-sent events: no byte is changed, and whoever cuts a stream cuts it between events."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.sse import LONGEST_HELD, PING, EventReader, events, render, unfinished, without

PIECES = st.sampled_from([b"data: {}", b"event: a", b": c", b"data", b"x", b"\xc3\xa4", b":"])
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


@st.composite
def streams(draw: st.DrawFn, line_ends: st.SearchStrategy[bytes] = LINE_ENDS) -> bytes:
    """Draw a stream whose lines all end in one way, complete or not."""
    line_end = draw(line_ends)
    return b"".join(draw(st.lists(PIECES | st.just(line_end), max_size=30)))


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Draw pieces of the data, none of them empty."""
    cuts = draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12))
    return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]


def read(pieces: list[bytes]) -> tuple[list[bytes], EventReader]:
    """Feed pieces to a new reader."""
    reader = EventReader()
    return [reader.feed(piece) for piece in pieces], reader


class EventReaderTests(SynchronousTestCase):
    """What goes on, and what waits."""

    @given(streams(), st.data())
    def test_no_byte_is_lost_or_changed(self, stream: bytes, data: st.DataObject) -> None:
        """However a stream comes in pieces, what goes on and what is held back are the stream."""
        handed, reader = read(data.draw(cut(stream)))
        self.assertEqual(b"".join(handed) + reader.tail, stream)

    @given(streams(), st.data())
    def test_only_whole_events_go_on(self, stream: bytes, data: st.DataObject) -> None:
        """What has gone on ends with a blank line at every moment, so that a ping may follow."""
        handed, reader = read(data.draw(cut(stream)))
        gone = b""
        for piece in handed:
            gone += piece
            self.assertTrue(not gone or re.search(rb"(?:\r\n|\n|\r){2}\Z", gone), gone)
        self.assertFalse(reader.split)

    @given(streams(), st.data())
    def test_no_whole_event_waits(self, stream: bytes, data: st.DataObject) -> None:
        """What is held back has no end of an event in it, but for the LF of a CR LF that was cut in two."""
        _, reader = read(data.draw(cut(stream)))
        self.assertIsNone(BLANK.search(reader.tail.removeprefix(b"\n")))

    @given(streams(st.just(b"\n")), st.data())
    def test_how_it_is_cut_does_not_matter(self, stream: bytes, data: st.DataObject) -> None:
        """In pieces or at once the same events go on; blank lines beyond the first say nothing."""
        handed, _ = read(data.draw(cut(stream)))
        self.assertEqual(b"".join(handed).rstrip(b"\n"), read([stream])[0][0].rstrip(b"\n"))

    def test_a_chunk_of_whole_events_is_not_copied(self) -> None:
        """The usual case costs nothing: the very bytes that came go on."""
        for line_end in (b"\n", b"\r\n", b"\r"):
            chunk = (PING + PING).replace(b"\n", line_end)
            self.assertIs(EventReader().feed(chunk), chunk)

    def test_a_long_event_goes_on_in_pieces(self) -> None:
        """An event over the limit is not held back, and is known to be cut until its end has come."""
        reader = EventReader()
        self.assertEqual(reader.feed(PING + b"d" * LONGEST_HELD), PING)
        self.assertFalse(reader.split)
        self.assertEqual(reader.feed(b"d"), b"d" * (LONGEST_HELD + 1))
        self.assertTrue(reader.split)
        self.assertEqual(reader.feed(b"dd"), b"")
        self.assertTrue(reader.split)
        self.assertEqual(reader.feed(b"\n\nevent"), b"dd\n\n")
        self.assertFalse(reader.split)
        self.assertEqual(reader.tail, b"event")

    def test_the_end_of_a_long_event_may_be_cut_in_two(self) -> None:
        """A long event ends with its blank line, wherever between the two line ends the pieces part."""
        for line_end in (b"\n", b"\r\n", b"\r"):
            end = line_end + line_end
            for at in range(1, len(end)):
                reader = EventReader()
                gone = reader.feed(b"d" * (LONGEST_HELD + 1) + end[:at])
                self.assertTrue(reader.split or gone.endswith(b"\r\n\r"))
                gone += reader.feed(end[at:])
                self.assertEqual(gone.rstrip(b"\r\n"), b"d" * (LONGEST_HELD + 1))
                self.assertFalse(reader.split, end[:at])
                self.assertIn(reader.tail, (b"", b"\n"))

    def test_what_is_held_back_is_bounded(self) -> None:
        """A provider that never ends its event cannot fill the memory."""
        reader = EventReader()
        for _ in range(300):
            reader.feed(b"d" * 1000)
            self.assertLessEqual(len(reader.tail), LONGEST_HELD)


class EventsTests(SynchronousTestCase):
    """What events say."""

    def test_names_and_data(self) -> None:
        """An event has its name and its data, in whatever way its lines end."""
        for line_end in ("\n", "\r\n", "\r"):
            whole = "event: a\ndata: 1\n\nevent: b\ndata: 2\n\n".replace("\n", line_end).encode()
            self.assertEqual(list(events(whole)), [(b"a", b"1"), (b"b", b"2")])

    def test_several_lines_of_data_are_one(self) -> None:
        """Lines of data are joined by line ends, and one space after the colon is not theirs."""
        self.assertEqual(list(events(b"data:1\ndata:  2\ndata\n\n")), [(b"", b"1\n 2\n")])

    def test_comments_and_other_fields_say_nothing(self) -> None:
        """Comments, ids, retry times and blank lines are passed over."""
        self.assertEqual(list(events(b": hello\n\n\n\nid: 7\nretry: 9\n\n:\ndata: 1\n\n")), [(b"", b"1")])

    @given(st.lists(st.tuples(st.sampled_from([b"ping", b"error"]), st.sampled_from([b"{}", b'{"a": 1}']))))
    def test_what_is_written_is_read(self, written: list[tuple[bytes, bytes]]) -> None:
        """Rendered events are whole, and say what was put in."""
        whole = b"".join(render(name, data) for name, data in written)
        self.assertEqual(list(events(EventReader().feed(whole))), written)

    def test_a_ping_is_an_event_like_anthropics(self) -> None:
        """The ping has the name that is its type, as clients drop events without one."""
        self.assertEqual(list(events(PING)), [(b"ping", b'{"type": "ping"}')])

    def test_what_is_left_out_leaves_the_rest(self) -> None:
        """Leaving out the events of a name changes no byte of the others, nor of an unfinished one."""
        for line_end in (b"\n", b"\r\n", b"\r"):
            parts = [part.replace(b"\n", line_end) for part in (b": hi\n\n", b"event: a\ndata: 1\n\n", PING)]
            tail = b"event: a" + line_end + b"data: 2"
            self.assertEqual(without(b"".join(parts) + tail, b"a"), parts[0] + parts[2] + tail)

    def test_the_name_of_an_unfinished_event(self) -> None:
        """What comes behind the last blank line has a name as soon as its line of that name is there."""
        for line_end in (b"\n", b"\r\n", b"\r"):
            for piece, name in (
                (b"event: a\ndata: 1", b"a"),
                (b": long", b""),
                (b"data: 1", b""),
                (b"", b""),
            ):
                self.assertEqual(unfinished((PING + piece).replace(b"\n", line_end)), name)

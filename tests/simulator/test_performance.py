"""The rules of performances: each step at its time, no faster than the peer reads, and no timer left."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Plays, Refuses, Says, Streams
from ccrelay.simulator.faults import Breaks, Gzips, Stalls
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, Cut, End, Hang, Head, Raw, Step
from tests.network import KERNEL, Answer, sse
from tests.simulator.stage import MESSAGE, Stage

PIECE = 65_536


def performed(*steps: Step) -> Stage:
    """Return a stage on which these steps have been taken."""
    return staged(Plays(steps))


def staged(act: Act) -> Stage:
    """Return a stage on which an act has been played."""
    stage = Stage(Script([act]))
    stage.ask()
    return stage


class StepTests(SynchronousTestCase):
    """What the peer sees of each step."""

    def test_head(self) -> None:
        """The head goes out at once, ahead of all that may follow; no field is added that was not given."""
        stage = performed(Head(529, ((b"x-one", b"1"), (b"x-one", b"2"))), Hang())
        answer = stage.answer()
        self.assertIn(b"HTTP/1.1 529 Overloaded\r\n", stage.peer.received)
        self.assertEqual(answer.headers.pop("date")[-3:], "GMT")
        self.assertEqual(answer.headers, {"x-one": "1, 2", "transfer-encoding": "chunked"})
        self.assertFalse(answer.complete)

    def test_a_known_length(self) -> None:
        """A length is promised, whether or not it is kept."""
        answer = performed(Head(length=10), Chunk(b"abc"), Cut()).answer()
        self.assertEqual(
            (answer.headers["content-length"], answer.body, answer.complete), ("10", b"abc", False)
        )

    def test_until_close(self) -> None:
        """A body may end with its connection."""
        stage = performed(Head(until_close=True), Chunk(b"abc"), End())
        self.assertTrue(stage.peer.received.startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertTrue(stage.peer.received.endswith(b"\r\n\r\nabc"))
        self.assertTrue(stage.peer.closed)

    def test_raw(self) -> None:
        """Raw bytes go out as they are: an interim response, or what is no HTTP at all."""
        stage = performed(Raw(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Head(), Chunk(b"abc"), End())
        self.assertTrue(
            stage.peer.received.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
        )
        self.assertEqual(stage.answer().body, b"abc")
        stage = performed(Raw(b"nonsense"), Raw(b""), Cut())
        self.assertEqual((stage.peer.received, stage.peer.closed), (b"nonsense", True))

    def test_end(self) -> None:
        """An end is proper, and the connection can be used again; steps that run out end like that."""
        for script in ((Head(), Chunk(b"a"), End()), (Head(), Chunk(b"a"))):
            stage = performed(*script)
            self.assertTrue(stage.answer().complete)
            stage.ask_again()
            self.assertEqual(stage.simulator.count, 2)
            self.assertEqual(stage.answer().rest.count(b"HTTP/1.1 200 OK"), 1)

    def test_no_step_at_all(self) -> None:
        """Of no step at all a head is left."""
        self.assertEqual((performed().answer().status, performed().answer().complete), (200, True))

    def test_after_the_end(self) -> None:
        """Nothing is sent after the end."""
        self.assertEqual(performed(Head(), End(), Chunk(b"a")).answer().body, b"")

    def test_an_error_status_without_a_body(self) -> None:
        """A redirect, or an answer of no content, has no body and does not hang."""
        for status in (204, 304, 307):
            stage = performed(Head(status, ((b"location", b"/"),), length=0), End())
            self.assertEqual((stage.answer().status, stage.answer().complete), (status, True))


class EndTests(SynchronousTestCase):
    """How a connection goes down."""

    def test_reset(self) -> None:
        """A reset overtakes nothing: the peer has every event that was sent, and then a RST."""
        stage = staged(Breaks(after_events=4, act=Says("Hello")))
        self.assertEqual(len(sse(stage.answer().body)), 4)
        self.assertFalse(stage.answer().complete)
        self.assertIsNotNone(stage.peer.reason.check(ConnectionLost))

    def test_cut(self) -> None:
        """A cut is a FIN behind the last event, without the end that the framing had promised."""
        stage = staged(Breaks(after_events=4, how="cut", act=Says("Hello")))
        self.assertEqual((len(sse(stage.answer().body)), stage.answer().complete), (4, False))
        self.assertIsNotNone(stage.peer.reason.check(ConnectionDone))

    def test_a_clean_end(self) -> None:
        """A clean end is an end in every respect but that message_stop is missing."""
        stage = staged(Breaks(after_events=4, how="end", act=Says("Hello")))
        self.assertTrue(stage.answer().complete)
        self.assertNotIn(b"message_stop", stage.answer().body)
        self.assertFalse(stage.peer.closed)

    def test_before_the_head(self) -> None:
        """The connection may end without a byte."""
        for how, kind in (("reset", ConnectionLost), ("cut", ConnectionDone)):
            stage = staged(Breaks(after_events=None, how=how))
            self.assertEqual(stage.peer.received, b"")
            self.assertIsNotNone(stage.peer.reason.check(kind))

    def test_it_was_us(self) -> None:
        """Who was cut off did not hang up; the exchange is over all the same."""
        for how in ("reset", "cut"):
            stage = staged(Breaks(how=how))
            record = stage.simulator.asked[0]
            self.assertEqual((record.open, record.gone, record.broken), (False, False, True))
            self.assertEqual((stage.simulator.open_requests, stage.waiting), (0, 0))


class TimeTests(SynchronousTestCase):
    """When it happens."""

    def test_each_event_at_its_time(self) -> None:
        """Each event is one write, at its own time; the first comes at once."""
        stage = Stage(Script([Says("one two three", pace=0.5, pieces=3)]))
        stage.ask()
        self.assertEqual(len(stage.answer().chunks), 1)
        stage.network.go(1.0)
        self.assertEqual(len(stage.answer().chunks), 3)
        stage.network.go(60.0)
        chunks = stage.answer().chunks
        self.assertTrue(all(len(sse(chunk)) == 1 for chunk in chunks))
        times = [at for at, piece in stage.peer.arrivals if b"event: " in piece]
        self.assertEqual(times, [0.5 * place for place in range(len(chunks))])

    def test_json_takes_its_time(self) -> None:
        """JSON comes when its stream would have been over."""
        stage = Stage(Script([Says("Hello", pace=0.5)]))
        stage.ask(MESSAGE)
        self.assertEqual(stage.peer.received, b"")
        stage.network.go(60.0)
        self.assertTrue(stage.answer().complete)

    def test_a_stall(self) -> None:
        """A stall ends after its time, or never."""
        stage = staged(Stalls(after_events=2, seconds=20.0, act=Says("Hello")))
        stage.network.go(19.9)
        self.assertEqual(len(stage.answer().chunks), 2)
        stage.network.go(0.2)
        self.assertTrue(stage.answer().complete)
        stage = staged(Stalls(after_events=2, act=Says("Hello")))
        stage.network.go(86_400.0)
        self.assertEqual((len(stage.answer().chunks), stage.simulator.open_requests), (2, 1))

    def test_a_peer_that_leaves(self) -> None:
        """When the peer leaves, its record says when, and no timer is left."""
        for act in (Says("Hello", pace=9.0), Stalls(before_head=True), Stalls(after_events=1)):
            stage = staged(act)
            record = stage.simulator.asked[0]
            stage.network.go(3.0)
            self.assertEqual((record.open, record.gone), (True, False))
            stage.peer.hang_up()
            stage.network.go()
            self.assertEqual((record.open, record.gone, record.gone_at), (False, True, 3.0))
            self.assertEqual((stage.simulator.open_requests, stage.waiting), (0, 0))

    def test_a_peer_that_resets(self) -> None:
        """A peer that resets the connection has left, too."""
        stage = staged(Stalls())
        stage.peer.reset()
        stage.network.go()
        self.assertTrue(stage.simulator.asked[0].gone)

    def test_a_gzip_stream(self) -> None:
        """A compressed stream comes event by event as well."""
        stage = staged(Gzips(Stalls(after_events=2, act=Says("Hello"))))
        self.assertEqual(len(stage.answer().chunks), 2)


class BackpressureTests(SynchronousTestCase):
    """A slow reader."""

    def setUp(self) -> None:
        """Ask for fifty million bytes, and read none of them."""
        self.stage = Stage(Script([Streams((b"x" * PIECE,) * 800)]))
        self.stage.peer = self.stage.network.connect("upstream")
        self.stage.network.go()
        self.stage.peer.pause()
        self.stage.ask_again()

    def sent(self) -> int:
        """Return how many bytes have been written so far, read or not."""
        (connection,) = self.stage.network.connections
        return connection.server.peak

    def test_it_waits(self) -> None:
        """What a peer does not read is not made: one piece is all that the simulator holds of it."""
        self.assertLess(self.sent(), PIECE + 100)
        self.stage.peer.resume()
        self.stage.network.go()
        self.assertLess(self.sent(), PIECE + 100)
        answer: Answer = self.stage.answer()
        self.assertEqual((len(answer.body), answer.complete), (800 * PIECE, True))

    def test_it_notices_that_the_peer_leaves(self) -> None:
        """A peer that leaves without having read is noticed."""
        self.stage.peer.reset()
        self.stage.network.go()
        self.assertTrue(self.stage.simulator.asked[0].gone)
        self.assertLess(len(self.stage.peer.received), KERNEL)


class BugTests(SynchronousTestCase):
    """Acts that are wrong themselves."""

    def test_a_broken_function(self) -> None:
        """A script's function that raises is logged, and the peer gets a 500."""

        def broken(_: object) -> Act:
            raise RuntimeError

        stage = Stage(Script(broken))
        stage.ask()
        self.assertEqual(stage.answer().status, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(stage.simulator.open_requests, 0)

    def test_refusals_have_lengths(self) -> None:
        """A refusal is not in chunks."""
        answer = staged(Refuses(503)).answer()
        self.assertEqual(int(answer.headers["content-length"]), len(answer.body))
        self.assertNotIn("transfer-encoding", answer.headers)

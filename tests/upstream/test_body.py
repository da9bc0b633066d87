"""The rules of bodies: sent as often as needed, read as fast as can be taken, and no further than wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from ccrelay.errors import Broken
from ccrelay.simulator.acts import Plays
from ccrelay.simulator.steps import Chunk, Cut, End, Hang, Head, Reset, Wait
from ccrelay.upstream.body import COMPLAINT_LIMIT, Collected, RequestBody, ResponseBody
from ccrelay.upstream.client import UpstreamResponse
from ccrelay.wire.http import UpstreamRequest
from tests.network import KERNEL
from tests.upstream.lane import Lane, Told, answers

PIECES = st.lists(st.binary(min_size=1, max_size=20), max_size=8)


def at_once(lane: Lane, answer: bytes) -> UpstreamResponse:
    """Return an answer that came in one piece."""
    hosts = lane.hosts("raw")
    sending = lane.send(UpstreamRequest("GET", "http://raw/", ()))
    hosts[0].transport.write(answer)
    lane.go()
    return lane.test.successResultOf(sending)


class RequestBodyTests(SynchronousTestCase):
    """What goes up."""

    def test_it_can_be_sent_again(self) -> None:
        """A body is whole each time that it is sent."""
        body = RequestBody(b"some bytes")
        self.assertTrue(verifyObject(IBodyProducer, body))
        self.assertEqual(body.length, 10)
        for _ in range(2):
            transport = StringTransport()
            self.successResultOf(body.startProducing(transport))
            self.assertEqual(transport.value(), b"some bytes")


class DeliveredTests(SynchronousTestCase):
    """A body as it comes."""

    def delivered(self, *steps: object) -> tuple[Lane, Told, ResponseBody]:
        """Return a body that is being delivered."""
        lane = Lane(self, Plays(steps))
        told = Told()
        body = lane.answer().deliver(told)
        lane.go()
        return lane, told, body

    def test_pieces_come_as_they_are_sent(self) -> None:
        """Each piece is handed on when it comes, and the end is told once."""
        lane, told, _ = self.delivered(Head(), Chunk(b"one"), Wait(1), Chunk(b"two"), Wait(1), End())
        self.assertEqual((told.pieces, told.ends), ([b"one"], []))
        lane.go(1)
        self.assertEqual((told.pieces, told.ends), ([b"one", b"two"], []))
        lane.go(1)
        self.assertEqual(told.ends, [None])
        self.assertEqual(lane.taken, 0)

    def test_a_body_that_breaks_off(self) -> None:
        """A body that ends before its framing says so is broken, after all that came."""
        for head in (Head(), Head(length=9)):
            for end in (Cut(), Reset()):
                lane, told, _ = self.delivered(head, Chunk(b"half"), Wait(1), end)
                lane.go(1)
                self.assertEqual(told.pieces, [b"half"])
                ((error,),) = [told.ends]
                self.assertIsInstance(error, Broken)
                self.assertEqual(lane.taken, 0)

    def test_a_body_that_ends_with_its_connection(self) -> None:
        """Without a length or chunks the end of the connection is the end of the body."""
        lane, told, _ = self.delivered(Head(until_close=True), Chunk(b"all"), End())
        self.assertEqual((told.pieces, told.ends), ([b"all"], [None]))
        self.assertEqual((lane.taken, lane.live), (0, 0))

    def test_a_pause_holds_the_provider_up(self) -> None:
        """While a body is paused the provider can send no more than kernels hold; then it goes on."""
        lane, told, body = self.delivered(Head(), Wait(1), *[Chunk(b"x" * 65_536)] * 40, End())
        body.pause()
        lane.go(60)
        self.assertEqual(told.pieces, [])
        (made,) = lane.network.connections
        self.assertLessEqual(made.client.end.held, KERNEL)
        self.assertTrue(lane.simulator.asked[0].open)
        body.resume()
        lane.go()
        self.assertEqual((len(b"".join(told.pieces)), told.ends), (40 * 65_536, [None]))

    def test_stopping_hangs_up(self) -> None:
        """A body that is stopped ends its connection at once, paused or not, and says nothing more."""
        for paused in (False, True):
            lane, told, body = self.delivered(Head(), Chunk(b"one"), Wait(1), Chunk(b"two"), Hang())
            if paused:
                body.pause()
            body.stop()
            self.assertEqual(lane.taken, 0)
            lane.go()
            self.assertEqual((lane.live, lane.simulator.asked[0].gone_at), (0, 1000))
            lane.go(1)
            self.assertEqual((told.pieces, told.ends), ([b"one"], []))

    def test_stopping_does_not_wait_for_what_is_unsent(self) -> None:
        """A body is stopped at once also where the provider has not taken the request to its end."""
        lane = Lane(self)
        hosts = lane.hosts("raw", deaf=True)
        sending = lane.send(UpstreamRequest("POST", "http://raw/", (), b"x" * 5_000_000))
        hosts[0].transport.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 99\r\n\r\nhalf")
        lane.go()
        body = self.successResultOf(sending).deliver(Told())
        (made,) = lane.network.connections
        self.assertGreater(made.client.waiting, 0)
        body.stop()
        lane.go()
        self.assertTrue(made.client.disconnected)
        hosts[0].transport.resumeProducing()

    def test_after_the_end_nothing_can_be_done_wrong(self) -> None:
        """Pausing, resuming and stopping what is over does nothing, and gives no place back twice."""
        for end in (lambda _: None, ResponseBody.stop):
            lane, _, body = self.delivered(Head(), Chunk(b"one"), Wait(1), End())
            end(body)
            lane.go(1)
            for _ in range(2):
                body.pause()
                body.resume()
                body.stop()
            self.assertEqual(lane.client.free, lane.client.limit)

    def test_stopping_from_within(self) -> None:
        """Whoever takes a piece may stop the body there and then."""
        lane = Lane(self, Plays((Head(), Wait(1), Chunk(b"one"), Chunk(b"two"), Hang())))

        class Enough(Told):
            def received(self, data: bytes) -> None:
                super().received(data)
                body.stop()

        told = Enough()
        body = lane.answer().deliver(told)
        lane.go(1)
        self.assertEqual((told.pieces, told.ends, lane.taken), ([b"one"], [], 0))


class WholeTests(SynchronousTestCase):
    """A body that is wanted whole."""

    def test_all_of_it(self) -> None:
        """The body is there when it has ended, in whatever pieces it came."""
        lane = Lane(self, Plays((Head(), Chunk(b"one"), Wait(1), Chunk(b"two"), End())))
        reading = lane.answer().whole()
        self.assertNoResult(reading)
        lane.go(1)
        self.assertEqual((self.successResultOf(reading), lane.taken), (b"onetwo", 0))

    def test_one_that_came_with_its_head(self) -> None:
        """A body that was there before anybody asked for it is not lost, nor is its connection."""
        lane = Lane(self)
        response = at_once(lane, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall")
        lane.go(9)
        self.assertEqual(self.successResultOf(response.whole()), b"all")
        self.assertEqual((lane.taken, lane.live), (0, 1))

    def test_none_at_all(self) -> None:
        """An answer without a body has an empty one."""
        for act in (answers(length=0), answers(status=204, length=0)):
            self.assertEqual(Lane(self, act).ask(), b"")

    def test_one_that_breaks_off(self) -> None:
        """Half a message is none."""
        for end in (Cut(), Reset()):
            lane = Lane(self, Plays((Head(length=9), Chunk(b"half"), end)))
            reading = lane.answer().whole()
            lane.go()
            self.failureResultOf(reading, Broken)
            self.assertEqual(lane.taken, 0)

    def test_giving_up(self) -> None:
        """Whoever stops waiting for a body hangs up on the provider at once."""
        for how in ("whole", "complaint"):
            lane = Lane(self, Plays((Head(), Chunk(b"half"), Hang())))
            reading = getattr(lane.answer(), how)()
            reading.cancel()
            self.failureResultOf(reading, CancelledError)
            lane.go()
            self.assertEqual((lane.taken, lane.live, lane.simulator.asked[0].gone_at), (0, 0, 1000))


class ComplaintTests(SynchronousTestCase):
    """The body of a refusal."""

    def test_a_short_one(self) -> None:
        """A refusal that fits is read whole, and its connection is kept."""
        for size in (0, 1, COMPLAINT_LIMIT):
            lane = Lane(self, answers(b"x" * size, status=400, length=size) if size else answers(length=0))
            reading = lane.answer().complaint()
            lane.go()
            self.assertEqual((len(self.successResultOf(reading)), lane.taken, lane.live), (size, 0, 1))

    def test_a_long_one(self) -> None:
        """No more than 64 KiB of a refusal is read, and then the provider is left."""
        lane = Lane(self, Plays((Head(500), Chunk(b"x" * COMPLAINT_LIMIT), Chunk(b"y" * 9_999), Hang())))
        reading = lane.answer().complaint()
        lane.go()
        self.assertEqual(self.successResultOf(reading), b"x" * COMPLAINT_LIMIT)
        self.assertEqual((COMPLAINT_LIMIT, lane.taken, lane.live), (65_536, 0, 0))

    def test_one_that_breaks_off(self) -> None:
        """Of a refusal that breaks off what came is what there is: its status says enough."""
        for end in (Cut(), Reset()):
            lane = Lane(self, Plays((Head(500, length=99), Chunk(b"half"), end)))
            reading = lane.answer().complaint()
            lane.go()
            self.assertEqual((self.successResultOf(reading), lane.taken), (b"half", 0))


class DroppedTests(SynchronousTestCase):
    """A body that nobody wants."""

    def test_a_long_one(self) -> None:
        """A body that is dropped is not read to its end."""
        lane = Lane(self, Plays((Head(), *[Chunk(b"x" * 65_536)] * 100, End())))
        lane.answer().drop()
        self.assertEqual(lane.taken, 0)
        lane.go()
        self.assertEqual((lane.live, lane.simulator.asked[0].gone), (0, True))

    def test_one_that_is_there(self) -> None:
        """A body that had come whole costs no connection."""
        lane = Lane(self)
        at_once(lane, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall").drop()
        lane.go()
        self.assertEqual((lane.taken, lane.live), (0, 1))

    def test_one_that_broke_off_meanwhile(self) -> None:
        """A body may be dropped after its connection was lost."""
        lane = Lane(self, Plays((Head(), Chunk(b"half"), Wait(1), Reset())))
        response = lane.answer()
        lane.go(1)
        response.drop()
        self.assertEqual(lane.taken, 0)
        lane.go()
        self.assertEqual(lane.live, 0)


class CollectedTests(SynchronousTestCase):
    """Bodies in memory."""

    @given(PIECES, st.integers(0, 60))
    def test_up_to_a_limit(self, pieces: list[bytes], limit: int) -> None:
        """What fits is there in its order, and of more than fits there is the beginning, or an error."""
        body = b"".join(pieces)
        for whole in (False, True):
            collected = Collected(limit, whole=whole)
            for piece in pieces:
                collected.received(piece)
            collected.ended(None)
            if whole and len(body) > limit:
                self.assertIn("larger", self.failureResultOf(collected.result, Broken).value.message)
            else:
                self.assertEqual(self.successResultOf(collected.result), body[:limit])

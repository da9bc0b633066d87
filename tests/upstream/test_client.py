"""The rules of asking a provider: limits of time and number, and nothing that treq would add."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from ccrelay.errors import Broken, FirstByteTimeout, TooSlow, Unreachable
from ccrelay.simulator.acts import Plays, Says, Sends
from ccrelay.simulator.faults import Gzips, Stalls
from ccrelay.simulator.steps import Chunk, Cut, End, Hang, Head, Raw, Reset, Wait
from ccrelay.upstream.agent import client_over
from ccrelay.upstream.body import COMPLAINT_LIMIT
from ccrelay.upstream.client import UpstreamClient
from ccrelay.wire.http import UpstreamRequest
from tests import HTTP, network
from tests.network import Network
from tests.upstream.lane import ASK, CONNECT_S, FIRST_BYTE_S, Lane, Told, answers

FINE = answers(b"fine")
SILENT = Plays((Hang(),))
HALF = Plays((Head(), Chunk(b"half"), Hang()))


@implementer(IBodyProducer)
class Coming:
    """A body that is still on its way from the client."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.done: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self.consumer: Any = None
        self.stopped = False

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.stopped = True


class AskingTests(SynchronousTestCase):
    """What the provider is asked."""

    def test_the_very_request(self) -> None:
        """Method, target, header fields and body reach the provider as they were composed."""
        lane = Lane(self, FINE)
        headers = (
            (b"anthropic-beta", b"a, b"),
            (b"anthropic-beta", b"c"),
            (b"content-type", b"application/json; x"),
            (b"x-api-key", b"sk-test-0123"),
        )
        for query in ("?beta=true", "?beta", "?a=b%20c+d&&x=%7e%2f;y==", ""):
            url = "http://upstream/pre%2Ffix/v1/messages" + query
            lane.ask(UpstreamRequest("POST", url, headers, b'{"n" :1.10}'))
            asked = lane.simulator.asked[-1]
            self.assertEqual(
                (asked.method, asked.target, asked.body),
                ("POST", "/pre%2Ffix/v1/messages" + query, b'{"n" :1.10}'),
            )
            for name in {name for name, _ in headers}:
                self.assertEqual(
                    [pair for pair in asked.headers if pair[0] == name],
                    [pair for pair in headers if pair[0] == name],
                )
            added = {name for name, _ in asked.headers} - {name for name, _ in headers}
            self.assertEqual(added, {b"host", b"content-length", b"accept-encoding"})

    def test_plain_bytes_are_asked_for(self) -> None:
        """No compression is asked for, whatever the client would take: it would hold events back."""
        lane = Lane(self, FINE)
        lane.ask(ASK.adding((b"accept-encoding", b"gzip, br")))
        lane.ask(UpstreamRequest("GET", "http://upstream/v1/messages", ()))
        for asked in lane.simulator.asked:
            self.assertEqual([v for n, v in asked.headers if n == b"accept-encoding"], [b"identity"])

    def test_no_cookie_ever_comes_back(self) -> None:
        """What a provider would have us remember is forgotten: no cookie of one request goes with another."""
        biscuit = ((b"set-cookie", b"a=b; Path=/"), (b"set-cookie", b"c=d"))
        lane = Lane(self, answers(b"", headers=biscuit))
        for _ in range(2):
            lane.ask()
        self.assertEqual([asked.header("cookie") for asked in lane.simulator.asked], [None, None])

    def test_a_redirect_is_not_followed(self) -> None:
        """A redirect is an answer like others: nothing is sent to where it points."""
        for status in (301, 302, 303, 307, 308):
            lane = Lane(self, answers(status=status, headers=((b"location", b"http://other/"),), length=0))
            hosts = lane.hosts("other")
            response = lane.answer()
            self.assertEqual(response.head.status, status)
            self.assertEqual((self.successResultOf(response.complaint()), hosts), (b"", []))
            self.assertEqual(lane.simulator.count, 1)


class AnswerTests(SynchronousTestCase):
    """What is told of an answer."""

    def test_the_head(self) -> None:
        """Status and fields are told with the names in lower case, each value as it came."""
        fields = (
            (b"Request-Id", b"req_1"),
            (b"Anthropic-Of-Tomorrow", b"a"),
            (b"anthropic-of-tomorrow", b"b"),
        )
        lane = Lane(self, Plays((Head(529, fields, 4), Chunk(b"busy"), End())))
        response = lane.answer()
        self.assertEqual((response.head.status, response.head.length), (529, 4))
        self.assertEqual(
            [pair for pair in response.head.headers if pair[1:] != (b"",) and pair[0] != b"date"],
            [(b"request-id", b"req_1"), (b"anthropic-of-tomorrow", b"a"), (b"anthropic-of-tomorrow", b"b")],
        )
        response.drop()

    def test_the_head_comes_before_the_body(self) -> None:
        """An answer is there as soon as its head is, and its length is unknown where it is not told."""
        response = Lane(self, Plays((Head(), Hang()))).answer()
        self.assertIsNone(response.head.length)
        response.drop()

    def test_an_interim_answer_is_none(self) -> None:
        """A 103 is no answer; the one behind it is."""
        lane = Lane(
            self, Plays((Raw(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"), Head(), Chunk(b"x"), End()))
        )
        self.assertEqual(lane.ask(), b"x")

    def test_no_http(self) -> None:
        """What is not HTTP is a broken answer, and says so."""
        for nonsense in (b"SSH-2.0-OpenSSH_9.9\r\n", b"nonsense\r\n\r\n"):
            lane = Lane(self, Plays((Raw(nonsense), Cut())))
            self.assertEqual(lane.failure(lane.send(), Broken).message, "what came back is not HTTP")
            self.assertEqual(lane.taken, 0)

    def test_a_large_request(self) -> None:
        """A request of megabytes arrives whole, however fast the provider takes it, and can be given up."""
        large = UpstreamRequest("POST", ASK.url, (), b"0123456789abcdef" * 400_000)
        for kernel in (1024, 10_000_000):
            lane = Lane(self, FINE)
            self.patch(network, "KERNEL", kernel * 128)
            self.assertEqual(lane.ask(large), b"fine")
            self.assertEqual(lane.simulator.asked[0].body, large.body)
            self.assertEqual(lane.ask(), b"fine")
        self.patch(network, "KERNEL", 128 * 1024)
        lane = Lane(self)
        hosts = lane.hosts("deaf", deaf=True)
        sending = lane.send(UpstreamRequest("POST", "http://deaf/", (), large.body))
        sending.cancel()
        self.failureResultOf(sending)
        hosts[0].transport.resumeProducing()
        lane.go(1)
        self.assertEqual((lane.taken, lane.live), (0, 0))
        self.assertLess(len(hosts[0].heard), len(large.body))

    def test_gzip_is_decoded(self) -> None:
        """An answer that is compressed all the same is decoded, piece by piece."""
        plain = Lane(self, Says("Good morning")).ask()
        lane = Lane(self, Gzips(Says("Good morning")))
        self.assertEqual(lane.ask(), plain)
        told = Told()
        lane = Lane(self, Gzips(Plays((Head(), Chunk(b"one"), Wait(1), Chunk(b"two"), End()))))
        lane.answer().deliver(told)
        lane.go()
        self.assertEqual(told.pieces, [b"one"])
        lane.go(1)
        self.assertEqual((told.pieces, told.ends), ([b"one", b"two"], [None]))

    def test_gzip_that_is_none(self) -> None:
        """An answer that only claims to be compressed is a broken one, and holds nothing up."""
        wrong = ((b"content-encoding", b"gzip"),)
        for body in (b"not gzip at all", gzip.compress(b"x" * 9999)[:12] + b"\xff" * 40):
            for pieces in ((body,), (body[:11], body[11:])):
                lane = Lane(self, answers(*pieces, headers=wrong), FINE)
                reading = lane.answer().whole()
                lane.go()
                self.failureResultOf(reading, Broken)
                self.assertEqual(lane.taken, 0)
                self.assertEqual(lane.ask(), b"fine")


class ConnectingTests(SynchronousTestCase):
    """When there is no connection."""

    def test_refused(self) -> None:
        """A refused connection is told at once."""
        lane = Lane(self)
        lane.network.refuse("upstream")
        self.assertEqual(lane.failure(lane.send(), Unreachable).message, "connection refused")
        self.assertEqual(lane.taken, 0)

    def test_unresolvable(self) -> None:
        """A host that has no address is told by those words."""
        lane = Lane(self)
        lane.network.unresolvable("upstream")
        self.assertEqual(lane.failure(lane.send(), Unreachable).message, "the host name cannot be resolved")
        self.assertEqual(lane.taken, 0)

    def test_a_black_hole(self) -> None:
        """A host that never answers is given up after the time to connect, not after that for an answer."""
        lane = Lane(self)
        lane.network.blackhole("upstream")
        sending = lane.send()
        lane.go(CONNECT_S - 1)
        self.assertNoResult(sending)
        lane.go(1)
        self.assertEqual(lane.failure(sending, Unreachable).message, "no connection within 10 s")
        self.assertEqual(lane.taken, 0)

    def test_it_serves_again(self) -> None:
        """A host that has come back is asked as if nothing had been."""
        lane = Lane(self, FINE)
        lane.network.refuse("upstream")
        lane.failure(lane.send(), Unreachable)
        lane.network.restore("upstream")
        self.assertEqual(lane.ask(), b"fine")


class WaitingTests(SynchronousTestCase):
    """When no answer begins."""

    def test_the_first_byte(self) -> None:
        """An answer that does not begin in time is given up, and the provider hears it at once."""
        lane = Lane(self, SILENT)
        sending = lane.send(within=30)
        lane.go(29)
        self.assertNoResult(sending)
        lane.go(1)
        error = lane.failure(sending, FirstByteTimeout)
        self.assertEqual((error.status, error.message), (504, "no answer began within 30 s"))
        self.assertEqual((lane.taken, lane.live), (0, 0))
        self.assertEqual(lane.simulator.asked[0].gone_at, 1030)

    def test_half_a_head_is_no_answer(self) -> None:
        """Some bytes of a head do not make the time longer."""
        lane = Lane(self, Plays((Raw(b"HTTP/1.1 200 OK\r\n"), Hang())))
        sending = lane.send(within=30)
        lane.go(30)
        lane.failure(sending, FirstByteTimeout)
        self.assertEqual((lane.taken, lane.live), (0, 0))

    def test_time_is_up_for_the_head_alone(self) -> None:
        """Once the answer has begun its body may take as long as it takes."""
        lane = Lane(self, Plays((Head(), Wait(1000), Chunk(b"late"), End())))
        reading = lane.answer(within=1).whole()
        lane.go(1000)
        self.assertEqual(self.successResultOf(reading), b"late")

    def test_an_answer_just_in_time(self) -> None:
        """An answer that begins a moment before the end of its time is an answer."""
        lane = Lane(self, Stalls(before_head=True, seconds=29.9, act=FINE))
        sending = lane.send(within=30)
        lane.go(29.9)
        reading = self.successResultOf(sending).whole()
        lane.go(10)
        self.assertEqual(self.successResultOf(reading), b"fine")

    def test_the_connection_is_lost(self) -> None:
        """A provider that hangs up without a word has failed."""
        for end in (Cut(), Reset()):
            lane = Lane(self, Plays((Wait(1), end)))
            sending = lane.send()
            lane.go(1)
            error = lane.failure(sending, Broken)
            self.assertEqual(error.message, "the connection was closed before an answer began")
            self.assertEqual(lane.taken, 0)

    def test_the_connection_is_lost_in_the_head(self) -> None:
        """A head that breaks off is no answer."""
        lane = Lane(self, Plays((Raw(b"HTTP/1.1 200 OK\r\nx"), Wait(1), Reset())))
        sending = lane.send()
        lane.go(1)
        error = lane.failure(sending, Broken)
        self.assertEqual(error.message, "the connection was lost in the head of the answer")


class LimitTests(SynchronousTestCase):
    """No more requests at once than the operator allows."""

    def test_the_next_one_waits(self) -> None:
        """A request over the limit waits, and goes as soon as a place is free, in the order they came."""
        lane = Lane(self, answers(b"1"), FINE, limit=1)
        first = lane.answer()
        second, third = lane.send(), lane.send()
        self.assertEqual((lane.simulator.count, lane.client.free), (1, 0))
        whole = first.whole()
        lane.go()
        self.assertEqual(self.successResultOf(whole), b"1")
        lane.go()
        self.assertEqual(lane.simulator.count, 2)
        self.assertNoResult(third)
        self.successResultOf(second).drop()
        lane.go()
        self.successResultOf(third).drop()

    def test_patience_ends(self) -> None:
        """A request for which no place comes free in time is told so, and has taken none."""
        lane = Lane(self, SILENT, limit=1, patience=10)
        first = lane.send()
        second = lane.send()
        lane.go(10)
        error = lane.failure(second, Unreachable)
        self.assertEqual(error.message, "all 1 connections are in use and none came free within 10 s")
        self.assertEqual((lane.simulator.count, lane.taken), (1, 1))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(lane.taken, 0)

    def test_waiting_for_a_place_is_not_waiting_for_an_answer(self) -> None:
        """The time for an answer runs from when the request is sent."""
        lane = Lane(self, SILENT, limit=1, patience=10)
        first = lane.send(within=5)
        second = lane.send(within=5)
        lane.go(5)
        self.failureResultOf(first, FirstByteTimeout)
        lane.go(4.9)
        self.assertNoResult(second)
        lane.go(0.1)
        self.failureResultOf(second, FirstByteTimeout)

    def test_giving_up_while_waiting(self) -> None:
        """A request that is given up before its turn takes no place when that comes."""
        lane = Lane(self, FINE, limit=1)
        first = lane.answer()
        second = lane.send()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        first.drop()
        self.assertEqual((lane.simulator.count, lane.client.free), (1, 1))

    def test_every_place_comes_back(self) -> None:
        """However requests end, after them as many fit as before."""
        lane = Lane(self, limit=2)
        ends = {
            "read": (FINE, lambda response: response.whole()),
            "complained": (FINE, lambda response: response.complaint()),
            "dropped": (HALF, lambda response: response.drop()),
            "cancelled": (HALF, lambda response: response.whole().addErrback(lambda _: None).cancel()),
            "delivered": (FINE, lambda response: response.deliver(Told())),
            "stopped": (HALF, lambda response: response.deliver(Told()).stop()),
            "cut short": (
                Plays((Head(length=9), Chunk(b"x"), Cut())),
                lambda response: response.whole().addErrback(lambda _: None),
            ),
            "over the limit": (
                Plays((Head(), Chunk(b"x" * 2 * COMPLAINT_LIMIT), Hang())),
                lambda response: response.complaint(),
            ),
            "without a body": (answers(status=204, length=0), lambda response: response.whole()),
            "until the end": (Plays((Head(until_close=True), Chunk(b"x"), End())), lambda r: r.whole()),
        }
        for name, (act, end) in ends.items():
            lane = Lane(self, act, limit=2)
            for _ in range(3):
                both = [lane.answer(), lane.answer()]
                self.assertEqual(lane.client.free, 0)
                for response in both:
                    end(response)
                lane.go()
                self.assertEqual(lane.client.free, 2, name)

    def test_every_place_comes_back_after_failures(self) -> None:
        """Requests that never got an answer hold no place either."""
        for obstacle in ("refuse", "unresolvable", "blackhole"):
            lane = Lane(self, FINE, limit=2)
            getattr(lane.network, obstacle)("upstream")
            for _ in range(3):
                failing = [lane.send(), lane.send()]
                lane.go(CONNECT_S)
                for sending in failing:
                    lane.failure(sending, Unreachable)
                self.assertEqual(lane.client.free, 2)


class HangingUpTests(SynchronousTestCase):
    """Whoever hangs up is heard."""

    def cancelled(self, lane: Lane) -> None:
        """See that a request that is given up now leaves nothing behind, without any time passing."""
        sending = lane.sent[-1]
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        self.assertEqual(lane.taken, 0)
        lane.go()
        self.assertEqual(lane.live, 0)

    def test_while_it_waits_for_an_answer(self) -> None:
        """A request that is given up ends its connection at once: the provider need not go on."""
        lane = Lane(self, SILENT)
        lane.send()
        self.cancelled(lane)
        self.assertEqual(lane.simulator.asked[0].gone_at, 1000)

    def test_while_it_connects(self) -> None:
        """A request that is given up while it connects never connects."""
        lane = Lane(self)
        lane.network.blackhole("upstream")
        lane.send()
        self.cancelled(lane)
        self.assertEqual(lane.simulator.count, 0)

    def test_in_the_head(self) -> None:
        """A request that is given up in the middle of a head ends like any."""
        lane = Lane(self, Plays((Raw(b"HTTP/1.1 200"), Hang())))
        lane.send()
        self.cancelled(lane)

    def test_with_a_body_that_nobody_reads(self) -> None:
        """A request whose body the provider does not take is given up at once all the same."""
        lane = Lane(self)
        hosts = lane.hosts("raw", deaf=True)
        lane.send(UpstreamRequest("POST", "http://raw/", (), b"x" * 5_000_000))
        (made,) = lane.network.connections
        lane.sent[0].cancel()
        self.failureResultOf(lane.sent[0], CancelledError)
        lane.go()
        self.assertEqual((lane.taken, made.client.disconnected), (0, True))
        hosts[0].transport.resumeProducing()
        lane.go()
        self.assertIsNotNone(hosts[0].lost.check(ConnectionLost))

    def test_a_body_that_breaks_off(self) -> None:
        """A request whose body, passed on as it comes, ends before its time ends with the reason of that."""
        lane = Lane(self)
        hosts = lane.hosts("raw")
        body = Coming(9)
        sending = lane.send(UpstreamRequest("POST", "http://raw/", ()), body=body)
        body.consumer.write(b"half")
        lane.go()
        self.assertTrue(hosts[0].heard.endswith(b"half"))
        body.done.errback(TooSlow("the body came too slowly"))
        self.assertEqual(lane.failure(sending, TooSlow).message, "the body came too slowly")
        lane.go()
        self.assertEqual((lane.taken, lane.live), (0, 0))

    def test_with_half_a_body(self) -> None:
        """A request that is given up while its body comes has that stopped."""
        lane = Lane(self)
        lane.hosts("raw")
        body = Coming(9)
        lane.send(UpstreamRequest("POST", "http://raw/", ()), body=body)
        self.cancelled(lane)
        self.assertTrue(body.stopped)

    def test_closing_ends_what_is_idle_alone(self) -> None:
        """Closing leaves a request that is under way to whoever waits for it."""
        lane = Lane(self, Stalls(before_head=True, seconds=5, act=FINE))
        sending = lane.send()
        self.successResultOf(lane.client.close())
        lane.go(5)
        reading = self.successResultOf(sending).whole()
        lane.go()
        self.assertEqual(self.successResultOf(reading), b"fine")

    def test_closing_is_not_waited_for_without_end(self) -> None:
        """If a kept connection does not close, closing is over after two seconds all the same."""

        class Stubborn:
            def closeCachedConnections(self) -> Deferred[None]:
                return Deferred()

        clock = Clock()
        client = client_over(HTTP, clock, Network(clock), 1, CONNECT_S)
        closing = UpstreamClient(clock, client._treq, Stubborn(), 1, 1.0).close()
        clock.advance(1.9)
        self.assertNoResult(closing)
        clock.advance(0.1)
        self.successResultOf(closing)

    def test_a_large_answer_to_a_large_request(self) -> None:
        """Much in both directions goes through whole."""
        lane = Lane(self, Sends(b"y" * 3_000_000))
        self.assertEqual(lane.ask(UpstreamRequest("POST", ASK.url, (), b"x" * 3_000_000)), b"y" * 3_000_000)
        self.assertEqual(lane.simulator.asked[0].body, b"x" * 3_000_000)

    def test_no_time_is_kept_for_what_is_over(self) -> None:
        """When a request is over no timer of it runs on; but for the one of the kept connection."""
        lane = Lane(self, FINE)
        lane.ask()
        times = [call.getTime() for call in lane.clock.getDelayedCalls()]
        self.assertEqual(len(times), 1)
        self.assertLess(times[0], 1000 + FIRST_BYTE_S)

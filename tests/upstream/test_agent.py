"""The rules of kept connections: which one is used, and what happens when it is found dead."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from ccrelay.errors import Broken, Unreachable
from ccrelay.simulator.acts import Plays
from ccrelay.simulator.faults import Breaks
from ccrelay.simulator.steps import Cut, Hang, Raw, Reset, Wait
from ccrelay.upstream.agent import KEPT_S, Endpoints
from ccrelay.upstream.tls import TrustPolicy
from ccrelay.wire.http import UpstreamRequest
from tests.upstream.lane import ASK, CONNECT_S, FIRST_BYTE_S, Lane, answers

FINE = answers(b"fine")
DEAD = Breaks(after_events=None, how="cut")
GET = UpstreamRequest("GET", "http://upstream/v1/messages", ())


@implementer(IBodyProducer)
class Once:
    """A body that arrives while it is sent, and so can be sent once."""

    length = 4

    def startProducing(self, consumer: object) -> Deferred[None]:
        consumer.write(b"body")
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class KeptTests(SynchronousTestCase):
    """Connections are used again."""

    def test_one_after_the_other_use_one(self) -> None:
        """A connection whose answer was read to its end serves the next request."""
        lane = Lane(self, FINE)
        for number in range(1, 4):
            self.assertEqual(lane.ask(), b"fine")
            self.assertEqual((lane.live, lane.simulator.count), (1, number))

    def test_the_latest_used_goes_first(self) -> None:
        """Of kept connections the one used last is taken: it is the least likely to be dead."""
        lane = Lane(self)
        hosts = lane.hosts("raw")
        ask = UpstreamRequest("GET", "http://raw/", ())
        sendings = [lane.send(ask) for _ in range(3)]
        fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        for place in (1, 2, 0):
            hosts[place].transport.write(fine)
            lane.go()
            self.successResultOf(self.successResultOf(sendings[place]).whole())
        lane.go()
        heard = [host.heard for host in hosts]
        lane.send(ask)
        self.assertEqual([place for place in range(3) if hosts[place].heard != heard[place]], [0])
        lane.send(ask)
        self.assertEqual([place for place in range(3) if hosts[place].heard != heard[place]], [0, 2])

    def test_as_many_are_kept_as_may_be_used(self) -> None:
        """After a rush every connection stays for the next one, up to the limit."""
        lane = Lane(self, FINE, limit=8)
        for _ in range(2):
            reading = [answer.whole() for answer in [lane.answer() for _ in range(8)]]
            lane.go()
            self.assertEqual([self.successResultOf(whole) for whole in reading], [b"fine"] * 8)
            self.assertEqual(lane.live, 8)

    def test_an_idle_one_is_closed(self) -> None:
        """A connection that nobody needs is closed before a provider would do so."""
        lane = Lane(self, FINE)
        lane.ask()
        lane.go(KEPT_S - 1)
        self.assertEqual(lane.live, 1)
        lane.go(1)
        self.assertEqual(lane.live, 0)

    def test_one_that_was_closed_meanwhile_is_not_used(self) -> None:
        """A connection that the provider has closed is replaced, and nothing is sent on it."""
        lane = Lane(self, FINE)
        lane.ask()
        lane.simulator.disconnect()
        lane.go()
        self.assertEqual(lane.live, 0)
        self.assertEqual(lane.ask(), b"fine")
        self.assertEqual(lane.simulator.count, 2)

    def test_each_host_has_its_own(self) -> None:
        """A connection to one host never serves another."""
        lane = Lane(self, FINE)
        lane.network.listen("other", lane.simulator.site)
        lane.ask()
        lane.ask(UpstreamRequest("GET", "http://other/v1/messages", ()))
        self.assertEqual({made.name for made in lane.network.connections}, {"upstream", "other"})

    def test_closing_closes_them_all(self) -> None:
        """When the client is closed, so is every connection it had kept."""
        lane = Lane(self, FINE)
        reading = [answer.whole() for answer in (lane.answer(), lane.answer())]
        lane.go()
        self.assertEqual((lane.live, len(reading)), (2, 2))
        closing = lane.client.close()
        lane.go()
        self.successResultOf(closing)
        self.assertEqual(lane.live, 0)


class DeadTests(SynchronousTestCase):
    """A kept connection may be dead, which shows only when it is used."""

    def test_a_request_goes_once_more(self) -> None:
        """A request that found a dead connection goes again on a new one, whole, and is answered."""
        for how in ("cut", "reset"):
            lane = Lane(self, FINE, Breaks(after_events=None, how=how), FINE)
            lane.ask()
            self.assertEqual(lane.ask(), b"fine")
            self.assertEqual([asked.body for asked in lane.simulator.asked], [ASK.body] * 3)
            self.assertEqual(lane.live, 1)

    def test_a_request_without_a_body_too(self) -> None:
        """What has no body can be sent again as well."""
        lane = Lane(self, FINE, DEAD, FINE)
        lane.ask()
        self.assertEqual(lane.ask(GET), b"fine")

    def test_only_once(self) -> None:
        """If the new connection dies as well, the request has failed."""
        lane = Lane(self, FINE, DEAD)
        lane.ask()
        error = lane.failure(lane.send(), Broken)
        self.assertEqual(error.message, "the connection was closed before an answer began")
        self.assertEqual((lane.simulator.count, lane.taken), (3, 0))

    def test_not_from_a_new_connection(self) -> None:
        """A new connection that dies is the provider's failure: nothing is sent again."""
        lane = Lane(self, DEAD, FINE)
        lane.failure(lane.send(), Broken)
        self.assertEqual((lane.simulator.count, lane.taken), (1, 0))

    def test_not_once_an_answer_has_begun(self) -> None:
        """After one byte of an answer the provider has the request, and it must not have it twice."""
        for half in (b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
            for end in (Cut(), Reset()):
                lane = Lane(self, FINE, Plays((Raw(half), Wait(1), end)), FINE)
                lane.ask()
                sending = lane.send()
                lane.go(1)
                lane.failure(sending, Broken)
                self.assertEqual((lane.simulator.count, lane.taken), (2, 0), half)

    def test_not_a_body_that_is_gone(self) -> None:
        """A body that went through as it came cannot go again."""
        lane = Lane(self, FINE, DEAD, FINE)
        lane.ask()
        lane.failure(lane.send(body=Once()), Broken)
        self.assertEqual((lane.simulator.count, lane.taken), (2, 0))

    def test_not_after_hanging_up(self) -> None:
        """A request that was given up is not sent again."""
        lane = Lane(self, FINE, Plays((Hang(),)), FINE)
        lane.ask()
        lane.send().cancel()
        lane.go(FIRST_BYTE_S)
        self.assertEqual((lane.simulator.count, lane.taken), (2, 0))

    def test_not_after_the_time_is_up(self) -> None:
        """A kept connection on which nothing comes back is slow, not dead."""
        lane = Lane(self, FINE, Plays((Hang(),)), FINE)
        lane.ask()
        sending = lane.send()
        lane.go(FIRST_BYTE_S)
        self.failureResultOf(sending)
        self.assertEqual((lane.simulator.count, lane.taken), (2, 0))

    def test_the_new_connection_may_fail(self) -> None:
        """If no new connection can be had, that is what is told."""
        lane = Lane(self, FINE, DEAD)
        lane.ask()
        lane.network.refuse("upstream")
        self.assertEqual(lane.failure(lane.send(), Unreachable).message, "connection refused")
        self.assertEqual(lane.taken, 0)

    def test_hanging_up_while_the_new_connection_is_made(self) -> None:
        """Giving up in the middle of the second try ends that, too."""
        lane = Lane(self, FINE, DEAD)
        lane.ask()
        lane.network.blackhole("upstream")
        sending = lane.send()
        self.assertNoResult(sending)
        sending.cancel()
        self.failureResultOf(sending)
        self.assertEqual((lane.taken, lane.live), (0, 0))

    def test_one_second_try_takes_no_longer_than_a_first(self) -> None:
        """The new connection has the time to connect that any has."""
        lane = Lane(self, FINE, DEAD)
        lane.ask()
        lane.network.blackhole("upstream")
        sending = lane.send()
        lane.go(CONNECT_S)
        self.assertEqual(lane.failure(sending, Unreachable).message, "no connection within 10 s")
        self.assertEqual(lane.taken, 0)

    def test_a_connection_that_is_spoilt_is_not_kept(self) -> None:
        """A connection on which something comes that nobody asked for is not used again."""
        lane = Lane(self)
        hosts = lane.hosts("raw")
        ask = UpstreamRequest("GET", "http://raw/", ())
        sending = lane.send(ask)
        hosts[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        lane.go()
        self.successResultOf(self.successResultOf(sending).whole())
        hosts[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        lane.go()
        self.assertIsNotNone(hosts[0].lost)
        lane.send(ask)
        self.assertEqual(len(hosts), 2)


class EndpointsTests(SynchronousTestCase):
    """Where a URL leads."""

    def test_one_for_each_host(self) -> None:
        """A host's endpoint, with its TLS context, is made once; scheme, host and port tell hosts apart."""
        endpoints = Endpoints(object(), TrustPolicy(), CONNECT_S)
        urls = (b"http://a/x", b"https://a/x", b"https://b/x", b"https://b:8443/x", b"http://b:8443/x")
        made = [endpoints.endpointForURI(URI.fromBytes(url)) for url in urls]
        self.assertEqual(len(set(map(id, made))), 5)
        for url, endpoint in zip(urls, made, strict=True):
            self.assertIs(endpoints.endpointForURI(URI.fromBytes(url.replace(b"/x", b"/y"))), endpoint)

    def test_a_lost_connection_is_told_as_one(self) -> None:
        """What a transport calls lost is in the words of the log, not in those of a traceback."""
        lane = Lane(self, Plays((Wait(1), Reset())))
        sending = lane.send()
        lane.go(1)
        error = lane.failure(sending, Broken)
        self.assertNotIn(ConnectionLost.__name__, error.message)

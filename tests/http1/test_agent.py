"""The rules of the agent: it is one of Twisted's, so that treq works over it."""

from __future__ import annotations

from treq.client import HTTPClient
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface.verify import verifyObject

from ccrelay.http1.agent import Agent
from ccrelay.http1.pool import Pool
from ccrelay.simulator.acts import Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from ccrelay.upstream.body import RequestBody
from tests.network import Network


class AgentTests(SynchronousTestCase):
    """An agent over a network in memory."""

    def setUp(self) -> None:
        """Let a provider listen."""
        self.clock = Clock()
        self.network = Network(self.clock)
        self.simulator = Simulator(self.clock, script=Script((Says("Hello"),)))
        self.network.listen("a", self.simulator.site)
        self.pool = Pool(self.clock, 10.0, 50.0)
        self.agent = Agent(self.network, self.pool)
        self.addCleanup(self.network.go, 3)
        self.addCleanup(self.simulator.disconnect)
        self.addCleanup(self.pool.retire)

    def test_interfaces(self) -> None:
        """Agent and answer are what Twisted's interfaces say."""
        verifyObject(IAgent, self.agent)
        asking = self.agent.request(b"GET", b"http://a/v1/models", Headers({b"X-A": [b"1", b"2"]}))
        self.network.go()
        response = self.successResultOf(asking)
        verifyObject(IResponse, response)
        self.assertEqual(response.headers.getRawHeaders(b"Content-Type"), [b"application/json"])
        asked = self.simulator.asked[0].headers
        self.assertEqual([value for name, value in asked if name == b"x-a"], [b"1", b"2"])

    def test_treq(self) -> None:
        """Treq asks over it like over any other, buffering, decoding and all."""
        client = HTTPClient(self.agent)
        asking = client.post("http://a/v1/messages", data=RequestBody(b'{"model":"m"}'), reactor=self.clock)
        self.network.go()
        response = self.successResultOf(asking)
        reading = response.json()
        self.network.go()
        self.assertEqual(self.successResultOf(reading)["content"][0]["text"], "Hello")
        self.assertEqual(self.simulator.asked[0].body, b'{"model":"m"}')

    def test_the_host(self) -> None:
        """The host is named as it is in the URL, in lower case, with a port that is not the usual one."""
        for url, host in (
            ("http://A/x", b"a"), ("http://a:80/x", b"a"), ("http://a:8080/x", b"a:8080"),
            ("http://[::1]/x", b"[::1]"), ("http://[::1]:1234/x", b"[::1]:1234"),
        ):  # fmt: skip
            for name in ("A", "::1"):
                if name not in self.network.ports:
                    self.network.listen(name, self.simulator.site)
            self.agent.ask(b"GET", url, (), None)
            self.network.go()
            self.assertEqual(dict(self.simulator.asked[-1].headers)[b"host"], host)

    def test_not_http(self) -> None:
        """A URL of another kind is refused before anything is sent."""
        self.assertRaises(SchemeNotSupported, self.agent.ask, b"GET", "ftp://a/x", (), None)

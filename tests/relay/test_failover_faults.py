"""Failing over by what happens to a connection: none to be had, lost, silent, or not one of HTTP."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from ccrelay.simulator.acts import Plays, Refuses, Says
from ccrelay.simulator.faults import Breaks, Stalls
from ccrelay.simulator.steps import Chunk, Cut, Hang, Head, Raw, Reset
from ccrelay.upstream.tls import TrustPolicy
from tests.network import Network, http_request, sse
from tests.relay.test_failover import attempts, text
from tests.stack import HEADERS, Plain, Stack, body

QUIET = {"server": {"ping_interval_ms": 0}}
"""Without pings a stream's answer is a plain one until there is an event to send."""

NEVER_SAID = Says("never said")
GARBAGE = (
    Plays((Raw(b"SSH-2.0-OpenSSH_9.9\r\n"), Cut())),
    Plays((Raw(b"HTTP/1.1 nonsense\r\n\r\n"), Cut())),
    Plays((Raw(bytes(range(256)) + b"\r\n\r\n"), Cut())),
)
LOST = (
    Breaks(after_events=None),
    Breaks(after_events=None, how="cut"),
    Plays((Raw(b"HTTP/1.1 200"), Reset())),
)


class _Greets(Protocol):
    """A server that speaks first, and not HTTP."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 mail.example ESMTP\r\n")


@implementer(IAgentEndpointFactory)
class _OverTLS:
    """Reaches the network's listeners by TLS, whatever they speak."""

    def __init__(self, network: Network) -> None:
        self._plain = network.endpoint
        self._policy = TrustPolicy()

    def endpointForURI(self, uri: Any) -> Any:
        creator = self._policy.creatorForNetloc(uri.host, uri.port)
        return wrapClientTLS(creator, self._plain(uri.host.decode()))


class FaultTests(SynchronousTestCase):
    """Whatever keeps a provider from answering, the next one is asked; alone, it is told what it was."""

    def assert_fails_over(
        self,
        spoil: Callable[[Stack], None] | None,
        status: int,
        reason: str,
        act: Any = NEVER_SAID,
        *,
        seconds: float = 1,
        kinds: tuple[bool, ...] = (False, True),
    ) -> None:
        """
        Assert what a provider's fault leads to, streamed or not, alone and with another provider behind.

        @param spoil: what happens to the provider C{a}, beside its C{act}.
        @param status: of the answer where nobody else is there.
        @param reason: what the log and the client are told.
        @param seconds: how long the fault takes to be noticed.
        """
        for stream in kinds:
            for others in ({}, {"b": [Says("from b")]}):
                stack = Plain(self, {"a": [act], **others}, QUIET)
                if spoil is not None:
                    spoil(stack)
                peer = stack.send(body(stream=stream))
                stack.go(seconds)
                answer = stack.answer(peer)
                self.assertTrue(answer.complete)
                first = stack.told.attempts[0]
                self.assertEqual((first.provider, first.verdict.value, first.status), ("a", "broken", 0))
                self.assertIn(reason, first.reason)
                self.assertIn(reason, stack.logged[0]["reason"])
                if others:
                    self.assertEqual((answer.status, text(answer), len(attempts(stack))), (200, "from b", 2))
                    continue
                error = json.loads(answer.body)["error"]
                self.assertEqual(answer.status, status)
                self.assertEqual(error["type"], "timeout_error" if status == 504 else "api_error")
                self.assertIn(f"(a: {first.reason})", error["message"])
                self.assertEqual(stack.why, f"a: {first.reason}")
                self.assertEqual(len(stack.logged), 2)

    def test_refused(self) -> None:
        """Nobody listens there."""
        self.assert_fails_over(lambda stack: stack.network.refuse("a"), 502, "connection refused")

    def test_unresolvable(self) -> None:
        """The name of the host is not known."""
        self.assert_fails_over(lambda s: s.network.unresolvable("a"), 502, "the host name cannot be resolved")

    def test_blackhole(self) -> None:
        """Nothing answers at all: connect_timeout_ms is as long as that is borne."""
        self.assert_fails_over(
            lambda s: s.network.blackhole("a"), 502, "no connection within 10 s", seconds=10
        )

    def test_blackhole_within_the_time(self) -> None:
        """Until then nothing is given up."""
        stack = Plain(self, {"a": [Says("x")], "b": [Says("from b")]}, connect_timeout_ms=4000)
        stack.network.blackhole("a")
        peer = stack.send(body())
        stack.go(3.9)
        self.assertEqual((stack.told.attempts, stack.asked("b")), ([], []))
        stack.go(0.1)
        self.assertEqual(text(stack.answer(peer)), "from b")

    def test_lost_before_the_head(self) -> None:
        """The connection is reset or closed before there is a whole head."""
        for act in LOST:
            self.assert_fails_over(None, 502, "the connection was", act)

    def test_lost_after_the_head(self) -> None:
        """The connection is lost between head and body: nothing was said yet."""
        for how in ("reset", "cut"):
            for stream in (False, True):
                stack = Plain(self, {"a": [Breaks(after_events=0, how=how)], "b": [Says("from b")]})
                self.assertEqual(text(stack.ask(body(stream=stream), 1)), "from b")
                self.assertEqual(
                    stack.told.attempts[0].reason, "the connection was lost in the middle of the answer"
                )

    def test_garbage(self) -> None:
        """What answers does not speak HTTP."""
        for act in GARBAGE:
            self.assert_fails_over(None, 502, "what came back is not HTTP", act)

    def test_another_protocol(self) -> None:
        """Something else listens there, and speaks first."""

        def other(stack: Stack) -> None:
            stack.network.listen("a", Factory.forProtocol(_Greets))

        self.assert_fails_over(other, 502, "what came back is not HTTP")

    def test_without_tls(self) -> None:
        """The base_url says https, and what listens there does not: no key is sent in the clear."""
        stack = Plain(self, {"a": [Says("never said")]}, base_url="https://a")
        stack.network.endpointForURI = _OverTLS(stack.network).endpointForURI
        stack.network.listen("a", Factory.forProtocol(_Greets))
        answer = stack.ask()
        self.assertEqual(answer.status, 502)
        self.assertIn("(a: TLS: ", json.loads(answer.body)["error"]["message"])
        self.assertEqual(stack.asked("a"), [])

    def test_silence_before_a_stream(self) -> None:
        """A streamed answer begins within first_byte_timeout_ms, or somebody else is asked."""
        silent = Stalls(before_head=True)
        self.assert_fails_over(None, 504, "no answer began within 120 s", silent, seconds=121, kinds=(True,))

    def test_silence_before_an_answer(self) -> None:
        """For an answer that is not streamed the whole of server.timeout_ms may pass; then it is too late."""
        stack = Plain(self, {"a": [Stalls(before_head=True)], "b": [Says("from b")]})
        peer = stack.send(body())
        stack.go(599)
        self.assertFalse(stack.answer(peer).complete)
        stack.go(1)
        answer = stack.answer(peer)
        self.assertEqual(answer.status, 504)
        self.assertIn("no answer began within 600 s", json.loads(answer.body)["error"]["message"])

    def test_silence_told_as_an_event(self) -> None:
        """With pings the head of a stream is out by then: the failure is an event of it."""
        stack = Plain(self, {"a": [Stalls(before_head=True)]})
        answer = stack.ask(body(stream=True), 121)
        events = sse(answer.body)
        self.assertEqual({name for name, _ in events[:-1]}, {"ping"})
        self.assertEqual((events[-1][0], events[-1][1]["error"]["type"]), ("error", "timeout_error"))
        self.assertTrue(answer.complete)

    def test_a_kept_connection_found_dead(self) -> None:
        """A kept connection that the provider has closed meanwhile is no failure: a new one is made."""
        stack = Plain(self, {"a": [Says("one"), Breaks(after_events=None, how="cut"), Says("two")]})
        self.assertEqual([text(stack.ask()) for _ in range(2)], ["one", "two"])
        self.assertEqual([attempt.verdict.value for attempt in stack.told.attempts], ["ok", "ok"])


class RefusalTests(SynchronousTestCase):
    """Refusals that do not come whole; their status says enough."""

    def test_hanging_body(self) -> None:
        """The words of a refusal are waited for 10 s, and no longer."""
        head = Head(429, ((b"content-type", b"application/json"), (b"retry-after", b"9")), 500)
        for script in ((head, Hang()), (head, Chunk(b'{"type":"er'), Hang())):
            stack = Plain(self, {"a": [Plays(script)]})
            peer = stack.send(body())
            stack.go(9.9)
            self.assertFalse(stack.answer(peer).complete)
            stack.go(0.2)
            answer = stack.answer(peer)
            self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "9"))
            self.assertEqual(json.loads(answer.body)["error"]["type"], "rate_limit_error")

    def test_broken_body(self) -> None:
        """A refusal whose words were cut short is a refusal all the same."""
        for how in ("reset", "cut"):
            broken = Breaks(act=Refuses(529, "x" * 1000), how=how)
            stack = Plain(self, {"a": [broken], "b": [Says("from b")]})
            self.assertEqual(text(stack.ask()), "from b")
            self.assertEqual(stack.told.attempts[0].verdict.value, "busy")

    def test_connections_after_a_refusal(self) -> None:
        """A refusal that was read whole leaves its connection fit for the next request."""
        stack = Plain(self, {"a": [Refuses(429), Says("x")]})
        stack.send(http_request("GET", "/health", HEADERS))
        for _ in range(2):
            stack.ask()
        self.assertEqual(len([pair for pair in stack.network.connections if pair.name == "a"]), 1)

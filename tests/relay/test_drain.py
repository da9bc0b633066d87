"""Shutting down: what is being served may finish for a time, then it is ended in words; nothing begins."""

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Plays, Refuses, Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.faults import Stalls
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, End, Head, Wait
from tests.network import http_request, sse
from tests.relay.test_failover import text
from tests.stack import HEADERS, Stack, body

SHUTTING_DOWN = "ccrelay is shutting down"


def drain(stack: Stack, seconds: float = 30) -> Deferred[None]:
    """Let a relay finish what it is serving, for so long."""
    draining = Deferred.fromCoroutine(stack.in_flight.drain(stack.clock, seconds))
    stack.go()
    return draining


class FinishingTests(SynchronousTestCase):
    """Whatever is being served goes on."""

    def test_a_stream(self) -> None:
        """A stream that ends within drain_ms is whole, and the drain is over with it."""
        stack = Stack(self, {"a": [Says("one two three", pace=2)]})
        peer = stack.send(body(stream=True))
        stack.go(3)
        draining = drain(stack)
        stack.go(10)
        self.assertNoResult(draining)
        stack.go(15)
        self.successResultOf(draining)
        self.assertEqual(text(stack.answer(peer)), "one two three")
        self.assertEqual((stack.events(peer)[-1], stack.why), ("message_stop", "complete"))

    def test_an_answer_that_is_not_streamed(self) -> None:
        """So is an answer that is not streamed, and one that another provider gives after a failure."""
        stack = Stack(
            self,
            {"a": [Stalls(before_head=True, seconds=5, act=Refuses(529))], "b": [Says("from b", pace=1)]},
        )
        peer = stack.send(body())
        draining = drain(stack)
        stack.go(29)
        self.assertEqual(text(stack.answer(peer)), "from b")
        self.successResultOf(draining)

    def test_every_one_of_them(self) -> None:
        """The drain lasts until the last of them is done."""
        stack = Stack(self, {"a": [Says("x", pace=pace) for pace in (1, 2, 3)]})
        peers = [stack.send(body(stream=True)) for _ in range(3)]
        draining = drain(stack, 60)
        for _ in range(60):
            if any(not stack.answer(peer).complete for peer in peers):
                self.assertNoResult(draining)
            stack.go(1)
        self.successResultOf(draining)
        self.assertEqual([stack.events(peer)[-1] for peer in peers], ["message_stop"] * 3)

    def test_nothing_to_finish(self) -> None:
        """Where nothing is being served the drain is over at once."""
        self.successResultOf(drain(Stack(self, {"a": [Says("x")]})))

    def test_a_client_that_leaves(self) -> None:
        """A client that leaves holds up nothing."""
        stack = Stack(self, {"a": [Stalls()]})
        peer = stack.send(body(stream=True))
        draining = drain(stack)
        peer.hang_up()
        stack.go()
        self.successResultOf(draining)
        self.assertEqual(stack.why, "client left")


class EndingTests(SynchronousTestCase):
    """What is not done after drain_ms is ended so that nobody takes it for whole."""

    def test_a_stream(self) -> None:
        """A stream ends with an error event; its provider is hung up on."""
        stack = Stack(self, {"a": [Stalls(after_events=4)]})
        peer = stack.send(body(stream=True))
        draining = drain(stack)
        stack.go(29.9)
        self.assertEqual(len(stack.in_flight), 1)
        stack.go(0.1)
        self.successResultOf(draining)
        answer = stack.answer(peer)
        events = sse(answer.body)
        self.assertEqual((answer.status, answer.complete), (200, True))
        self.assertEqual((events[-1][0], events[-1][1]["error"]["type"]), ("error", "api_error"))
        self.assertIn(SHUTTING_DOWN, events[-1][1]["error"]["message"])
        self.assertNotIn("message_stop", [name for name, _ in events])
        self.assertTrue(stack.asked("a")[0].gone)
        self.assertTrue(stack.why.startswith(SHUTTING_DOWN), stack.why)
        self.assertEqual([attempt.verdict.value for attempt in stack.told.attempts], ["cancelled"])
        self.assertEqual([line["message"] for line in stack.logged], ["request"])

    def test_a_stream_of_pings(self) -> None:
        """So does one that has had nothing but pings."""
        stack = Stack(self, {"a": [Stalls(before_head=True)]})
        peer = stack.send(body(stream=True))
        drain(stack, 20)
        stack.go(20)
        self.assertEqual(stack.events(peer), ["ping", "error"])

    def test_within_an_event(self) -> None:
        """Where part of an event has gone out the connection is cut instead."""
        long = b'event: content_block_delta\ndata: {"x":"' + b"x" * 100_000
        act = Plays((Head(200, ((b"content-type", b"text/event-stream"),)), Chunk(long), Wait(99), End()))
        stack = Stack(self, {"a": [act]})
        peer = stack.send(body(stream=True))
        drain(stack, 5)
        stack.go(6)
        self.assertTrue(peer.closed)
        self.assertFalse(stack.answer(peer).complete)
        self.assertTrue(stack.why.startswith(SHUTTING_DOWN), stack.why)

    def test_before_the_head(self) -> None:
        """An answer that has not begun is a 503 that says when to ask again, streamed or not."""
        for stream in (False, True):
            stack = Stack(self, {"a": [Stalls(before_head=True)], "b": [Says("x")]})
            peer = stack.send(body(stream=stream))
            draining = drain(stack, 10)
            stack.go(10)
            answer = stack.answer(peer)
            error = json.loads(answer.body)["error"]
            self.assertEqual(
                (answer.status, answer.headers["retry-after"], error["type"]), (503, "2", "api_error")
            )
            self.assertIn("send it again", error["message"])
            self.assertEqual((stack.asked("b"), stack.asked("a")[0].gone), ([], True))
            self.assertEqual((stack.logged[-1]["status"], stack.why), (503, error["message"]))
            self.successResultOf(draining)

    def test_a_request_that_is_still_arriving(self) -> None:
        """A request whose body has not come is answered 503 as well, and asks nobody."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.connect()
        peer.send(http_request("POST", "/v1/messages", (*HEADERS, ("content-length", "10000")), b"{"))
        draining = drain(stack, 3)
        stack.go(3)
        self.assertEqual((stack.answer(peer).status, stack.asked("a")), (503, []))
        self.successResultOf(draining)

    def test_a_download(self) -> None:
        """A file on its way down is cut off: with words behind it, it would be another file."""
        for length in (1000, None):
            head = Head(200, ((b"content-type", b"application/x-ndjson"),), length)
            file = Plays((head, Chunk(b"x" * 500), Wait(99), Chunk(b"x" * 500), End()))
            stack = Stack(self, {"a": [Says("x")]})
            store = Simulator(stack.clock, script=Script(paths={"/v1/files/*": [file]}))
            stack.network.listen("a", store.site)
            peer = stack.send(b"", "GET", "/v1/files/file_1/content")
            draining = drain(stack, 3)
            stack.go(3)
            answer = stack.answer(peer)
            self.assertEqual((answer.status, answer.body, answer.complete), (200, b"x" * 500, False))
            self.assertTrue(peer.closed)
            self.assertTrue(stack.why.startswith(SHUTTING_DOWN), stack.why)
            self.successResultOf(draining)

    def test_an_upload(self) -> None:
        """So is a file on its way up; its provider is hung up on."""
        stack = Stack(self, {"a": [Says("x")]})
        peer = stack.connect()
        fields = (HEADERS[0], ("content-type", "application/octet-stream"), ("content-length", "10000"))
        peer.send(http_request("POST", "/v1/files", fields, b"x" * 100))
        stack.go()
        draining = drain(stack, 3)
        stack.go(3)
        self.assertEqual(stack.answer(peer).status, 503)
        self.assertEqual([pair for pair in stack.network.connections if pair.name == "a"], [])
        self.successResultOf(draining)

    def test_a_client_that_does_not_read(self) -> None:
        """Nobody's slowness holds up the end."""
        delta = Chunk(b"event: content_block_delta\ndata: " + b"x" * 8000 + b"\n\n")
        act = Plays((Head(200, ((b"content-type", b"text/event-stream"),)), *[delta] * 500, Wait(99), End()))
        stack = Stack(self, {"a": [act]})
        peer = stack.connect()
        peer.pause()
        peer.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
        stack.go()
        draining = drain(stack, 3)
        stack.go(5)
        self.successResultOf(draining)
        self.assertEqual(len(stack.in_flight), 0)
        self.assertTrue(stack.asked("a")[0].gone)

    def test_at_once(self) -> None:
        """drain_ms: 0 ends everything at once."""
        stack = Stack(self, {"a": [Stalls(after_events=4)]})
        peer = stack.send(body(stream=True))
        self.successResultOf(drain(stack, 0))
        self.assertEqual(stack.events(peer)[-1], "error")


class RefusingTests(SynchronousTestCase):
    """Nothing new begins."""

    def test_new_requests(self) -> None:
        """A request that comes during the drain gets 503 and a time, also on a connection that is kept."""
        stack = Stack(self, {"a": [Says("one two three", pace=2)]})
        kept = stack.connect()
        kept.send(http_request("GET", "/health", HEADERS))
        running = stack.send(body(stream=True))
        drain(stack)
        for content in (body(), body(stream=True)):
            answer = stack.ask(content)
            self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "2"))
            self.assertIn(SHUTTING_DOWN, json.loads(answer.body)["error"]["message"])
            self.assertIn(SHUTTING_DOWN, stack.why)
        kept.send(http_request("POST", "/v1/messages", HEADERS, body()))
        stack.go(30)
        self.assertIn(b"HTTP/1.1 503", kept.received)
        self.assertEqual(len(stack.asked("a")), 1)
        self.assertEqual(stack.events(running)[-1], "message_stop")

    def test_other_paths(self) -> None:
        """So does a request for a file; the relay is alive, and not ready."""
        stack = Stack(self, {"a": [Says("x")]})
        drain(stack)
        self.assertEqual(stack.get("/v1/files").status, 503)
        self.assertEqual(stack.get("/health").status, 200)
        ready = stack.get("/ready")
        self.assertEqual((ready.status, json.loads(ready.body)["reason"]), (503, "draining"))

    def test_no_new_attempt(self) -> None:
        """A series of attempts ends with the drain: nobody else is asked for it."""
        stack = Stack(self, {"a": [Stalls(before_head=True, seconds=5, act=Refuses(529))], "b": [Says("x")]})
        stack.send(body())
        drain(stack, 4)
        stack.go(60)
        self.assertEqual(stack.asked("b"), [])
        self.assertEqual(len(stack.told.attempts), 1)

"""Streaming through the whole relay: pace, fidelity, ends that are never silent."""

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says, Sends, Streams
from ccrelay.simulator.faults import Breaks, Errs, Gzips, Stalls
from ccrelay.simulator.steps import Hang, Wait
from tests.network import http_request, sse
from tests.stack import HEADERS, Plain, body

START = (
    b"event: message_start\r\n"
    b'data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":7}}}\r\n\r\n'
)
ODD = b': a comment\n\nevent: never_heard_of\ndata: {"type":"never_heard_of","big":12345678901234567890}\n\n'
DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"text":"\\u0041"}}\n\n'
)
END = (
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


class PaceTests(SynchronousTestCase):
    """Events reach the client as they come."""

    def test_each_event_at_its_time(self) -> None:
        """Every event is passed on the moment it arrives, never in lumps."""
        stack = Plain(self, {"a": [Says("one two three four", pace=0.5, pieces=4)]})
        peer = stack.send(body(stream=True))
        sent = stack.clock.seconds()
        stack.go(10)
        count = len(sse(stack.answer(peer).body))
        self.assertGreater(count, 7)
        times = sorted({round(at - sent, 3) for at, _ in peer.arrivals})
        self.assertEqual(times, [round(place * 0.5, 3) for place in range(count)])

    def test_the_head_goes_out_with_the_first_event(self) -> None:
        """Nothing is held back: the client has the first event before the second exists."""
        stack = Plain(
            self, {"a": [Streams([START, Wait(60), DELTA, END])]}, {"server": {"ping_interval_ms": 0}}
        )
        peer = stack.send(body(stream=True))
        answer = stack.answer(peer)
        self.assertEqual((answer.status, answer.body, answer.complete), (200, START, False))
        stack.go(61)
        self.assertTrue(stack.answer(peer).complete)

    def test_head_of_a_stream(self) -> None:
        """A stream's head says that it is one, and keeps proxies from holding it back."""
        stack = Plain(
            self, {"a": [Says("x", headers=((b"anthropic-new-thing", b"1"), (b"set-cookie", b"a=b")))]}
        )
        answer = stack.ask(body(stream=True))
        self.assertEqual(answer.headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertEqual(answer.headers["cache-control"], "no-cache, no-transform")
        self.assertEqual(answer.headers["x-accel-buffering"], "no")
        self.assertEqual(answer.headers["connection"], "keep-alive")
        self.assertEqual(answer.headers["request-id"], "req_sim_00000001")
        self.assertEqual(answer.headers["anthropic-new-thing"], "1")
        self.assertNotIn("set-cookie", answer.headers)
        self.assertTrue(answer.headers["x-ccrelay-request-id"].startswith("req_ccrelay_"))


class FidelityTests(SynchronousTestCase):
    """The bytes of a stream are the provider's."""

    def test_bytes_are_unchanged(self) -> None:
        """Unknown events, comments, CRLF endings, escapes and big integers reach the client as they are."""
        whole = START + ODD + DELTA + END
        for size in (1, 7, 64, len(whole)):
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            stack = Plain(self, {"a": [Streams(pieces)]})
            self.assertEqual(stack.ask(body(stream=True), 1).body, whole)
            self.assertEqual(stack.why, "complete")

    def test_only_whole_events(self) -> None:
        """An unfinished event waits for its blank line."""
        stack = Plain(self, {"a": [Streams([START + DELTA[:20], Wait(1), DELTA[20:] + END])]})
        peer = stack.send(body(stream=True))
        self.assertEqual(stack.answer(peer).body, START)
        stack.go(2)
        self.assertEqual(stack.answer(peer).body, START + DELTA + END)

    def test_a_long_event_goes_on_in_pieces(self) -> None:
        """An event over 64 KiB is not held back until it is whole."""
        long = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","x":"'
            + b"x" * 300_000
            + b'"}\n\n'
        )
        stack = Plain(self, {"a": [Streams([START, long[:200_000], Wait(1), long[200_000:], END])]})
        peer = stack.send(body(stream=True))
        self.assertGreater(len(stack.answer(peer).body), 100_000)
        stack.go(5)
        self.assertEqual(stack.answer(peer).body, START + long + END)

    def test_gzip_is_decoded(self) -> None:
        """Plain bytes are asked for; a provider that compresses all the same is understood."""
        stack = Plain(self, {"a": [Gzips(Streams([START, DELTA, END]))]})
        answer = stack.ask(body(stream=True), 1)
        self.assertEqual(answer.body, START + DELTA + END)
        self.assertNotIn("content-encoding", answer.headers)
        self.assertEqual(dict(stack.asked("a")[0].headers)[b"accept-encoding"], b"identity")

    def test_usage_is_read_on_the_way(self) -> None:
        """The log tells what a stream cost."""
        stack = Plain(self, {"a": [Streams([START, DELTA, END])]})
        stack.ask(body(stream=True), 1)
        line = stack.logged[-1]
        self.assertEqual((line["input_tokens"], line["output_tokens"], line["ended"]), (7, 9, "complete"))


class EndTests(SynchronousTestCase):
    """A stream that was cut short never looks whole."""

    def assert_lost(self, act: object, kind: str = "api_error", seconds: float = 1) -> None:
        """Assert that a stream broken after some events ends with an error event."""
        stack = Plain(self, {"a": [act], "b": [Says("never asked")]})
        peer = stack.send(body(stream=True))
        stack.go(seconds)
        answer = stack.answer(peer)
        events = sse(answer.body)
        self.assertEqual(answer.status, 200)
        self.assertEqual([name for name, _ in events].count("message_start"), 1)
        self.assertNotIn("message_stop", [name for name, _ in events])
        self.assertEqual(events[-1][0], "error")
        self.assertEqual(events[-1][1]["error"]["type"], kind)
        self.assertTrue(answer.complete)
        self.assertEqual(stack.asked("b"), [])
        self.assertTrue(stack.why.startswith("upstream lost"), stack.why)
        self.assertEqual(events[-1][1]["request_id"], stack.logged[-1]["id"])

    def test_reset(self) -> None:
        """A connection reset in the middle becomes an error event."""
        self.assert_lost(Breaks(after_events=4, how="reset"))

    def test_cut(self) -> None:
        """A connection closed against its framing becomes an error event."""
        self.assert_lost(Breaks(after_events=4, how="cut"))

    def test_clean_end_without_message_stop(self) -> None:
        """A clean end without message_stop becomes an error event: SDKs take it for a complete answer."""
        self.assert_lost(Breaks(after_events=4, how="end"))

    def test_stall(self) -> None:
        """A stream that stops coming is given up after idle_timeout_ms, as a timeout."""
        self.assert_lost(Stalls(after_events=4), "timeout_error", seconds=301)

    def test_unfinished_tail_is_dropped(self) -> None:
        """Of an event that was cut in two the client sees nothing."""
        stack = Plain(self, {"a": [Streams([START, DELTA, DELTA[:30]])]})
        answer = stack.ask(body(stream=True), 1)
        self.assertEqual(
            [name for name, _ in sse(answer.body)], ["message_start", "content_block_delta", "error"]
        )

    def test_cut_within_a_long_event_aborts(self) -> None:
        """Where a piece of an event has gone out, the connection is cut: nothing fits into it."""
        stack = Plain(self, {"a": [Streams([START, DELTA[:40] + b"x" * 100_000])]})
        peer = stack.send(body(stream=True))
        stack.go(1)
        self.assertTrue(peer.closed)
        self.assertFalse(stack.answer(peer).complete)
        self.assertTrue(stack.why.startswith("upstream lost"))

    def test_error_event_of_the_provider(self) -> None:
        """What a provider itself says in the middle of a stream goes on byte for byte, and ends it."""
        stack = Plain(self, {"a": [Errs(kind="overloaded_error", message="Too busy", after_events=4)]})
        answer = stack.ask(body(stream=True), 3)
        events = sse(answer.body)
        self.assertEqual((events[-1][0], events[-1][1]["error"]["message"]), ("error", "Too busy"))
        self.assertEqual([name for name, _ in events].count("error"), 1)
        self.assertTrue(answer.complete)
        self.assertEqual(stack.why, "upstream error: overloaded_error")

    def test_provider_that_never_closes(self) -> None:
        """After message_stop nothing is waited for longer than two seconds."""
        stack = Plain(self, {"a": [Streams([START, DELTA, END, Hang()])]})
        peer = stack.send(body(stream=True))
        self.assertFalse(stack.answer(peer).complete)
        stack.go(2.1)
        self.assertTrue(stack.answer(peer).complete)
        self.assertEqual(stack.why, "complete")


class BeforeContentTests(SynchronousTestCase):
    """What fails before the first real event is an attempt that failed, and nothing more."""

    def test_error_first(self) -> None:
        """A 200 whose first event is an error fails over like a 529."""
        stack = Plain(self, {"a": [Errs(after_events=0)], "b": [Says("from b")]})
        answer = stack.ask(body(stream=True), 1)
        self.assertIn(b"from b", answer.body)
        self.assertEqual([name for name, _ in sse(answer.body)].count("error"), 0)
        self.assertEqual([a.verdict.value for a in stack.told.attempts], ["busy", "ok"])

    def test_error_first_everywhere(self) -> None:
        """Where everybody is overloaded the client gets a 529, not a broken stream and not a 500."""
        stack = Plain(self, {"a": [Errs(after_events=0)], "b": [Errs(after_events=0)]})
        answer = stack.ask(body(stream=True), 1)
        self.assertEqual(answer.status, 529)
        self.assertEqual(json.loads(answer.body)["error"]["type"], "overloaded_error")

    def test_empty_stream(self) -> None:
        """An event stream without an event fails over."""
        stack = Plain(self, {"a": [Streams([])], "b": [Says("from b")]})
        self.assertIn(b"from b", stack.ask(body(stream=True), 1).body)

    def test_not_a_stream(self) -> None:
        """HTML, JSON, garbage or nothing where a stream was asked for fails over."""
        for content, media in ((b"<html>", "text/html"), (b"{}", "application/json"), (b"", "text/plain")):
            stack = Plain(self, {"a": [Sends(content, media)], "b": [Says("from b")]})
            self.assertIn(b"from b", stack.ask(body(stream=True), 1).body)
            self.assertIn("not an event stream", stack.told.attempts[0].reason)

    def test_ping_then_death_fails_over(self) -> None:
        """A provider that only pinged before it died has said nothing: the next one is asked."""
        ping = b'event: ping\ndata: {"type":"ping"}\n\n'
        stack = Plain(self, {"a": [Streams([ping, Wait(1)])], "b": [Says("from b")]})
        answer = stack.ask(body(stream=True), 3)
        names = [name for name, _ in sse(answer.body)]
        self.assertEqual((names[:2], names[-1]), (["ping", "message_start"], "message_stop"))
        self.assertEqual(names.count("message_start"), 1)


class PingTests(SynchronousTestCase):
    """Silence is filled, so that clients do not hang up."""

    def test_silence_in_the_middle(self) -> None:
        """After ping_interval_ms without a byte the client gets a ping, and again after that."""
        stack = Plain(self, {"a": [Streams([START, Wait(50), DELTA, END])]})
        answer = stack.ask(body(stream=True), 60)
        names = [name for name, _ in sse(answer.body)]
        self.assertEqual(
            names,
            ["message_start", "ping", "ping", "ping", "content_block_delta", "message_delta", "message_stop"],
        )

    def test_silence_before_the_head(self) -> None:
        """A stream whose provider has not answered gets its head and pings all the same."""
        stack = Plain(self, {"a": [Stalls(before_head=True, seconds=40, act=Says("late"))]})
        peer = stack.send(body(stream=True))
        stack.go(16)
        answer = stack.answer(peer)
        self.assertEqual((answer.status, stack.events(peer)), (200, ["ping"]))
        self.assertTrue(answer.headers["request-id"].startswith("req_ccrelay_"))
        stack.go(30)
        self.assertEqual(stack.events(peer)[-1], "message_stop")
        self.assertEqual(stack.logged[-1]["upstream_id"], "req_sim_00000001")

    def test_failing_over_after_pings(self) -> None:
        """After an early head the next provider may still be asked; the client sees one message."""
        stack = Plain(
            self,
            {"a": [Stalls(before_head=True)], "b": [Says("from b")]},
            {"providers": {"a": {"first_byte_timeout_ms": 20_000}}},
        )
        answer = stack.ask(body(stream=True), 25)
        names = [name for name, _ in sse(answer.body)]
        self.assertEqual((names[0], names.count("message_start"), names[-1]), ("ping", 1, "message_stop"))

    def test_failure_after_pings(self) -> None:
        """After an early head a failure of all becomes an error event with the provider's own words."""
        late = Stalls(before_head=True, seconds=20, act=Refuses(429, "Slow down please"))
        stack = Plain(self, {"a": [late]})
        answer = stack.ask(body(stream=True), 25)
        events = sse(answer.body)
        self.assertEqual([name for name, _ in events], ["ping", "error"])
        self.assertEqual(events[1][1]["error"], {"type": "rate_limit_error", "message": "Slow down please"})
        self.assertTrue(answer.complete)

    def test_no_ping_within_an_event(self) -> None:
        """Nothing is written between the pieces of one event."""
        long = b'event: content_block_delta\ndata: {"x":"' + b"x" * 100_000 + b'"}\n\n'
        stack = Plain(self, {"a": [Streams([START, long[:90_000], Wait(40), long[90_000:], END])]})
        answer = stack.ask(body(stream=True), 60)
        self.assertEqual(answer.body, START + long + END)

    def test_no_pings_where_none_are_wanted(self) -> None:
        """ping_interval_ms: 0 means never."""
        stack = Plain(self, {"a": [Streams([START, Wait(100), END])]}, {"server": {"ping_interval_ms": 0}})
        self.assertNotIn(b"ping", stack.ask(body(stream=True), 120).body)


class LeavingTests(SynchronousTestCase):
    """Whoever hangs up, cancels."""

    def test_a_client_that_leaves(self) -> None:
        """A client that goes away ends the provider's work at once; it is no failure of the provider's."""
        stack = Plain(self, {"a": [Says("x" * 500, pace=1)]})
        peer = stack.send(body(stream=True))
        stack.go(3)
        peer.hang_up()
        stack.go(0.1)
        self.assertFalse(stack.asked("a")[0].open)
        self.assertIsNotNone(stack.asked("a")[0].gone_at)
        self.assertEqual(stack.why, "client left")
        self.assertEqual([attempt.verdict.value for attempt in stack.told.attempts], ["cancelled"])
        self.assertEqual([line["message"] for line in stack.logged], ["request"])

    def test_a_client_that_leaves_before_the_head(self) -> None:
        """So it is while the provider has not answered yet."""
        for gone in ("hang_up", "reset"):
            stack = Plain(self, {"a": [Stalls(before_head=True)]})
            peer = stack.send(body(stream=True))
            getattr(peer, gone)()
            stack.go(0.1)
            self.assertIsNotNone(stack.asked("a")[0].gone_at)
            self.assertEqual(stack.why, "client left")

    def test_no_next_attempt_for_nobody(self) -> None:
        """Nobody else is asked for a client that has left."""
        stack = Plain(self, {"a": [Stalls(before_head=True)], "b": [Says("x")]})
        peer = stack.send(body())
        peer.reset()
        stack.go(1000)
        self.assertEqual(stack.asked("b"), [])


class BackpressureTests(SynchronousTestCase):
    """A slow reader pauses the provider."""

    def test_memory_is_bounded(self) -> None:
        """However much a provider sends, what a stream holds stays under 256 KiB."""
        delta = b"event: content_block_delta\ndata: " + b"x" * 8000 + b"\n\n"
        stack = Plain(
            self, {"a": [Streams([START, *[delta] * 1000, END])]}, {"server": {"ping_interval_ms": 0}}
        )
        peer = stack.connect()

        peer.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
        peer.pause()
        stack.go(10)
        held = [pair for pair in stack.network.connections if pair.name == "relay"]
        self.assertLess(held[0].server.peak, 256 * 1024)
        peer.resume()
        stack.go(10)
        answer = stack.answer(peer)
        self.assertTrue(answer.complete)
        self.assertEqual(answer.body.count(b"content_block_delta"), 1000)

    def test_a_reader_that_never_reads(self) -> None:
        """A client that takes nothing for idle_timeout_ms is cut off; the provider is not to blame."""
        delta = b"event: content_block_delta\ndata: " + b"x" * 8000 + b"\n\n"
        stack = Plain(self, {"a": [Streams([START, *[delta] * 1000, END])]})
        slow = stack.connect()
        slow.pause()

        slow.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
        stack.go(400)
        self.assertIn("the client took nothing", stack.why)
        self.assertIsNotNone(stack.asked("a")[0].gone_at)
        self.assertNotIn("broken", [attempt.verdict.value for attempt in stack.told.attempts])


class WholeTests(SynchronousTestCase):
    """Answers that are not streamed."""

    def test_bytes_are_unchanged(self) -> None:
        """A whole message reaches the client byte for byte, with its length."""
        message = b'{ "type":"message", "content":[], "n":12345678901234567890,"usage":{"input_tokens":3} }\n'
        stack = Plain(self, {"a": [Sends(message, "application/json")]})
        answer = stack.ask()
        self.assertEqual(answer.body, message)
        self.assertEqual(answer.headers["content-length"], str(len(message)))
        self.assertEqual(stack.logged[-1]["input_tokens"], 3)

    def test_cut_short(self) -> None:
        """A whole answer that was cut short is nobody's answer: the next provider is asked."""
        for how in ("reset", "cut"):
            stack = Plain(self, {"a": [Breaks(after_events=2, how=how)], "b": [Says("from b")]})
            self.assertIn(b"from b", stack.ask(seconds=1).body)

    def test_not_a_message(self) -> None:
        """HTML, garbage, an empty 200 or other JSON fails over, and says so when nobody is left."""
        for content, media in (
            (b"<html>", "text/html"),
            (b"", "application/json"),
            (b'{"a":1}', "application/json"),
        ):
            stack = Plain(self, {"a": [Sends(content, media)], "b": [Says("from b")]})
            self.assertIn(b"from b", stack.ask(seconds=1).body)
        stack = Plain(self, {"a": [Sends(b"", "application/json")]})
        answer = stack.ask(seconds=1)
        self.assertEqual(answer.status, 502)
        self.assertIn(
            "a: answered 200 with a body that is empty", json.loads(answer.body)["error"]["message"]
        )

    def test_too_late(self) -> None:
        """server.timeout_ms bounds the whole of an answer that is not streamed."""
        for act in (Stalls(before_head=True), Stalls(after_events=1)):
            stack = Plain(self, {"a": [act]}, {"server": {"timeout_ms": 30_000}})
            answer = stack.ask(seconds=31)
            self.assertEqual(answer.status, 504)
            self.assertEqual(json.loads(answer.body)["error"]["type"], "timeout_error")

    def test_keep_alive(self) -> None:
        """A client's next request on the same connection is served as well, and the provider's is reused."""
        stack = Plain(self, {"a": [Says("x")]})
        peer = stack.connect()
        for _ in range(3):
            peer.send(http_request("POST", "/v1/messages", HEADERS, body(stream=True)))
            stack.go(1)
        self.assertEqual(peer.received.count(b"event: message_stop"), 3)
        self.assertEqual(len([pair for pair in stack.network.connections if pair.name == "a"]), 1)

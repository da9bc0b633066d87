"""Splicing: where an attempt dies after its message has only begun, the next one goes on with it (2.5a)."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says, Streams
from ccrelay.simulator.steps import Cut, Hang, Reset, Wait
from ccrelay.wire.error_json import error_event
from tests.network import sse
from tests.relay.test_failover import text
from tests.stack import KEY, Stack, body

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
QUICK = {"providers": {"a": {"idle_timeout_ms": 5000}, "b": {"idle_timeout_ms": 5000}}}
ERROR = error_event("api_error", "Too bad", "req_x")
DEATHS = {"reset": Reset(), "cut": Cut(), "end": Wait(0), "error": ERROR, "stall": Hang()}
"""Every way for a stream to die; after an end there is nothing more to come."""


def start(name: str, tokens: int = 7) -> bytes:
    """Return the first event of a message."""
    message = {"id": f"msg_of_{name}", "usage": {"input_tokens": tokens, "output_tokens": 1}}
    return _event("message_start", message=message)


def delta(words: str) -> bytes:
    """Return a piece of text."""
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})


def end(tokens: int = 9) -> bytes:
    """Return the last events of a message."""
    return _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": tokens}) + STOP


def _event(name: str, **more: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **more})}\n\n".encode()


def whole(name: str) -> tuple[bytes, ...]:
    """Return the events of a whole answer."""
    return (start(name), delta(f"from {name}"), end())


class Splicing:
    """What the cases share."""

    def received(self: Any, first: tuple[Any, ...], second: tuple[Any, ...], **more: Any) -> bytes:
        """Return what a client gets where one provider dies and the next one answers."""
        stack = Stack(self, {"a": [Streams(first)], "b": [Streams(second)]}, QUICK, **more)
        answer = stack.ask(body(stream=True), 20)
        self.assertEqual((answer.status, answer.complete), (200, True))
        self.assertEqual([a.provider for a in stack.told.attempts], ["a", "b"])
        self.assertEqual(stack.why, "complete")
        names = [name for name, _ in sse(answer.body)]
        self.assertEqual((names.count("message_start"), names.count("error")), (1, 0))
        return answer.body


class DeathTests(Splicing, SynchronousTestCase):
    """However the first attempt dies, the client sees one message, which goes on."""

    def test_after_message_start(self) -> None:
        """The client keeps the beginning that it has, and never sees the second one."""
        for how, death in DEATHS.items():
            got = self.received((start("a"), death), whole("b"))
            self.assertEqual(got, start("a") + delta("from b") + end(), how)

    def test_after_message_start_and_pings(self) -> None:
        """Pings say nothing: a beginning with pings is a beginning."""
        for how, death in DEATHS.items():
            got = self.received((PING, start("a"), PING, death), whole("b"))
            self.assertEqual(got, PING + start("a") + PING + delta("from b") + end(), how)

    def test_after_nothing(self) -> None:
        """Where nothing was sent the second attempt is the answer, byte for byte."""
        for how, death in DEATHS.items():
            self.assertEqual(self.received((death,), whole("b")), b"".join(whole("b")), how)

    def test_in_the_middle_of_an_event(self) -> None:
        """The piece of an event that had come is dropped with the attempt."""
        for how in ("reset", "cut", "end"):
            got = self.received((start("a"), delta("lost")[:30], DEATHS[how]), whole("b"))
            self.assertEqual(got, start("a") + delta("from b") + end(), how)

    def test_in_the_middle_of_the_beginning(self) -> None:
        """Half a beginning was never sent."""
        for how in ("reset", "cut", "end"):
            got = self.received((start("a")[:40], DEATHS[how]), whole("b"))
            self.assertEqual(got, b"".join(whole("b")), how)

    def test_never_after_content(self) -> None:
        """Once content was sent nobody else is asked, and the client is told."""
        for how, death in DEATHS.items():
            stack = Stack(self, {"a": [Streams((start("a"), delta("x"), death))], "b": [Says("no")]}, QUICK)
            answer = stack.ask(body(stream=True), 20)
            names = [name for name, _ in sse(answer.body)]
            self.assertEqual(names, ["message_start", "content_block_delta", "error"], how)
            self.assertEqual((stack.asked("b"), len(stack.told.attempts)), ([], 1))


class ShapeTests(Splicing, SynchronousTestCase):
    """However the second attempt's bytes are cut and spelled, only its beginning is taken out."""

    def test_everything_at_once(self) -> None:
        """The beginning is taken out of the same piece that has content in it."""
        for first in ((start("a"), Reset()), (start("a") + PING, Reset())):
            got = self.received(first, (b"".join(whole("b")),))
            self.assertEqual(got.replace(PING, b""), start("a") + delta("from b") + end())

    def test_cut_anywhere(self) -> None:
        """Where the pieces of the second attempt end does not matter."""
        every = b"".join(whole("b"))
        for size in (1, 7, 50, 199):
            pieces = tuple(every[at : at + size] for at in range(0, len(every), size))
            got = self.received((start("a"), Reset()), pieces)
            self.assertEqual(got, start("a") + delta("from b") + end(), size)

    def test_line_ends(self) -> None:
        """Whatever line ends the two use, each keeps its own."""
        for mine, theirs in ((b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\r\n", b"\r\n"), (b"\r", b"\r\n")):
            first = start("a").replace(b"\n", mine)
            second = tuple(event.replace(b"\n", theirs) for event in whole("b"))
            for pieces in (second, (b"".join(second),)):
                got = self.received((first, Reset()), pieces)
                self.assertEqual(got, first + b"".join(second[1:]))

    def test_pings_and_comments_of_the_second(self) -> None:
        """What the second attempt sends before its beginning goes on, and so does what follows it."""
        odd = b": still there\n\nevent: never_heard_of\ndata: {}\n\n"
        for pieces in ((PING, *whole("b")), (PING + start("b") + PING, delta("from b"), end())):
            got = self.received((start("a"), Reset()), pieces)
            self.assertEqual(got.replace(PING, b""), start("a") + delta("from b") + end())
        got = self.received((start("a"), Reset()), (start("b") + odd, delta("from b"), end()))
        self.assertEqual(got, start("a") + odd + delta("from b") + end())

    def test_a_second_without_a_beginning(self) -> None:
        """A provider that sends none is no worse off for it."""
        got = self.received((start("a"), Reset()), (delta("from b"), end()))
        self.assertEqual(got, start("a") + delta("from b") + end())


class SeveralTests(SynchronousTestCase):
    """More than one attempt dies."""

    def test_the_third(self) -> None:
        """However many begin and die, the client has the beginning of the first and the rest of the last."""
        for how, death in DEATHS.items():
            acts = {name: [Streams((start(name), PING, death))] for name in "ab"}
            stack = Stack(self, acts | {"c": [Streams(whole("c"))]}, QUICK)
            answer = stack.ask(body(stream=True), 30)
            self.assertEqual(answer.body, start("a") + PING * 2 + delta("from c") + end(), how)
            self.assertEqual(stack.logged[-1]["tried"][::2], ["a/…cdef", "c/…cdef"])

    def test_in_place(self) -> None:
        """Where nobody else is there the same provider goes on with its own message."""
        stack = Stack(self, {"a": [Streams((start("one"), Reset())), Streams(whole("two"))]})
        answer = stack.ask(body(stream=True), 5)
        self.assertEqual(answer.body, start("one") + delta("from two") + end())
        self.assertEqual([a.repeat for a in stack.told.attempts], [False, True])

    def test_all(self) -> None:
        """Where all die the stream ends with an error: theirs where they gave one, else ours."""
        kinds = {"error": "api_error", "stall": "timeout_error"}
        for how, death in DEATHS.items():
            acts = {name: [Streams((start(name), PING, death))] for name in "ab"}
            stack = Stack(self, acts, QUICK)
            answer = stack.ask(body(stream=True), 60)
            events = sse(answer.body)
            self.assertEqual([name for name, _ in events if name != "ping"], ["message_start", "error"], how)
            self.assertEqual(events[0][1]["message"]["id"], "msg_of_a")
            error = events[-1][1]
            self.assertEqual(error["error"]["type"], kinds.get(how, "api_error"), how)
            self.assertTrue(answer.complete)
            if how == "error":
                self.assertTrue(answer.body.endswith(ERROR))
            else:
                self.assertIn("a: ", error["error"]["message"])
                self.assertEqual(error["request_id"], answer.headers["x-ccrelay-request-id"])

    def test_refused_at_last(self) -> None:
        """A refusal that is the answer is told as an event, with the provider's own words."""
        last = error_event("rate_limit_error", "Slow down", "req_b")
        stack = Stack(self, {"a": [Streams((start("a"), Reset()))], "b": [Streams((last,))]},
                      {"routing": {"max_attempts": 2}})  # fmt: skip
        self.assertEqual(stack.ask(body(stream=True), 5).body, start("a") + last)

    def test_after_an_early_head(self) -> None:
        """A client that has got pings from the relay gets one message as well."""
        late = Streams((Wait(16), start("a"), PING, Reset()))
        stack = Stack(self, {"a": [late], "b": [Streams(whole("b"))]})
        answer = stack.ask(body(stream=True), 30)
        names = [name for name, _ in sse(answer.body)]
        self.assertEqual(names, ["ping", "message_start", "ping", "content_block_delta", "message_delta",
                                 "message_stop"])  # fmt: skip


class LongTests(SynchronousTestCase):
    """Beginnings that are too long to be held."""

    LONG = start("a" * 100_000)

    def test_a_long_beginning_that_was_sent(self) -> None:
        """A beginning of over 64 KiB goes on in pieces; what dies after it is not begun a second time."""
        for first in ((self.LONG,), (self.LONG[:80_000], self.LONG[80_000:])):
            stack = Stack(self, {"a": [Streams((*first, Reset()))], "b": [Streams(whole("b"))]})
            answer = stack.ask(body(stream=True), 20)
            names = [name for name, _ in sse(answer.body)]
            self.assertEqual(names.count("message_start"), 1)
            self.assertIn(names[-1], ("message_stop", "error"))

    def test_lost_within_it(self) -> None:
        """Where a piece of it has gone out the connection is cut: nothing can follow half an event."""
        stack = Stack(self, {"a": [Streams((self.LONG[:80_000], Reset()))], "b": [Streams(whole("b"))]})
        peer = stack.send(body(stream=True))
        stack.go(5)
        self.assertTrue(peer.closed)
        self.assertFalse(stack.answer(peer).complete)
        self.assertEqual(stack.asked("b"), [])

    def test_a_long_beginning_to_go_on_with(self) -> None:
        """One that cannot be taken out whole is a failure: the client never sees a piece of it."""
        for long in (self.LONG, b":" + b" " * 70_000 + b"\n" + self.LONG):
            second = Streams((PING + long[:90_000], long[90_000:]))
            acts = {"a": [Streams((start("a"), Reset()))], "b": [second], "c": [Streams(whole("c"))]}
            stack = Stack(self, acts)
            answer = stack.ask(body(stream=True), 20)
            self.assertEqual(answer.body.replace(PING, b""), start("a") + delta("from c") + end())

    def test_long_content_to_go_on_with(self) -> None:
        """Of what follows the beginning, any piece may go on."""
        long = delta("b" * 100_000)
        acts = {"a": [Streams((start("a"), Reset()))], "b": [Streams((start("b") + long, end()))]}
        stack = Stack(self, acts)
        answer = stack.ask(body(stream=True), 20)
        self.assertEqual(answer.body, start("a") + long + end())


class AccountTests(SynchronousTestCase):
    """What is written down of a message that several have worked on."""

    def test_usage(self) -> None:
        """The log tells what the answer has cost where it came from; each key is charged for its own part."""
        limits = {"keys": [{"key": KEY, "itpm_limit": 1000, "otpm_limit": 9000}]}
        second = Streams((start("b", 30), delta("x"), end(4)))
        acts = {"a": [Streams((start("a", 700), Reset()))], "b": [second]}
        stack = Stack(self, acts, {"providers": {"a": limits, "b": limits}})
        stack.ask(body(stream=True), 5)
        line = stack.logged[-1]
        self.assertEqual((line["input_tokens"], line["output_tokens"]), (30, 4))
        used = {}
        for name in "ab":
            state = stack.upstreams[name].backend.pool.keys[0].state(stack.wall())
            used[name] = {spent.kind: spent.used for spent in state.spent}
        self.assertEqual((used["a"]["input-tokens"], used["b"]["input-tokens"]), (700, 30))
        self.assertEqual(used["b"]["output-tokens"], 4)

    def test_one_message_id(self) -> None:
        """The head is the first one's too, and so is its request-id; the log has that of the last."""
        acts = {"a": [Streams((start("a"), Reset()))], "b": [Streams(whole("b"))]}
        stack = Stack(self, acts)
        answer = stack.ask(body(stream=True), 5)
        self.assertEqual(answer.headers["request-id"], "req_sim_00000001")
        self.assertEqual(sse(answer.body)[0][1]["message"]["id"], "msg_of_a")
        self.assertEqual((stack.logged[-1]["provider"], stack.logged[-1]["attempts"]), ("b", 2))

    def test_the_conversation_moves(self) -> None:
        """The conversation's place is where its message was finished, and its circuit alone was charged."""
        acts = {"a": [Streams((start("a"), Reset()))], "b": [Streams(whole("b"))]}
        stack = Stack(self, acts)
        stack.ask(body(stream=True), 5)
        routing = stack.upstreams.routing
        loads = [sum(routing.affinity.loads(name).values()) for name in "ab"]
        self.assertEqual(loads, [0, 1])
        self.assertEqual([routing.breakers.of(name).failures for name in "ab"], [1, 0])

    def test_not_for_whole_answers(self) -> None:
        """An answer that is not streamed is the last one's alone, byte for byte."""
        for death in ("reset", "cut"):
            half = Streams((b'{"type":"message",', DEATHS[death]), "application/json")
            stack = Stack(self, {"a": [half], "b": [Says("b")]})
            answer = stack.ask(seconds=5)
            self.assertEqual(text(answer), "b")
            self.assertEqual(answer.body, Says("b").message(stack.asked("b")[0]).whole())

    def test_a_client_that_leaves_in_a_pause(self) -> None:
        """A client that hangs up while a repeat is waited for ends the series."""
        stack = Stack(self, {"a": [Streams((start("a"), Reset()))]})
        peer = stack.send(body(stream=True))
        peer.hang_up()
        stack.go(10)
        self.assertEqual((len(stack.asked("a")), stack.why), (1, "client left"))

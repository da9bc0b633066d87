"""The rules of the acts: what each of them does to a connection."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Plays, Refuses, Says, Sends, Streams, phrase
from ccrelay.simulator.messages import Tool
from ccrelay.simulator.steps import Chunk, Cut, End, Head, Step, Wait
from tests.network import sse
from tests.simulator.stage import MESSAGE, STREAM, asked


def steps(act: Act, body: Any = STREAM) -> list[Step]:
    """Return the steps of an act."""
    return list(act.steps(asked(body)))


def sent(found: list[Step]) -> bytes:
    """Return the bytes of the body."""
    return b"".join(step.data for step in found if isinstance(step, Chunk))


class SaysTests(SynchronousTestCase):
    """A Message."""

    def test_a_stream(self) -> None:
        """Asked for a stream it sends one: an event a chunk, in chunked framing, properly ended."""
        head, *chunks, end = steps(Says("Hello"))
        self.assertEqual(
            head,
            Head(
                200,
                (
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"request-id", b"req_sim_00000007"),
                    (b"cache-control", b"no-cache"),
                ),
            ),
        )
        self.assertEqual(end, End())
        self.assertTrue(all(isinstance(chunk, Chunk) and len(sse(chunk.data)) == 1 for chunk in chunks))
        message = sse(sent(chunks))[0][1]["message"]
        self.assertEqual((message["id"], message["model"]), ("msg_sim_00000007", "claude-opus-5-5"))

    def test_json(self) -> None:
        """Asked for no stream it sends JSON, with its length."""
        head, chunk, end = steps(Says("Hello"), MESSAGE)
        self.assertEqual((head.length, end), (len(chunk.data), End()))
        self.assertIn((b"content-type", b"application/json"), head.headers)
        self.assertEqual(json.loads(chunk.data)["content"], [{"type": "text", "text": "Hello"}])

    def test_pace(self) -> None:
        """The pace lies between two events; JSON takes as long as the stream would."""
        found = steps(Says("Hello", pace=0.5))
        waits = [place for place, step in enumerate(found) if step == Wait(0.5)]
        chunks = [place for place, step in enumerate(found) if isinstance(step, Chunk)]
        self.assertEqual(waits, [place - 1 for place in chunks[1:]])
        first, *rest = steps(Says("Hello", pace=0.5), MESSAGE)
        self.assertEqual(first, Wait(0.5 * len(chunks)))
        self.assertFalse([step for step in rest if isinstance(step, Wait)])

    def test_why_it_stopped(self) -> None:
        """It stops for its tools, or at its end, or for the reason that it is given."""

        def reason(act: Says) -> str:
            return json.loads(sent(steps(act, MESSAGE)))["stop_reason"]

        self.assertEqual(reason(Says("a")), "end_turn")
        self.assertEqual(reason(Says("a", tools=(Tool("Read"),))), "tool_use")
        self.assertEqual(reason(Says("a", stop_reason="refusal")), "refusal")

    def test_headers(self) -> None:
        """An act may add header fields, and put its own in the place of the usual ones."""
        own = ((b"anthropic-ratelimit-requests-remaining", b"3"), (b"request-id", b"req_mine"))
        for body in (MESSAGE, STREAM):
            headers = steps(Says("a", headers=own), body)[0].headers
            self.assertTrue(set(own) <= set(headers))
            self.assertEqual([value for name, value in headers if name == b"request-id"], [b"req_mine"])

    def test_input_is_counted(self) -> None:
        """The more is asked, the more is used."""

        def used(body: dict[str, Any]) -> int:
            return json.loads(sent(steps(Says("a"), body)))["usage"]["input_tokens"]

        self.assertEqual(used({**MESSAGE, "system": "s" * 400}), used(MESSAGE) + 100)
        self.assertGreater(used({**MESSAGE, "tools": [{"name": "Read"}]}), used(MESSAGE))

    def test_any_request_is_answered(self) -> None:
        """A script answers what the real API would refuse: that is the script's to say."""
        for body in (b"", b"[]", {}, {"stream": True}):
            self.assertEqual(steps(Says("a"), body)[-1], End())


class RefusesTests(SynchronousTestCase):
    """An error."""

    def test_envelope(self) -> None:
        """By default it is Anthropic's envelope, with the type of its status and the id of the header."""
        for status, kind in (
            (400, "invalid_request_error"),
            (529, "overloaded_error"),
            (418, "invalid_request_error"),
        ):
            head, chunk, _ = steps(Refuses(status))
            body = json.loads(chunk.data)
            self.assertEqual((head.status, head.length), (status, len(chunk.data)))
            self.assertEqual((body["type"], body["error"]["type"]), ("error", kind))
            self.assertEqual(body["request_id"], "req_sim_00000007")
            self.assertIn((b"request-id", b"req_sim_00000007"), head.headers)
            self.assertTrue(body["error"]["message"].startswith("[simulated] "))

    def test_words(self) -> None:
        """Words, type and header fields can be set."""
        act = Refuses(429, "slower", kind="billing_error", headers=((b"retry-after", b"2"),))
        head, chunk, _ = steps(act)
        self.assertEqual(json.loads(chunk.data)["error"], {"type": "billing_error", "message": "slower"})
        self.assertIn((b"retry-after", b"2"), head.headers)

    def test_another_body(self) -> None:
        """A provider's own error comes byte for byte."""
        act = Refuses(429, body=b'{"error":{"code":"1302"}}', content_type="text/plain")
        head, chunk, _ = steps(act)
        self.assertEqual(chunk.data, b'{"error":{"code":"1302"}}')
        self.assertIn((b"content-type", b"text/plain"), head.headers)

    def test_phrases(self) -> None:
        """A status is called what HTTP calls it, 529 what Anthropic calls it."""
        self.assertEqual([phrase(404), phrase(529), phrase(599)], ["Not Found", "Overloaded", "Error"])


class RawTests(SynchronousTestCase):
    """Answers of given bytes."""

    def test_sends(self) -> None:
        """It sends these bytes, and says how many."""
        head, chunk, end = steps(Sends(b"<h1>Bad Gateway</h1>", status=502))
        self.assertEqual(
            (head.status, head.length, chunk.data, end), (502, 20, b"<h1>Bad Gateway</h1>", End())
        )
        self.assertIn((b"content-type", b"text/html; charset=utf-8"), head.headers)

    def test_sends_nothing(self) -> None:
        """An empty answer of no type is possible."""
        head, end = steps(Sends(b"", content_type=""))
        self.assertEqual((head.length, end), (0, End()))
        self.assertNotIn(b"content-type", dict(head.headers))

    def test_streams(self) -> None:
        """It sends these pieces as they are, with the steps among them, and ends."""
        act = Streams(
            (b"data: 1\n", Wait(2.0), b"\n", Cut()), content_type="application/vnd.amazon.eventstream"
        )
        head, *rest = steps(act)
        self.assertIsNone(head.length)
        self.assertIn((b"content-type", b"application/vnd.amazon.eventstream"), head.headers)
        self.assertEqual(rest, [Chunk(b"data: 1\n"), Wait(2.0), Chunk(b"\n"), Cut(), End()])

    def test_streams_at_a_pace(self) -> None:
        """The pieces may keep a pace."""
        _, *rest = steps(Streams((b"a", b"b"), pace=0.1))
        self.assertEqual(rest, [Chunk(b"a"), Wait(0.1), Chunk(b"b"), End()])

    def test_plays(self) -> None:
        """Bare steps get nothing added, no request-id either."""
        script = (Head(200), Chunk(b"a"))
        self.assertEqual(steps(Plays(script)), list(script))

"""The rules of Bedrock's streams: each event reaches the client with its very bytes, each failure as one."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Verdict
from ccrelay.providers.bedrock import Bedrock
from ccrelay.providers.bedrock_stream import BedrockStream
from ccrelay.providers.interfaces import Stage
from ccrelay.wire.sse import events
from tests.providers.streams import STREAM
from tests.wire.frames import chunk, exception, framed, message

EVENTS = [data for _, data in events(STREAM)]
FRAMES = b"".join(chunk(event) for event in EVENTS)
METRICS = {"inputTokenCount": 25, "outputTokenCount": 15, "invocationLatency": 900}


def fed(*pieces: bytes) -> tuple[bytes, BedrockStream]:
    """Feed pieces to a new translator."""
    translator = BedrockStream()
    return b"".join(map(translator.feed, pieces)), translator


def errors(out: bytes) -> list[tuple[str, str]]:
    """Return types and messages of the error events."""
    said = [json.loads(data) for name, data in events(out) if name == b"error"]
    return [(each["error"]["type"], each["error"]["message"]) for each in said]


class EventTests(SynchronousTestCase):
    """Answers that go well."""

    def test_the_frames_are_what_aws_would_read(self) -> None:
        """The frames of these tests are read by AWS's own library as events of Bedrock's."""
        buffer = EventStreamBuffer()
        buffer.add_data(FRAMES + exception("throttlingException", message="slow"))
        found = [frame.to_response_dict() for frame in buffer]
        self.assertEqual([frame["headers"][":message-type"] for frame in found],
                         ["event"] * len(EVENTS) + ["exception"])  # fmt: skip
        self.assertEqual(found[-1]["headers"][":exception-type"], "throttlingException")

    @given(st.sets(st.integers(0, len(FRAMES)), max_size=12))
    def test_a_whole_answer(self, cuts: set[int]) -> None:
        """However the frames come in pieces, the client gets the answer's events, whole, in their order."""
        places = [0, *sorted(cuts), len(FRAMES)]
        out, translator = fed(*(FRAMES[start:end] for start, end in pairwise(places)))
        self.assertEqual(list(events(out)), [(json.loads(event)["type"].encode(), event) for event in EVENTS])
        self.assertEqual(translator.stage, Stage.STOPPED)
        self.assertIsNone(translator.error)
        self.assertFalse(translator.split)
        usage = translator.usage
        self.assertEqual((usage.input, usage.output, usage.cache_read, usage.cache_write), (25, 15, 7, 3))

    def test_each_event_when_it_comes(self) -> None:
        """An event goes on with the last byte of its frame, and never in pieces."""
        translator = BedrockStream()
        for event in EVENTS:
            frame = chunk(event)
            self.assertEqual(translator.feed(frame[:-1]), b"")
            out = translator.feed(frame[-1:])
            self.assertTrue(out.endswith(b"\n\n"))
            self.assertEqual(next(iter(events(out)))[1], event)

    def test_the_very_bytes(self) -> None:
        """The JSON of an event is not written anew: its spacing, escapes, numbers and order of keys stay."""
        for event in (
            b'{"type":"of_tomorrow","n":1.10,"s":"\\u00e4\\/"}', b' {"n": 1e999, "type" : "ping" } ',
            b'{"delta":{"type":"text_delta","text":"a\\n\\nb"},"type":"content_block_delta"}',
        ):  # fmt: skip
            out, _ = fed(chunk(event))
            self.assertIn(b"data: " + event + b"\n\n", out)
            self.assertTrue(out.startswith(b"event: " + json.loads(event)["type"].encode() + b"\n"))

    def test_lines_in_the_json(self) -> None:
        """JSON written over several lines is one event all the same."""
        event = json.dumps({"type": "ping", "a": [1, 2]}, indent=2).encode()
        for line_end in (b"\n", b"\r\n", b"\r"):
            out, _ = fed(chunk(event.replace(b"\n", line_end)))
            self.assertEqual([json.loads(data) for _, data in events(out)], [{"type": "ping", "a": [1, 2]}])

    def test_figures_of_awss_own(self) -> None:
        """AWS's figures, in the last event or in a chunk of their own, do not reach the client."""
        for event in (
            {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
            {"amazon-bedrock-invocationMetrics": METRICS, "type": "message_stop"},
        ):
            out, translator = fed(chunk(json.dumps(event).encode()))
            self.assertEqual(out, b'event: message_stop\ndata: {"type": "message_stop"}\n\n')
            self.assertEqual(translator.stage, Stage.STOPPED)
        for other in ({"amazon-bedrock-invocationMetrics": METRICS}, {"a": 1}, {"type": 7}, {"type": None}):
            out, translator = fed(chunk(json.dumps(other).encode()))
            self.assertEqual((out, translator.error), (b"", None))

    def test_words_about_them(self) -> None:
        """A text that names AWS's figures is a text."""
        event = b'{"type":"content_block_delta","delta":{"text":"\\"amazon-bedrock-invocationMetrics\\":1"}}'
        self.assertIn(event, fed(chunk(event))[0])
        twice = b'{"type":"ping","a":1,"a":2,"amazon-bedrock-invocationMetrics":1}'
        self.assertIn(twice, fed(chunk(twice))[0])

    def test_what_nobody_knows_today(self) -> None:
        """Other frames, and other keys and headers of a frame, are passed over."""
        ping = b'{"type":"ping"}'
        out, translator = fed(
            message(b"{}", message_type="event", event_type="initial-response") + framed(b"", b"")
            + message(b"", message_type="of-tomorrow") + chunk(ping, of_tomorrow=1)
        )  # fmt: skip
        self.assertEqual(list(events(out)), [(b"ping", ping)])
        self.assertIsNone(translator.error)


class FailureTests(SynchronousTestCase):
    """Answers that do not."""

    def test_each_exception(self) -> None:
        """Each exception in a stream becomes an error event of Anthropic's, and is judged like an answer."""
        for name, kind, status, verdict in (
            ("throttlingException", "rate_limit_error", 429, Verdict.KEY),
            ("serviceUnavailableException", "overloaded_error", 529, Verdict.BUSY),
            ("modelNotReadyException", "overloaded_error", 529, Verdict.BUSY),
            ("internalServerException", "api_error", 500, Verdict.BROKEN),
            ("modelStreamErrorException", "api_error", 500, Verdict.BROKEN),
            ("modelTimeoutException", "timeout_error", 504, Verdict.BROKEN),
            ("validationException", "invalid_request_error", 400, Verdict.CLIENT),
            ("expiredTokenException", "authentication_error", 401, Verdict.KEY),
            ("ofTomorrowException", "api_error", 500, Verdict.BROKEN),
        ):
            out, translator = fed(exception(name, message="why"))
            self.assertEqual(errors(out), [(kind, "why")], name)
            self.assertTrue(translator.error_first)
            said = Bedrock("https://b").classify_event(translator.error, translator.error_data, 0.0)
            self.assertEqual((said.verdict, said.status, said.kind), (verdict, status, kind), name)

    def test_what_the_model_said(self) -> None:
        """The status of the model itself tells what kind of failure it was."""
        for original, kind in (
            (429, "rate_limit_error"),
            (503, "overloaded_error"),
            (400, "invalid_request_error"),
        ):
            out, _ = fed(exception("modelStreamErrorException", message="why", originalStatusCode=original))
            self.assertEqual(errors(out), [(kind, "why")])
        out, _ = fed(exception("modelStreamErrorException", originalMessage="own words"))
        self.assertEqual(errors(out), [("api_error", "own words")])

    def test_after_content(self) -> None:
        """A failure in the middle comes behind what was said before, and is not the first."""
        frames = b"".join(chunk(event) for event in EVENTS[:4]) + exception(
            "throttlingException", message="slow"
        )
        out, translator = fed(frames)
        self.assertEqual([data for _, data in events(out)][:4], EVENTS[:4])
        self.assertEqual(errors(out), [("rate_limit_error", "slow")])
        self.assertFalse(translator.error_first)
        self.assertEqual(translator.error.message, "slow")

    def test_nothing_after_it(self) -> None:
        """After a failure nothing more is passed on."""
        for rest in (FRAMES, b"noise", exception("throttlingException", message="again")):
            out, translator = fed(exception("throttlingException", message="slow") + rest, rest)
            self.assertEqual(len(list(events(out))), 1)
            self.assertEqual(translator.stage, Stage.NOTHING)

    def test_the_other_kind_of_error(self) -> None:
        """An error whose code and words stand in headers is one, too."""
        frame = message(b"", message_type="error", error_code="InternalServerException", error_message="oops")
        self.assertEqual(errors(fed(frame)[0]), [("api_error", "oops")])
        frame = message(b"", message_type="error", error_code="OfTomorrow")
        self.assertEqual(errors(fed(frame)[0]), [("api_error", "Bedrock ended the answer with OfTomorrow.")])

    def test_without_words(self) -> None:
        """An exception that says nothing is told by its name, one without a name as well."""
        for payload in (b"", b"{}", b"[]", b"\xff"):
            frame = message(payload, message_type="exception", exception_type="throttlingException")
            self.assertEqual(
                errors(fed(frame)[0]), [("rate_limit_error", "AWS answered with throttlingException.")]
            )
            self.assertEqual(errors(fed(message(payload, message_type="exception"))[0])[0][0], "api_error")

    def test_a_damaged_stream(self) -> None:
        """What does not bear its checksums ends the answer with an error, behind what was whole."""
        bad = bytearray(chunk(EVENTS[2]))
        bad[40] ^= 1
        out, translator = fed(chunk(EVENTS[0]) + chunk(EVENTS[1]) + bytes(bad) + chunk(EVENTS[3]))
        names = [name for name, _ in events(out)]
        self.assertEqual(names, [b"message_start", b"content_block_start", b"error"])
        self.assertIn("checksum", errors(out)[0][1])
        self.assertEqual(errors(out)[0][0], "api_error")
        self.assertFalse(translator.error_first)
        self.assertTrue(fed(b"<html>Bad Gateway</html>")[1].error_first)

    def test_after_the_end(self) -> None:
        """What follows the end of a message, an exception or damage, takes nothing from it."""
        for more in (exception("internalServerException", message="x"), b"<html>", chunk(b"no json")):
            for pieces in ((FRAMES + more,), (FRAMES, more)):
                out, translator = fed(*pieces)
                self.assertEqual([data for _, data in events(out)], EVENTS)
                self.assertIsNone(translator.error)

    def test_a_chunk_that_is_none(self) -> None:
        """A chunk that is not JSON, not base64 or carries no JSON ends the answer with an error."""
        frames: list[Any] = [
            message(payload, message_type="event", event_type="chunk")
            for payload in (b"", b"{}", b"null", b'{"bytes":"*"}', b'{"bytes":7}', b"\xff")
        ]
        for frame in (*frames, chunk(b"no json"), chunk(b"[1]"), chunk(b""), chunk(b'{"type":')):
            out, translator = fed(frame)
            self.assertEqual([kind for kind, _ in errors(out)], ["api_error"])
            self.assertTrue(translator.error_first)

    def test_a_prompt_that_is_too_long(self) -> None:
        """Also in a stream Claude Code finds the token it compacts on."""
        out, _ = fed(exception("validationException", message="Input is too long for requested model."))
        self.assertTrue(errors(out)[0][1].startswith("capability_rejected: prompt_too_long."))

    def test_nothing_private(self) -> None:
        """Account ids and ARNs reach no client in a stream either."""
        for name in ("throttlingException", "ofTomorrowException"):
            out, _ = fed(
                exception(name, message="arn:aws:bedrock:us-east-1:123456789012:x/y of 123456789012")
            )
            self.assertNotIn(b"123456789012", out)

    def test_a_stream_cut_short(self) -> None:
        """A stream that ends within a frame is not whole, as its stage tells; the rest is no event."""
        out, translator = fed(FRAMES[:-5])
        self.assertEqual(len(list(events(out))), len(EVENTS) - 1)
        self.assertEqual(translator.stage, Stage.CONTENT)

"""The rules of Bedrock's streams that fail: another provider serves, or the client is told of it."""

from __future__ import annotations

import json
import struct
from typing import Any
from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Says
from ccrelay.simulator.steps import Cut, Hang, Reset, Wait
from tests.clouds.stage import (
    ACCOUNT,
    ARN,
    EVENTS,
    FRAMES,
    Bedrock,
    Runtime,
    answered,
    said,
    streamed,
)
from tests.network import sse
from tests.stack import body
from tests.wire.frames import chunk, exception, message

STREAM = body(stream=True)
HALF = FRAMES[:4]
SLOW_DOWN = exception("throttlingException", message="Too many requests, please wait before trying again.")
# A prelude that is in order, of a message of a gigabyte.
LENGTHS = struct.pack("!II", 1 << 30, 16)
OVERSIZED = LENGTHS + struct.pack("!I", crc32(LENGTHS)) + b"x" * 64


def damaged(frame: bytes, at: int) -> bytes:
    """Return a frame with one bit turned."""
    return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]


class Faults(SynchronousTestCase):
    """A Bedrock that fails, and a provider of Anthropic's own behind it."""

    def stack(self, *acts: Any, alone: bool = False, **fields: Any) -> Bedrock:
        """Return a relay whose first provider plays these acts."""
        other: dict[str, Any] = {} if alone else {"a": [Says("from a")]}
        return Bedrock(self, {"b": Runtime(*acts), **other}, **fields)

    def served_elsewhere(self, *acts: Any, content: bytes = STREAM) -> str:
        """Assert that the other provider serves, without a trace of the first, and return the failure."""
        stack = self.stack(*acts)
        answer = stack.ask(content)
        self.assertEqual(answer.status, 200)
        self.assertIn(b"from a", b"".join(answer.body.split(b"\\n")))
        if content == STREAM:
            names = [name for name, _ in sse(answer.body)]
            self.assertEqual((names.count("message_start"), names[-1]), (1, "message_stop"))
        first, second = stack.told.attempts
        self.assertEqual(second.verdict, Verdict.OK)
        return f"{first.verdict.value} {first.reason}"


class BeforeContentTests(Faults):
    """Faults of a stream before its first content."""

    def test_exceptions(self) -> None:
        """An exception in the place of an answer counts as the status that it would have been."""
        for frame, reason in (
            (SLOW_DOWN, "key 429 rate_limit_error"),
            (exception("modelStreamErrorException", message="x"), "broken 500 api_error"),
            (exception("modelStreamErrorException", originalStatusCode=529, originalMessage="x"), "busy 529"),
            (exception("internalServerException", message="x"), "broken 500 api_error"),
            (exception("modelTimeoutException", message="x"), "broken 504 timeout_error"),
            (exception("serviceUnavailableException", message="x"), "busy 529 overloaded_error"),
            (exception("exceptionOfTomorrow", message="x"), "broken 500 api_error"),
            (message(b"not JSON", message_type="exception", exception_type="throttlingException"), "key 429"),
            (message(b"", message_type="error", error_code="internalServerException", error_message="x"),
             "broken 500"),
        ):  # fmt: skip
            for before in ((), FRAMES[:1]):
                self.assertIn(reason, self.served_elsewhere(streamed(*before, frame)), frame)

    def test_the_requests_own_fault(self) -> None:
        """A validation exception is the client's, who gets a 400 in an envelope; nobody else is asked."""
        frame = exception("validationException", message="messages.0: roles must alternate")
        stack = self.stack(streamed(frame))
        answer = stack.ask(STREAM)
        self.assertEqual(said(answer), (400, "invalid_request_error", "messages.0: roles must alternate"))
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(stack.asked("a"), [])

    def test_after_a_ping(self) -> None:
        """Where the client has got pings already it is told within the stream."""
        stack = self.stack(streamed(Wait(20), exception("validationException", message="no")), alone=True)
        peer = stack.send(STREAM)
        stack.go(21)
        events = sse(stack.answer(peer).body)
        self.assertEqual([name for name, _ in events], ["ping", "error"])
        self.assertEqual(events[-1][1]["error"], {"type": "invalid_request_error", "message": "no"})
        self.assertTrue(stack.answer(peer).complete)

    def test_damage(self) -> None:
        """A stream that is damaged, cut, empty or none before its first content is asked for elsewhere."""
        for pieces in (
            [damaged(FRAMES[0], 9)], [damaged(FRAMES[0], 60)], [damaged(FRAMES[0], len(FRAMES[0]) - 1)],
            [FRAMES[0], damaged(FRAMES[1], 60)], [OVERSIZED], [FRAMES[0], OVERSIZED], [FRAMES[0][:50]],
            [FRAMES[0], FRAMES[1][:50]], [FRAMES[0], Cut()], [Reset()], [], [b"<html>not frames</html>"],
            [chunk(b"not JSON")], [message(b"{}", event_type="chunk", message_type="event")],
        ):  # fmt: skip
            reason = self.served_elsewhere(streamed(*pieces))
            self.assertTrue(reason.startswith("broken"), reason)

    def test_damage_alone(self) -> None:
        """Where nobody else is there, the client is told what was wrong with the stream."""
        _, kind, words = said(self.stack(streamed(damaged(FRAMES[0], 60)), alone=True).ask(STREAM))
        self.assertEqual(kind, "api_error")
        self.assertIn("checksum of a message does not match", words)

    def test_not_frames(self) -> None:
        """A success of another type than frames is none."""
        self.assertIn("not an event stream", self.served_elsewhere(answered(b"{}")))
        self.assertIn("not a message", self.served_elsewhere(answered(b"<html>"), content=body()))

    def test_silence(self) -> None:
        """A stream that falls silent before its first content is asked for elsewhere in the end."""
        stack = self.stack(streamed(FRAMES[0], Hang()), idle_timeout_ms=30_000)
        peer = stack.send(STREAM)
        stack.go(31)
        names = stack.events(peer)
        self.assertEqual((names.count("message_start"), names[-1]), (1, "message_stop"))
        self.assertIn("nothing came for 30 s", stack.told.attempts[0].reason)


class AfterContentTests(Faults):
    """Faults of a stream whose content the client has seen."""

    def told(self, *pieces: Any) -> tuple[str, str]:
        """Assert that the client is told within the stream that the answer is not whole; return how."""
        stack = self.stack(streamed(*HALF, *pieces))
        peer = stack.send(STREAM)
        stack.go(400)
        answer = stack.answer(peer)
        events = sse(answer.body)
        self.assertTrue(answer.complete)
        self.assertEqual([data for _, data in events[:4]], [json.loads(event) for event in EVENTS[:4]])
        self.assertEqual([name for name, _ in events[4:] if name != "ping"], ["error"])
        self.assertEqual(stack.asked("a"), [])
        self.assertNotEqual(stack.told.attempts[-1].verdict, Verdict.OK)
        error = events[-1][1]["error"]
        return error["type"], error["message"]

    def test_exceptions(self) -> None:
        """An exception becomes an error event of Anthropic's type, with AWS's words."""
        self.assertEqual(
            self.told(SLOW_DOWN),
            ("rate_limit_error", "Too many requests, please wait before trying again."),
        )
        for name, kind in (
            ("modelStreamErrorException", "api_error"), ("internalServerException", "api_error"),
            ("serviceUnavailableException", "overloaded_error"), ("exceptionOfTomorrow", "api_error"),
            ("validationException", "invalid_request_error"), ("modelTimeoutException", "timeout_error"),
        ):  # fmt: skip
            self.assertEqual(self.told(exception(name, message="Of AWS.")), (kind, "Of AWS."))

    def test_damage(self) -> None:
        """A damaged, oversized or unreadable frame is never passed over: the client hears of it."""
        for pieces, words in (
            ([damaged(FRAMES[4], 60), *FRAMES[5:]], "checksum"),
            ([OVERSIZED], "cannot be"),
            ([chunk(b"not JSON"), *FRAMES[4:]], "cannot be read"),
            ([FRAMES[4][:-1]], "before message_stop"),
            ([], "before message_stop"),
            ([Cut()], "lost"),
            ([Reset()], "lost"),
            ([Hang()], "nothing came for 300 s"),
        ):
            kind, message_ = self.told(*pieces)
            self.assertIn(kind, ("api_error", "timeout_error"))
            self.assertIn(words, message_)

    def test_accounts(self) -> None:
        """What an exception says of accounts and ARNs stays with the operator."""
        frame = exception("modelStreamErrorException", message=f"{ARN} of {ACCOUNT} failed")
        self.assertEqual(self.told(frame), ("api_error", "(ARN) of (account) failed"))
        kind, words = self.told(exception("exceptionOfTomorrow", message=f"see {ARN}"))
        self.assertEqual((kind, words), ("api_error", "see (ARN)"))

    def test_after_the_end(self) -> None:
        """What follows the end of a message takes nothing from it."""
        for pieces in ([b"trailing"], [damaged(FRAMES[0], 3)], [FRAMES[0][:20], Cut()], [Hang()]):
            stack = self.stack(streamed(*FRAMES, *pieces))
            peer = stack.send(STREAM)
            stack.go(5)
            heard = [data for _, data in sse(stack.answer(peer).body)]
            self.assertEqual(heard, [json.loads(event) for event in EVENTS])
            self.assertEqual(stack.told.attempts[-1].verdict, Verdict.OK)

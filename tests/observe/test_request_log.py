"""The request log: one line for every request whatever its end, one for every attempt that failed."""

import json

from msgspec.structs import replace
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import FIELDS, json_line, text_line
from ccrelay.observe.request_log import RequestLog
from ccrelay.policy.verdict import Verdict
from ccrelay.relay.events import AttemptEnded, RequestEnded
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks, Stalls
from ccrelay.wire.usage import NOTHING_KNOWN, Usage
from tests.network import http_request
from tests.stack import HEADERS, Plain, body

FIRST = AttemptEnded(
    "req_1", "a", "k", "claude-x", Verdict.BUSY, 529, "req_a", "529 overloaded_error", 0.5, 1.0
)
LAST = AttemptEnded("req_1", "b", "…cdef", "their-x", Verdict.OK, 200, "req_b", "", 0.25, 2.0)
REQUEST = RequestEnded(
    "req_1", "POST", "/v1/messages", "alice", "s-1", "claude-x", True, 200, 1234, Usage(1, 2, 3, 4),
    (FIRST, LAST), 1.5, 3.25, "complete", False,
)  # fmt: skip
NOTHING = RequestEnded(
    "req_2", "GET", "/nowhere", "", "", "", False, 404, 0, NOTHING_KNOWN, (), None, 0.001, "x", False
)


class EventTests(SynchronousTestCase):
    """What is told becomes an event."""

    def setUp(self) -> None:
        """Listen."""
        self.events: list = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.log = RequestLog()

    def fields(self) -> dict:
        """Return the fields of the one event, as they are written."""
        (event,) = self.events
        told = json.loads(json_line(event))
        return {name: value for name, value in told.items() if name not in {"time", "level", "message"}}

    def test_a_request(self) -> None:
        """The line tells who asked what, who answered, what it cost, how long it took, and why it ended."""
        self.log.request_ended(REQUEST)
        self.assertEqual(
            self.fields(),
            {
                "id": "req_1", "client": "alice", "session": "s-1", "method": "POST", "path": "/v1/messages",
                "provider": "b", "key": "…cdef", "model": "claude-x", "model_sent": "their-x",
                "upstream_id": "req_b", "stream": True, "attempts": 2, "tried": ["a/k", "b/…cdef"],
                "status": 200, "bytes": 1234, "input_tokens": 1, "output_tokens": 2, "cache_read_tokens": 3,
                "cache_write_tokens": 4, "ttfb_ms": 1500.0, "duration_ms": 3250.0, "ended": "complete",
            },
        )  # fmt: skip
        self.assertEqual(self.events[0]["log_level"], LogLevel.info)

    def test_a_request_of_which_little_is_known(self) -> None:
        """What nobody knows is left out; a status of 0 says that no answer was begun."""
        self.log.request_ended(replace(NOTHING, status=0))
        self.assertEqual(
            self.fields(),
            {
                "id": "req_2", "method": "GET", "path": "/nowhere", "status": 0, "bytes": 0,
                "duration_ms": 1.0, "ended": "x",
            },
        )  # fmt: skip

    def test_the_model_sent(self) -> None:
        """The provider's name for the model is told where it is another one."""
        self.log.request_ended(replace(REQUEST, attempts=(replace(LAST, model="claude-x"),)))
        self.assertNotIn("model_sent", self.fields())
        self.assertNotIn("tried", self.fields())

    def test_an_attempt(self) -> None:
        """A failed attempt is a warning that tells who failed, and how."""
        self.log.attempt_ended(FIRST)
        self.assertEqual(
            self.fields(),
            {
                "id": "req_1", "provider": "a", "key": "k", "model_sent": "claude-x", "verdict": "busy",
                "status": 529, "upstream_id": "req_a", "reason": "529 overloaded_error",
                "duration_ms": 1000.0,
            },
        )  # fmt: skip
        self.assertEqual(self.events[0]["log_level"], LogLevel.warn)

    def test_attempts_without_a_line(self) -> None:
        """An attempt that answered, or that the client gave up, shows in its request's line alone."""
        for verdict in Verdict:
            self.events.clear()
            self.log.attempt_ended(replace(FIRST, verdict=verdict))
            quiet = verdict in {Verdict.OK, Verdict.CANCELLED}
            self.assertEqual(len(self.events), 0 if quiet else 1, verdict)

    def test_quiet_ones(self) -> None:
        """Calls that nobody wants to read about are there at debug."""
        self.log.request_ended(replace(NOTHING, quiet=True))
        self.assertEqual(self.events[0]["log_level"], LogLevel.debug)

    def test_what_comes_from_outside(self) -> None:
        """No text from outside breaks a line, steers a terminal, or is endless."""
        evil = "a\r\nb\x1b[2J\x00\u2028\udcff" + "x" * 10_000
        fields = {"session": evil, "path": evil, "model": evil, "why": evil}
        attempt = replace(LAST, model=evil + "y", upstream_id=evil, reason=evil, verdict=Verdict.BROKEN)
        self.log.request_ended(replace(REQUEST, attempts=(attempt,), **fields))
        self.log.attempt_ended(attempt)
        for event in self.events:
            for render in (json_line, text_line):
                line = render(event)
                self.assertTrue(line.isprintable(), line)
                self.assertLess(len(line), 3000)
            told = [value for value in event[FIELDS].values() if isinstance(value, str)]
            self.assertTrue(all(value.isprintable() for value in told), told)


class EveryEndTests(SynchronousTestCase):
    """One line a request, through the whole relay."""

    def assert_one_line(self, stack: Plain, status: int, ended: str) -> dict:
        """Assert that there is one line about one request, in JSON and as text, and return it."""
        lines = [line for line in stack.logged if line["message"] == "request"]
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual(len(stack.told.requests), 1)
        self.assertEqual(lines[0]["status"], status)
        self.assertTrue(lines[0]["ended"].startswith(ended), lines[0]["ended"])
        self.assertGreaterEqual(lines[0]["duration_ms"], 0)
        return lines[0]

    def test_answers(self) -> None:
        """A request that was answered, streamed or not, is one line with what it cost."""
        for stream in (False, True):
            stack = Plain(self, {"a": [Says("Hello", usage={"input_tokens": 5, "output_tokens": 3})]})
            fields = (*HEADERS, ("x-claude-code-session-id", "s-1"))
            answer = stack.ask(body(stream=stream), headers=fields)
            line = self.assert_one_line(stack, 200, "complete")
            self.assertEqual((line["session"], line["provider"], line["attempts"]), ("s-1", "a", 1))
            self.assertEqual((line["input_tokens"], line["output_tokens"]), (5, 3))
            self.assertEqual(line["id"], answer.headers["x-ccrelay-request-id"])
            if not stream:
                self.assertEqual(line["bytes"], len(answer.body))

    def test_times(self) -> None:
        """The first byte and the end are told in milliseconds from the request's head."""
        stack = Plain(self, {"a": [Stalls(before_head=True, seconds=2, act=Says("x y", pace=0.5))]})
        stack.ask(body(stream=True), 20)
        line = self.assert_one_line(stack, 200, "complete")
        self.assertEqual(line["ttfb_ms"], 2000.0)
        self.assertGreater(line["duration_ms"], 3000.0)

    def test_failures(self) -> None:
        """So is one that no provider answered, with a line for each attempt before it."""
        stack = Plain(self, {"a": [Refuses(429)], "b": [Breaks(after_events=None)]})
        stack.ask()
        line = self.assert_one_line(stack, 429, "a: 429 rate_limit_error; b: the connection was closed")
        self.assertEqual([line["message"] for line in stack.logged], ["attempt failed"] * 2 + ["request"])
        self.assertEqual({logged["id"] for logged in stack.logged}, {line["id"]})

    def test_refused_ones(self) -> None:
        """So is one that the relay refuses, whatever for."""
        closed = {"server": {"auth": {"api_key": "sk-test-of-the-relay-itself"}}}
        for settings, how, status in (
            (closed, {}, 401),
            ({}, {"path": "/nowhere"}, 404),
            ({}, {"method": "PUT"}, 405),
            ({}, {"content": b"{"}, 400),
            ({}, {"headers": (("host", "evil.example"),)}, 403),
            ({}, {"headers": (HEADERS[0], ("content-type", "text/plain"))}, 415),
            ({"server": {"max_body_bytes": 10}}, {}, 413),
        ):
            stack = Plain(self, {"a": [Says("x")]}, settings)
            content = how.pop("content", body())
            answer = stack.ask(content, 3, **how)
            self.assertEqual(answer.status, status)
            line = self.assert_one_line(stack, status, json.loads(answer.body)["error"]["message"])
            self.assertNotIn("provider", line)
            self.assertEqual(line["id"], answer.headers["x-ccrelay-request-id"])

    def test_what_is_no_request(self) -> None:
        """So is what is not HTTP."""
        stack = Plain(self, {"a": [Says("x")]})
        peer = stack.connect()
        peer.send(b"\x16\x03\x01 hello\x1b[2J\r\n\r\n")
        stack.go(3)
        line = self.assert_one_line(stack, 400, "This is not a valid HTTP/1.1 request")
        self.assertEqual((line["method"], line["path"]), ("-", "-"))

    def test_clients_that_leave(self) -> None:
        """So is one whose client left: before the head, in the middle, and with its body on the way."""
        for act, seconds, status in ((Stalls(before_head=True), 1, 0), (Stalls(after_events=3), 1, 200)):
            stack = Plain(self, {"a": [act]})
            peer = stack.send(body(stream=True))
            stack.go(seconds)
            peer.reset()
            stack.go(1)
            self.assert_one_line(stack, status, "client left")
        stack = Plain(self, {"a": [Says("x")]})
        peer = stack.connect()
        peer.send(http_request("POST", "/v1/messages", (*HEADERS, ("content-length", "1000")), b"{"))
        stack.go(1)
        peer.reset()
        stack.go(1)
        self.assert_one_line(stack, 0, "client left")

    def test_streams_that_break(self) -> None:
        """So is one that was cut short."""
        stack = Plain(self, {"a": [Breaks(after_events=4)]})
        stack.ask(body(stream=True), 1)
        line = self.assert_one_line(stack, 200, "upstream lost")
        self.assertEqual(line["stream"], True)

    def test_quiet_ones(self) -> None:
        """Checks of clients and balancers are told at debug alone."""
        for method, path in (
            ("GET", "/"), ("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/health"), ("GET", "/ready"),
            ("POST", "/api/event_logging/batch"),
        ):  # fmt: skip
            stack = Plain(self, {"a": [Says("x")]})
            self.assertEqual(stack.get(path, method).status, 200)
            line = self.assert_one_line(stack, 200, "complete")
            self.assertEqual((line["level"], line["path"]), ("debug", path))

    def test_no_prompt_and_no_credential(self) -> None:
        """Neither what is asked nor what is answered nor who asks with what is in the log."""
        stack = Plain(self, {"a": [Says("a secret answer")]})
        asked = body(messages=[{"role": "user", "content": "a secret question"}], system="a secret system")
        stack.ask(asked, path="/v1/messages?token=a-secret-query")
        self.assert_one_line(stack, 200, "complete")
        log = "".join(stack.lines)
        self.assertNotIn("secret", log)
        self.assertNotIn("sk-test", log)

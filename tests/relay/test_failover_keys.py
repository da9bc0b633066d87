"""Keys that cannot pay, a client's own bearer that nobody judges, and keys that providers repeat."""

import json
from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says, Sends, Streams
from ccrelay.simulator.faults import Errs, Stalls
from ccrelay.simulator.steps import Wait
from ccrelay.wire.error_json import error_event
from tests.network import sse
from tests.relay.test_failover import ONE_KEY, SECOND, TWO_KEYS, attempts, refusal, text, words
from tests.stack import HEADERS, KEY, Plain, Stack, body

NO_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
USED_UP = "You have reached your specified API usage limits. You will regain access on {} UTC."
BEARER = "sk-ant-oat01-test-of-a-subscription"


def bearer(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return a request's header fields with a subscription's token and C{more}."""
    return (*HEADERS[:3], ("authorization", f"Bearer {BEARER}"), *more)


class ExhaustedTests(SynchronousTestCase):
    """A key without credit is left alone for as long as its provider says, or an hour."""

    EMPTY = (Refuses(402), Refuses(400, NO_CREDIT), Refuses(400, USED_UP.format("2099-01-01 at 00:00")))

    def test_the_next_key(self) -> None:
        """The request goes to the next key, and so do those that follow, without asking the first again."""
        for act in self.EMPTY:
            for stream in (False, True):
                stack = Plain(self, {"a": [act, Says("from a")], "b": [Says("from b")]}, keys=TWO_KEYS)
                said = [text(stack.ask(body(stream=stream))) for _ in range(3)]
                self.assertEqual(said, ["from a"] * 3)
                shown = [asked.header("x-api-key") for asked in stack.asked("a")]
                self.assertEqual(shown, [KEY, SECOND, SECOND, SECOND])

    def test_an_hour(self) -> None:
        """Where no time is named it is tried again after an hour."""
        for act in self.EMPTY[:2]:
            stack = Plain(self, {"a": [act, Says("from a")], "b": [Says("from b")]})
            self.assertEqual(text(stack.ask()), "from b")
            stack.go(3598)
            self.assertEqual(text(stack.ask()), "from b")
            stack.go(2)
            self.assertEqual(text(stack.ask()), "from a")

    def test_until_the_time_named(self) -> None:
        """Where the provider says when, it is tried again then, and not before."""
        stack = Plain(self, {"a": [Says("x")]})
        until = datetime.fromtimestamp(stack.wall(), UTC).replace(second=0).timestamp() + 7 * 86400
        named = USED_UP.format(datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d at %H:%M"))
        stack = Plain(self, {"a": [Refuses(400, named), Says("from a")], "b": [Says("from b")]})
        self.assertEqual(text(stack.ask()), "from b")
        stack.go(until - stack.wall() - 1)
        self.assertEqual(text(stack.ask()), "from b")
        stack.go(1)
        self.assertEqual(text(stack.ask()), "from a")

    def test_other_refusals_bar_nothing(self) -> None:
        """A 429 that names no time outlasts its request no more than a wrong request does."""
        stack = Plain(self, {"a": [Refuses(429), Says("from a")]}, keys=ONE_KEY)
        stack.ask()
        self.assertEqual(text(stack.ask()), "from a")
        stack = Plain(self, {"a": [Refuses(400, "max_tokens: too large"), Says("from a")]})
        stack.ask()
        self.assertEqual(text(stack.ask()), "from a")

    def test_the_provider_s_own_words(self) -> None:
        """Where nobody else is there, the client gets the provider's words once."""
        stack = Plain(self, {"a": [refusal(402)]})
        answer = stack.ask()
        self.assertEqual((answer.status, answer.body), (402, words(402)))

    def test_every_key_exhausted(self) -> None:
        """Without a key that could pay no provider is asked: 429, with the time until the soonest is free."""
        stack = Plain(self, {"a": [refusal(402)], "b": [refusal(402)]}, keys=TWO_KEYS)
        stack.ask()
        stack.go(600)
        for stream in (False, True):
            answer = stack.ask(body(stream=stream))
            error = json.loads(answer.body)["error"]
            self.assertEqual((answer.status, error["type"]), (429, "rate_limit_error"))
            self.assertEqual(answer.headers["retry-after"], "3000")
            self.assertIn("add one, or wait", error["message"])
            self.assertEqual(stack.why, error["message"])
            self.assertNotIn("attempts", stack.logged[-1])
        self.assertEqual((len(stack.asked("a")), len(stack.asked("b"))), (2, 2))

    def test_the_soonest(self) -> None:
        """Of several times the soonest counts."""
        stack = Plain(self, {"a": [Says("x")]})
        until = datetime.fromtimestamp(stack.wall() + 120, UTC).replace(second=0)
        named = USED_UP.format(until.strftime("%Y-%m-%d at %H:%M"))
        stack = Plain(self, {"a": [Refuses(402)], "b": [Refuses(400, named)]})
        stack.ask()
        wait = int(stack.ask().headers["retry-after"])
        self.assertEqual(wait, until.timestamp() - stack.wall())

    def test_readiness(self) -> None:
        """While every key is exhausted the relay is not ready, and says why."""
        stack = Plain(self, {"a": [refusal(402)]})
        self.assertEqual(stack.get("/ready").status, 200)
        stack.ask()
        answer = stack.get("/ready")
        self.assertEqual((answer.status, json.loads(answer.body)["reason"]), (503, "every key is exhausted"))


class OwnBearerTests(SynchronousTestCase):
    """A client's own bearer is nobody's to judge."""

    OPEN = {"server": {"auth": {"allow_subscription": True}}, "providers": {"a": {"passthrough": True}}}  # noqa: RUF012
    BOTH = {  # noqa: RUF012
        "server": {"auth": {"allow_subscription": True, "api_key": "sk-test-of-the-relay-itself"}},
        "providers": {"a": {"passthrough": True}},
    }

    def test_never_barred(self) -> None:
        """A bearer without credit is refused by its provider each time, and shown there each time."""
        for act in (Refuses(402), Refuses(400, NO_CREDIT), Refuses(401), Refuses(403)):
            stack = Plain(self, {"a": [act], "b": [Says("from the pool")]}, self.OPEN)
            for _ in range(2):
                self.assertEqual(stack.ask(headers=bearer()).status, act.status)
            shown = [asked.header("authorization") for asked in stack.asked("a")]
            self.assertEqual(shown, [f"Bearer {BEARER}"] * 2)
            self.assertEqual((stack.asked("b"), stack.get("/ready").status), ([], 200))
            self.assertNotIn(BEARER, "".join(stack.lines))

    def test_the_pool_is_not_judged_by_it(self) -> None:
        """What a bearer could not pay says nothing about the provider's own keys."""
        stack = Plain(self, {"a": [Refuses(402), Says("from a")]}, self.BOTH)
        asked = bearer(("x-api-key", "sk-test-of-the-relay-itself"))
        self.assertEqual(text(stack.ask(headers=asked)), "from a")
        self.assertEqual(attempts(stack), ["a/client", "a/…cdef"])
        shown = [(asked.header("authorization"), asked.header("x-api-key")) for asked in stack.asked("a")]
        self.assertEqual(shown, [(f"Bearer {BEARER}", None), (None, KEY)])

    def test_the_pool_behind_another_failure(self) -> None:
        """A client that may use the pool goes on to it from any failure of the bearer's provider."""
        for act in (Refuses(500), Refuses(529), Refuses(429)):
            stack = Plain(self, {"a": [act], "b": [Says("from b")]}, self.BOTH)
            asked = bearer(("x-api-key", "sk-test-of-the-relay-itself"))
            self.assertEqual(text(stack.ask(headers=asked)), "from b")


class RepeatedKeyTests(SynchronousTestCase):
    """A provider that repeats our key in an error tells it neither to the client nor to the log."""

    SAID = f"Incorrect API key provided: {KEY}."

    def assert_hidden(self, act: object, *, stream: bool = False, seconds: float = 1) -> None:
        """Assert that an answer says what the provider said, but for the key."""
        stack = Plain(self, {"a": [act]}, keys=ONE_KEY)
        answer = stack.ask(body(stream=stream), seconds)
        self.assertNotIn(KEY.encode(), answer.body)
        self.assertIn("Incorrect API key provided: …cdef.", answer.body.decode())
        self.assertTrue(answer.complete)
        self.assertNotIn(KEY, "".join(stack.lines))
        self.assertNotIn(KEY, repr(stack.told.requests) + repr(stack.told.attempts))

    def test_refusals(self) -> None:
        """Neither in an envelope that passes as it is, nor in words that are put into one."""
        for stream in (False, True):
            self.assert_hidden(Refuses(401, self.SAID), stream=stream)
            self.assert_hidden(Refuses(400, self.SAID), stream=stream)
            self.assert_hidden(Refuses(500, body=json.dumps({"message": self.SAID}).encode()), stream=stream)

    def test_errors_under_status_200(self) -> None:
        """Nor in an error that pretends to be an answer."""
        envelope = {"type": "error", "error": {"type": "authentication_error", "message": self.SAID}}
        for stream in (False, True):
            self.assert_hidden(Sends(json.dumps(envelope).encode(), "application/json"), stream=stream)

    def test_an_error_that_comes_first_in_a_stream(self) -> None:
        """Nor in the first event of a stream."""
        self.assert_hidden(Errs(kind="authentication_error", message=self.SAID), stream=True)
        bare = b"event: error\ndata: " + json.dumps({"error": {"message": self.SAID}}).encode() + b"\n\n"
        self.assert_hidden(Streams((bare,)), stream=True)

    def test_an_error_that_comes_first_after_pings(self) -> None:
        """Nor where the head of the client's stream is out already."""
        errs = Errs(kind="authentication_error", message=self.SAID)
        self.assert_hidden(Stalls(before_head=True, seconds=20, act=errs), stream=True, seconds=25)
        self.assert_hidden(
            Stalls(before_head=True, seconds=20, act=Refuses(401, self.SAID)), stream=True, seconds=25
        )

    def test_an_error_in_the_middle_of_a_stream(self) -> None:
        """Nor in an event that ends a stream."""
        for pause in ((), (Wait(1),)):
            start = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
            last = error_event("api_error", self.SAID, "req_x")
            self.assert_hidden(Streams((start, *pause, last)), stream=True, seconds=5)

    def test_the_bytes_around_it(self) -> None:
        """All but the key is the provider's, byte for byte."""
        spelled = b'{"type":"error", "error":{"type":"api_error","message":"%b"},"n":1}'
        stack = Plain(self, {"a": [Refuses(500, body=spelled % KEY.encode())]})
        self.assertEqual(stack.ask().body, spelled % "…cdef".encode())

    def test_in_header_fields(self) -> None:
        """A key that a provider repeats in a header field reaches neither the client nor the log."""
        echo = ((b"request-id", KEY.encode()), (b"anthropic-echo", b"key=" + KEY.encode()))
        for act in (Says("x", headers=echo), Refuses(400, headers=echo), Refuses(500, headers=echo)):
            for stream in (False, True):
                stack = Plain(self, {"a": [act]}, keys=[{"key": KEY}])
                peer = stack.send(body(stream=stream))
                stack.go(5)
                self.assertNotIn(KEY.encode(), peer.received)
                self.assertIn(b"cdef", peer.received)

    def test_an_answer_is_never_searched(self) -> None:
        """A message is the client's own affair: not a byte of it is changed."""
        for stream in (False, True):
            stack = Plain(self, {"a": [Says("The example key is " + KEY)]})
            self.assertEqual(text(stack.ask(body(stream=stream))), "The example key is " + KEY)


class ImageTests(SynchronousTestCase):
    """Images that a provider cannot fetch."""

    def test_a_url_for_ollama(self) -> None:
        """Ollama gets no image with a URL; the client learns what to send instead."""
        image = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
        asked = {"messages": [{"role": "user", "content": [image]}]}
        for stream in (False, True):
            stack = Plain(self, {"a": [Says("x")]}, type="ollama", keys=[])
            answer = stack.ask(body(stream=stream, **asked))
            error = json.loads(answer.body)["error"]
            self.assertEqual((answer.status, error["type"]), (400, "invalid_request_error"))
            self.assertIn("only as base64", error["message"])
            self.assertEqual((stack.asked("a"), stack.why), ([], error["message"]))
            self.assertEqual([line["message"] for line in stack.logged], ["attempt failed", "request"])
            self.assertEqual(stack.logged[0]["verdict"], "unfit")

    def test_after_another_provider(self) -> None:
        """A provider that could take the image and failed has the word: a repeat may be worth it."""
        image = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
        asked = body(stream=True, messages=[{"role": "user", "content": [image]}])
        late = Stalls(before_head=True, seconds=20, act=refusal(500))
        providers = {"b": {"type": "ollama", "keys": []}}
        stack = Plain(self, {"a": [late], "b": [Says("x")]}, {"providers": providers})
        events = sse(stack.ask(asked, 25).body)
        self.assertEqual((events[-1][0], events[-1][1]["error"]["type"]), ("error", "api_error"))
        self.assertEqual(stack.asked("b"), [])

    def test_somebody_else_can(self) -> None:
        """A provider that cannot take the image is passed over, and the next one asked."""
        image = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
        asked = body(messages=[{"role": "user", "content": [image]}])
        local = {"providers": {"a": {"type": "ollama", "keys": []}}}
        stack = Stack(self, {"a": [Says("x")], "b": [Says("from b")]}, local)
        self.assertEqual(text(stack.ask(asked)), "from b")
        self.assertEqual(stack.asked("a"), [])

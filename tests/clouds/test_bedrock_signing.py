"""The rules of signatures: each request is signed as it is sent, by keys that are renewed when refused."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says
from tests.clouds.stage import (
    ARN,
    SAID,
    STREAMED,
    Bedrock,
    Runtime,
    refused,
    said,
    streamed,
)
from tests.credentials.standins_aws import KEY_ID, OWN_KEY_ID, SECRET, TOKEN
from tests.stack import body
from tests.wire.frames import exception

STREAM = body(stream=True)
BUSY = refused(503, "ServiceUnavailableException", "try again")
CHAIN = {"aws_access_key_id": None, "aws_secret_access_key": None}


def session(key_id: str = KEY_ID, secret: str = SECRET, token: str = TOKEN) -> None:
    """Have the environment give these keys from now on."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token,
    }  # fmt: skip


class SigningTests(SynchronousTestCase):
    """Bedrock refuses whatever is not signed for it; here that is real."""

    def test_the_judge(self) -> None:
        """Bedrock's stand-in refuses a wrong key, a wrong region, a skewed clock and a changed byte."""
        for wrong in (
            {"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "AKIAWRONG"},
            {"aws_region": "eu-west-1"},
        ):  # fmt: skip
            stack = Bedrock(self, {"b": Runtime(SAID)}, **wrong)
            self.assertEqual(said(stack.ask())[:2], (401, "authentication_error"), wrong)
        for ahead in (-301.0, 301.0):
            runtime = Runtime(SAID)
            runtime.ahead = ahead
            words = said(Bedrock(self, {"b": runtime}).ask())[2]
            self.assertIn("clock of ccrelay's machine", words)
        runtime = Runtime(SAID)
        stack = Bedrock(self, {"b": runtime})
        stack.ask()
        (asked,) = stack.asked("b")
        self.assertIsNone(runtime._refusal(asked))
        asked.body += b" "
        self.assertIsNotNone(runtime._refusal(asked))

    def test_every_request(self) -> None:
        """Every request is signed: of each size, with strange characters, for every name of a model."""
        mapping = {"odd": "a b+c~(d)é/%2F;x:1", "arn": ARN}
        runtime = Runtime(SAID)
        stack = Bedrock(self, {"b": runtime}, model_mapping=mapping)
        contents = [
            body(model=model, messages=[{"role": "user", "content": text}])
            for model in ("claude", "odd", "arn")
            for text in ("x", "\u00e4\u2028\U0001f600" * 100)
        ]
        contents.append(body(messages=[{"role": "user", "content": "x" * 3_000_000}]))
        for content in contents:
            self.assertEqual(stack.ask(content, path="/v1/messages?beta=true").status, 200)
            self.assertEqual(stack.count(content).status, 200)
        self.assertEqual(runtime.seen, [OWN_KEY_ID] * 2 * len(contents))

    def test_the_operators_fields(self) -> None:
        """Header fields that the operator adds break no signature, even where they replace signed ones."""
        fields = {"Accept": "application/json, */*", "Content-Type": "application/json; charset=utf-8",
                  "X-Of-Ours": "a  b", "X-Amzn-Trace-Id": "Root=1"}  # fmt: skip
        stack = Bedrock(self, {"b": Runtime(SAID)}, headers=fields)
        self.assertEqual(stack.ask().status, 200)

    def test_places(self) -> None:
        """A base_url with a port, a path or capitals is signed as it is asked for."""
        for base_url in ("http://b/", "http://b:80", "http://b:8080/prefix/a%20b", "http://B/x"):
            runtime = Runtime(SAID)
            stack = Bedrock(self, {"b": runtime}, base_url=base_url)
            stack.network.listen("B", stack.simulators["b"].site)
            self.assertEqual(stack.ask().status, 200, base_url)

    def test_each_attempt(self) -> None:
        """A repeat is signed anew, at its own time."""
        runtime = Runtime(BUSY, BUSY, SAID)
        stack = Bedrock(self, {"b": runtime}, {"max_wait_ms": 5000, "failover_timeout": 60_000})
        peer = stack.send(body())
        stack.go(30)
        self.assertEqual(stack.answer(peer).status, 200)
        self.assertEqual(len(set(runtime.dates)), 3)

    def test_hours_later(self) -> None:
        """Keys that do not expire sign for ever, each request with the time of day."""
        runtime = Runtime(SAID)
        stack = Bedrock(self, {"b": runtime})
        for _ in range(4):
            self.assertEqual(stack.ask().status, 200)
            stack.go(7200)
        self.assertEqual(len(set(runtime.dates)), 4)

    def test_two_regions(self) -> None:
        """Each provider signs for its own region; the second serves what the first does not."""
        west, east = Runtime(BUSY, region="eu-west-1"), Runtime(SAID, region="us-gov-east-1")
        stack = Bedrock(self, {"west": west, "east": east})
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual((west.seen, east.seen), ([OWN_KEY_ID], [OWN_KEY_ID]))

    def test_failing_over(self) -> None:
        """A throttled stream of one region is served by another, signed for that."""
        west = Runtime(streamed(exception("throttlingException", message="x")), region="eu-west-1")
        east = Runtime(STREAMED)
        stack = Bedrock(self, {"west": west, "east": east})
        answer = stack.ask(STREAM)
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.body.endswith(b'data: {"type":"message_stop"}\n\n'), answer.body[-60:])


class RenewalTests(SynchronousTestCase):
    """Keys that AWS no longer takes."""

    def stack(self, runtime: Runtime, **more: Any) -> Bedrock:
        """Return a relay whose keys come from the environment; those of a session to begin with."""
        runtime.keys = {KEY_ID: (SECRET, TOKEN)}
        stack = Bedrock(self, {"b": runtime, **more}, **CHAIN)
        session()
        return stack

    def test_renewed(self) -> None:
        """A session that has ended is renewed once and the request repeated at once, streamed or not."""
        for content, act in ((body(), SAID), (STREAM, STREAMED)):
            runtime = Runtime(act)
            stack = self.stack(runtime, a=[Says("x")])
            self.assertEqual(stack.ask(content).status, 200)
            runtime.expired, runtime.keys = {KEY_ID}, {"ASIANEW": ("new-secret", "new-token")}
            session("ASIANEW", "new-secret", "new-token")
            self.assertEqual(stack.ask(content).status, 200)
            self.assertEqual(stack.ask(content).status, 200)
            self.assertEqual(runtime.seen, [KEY_ID, KEY_ID, "ASIANEW", "ASIANEW"])
            self.assertEqual([a.mended for a in stack.told.attempts], [(), ("credential",), ()])
            self.assertEqual(stack.asked("a"), [])

    def test_counting(self) -> None:
        """Counting renews keys as well: a session that has ended is no reason to estimate."""
        runtime = Runtime(SAID)
        stack = self.stack(runtime)
        stack.ask()
        runtime.expired, runtime.keys = {KEY_ID}, {"ASIANEW": ("new-secret", "new-token")}
        session("ASIANEW", "new-secret", "new-token")
        answer = stack.count(body())
        self.assertEqual((answer.status, answer.body), (200, b'{"input_tokens":42}'))
        self.assertEqual(runtime.seen, [KEY_ID, KEY_ID, "ASIANEW"])

    def test_once(self) -> None:
        """Keys that are refused again are not asked with a third time: another provider serves."""
        for name in ("ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException"):
            runtime = Runtime(refused(403, name, "The security token included in the request is invalid"))
            stack = self.stack(runtime, a=[Says("x")])
            self.assertEqual(stack.ask().status, 200)
            self.assertEqual(len(runtime.seen), 2)
            self.assertEqual(len(stack.asked("a")), 1)
            self.assertEqual(stack.ask().status, 200)
            self.assertEqual(len(runtime.seen), 3)  # what was fetched just now is not fetched again

    def test_nobody_else(self) -> None:
        """Where no other provider is there, the client is told that the credential was refused."""
        runtime = Runtime(SAID)
        stack = self.stack(runtime)
        runtime.expired = {KEY_ID}
        for content in (body(), STREAM):
            status, kind, words = said(stack.ask(content))
            self.assertEqual((status, kind), (401, "authentication_error"))
            self.assertIn("expired", words)
        runtime.expired = set()
        self.assertEqual(stack.ask().status, 200)

    def test_within_a_stream(self) -> None:
        """An expired token that is told in a frame renews as well, while nothing was answered."""
        frame = exception("expiredTokenException", message="The security token is expired")
        runtime = Runtime(streamed(frame), STREAMED)
        stack = self.stack(runtime)
        self.assertEqual(stack.ask(STREAM).status, 200)
        self.assertEqual(len(runtime.seen), 2)

    def test_many_at_once(self) -> None:
        """A session that ends under many requests is renewed once for all of them."""
        runtime = Runtime(SAID)
        stack = self.stack(runtime)
        stack.ask()
        runtime.expired, runtime.keys = {KEY_ID}, {"ASIANEW": ("new-secret", "new-token")}
        session("ASIANEW", "new-secret", "new-token")
        peers = [stack.send(body()) for _ in range(20)]
        stack.go(1)
        self.assertEqual({stack.answer(peer).status for peer in peers}, {200})
        self.assertEqual(runtime.seen.count(KEY_ID), 2)

"""The rules of Bedrock as clients of the relay see it: as they see Anthropic."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Says
from ccrelay.simulator.steps import Wait
from ccrelay.wire.sse import events
from tests.clouds.stage import (
    ARN,
    FRAMES,
    MESSAGE,
    REQUEST_ID,
    SAID,
    STREAMED,
    Bedrock,
    Runtime,
    answered,
    refused,
    said,
    streamed,
)
from tests.providers.test_bedrock_stream import EVENTS
from tests.stack import HEADERS, body
from tests.wire.frames import chunk

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
METRICS = b'"amazon-bedrock-invocationMetrics":{"inputTokenCount":25,"invocationLatency":900}'


class AnswerTests(SynchronousTestCase):
    """Answers that go well."""

    def test_a_message(self) -> None:
        """A message reaches the client with its very bytes, and its tokens are counted."""
        stack = Bedrock(self, {"b": Runtime(SAID)})
        answer = stack.ask()
        self.assertEqual((answer.status, answer.body), (200, MESSAGE))
        self.assertEqual(answer.headers["content-type"], "application/json")
        usage = stack.told.requests[-1].usage
        self.assertEqual((usage.input, usage.cache_read, usage.output), (25, 7, 15))

    def test_a_stream(self) -> None:
        """A streamed answer is one of server-sent events: each event of the frames, with its very bytes."""
        stack = Bedrock(self, {"b": Runtime(STREAMED)})
        answer = stack.ask(body(stream=True))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/event-stream; charset=utf-8")
        expected = [(json.loads(event)["type"].encode(), event) for event in EVENTS]
        self.assertEqual(list(events(answer.body)), expected)
        usage = stack.told.requests[-1].usage
        self.assertEqual((usage.input, usage.output, usage.cache_read, usage.cache_write), (25, 15, 7, 3))
        self.assertEqual(stack.told.attempts[-1].verdict, Verdict.OK)

    def test_event_by_event(self) -> None:
        """An event reaches the client as soon as its frame is whole, however the frames come in pieces."""
        pieces: list[Any] = [frame[at : at + 40] for frame in FRAMES for at in range(0, len(frame), 40)]
        spaced = [step for piece in pieces for step in (piece, Wait(0.1))]
        stack = Bedrock(self, {"b": Runtime(streamed(*spaced))})
        peer = stack.send(body(stream=True))
        stack.go(0.1 * (len(FRAMES[0]) // 40))
        self.assertEqual(stack.events(peer), ["message_start"])
        stack.go(60)
        self.assertEqual([data for _, data in events(stack.answer(peer).body)], list(EVENTS))

    def test_figures_of_aws(self) -> None:
        """What Bedrock adds to a message's end, or sends in a chunk of its own, is not the client's."""
        last = EVENTS[-1].removesuffix(b"}") + b"," + METRICS + b"}"
        frames = (*FRAMES[:-1], chunk(last), chunk(b"{" + METRICS + b"}"))
        answer = Bedrock(self, {"b": Runtime(streamed(*frames))}).ask(body(stream=True))
        self.assertEqual([data for _, data in events(answer.body)], list(EVENTS))

    def test_silence(self) -> None:
        """Bedrock sends no pings, so the relay does: before the first event and within the answer."""
        script = streamed(Wait(40), FRAMES[0], Wait(20), *FRAMES[1:])
        stack = Bedrock(self, {"b": Runtime(script)})
        peer = stack.send(body(stream=True))
        stack.go(39)
        self.assertEqual(stack.events(peer), ["ping", "ping"])
        stack.go(15)
        self.assertEqual(stack.events(peer), ["ping", "ping", "message_start"])
        stack.go(3)
        self.assertEqual(stack.events(peer)[2:], ["message_start", "ping"])
        stack.go(5)
        names = stack.events(peer)
        self.assertEqual((names.count("message_start"), names[-1]), (1, "message_stop"))

    def test_ids(self) -> None:
        """AWS's id of a request is in the log; the client gets the relay's own."""
        stack = Bedrock(self, {"b": Runtime(refused(400, "ValidationException", "no"), SAID)})
        ident = stack.ask().headers["request-id"]
        self.assertTrue(ident.startswith("req_ccrelay_"))
        self.assertEqual(stack.told.attempts[-1].upstream_id, REQUEST_ID)

    def test_listed_models(self) -> None:
        """The models that are configured, or mapped, are listed; AWS is not asked."""
        stack = Bedrock(self, {"b": Runtime()}, models=("claude-opus-4-8",), model_mapping={"haiku": MODEL})
        listed = json.loads(stack.get("/v1/models").body)["data"]
        self.assertEqual({model["id"] for model in listed}, {"claude-opus-4-8", "haiku"})
        self.assertEqual(stack.asked("b"), [])

    def test_batches_and_files(self) -> None:
        """Bedrock has no batches and files, and that is what the client is told."""
        stack = Bedrock(self, {"b": Runtime()}, {"account_provider": "b"})
        self.assertEqual(said(stack.get("/v1/files"))[:2], (404, "not_found_error"))
        self.assertEqual(stack.asked("b"), [])


class RequestTests(SynchronousTestCase):
    """What Bedrock is sent."""

    def asked(self, content: bytes, *headers: tuple[str, str], **fields: Any) -> Any:
        """Return a request as it arrived."""
        stack = Bedrock(self, {"b": Runtime(STREAMED if b'"stream"' in content else SAID)}, **fields)
        self.assertEqual(stack.ask(content, headers=(*HEADERS, *headers)).status, 200)
        return stack.asked("b")[-1]

    def test_models(self) -> None:
        """A mapped model, be it a profile or an ARN, is one segment of the path, with its colons encoded."""
        for model, segment in (
            (MODEL, "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
            (ARN, ARN.replace(":", "%3A").replace("/", "%2F")),
        ):
            mapping = {"claude-sonnet-*": model}
            whole = self.asked(body(), model_mapping=mapping)
            self.assertEqual((whole.method, whole.target), ("POST", f"/model/{segment}/invoke"))
            stream = self.asked(body(stream=True), model_mapping=mapping)
            self.assertEqual(stream.target, f"/model/{segment}/invoke-with-response-stream")

    def test_the_body(self) -> None:
        """Model and stream are not in the body, the version of Bedrock is; all else is the client's bytes."""
        kept = b'"big":123456789012345678901234567890, "messages":[ ],"s":"\\u00e4\\/"}'
        asked = self.asked(b'{"model":"m","stream":true, ' + kept)
        self.assertTrue(asked.body.endswith(kept), asked.body)
        self.assertEqual(set(asked.json), {"anthropic_version", "big", "messages", "s"})
        self.assertEqual(asked.json["anthropic_version"], "bedrock-2023-05-31")

    def test_betas(self) -> None:
        """Flags stand in the body, not in the header; those that Bedrock refuses stay here."""
        flags = ("anthropic-beta", "context-1m-2025-08-07,oauth-2025-04-20,flag-of-tomorrow")
        asked = self.asked(body(), flags)
        self.assertEqual(asked.json["anthropic_beta"], ["context-1m-2025-08-07", "flag-of-tomorrow"])
        self.assertIsNone(asked.header("anthropic-beta"))

    def test_another_version(self) -> None:
        """The operator's version goes up, whatever the client's."""
        asked = self.asked(body(), anthropic_version="bedrock-2026-10-21")
        self.assertEqual(asked.json["anthropic_version"], "bedrock-2026-10-21")

    def test_header_fields(self) -> None:
        """Of the client's header fields only what Bedrock knows goes up, and none of its credentials."""
        strange = (
            ("authorization", "Bearer sk-ant-client-0123456789"), ("cookie", "a=b"), ("x-app", "cli"),
            ("x-stainless-os", "Linux"), ("anthropic-dangerous-direct-browser-access", "true"),
            ("x-forwarded-for", "10.0.0.1"), ("x-ccrelay-x", "1"), ("x-amz-security-token", "stolen"),
            ("x-amz-date", "20200101T000000Z"), ("accept-encoding", "br"), ("user-agent", "claude-cli/2.0"),
            ("x-amzn-bedrock-service-tier", "flex"), ("x-claude-code-session-id", "s"),
        )  # fmt: skip
        asked = self.asked(body(), *strange, headers={"x-of-ours": "1"})
        self.assertEqual({name.decode() for name, _ in asked.headers}, {
            "host", "content-length", "content-type", "accept", "user-agent", "authorization", "x-amz-date",
            "x-amzn-bedrock-service-tier", "x-of-ours", "accept-encoding",
        })  # fmt: skip
        self.assertEqual(asked.header("accept"), "application/json")
        self.assertEqual(asked.header("accept-encoding"), "identity")
        self.assertNotIn("sk-", str(asked.headers))


class CountingTests(SynchronousTestCase):
    """Counting tokens."""

    def test_counted(self) -> None:
        """Tokens are counted by Bedrock, for the model of a profile, with the flags of the request."""
        stack = Bedrock(self, {"b": Runtime()}, model_mapping={"claude-sonnet-*": MODEL})
        content = json.loads(body())
        del content["max_tokens"]
        beta = ("anthropic-beta", "context-1m-2025-08-07")
        answer = stack.count(json.dumps(content).encode(), headers=(*HEADERS, beta))
        self.assertEqual((answer.status, json.loads(answer.body)), (200, {"input_tokens": 42}))
        self.assertNotIn("x-ccrelay-estimate", answer.headers)
        (asked,) = stack.asked("b")
        model = MODEL.removeprefix("us.").replace(":", "%3A")
        self.assertEqual(asked.target, f"/model/{model}/count-tokens")
        inner = json.loads(b64decode(asked.json["input"]["invokeModel"]["body"]))
        self.assertEqual(inner, {
            "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": content["messages"],
            "anthropic_beta": ["context-1m-2025-08-07"],
        })  # fmt: skip

    def test_estimated(self) -> None:
        """Where Bedrock does not count, for whatever reason of its own, an estimate says that it is one."""
        for refusal in (
            refused(400, "ValidationException", "The provided model doesn't support counting tokens."),
            refused(403, "AccessDeniedException", f"not authorized to perform bedrock:CountTokens on {ARN}"),
            refused(404, "ResourceNotFoundException", "no such model"),
        ):
            stack = Bedrock(self, {"b": Runtime(counts=[refusal])})
            answer = stack.count(body())
            self.assertEqual((answer.status, answer.headers["x-ccrelay-estimate"]), (200, "true"))
            self.assertGreater(json.loads(answer.body)["input_tokens"], 0)
            self.assertEqual(len(stack.asked("b")), 1)

    def test_not_at_all(self) -> None:
        """The operator may have the client count for itself."""
        counts = [refused(400, "ValidationException", "The provided model doesn't support counting tokens.")]
        stack = Bedrock(self, {"b": Runtime(counts=counts)}, count_tokens="404")
        self.assertEqual(said(stack.count(body()))[:2], (404, "not_found_error"))

    def test_refusals_count_for_nothing(self) -> None:
        """A right to count that is missing keeps no message from being answered."""
        counts = [refused(403, "AccessDeniedException", "not authorized to perform bedrock:CountTokens")]
        stack = Bedrock(self, {"b": Runtime(SAID, counts=counts)})
        stack.count(body())
        self.assertEqual(stack.ask().status, 200)

    def test_no_count(self) -> None:
        """An answer that is no count is none: another provider counts."""
        counts = [answered(b'{"outputTokens":1}')]
        stack = Bedrock(self, {"b": Runtime(counts=counts), "a": [Says("x")]})
        answer = stack.count(body())
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(stack.asked("a")), 1)


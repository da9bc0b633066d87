"""The rules of what Bedrock refuses: another provider serves, or the client is told in Anthropic's terms."""

from __future__ import annotations

import json

from ccrelay.simulator.steps import Cut
from tests.clouds.stage import (
    ACCOUNT,
    ARN,
    FRAMES,
    SAID,
    STREAMED,
    Bedrock,
    Runtime,
    answered,
    refused,
    said,
    streamed,
)
from tests.clouds.test_bedrock_faults import STREAM, Faults
from tests.network import sse
from tests.stack import HEADERS, body
from tests.wire.frames import chunk, exception


class RefusalTests(Faults):
    """Refusals over HTTP."""

    def test_whose_fault(self) -> None:
        """What another provider may do better, it does."""
        for refusal, reason in (
            (refused(429, "ThrottlingException", "Too many requests"), "key 429 rate_limit_error"),
            (refused(400, "ServiceQuotaExceededException", "quota"), "key 429 rate_limit_error"),
            (refused(429, "ModelNotReadyException", "not ready"), "busy 529 overloaded_error"),
            (refused(408, "ModelTimeoutException", "slow"), "broken 504 timeout_error"),
            (refused(424, "ModelErrorException", "x", originalStatusCode=500), "broken 500 api_error"),
            (refused(500, "InternalServerException", "x"), "broken 500 api_error"),
            (refused(503, "ServiceUnavailableException", "x"), "busy 529 overloaded_error"),
            (refused(403, "AccessDeniedException", "no"), "key 403 permission_error"),
            (answered(b"<html>gateway</html>", 502), "broken 502"),
            (answered(b'{"message":"x","__type":"com.amazon.coral#ThrottlingException"}', 400), "key 429"),
        ):
            for content in (STREAM, body()):
                self.assertIn(reason, self.served_elsewhere(refusal, content=content))

    def test_the_requests_own_fault(self) -> None:
        """What is wrong with the request is told to the client at once."""
        for status, name, words, expected in (
            (400, "ValidationException", "max_tokens: too many", (400, "invalid_request_error")),
            (404, "ResourceNotFoundException", "no such model", (404, "not_found_error")),
        ):
            for content in (STREAM, body()):
                stack = self.stack(refused(status, name, words))
                self.assertEqual(said(stack.ask(content)), (*expected, words))
                self.assertEqual(stack.asked("a"), [])

    def test_a_mapped_model_that_there_is_not(self) -> None:
        """A model that Bedrock does not know by its mapped name may be known elsewhere."""
        gone = refused(400, "ValidationException", "The provided model identifier is invalid.")
        stack = self.stack(gone, model_mapping={"claude-*": "eu.anthropic.claude-x"})
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual(len(stack.asked("a")), 1)

    def test_too_long(self) -> None:
        """A prompt that is too long carries the token that Claude Code compacts on, streamed or not."""
        refusal = refused(400, "ValidationException", "Input is too long for requested model.")
        frame = streamed(exception("validationException", message="Input is too long for requested model."))
        for act, content in ((refusal, STREAM), (refusal, body()), (frame, STREAM)):
            status, kind, words = said(self.stack(act).ask(content))
            self.assertEqual((status, kind), (400, "invalid_request_error"))
            self.assertIn("capability_rejected", words)
            self.assertIn("Input is too long for requested model.", words)

    def test_accounts(self) -> None:
        """Account ids and ARNs reach no client, in whatever shape AWS tells of them."""
        words = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/r/s is not authorized to invoke {ARN}"
        envelope = {"type": "error", "error": {"type": "permission_error", "message": words}, "arn": ARN}
        for act in (
            refused(403, "AccessDeniedException", words),
            answered(json.dumps(envelope).encode(), 403),
            answered(json.dumps({"Message": words}).encode(), 403),
            refused(400, "ValidationException", f"account {ACCOUNT} may not use {ARN}"),
        ):
            for content in (STREAM, body()):
                status, _, told = said(self.stack(act, alone=True).ask(content))
                self.assertIn(status, (400, 403))
                self.assertIn("(ARN)", told)

    def test_accounts_in_an_event_after_content(self) -> None:
        """Nor do they in an error that AWS hands on from the model in the middle of an answer."""
        words = f"{ARN} failed in account {ACCOUNT}"
        error = {"type": "error", "error": {"type": "api_error", "message": words}}
        answer = self.stack(streamed(*FRAMES[:3], chunk(json.dumps(error).encode()))).ask(STREAM)
        (name, told) = sse(answer.body)[-1]
        self.assertEqual((name, told["error"]["message"]), ("error", "(ARN) failed in account (account)"))

    def test_the_log_says_why(self) -> None:
        """What AWS says of a permission that is missing is in the log where another provider serves."""
        words = f"User: {ARN} is not authorized to perform: bedrock:InvokeModel"
        stack = self.stack(refused(403, "AccessDeniedException", words))
        stack.ask()
        (failed, _) = stack.logged
        self.assertEqual(failed["reason"], "403 permission_error")
        self.assertEqual(failed["said"], "User: (ARN) is not authorized to perform: bedrock:InvokeModel")

    def test_a_permission_that_is_missing(self) -> None:
        """While nobody may use a model, each request is told that, not that a key is at its limit."""
        stack = self.stack(refused(403, "AccessDeniedException", "no access"), alone=True)
        self.assertEqual(said(stack.ask())[:2], (403, "permission_error"))
        answer = stack.ask()
        status, kind, words = said(answer)
        self.assertEqual((status, kind), (403, "permission_error"))
        self.assertIn("No provider permits this model to its key or credential (403)", words)
        self.assertEqual(answer.headers["retry-after"], "600")
        self.assertEqual(len(stack.asked("b")), 1)

    def test_every_attempt_listed(self) -> None:
        """Where the relay itself sums up, it says nothing private either."""
        stack = Bedrock(
            self, {"b": Runtime(answered(f"<html>{ARN}</html>".encode())), "c": Runtime(streamed(Cut()))},
            model_mapping={"claude-*": ARN},
        )  # fmt: skip
        status, kind, words = said(stack.ask())
        self.assertEqual((status, kind), (502, "api_error"))
        self.assertIn("b: ", words)
        self.assertIn("c: ", words)

    def test_a_refused_flag(self) -> None:
        """A flag that Bedrock refuses is left out at once and from then on, in the body where it stood."""
        error = {"type": "invalid_request_error", "message": "invalid beta flag"}
        act = answered(json.dumps({"type": "error", "error": error}).encode(), 400)
        flags = ("anthropic-beta", "context-1m-2025-08-07,flag-of-tomorrow")
        for refusal, content, fine in (
            (act, body(), SAID), (act, STREAM, STREAMED),
            (streamed(exception("validationException", message="invalid beta flag")), STREAM, STREAMED),
        ):  # fmt: skip
            stack = self.stack(refusal, fine)
            for _ in range(2):
                self.assertEqual(stack.ask(content, headers=(*HEADERS, flags)).status, 200)
            self.assertEqual(stack.asked("a"), [])
            sent = [asked.json.get("anthropic_beta") for asked in stack.asked("b")]
            known = ["context-1m-2025-08-07"]
            self.assertEqual(sent, [[*known, "flag-of-tomorrow"], known, known])
            self.assertEqual(stack.told.attempts[0].mended, ("betas",))

"""The rules of Bedrock: where a request goes, what its body is, and what AWS's errors mean."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.verdict import EXHAUSTED_S, Complaint, Verdict
from ccrelay.providers.bedrock import Bedrock
from ccrelay.wire.http import ResponseHead
from ccrelay.wire.request import MessagesRequest

NOW = 1_795_521_600.0
KEY, CLIENT, BUSY, BROKEN = Verdict.KEY, Verdict.CLIENT, Verdict.BUSY, Verdict.BROKEN
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12"
BODY = b'{"model":"m","max_tokens":1.0e2,"stream":true,"messages":[ {"role":"user","content":"\\u00e4"} ]}'


def request(body: bytes = BODY, model: str = "anthropic.claude-sonnet-4-5-20250929-v1:0") -> MessagesRequest:
    """Return a request for a model."""
    parsed = MessagesRequest.parse(body)
    return MessagesRequest(body, model, parsed.stream, "")


class RequestTests(SynchronousTestCase):
    """What goes up."""

    def setUp(self) -> None:
        """Make the provider."""
        self.bedrock = Bedrock("https://bedrock-runtime.us-east-1.amazonaws.com")

    def test_where_it_goes(self) -> None:
        """The model is a segment of the path, encoded as AWS's SDK does; streams have a path of their own."""
        host = "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
        composed = self.bedrock.compose(request(), (), b"beta=true")
        path = "anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
        self.assertEqual(composed.url, host + path)
        still = request(BODY.replace(b"true", b"false"), ARN)
        self.assertEqual(
            self.bedrock.compose(still, (), b"").url,
            host
            + "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fab12/invoke",
        )

    def test_the_body(self) -> None:
        """Model and stream go, the version comes first, and every other byte is the client's."""
        composed = self.bedrock.compose(request(), (), b"")
        self.assertEqual(
            composed.body,
            b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":1.0e2,'
            b'"messages":[ {"role":"user","content":"\\u00e4"} ]}',
        )

    def test_flags_go_into_the_body(self) -> None:
        """Beta flags stand in the body, each once, behind those that stood there, and not in the headers."""
        headers = ((b"anthropic-beta", b"a-1, b-2"), (b"anthropic-beta", b"a-1,c-3"))
        for there, expected in (
            (b"", ["a-1", "b-2", "c-3"]), (b'"anthropic_beta":["x","b-2"],', ["x", "b-2", "a-1", "c-3"]),
            (b'"anthropic_beta":"odd",', "odd"),
        ):  # fmt: skip
            body = b'{"model":"m",' + there + b'"messages":[]}'
            composed = self.bedrock.compose(request(body), headers, b"")
            self.assertEqual(json.loads(composed.body)["anthropic_beta"], expected)
            self.assertEqual(composed.body.count(b"anthropic_beta"), 1)
            self.assertNotIn(b"anthropic-beta", [name for name, _ in composed.headers])
        self.assertNotIn(b"anthropic_beta", self.bedrock.compose(request(), (), b"").body)

    def test_a_profile_of_a_user(self) -> None:
        """The profile of a user, a header field elsewhere, is a member of the body here."""
        headers = ((b"anthropic-user-profile-id", b"up_1"),)
        body = json.loads(self.bedrock.compose(request(), headers, b"").body)
        self.assertEqual(body["user_profile_id"], "up_1")
        own = request(b'{"model":"m","messages":[],"user_profile_id":"own"}')
        self.assertEqual(json.loads(self.bedrock.compose(own, headers, b"").body)["user_profile_id"], "own")

    def test_header_fields(self) -> None:
        """Only what Bedrock needs goes up, its own options among it; the answer is asked for as JSON."""
        headers = (
            (b"content-type", b"application/json"), (b"user-agent", b"cli"), (b"accept", b"*/*"),
            (b"x-stainless-os", b"Linux"), (b"anthropic-version", b"2023-06-01"), (b"x-app", b"cli"),
            (b"x-amzn-bedrock-guardrailidentifier", b"g"), (b"x-amz-date", b"now"),
        )  # fmt: skip
        self.assertEqual(self.bedrock.compose(request(), headers, b"").headers, (
            (b"content-type", b"application/json"), (b"user-agent", b"cli"),
            (b"x-amzn-bedrock-guardrailidentifier", b"g"), (b"accept", b"application/json"),
        ))  # fmt: skip

    def test_a_probe(self) -> None:
        """The front is asked for nothing: whatever it answers, it is there; that judges no credential."""
        self.assertEqual(self.bedrock.probe().url, "https://bedrock-runtime.us-east-1.amazonaws.com/")
        self.assertFalse(self.bedrock.capabilities.probe_judges)

    def test_streams_are_frames(self) -> None:
        """A streamed answer of Bedrock's is Amazon's event stream."""
        self.assertEqual(self.bedrock.capabilities.stream_type, b"application/vnd.amazon.eventstream")


class CountTests(SynchronousTestCase):
    """Counting tokens."""

    def setUp(self) -> None:
        """Make the provider."""
        self.bedrock = Bedrock("https://b")

    def counted(self, body: bytes, model: str) -> tuple[str, Any]:
        """Return the address of a count, and what is to be counted."""
        composed = self.bedrock.count(request(body, model), ((b"anthropic-beta", b"a-1"),), b"beta=true")
        wrapped = json.loads(composed.body)
        return composed.url, json.loads(b64decode(wrapped["input"]["invokeModel"].pop("body"), validate=True))

    def test_the_request(self) -> None:
        """What is counted is the body of an invocation, in base64; it must have a max_tokens."""
        url, inner = self.counted(b'{"model":"m","messages":[],"stream":false}', "anthropic.claude-x-v1:0")
        self.assertEqual(url, "https://b/model/anthropic.claude-x-v1%3A0/count-tokens")
        expected = {
            "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["a-1"], "max_tokens": 1,
            "messages": [],
        }  # fmt: skip
        self.assertEqual(inner, expected)
        self.assertEqual(self.counted(BODY, "m")[1]["max_tokens"], 100)

    def test_a_profile(self) -> None:
        """A profile cannot be counted for, but the model that it is of can."""
        for profile in ("us.", "eu.", "apac.", "global.", "us-gov.", ""):
            url, _ = self.counted(BODY, f"{profile}anthropic.claude-x")
            self.assertEqual(url, "https://b/model/anthropic.claude-x/count-tokens")
        self.assertIn("application-inference-profile", self.counted(BODY, ARN)[0])

    def test_the_answer(self) -> None:
        """The count reaches the client in Anthropic's words."""
        self.assertEqual(self.bedrock.counted(b'{"inputTokens":42,"x":1}'), b'{"input_tokens":42}')

    def test_where_it_cannot(self) -> None:
        """A refusal to count is no fault of the key's or the client's: many models cannot be counted for."""
        self.assertLessEqual({400, 403, 404}, self.bedrock.capabilities.uncountable)


class ErrorTests(SynchronousTestCase):
    """What refusals mean."""

    def classified(
        self, status: int, name: str, message: str = "no", *, mapped: bool = False, **more: Any
    ) -> Complaint:
        """Return the complaint in an answer, which is the same however AWS tells the name of an error."""
        bedrock = Bedrock("https://b")
        ways = []
        for fields, said in (
            (
                ((b"x-amzn-errortype", f"{name}:http://internal.amazon.com/x/".encode()),),
                {"message": message},
            ),
            (((b"x-amzn-errortype", f"com.amazon.bedrock#{name}".encode()),), {"Message": message}),
            ((), {"__type": f"com.amazon#{name}", "message": message}),
            ((), {"code": name, "message": message}),
        ):
            body = json.dumps({**said, **more}).encode()
            ways.append(bedrock.classify(ResponseHead(status, fields), body, NOW, mapped=mapped))
        self.assertEqual(len(set(ways)), 1)
        return ways[0]

    def test_each_name(self) -> None:
        """Each error of AWS's means one thing in Anthropic's terms, and its words are kept."""
        for name, status, verdict, answered, kind in (
            ("ValidationException", 400, CLIENT, 400, "invalid_request_error"),
            ("AccessDeniedException", 403, KEY, 403, "permission_error"),
            ("UnrecognizedClientException", 403, KEY, 401, "authentication_error"),
            ("InvalidSignatureException", 403, KEY, 401, "authentication_error"),
            ("ExpiredTokenException", 400, KEY, 401, "authentication_error"),
            ("MissingAuthenticationTokenException", 403, KEY, 401, "authentication_error"),
            ("IncompleteSignatureException", 400, KEY, 401, "authentication_error"),
            ("ResourceNotFoundException", 404, CLIENT, 404, "not_found_error"),
            ("FTUFormNotFilled", 404, CLIENT, 404, "not_found_error"),
            ("ThrottlingException", 429, KEY, 429, "rate_limit_error"),
            ("ModelNotReadyException", 429, BUSY, 529, "overloaded_error"),
            ("ServiceQuotaExceededException", 400, KEY, 429, "rate_limit_error"),
            ("ModelTimeoutException", 408, BROKEN, 504, "timeout_error"),
            ("ModelErrorException", 424, BROKEN, 500, "api_error"),
            ("ModelStreamErrorException", 424, BROKEN, 500, "api_error"),
            ("InternalServerException", 500, BROKEN, 500, "api_error"),
            ("ServiceUnavailableException", 503, BUSY, 529, "overloaded_error"),
        ):
            said = self.classified(status, name)
            self.assertEqual(
                (said.verdict, said.status, said.kind, said.message, said.body),
                (verdict, answered, kind, "no", None),
                name,
            )

    def test_an_unknown_name(self) -> None:
        """An error that nobody knows today is judged by its status."""
        said = self.classified(400, "OfTomorrowException", "why")
        self.assertEqual((said.verdict, said.status, said.message), (CLIENT, 400, "why"))
        self.assertIs(self.classified(502, "OfTomorrowException").verdict, BROKEN)

    def test_what_the_model_itself_said(self) -> None:
        """Where the model's own status is told, that counts."""
        for original, verdict, answered in (
            (400, CLIENT, 400), (429, KEY, 429), (503, BUSY, 529), (529, BUSY, 529), (408, BROKEN, 504),
            (500, BROKEN, 500), (200, BROKEN, 500), (7, BROKEN, 500),
        ):  # fmt: skip
            said = self.classified(424, "ModelErrorException", originalStatusCode=original)
            self.assertEqual((said.verdict, said.status), (verdict, answered), original)

    def test_a_prompt_that_is_too_long(self) -> None:
        """The words stay, with the token that Claude Code compacts a conversation on."""
        words = "Input is too long for requested model."
        said = self.classified(400, "ValidationException", words)
        self.assertEqual((said.verdict, said.status), (CLIENT, 400))
        self.assertEqual(said.message, f"capability_rejected: prompt_too_long. {words}")

    def test_a_model_that_there_is_not(self) -> None:
        """A model that AWS does not know, or not in this way, is not found; if it was mapped others may."""
        for words in (
            "The provided model identifier is invalid.",
            "Invocation of model ID anthropic.x with on-demand throughput isn\u2019t supported.",
        ):
            self.assertEqual(self.classified(400, "ValidationException", words).kind, "not_found_error")
            self.assertIs(self.classified(400, "ValidationException", words, mapped=True).verdict, BROKEN)

    def test_keys_of_bedrock(self) -> None:
        """A refused API key is told apart from a permission that is missing."""
        for words in ("Authentication failed: Please make sure your API Key is valid.",
                      "Bearer Token has expired"):  # fmt: skip
            said = self.classified(403, "AccessDeniedException", words)
            self.assertEqual((said.verdict, said.status, said.kind), (KEY, 401, "authentication_error"))

    def test_the_clock(self) -> None:
        """A signature of another time says what to do: the machine's clock is wrong."""
        for words in ("Signature expired: 20261124T000000Z is now earlier than 20261124T010000Z",
                      "Signature not yet current: 20261125T000000Z"):  # fmt: skip
            said = self.classified(403, "InvalidSignatureException", words)
            self.assertEqual((said.verdict, said.status), (KEY, 401))
            self.assertIn("clock", said.message)
        self.assertNotIn("clock", self.classified(403, "ExpiredTokenException").message)

    def test_a_quota_of_the_day(self) -> None:
        """A quota that is used up for the day bars the key for longer than a moment's throttling."""
        said = self.classified(429, "ThrottlingException", "Too many tokens per day, please wait.")
        self.assertEqual(said.barred_for, EXHAUSTED_S)
        said = self.classified(
            429, "ThrottlingException", "Too many tokens, please wait before trying again."
        )
        self.assertEqual(said.barred_for, 0)

    def test_nothing_private(self) -> None:
        """Account ids and ARNs reach no client, whoever words the error."""
        words = (
            f"User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized on {ARN} in 123456789012."
        )
        said = self.classified(403, "AccessDeniedException", words)
        self.assertEqual(said.message, "User: (ARN) is not authorized on (ARN) in (account).")
        error = {"type": "error", "error": {"type": "permission_error", "message": words}}
        found = Bedrock("https://b").classify(
            ResponseHead(403, ((b"content-type", b"application/json"), (b"retry-after", b"1"))),
            json.dumps(error).encode(), NOW, mapped=False,
        )  # fmt: skip
        self.assertNotIn(b"123456789012", found.rendered("req_1"))
        self.assertEqual((found.kind, found.headers), ("permission_error", ((b"retry-after", b"1"),)))
        alone = b'{"type":"error","error":{"type":"t","message":"account 123456789012"}}'
        found = Bedrock("https://b").classify(ResponseHead(403, ()), alone, NOW, mapped=False)
        self.assertNotIn(b"123456789012", found.rendered("req_1"))

    def test_a_refused_flag(self) -> None:
        """What newer models say in Anthropic's envelope goes on as it is, so that it can be learned from."""
        body = b'{"type":"error","error":{"type":"invalid_request_error","message":"invalid beta flag"}}'
        head = ResponseHead(400, ((b"x-amzn-errortype", b"ValidationException"),))
        found = Bedrock("https://b").classify(head, body, NOW, mapped=False)
        self.assertIs(found.body, body)
        self.assertEqual(found.message, "invalid beta flag")

"""The rules of what Bedrock is sent, through the whole relay: judged by Anthropic's SDK and by AWS's own."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import boto3
import httpx2
from anthropic import Anthropic, AnthropicBedrock
from botocore.awsrequest import AWSResponse
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.sigv4 import AwsKeys, signed
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.secret import Secret
from tests.clouds.stage import ARN, MESSAGE, SAID, STREAMED, Bedrock, Runtime
from tests.credentials.sigv4_verifier import verify_sigv4
from tests.credentials.standins import environment
from tests.credentials.standins_aws import KEY_ID, SECRET, TOKEN
from tests.providers.test_sdk_oracle import ASKED, BETAS, Wire

REGION: Final = "eu-west-1"
HOST: Final = f"bedrock-runtime.{REGION}.amazonaws.com"
MODELS: Final = (
    "anthropic.claude-sonnet-4-5-20250929-v1:0", "eu.anthropic.claude-opus-4-8", ARN, "a b;c",
)  # fmt: skip
SIGNED: Final = {"accept", "content-type", "host", "x-amz-date", "x-amz-security-token"}


def names(headers: Mapping[str, str]) -> set[str]:
    """Return the header fields that were signed."""
    found = re.search(r"SignedHeaders=([^,]+),", headers["authorization"])
    assert found is not None
    return set(found[1].split(";"))


class OracleTestCase(SynchronousTestCase):
    """A relay with a session's keys, at Bedrock's own address, and what the SDKs send with the same."""

    def stack(self, act: Any) -> Bedrock:
        """Return the relay."""
        runtime = Runtime(act, region=REGION)
        runtime.keys = {KEY_ID: (SECRET, TOKEN)}
        stack = Bedrock(
            self, {"b": runtime}, base_url=None,
            aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, aws_session_token=TOKEN,
        )  # fmt: skip
        stack.network.listen(HOST, stack.simulators["b"].site)
        return stack

    def relayed(self, model: str, *, counting: bool = False, **asked: Any) -> Any:
        """Return what the relay sends for a call of Anthropic's plain SDK."""
        plain = Wire()
        sdk = Anthropic(api_key="k", http_client=httpx2.Client(transport=plain), max_retries=0)
        self.call(sdk, model, counting=counting, **asked)
        sent = plain.asked[-1]
        headers = [pair for pair in sent.headers.items() if pair[0] not in {"host", "connection"}]
        stack = self.stack(STREAMED if asked else SAID)
        target = sent.url.raw_path.decode()
        answer = stack.ask(sent.content, path=target, headers=(("host", "localhost"), *headers))
        self.assertEqual(answer.status, 200)
        return stack.asked("b")[-1]

    def call(self, sdk: Any, model: str, *, counting: bool = False, **asked: Any) -> None:
        """Have an SDK send what these tests ask for."""
        given = {**ASKED, "model": model, "betas": BETAS, **asked}
        if counting:
            del given["max_tokens"], given["metadata"]
            sdk.beta.messages.count_tokens(**given)
        else:
            sdk.beta.messages.create(**given)


class AnthropicTests(OracleTestCase):
    """C{AnthropicBedrock}."""

    def test_requests(self) -> None:
        """
        The same address and body, and both are signed so that AWS takes them.

        The SDK leaves colons in the path, and sends the version of its own day; it signs every field that it
        sends, of which a proxy on the way may change some.  Flags stand in its header as well.
        """
        environment(self)
        wire = Wire()
        sdk = AnthropicBedrock(
            aws_access_key=KEY_ID, aws_secret_key=SECRET, aws_session_token=TOKEN, aws_region=REGION,
            http_client=httpx2.Client(transport=wire), max_retries=0,
        )  # fmt: skip
        for model in MODELS:
            for how in ({}, {"stream": True}):
                self.call(sdk, model, **how)
                theirs, ours = wire.asked[-1], self.relayed(model, **how)
                self.assertEqual((ours.method, ours.header("host")), (theirs.method, theirs.url.host))
                path = theirs.url.raw_path.decode()
                self.assertEqual(ours.target, path.replace(":", "%3A").replace(";", "%3B"))
                self.assertEqual(unquote(ours.target), unquote(path))
                expected = {**json.loads(theirs.content), "anthropic_version": "bedrock-2023-05-31"}
                self.assertEqual(ours.json, expected)
                self.judge(theirs, ours)

    def judge(self, theirs: httpx2.Request, ours: Any) -> None:
        """Assert that AWS would take both, and what is signed of each."""
        when = datetime.strptime(theirs.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        raw = [(name.lower(), value) for name, value in theirs.headers.raw]
        url = f"https://{HOST}{theirs.url.raw_path.decode()}"
        verify_sigv4("POST", url, raw, theirs.content, SECRET, when.timestamp())
        fields = {name.decode(): value.decode() for name, value in ours.headers}
        self.assertEqual(names(fields), SIGNED)
        self.assertLess(SIGNED, names(theirs.headers))
        for name in ("content-type", "accept", "x-amz-security-token"):
            self.assertEqual(fields[name], theirs.headers[name])
        self.assertEqual(theirs.headers["anthropic-beta"], ",".join(BETAS))
        self.assertEqual(set(fields) - set(theirs.headers), set())


class BotocoreTests(OracleTestCase):
    """C{boto3.client("bedrock-runtime")}."""

    def client(self) -> tuple[Any, list[Any]]:
        """Return AWS's own client, and the list of what it sends; nothing is."""
        environment(self)
        sent: list[Any] = []

        def answer(request: Any, **_: Any) -> AWSResponse:
            sent.append(request)
            body = b'{"inputTokens":42}' if request.url.endswith("/count-tokens") else MESSAGE
            response = AWSResponse(request.url, 200, {"content-type": "application/json"}, None)
            response._content = body
            return response

        client = boto3.Session(KEY_ID, SECRET, TOKEN, REGION).client("bedrock-runtime")
        client.meta.events.register("before-send.bedrock-runtime", answer)
        return client, sent

    def judge(self, theirs: Any, ours: Any, body: bytes) -> None:
        """Assert that both are one request, down to the signature, were they signed in the same second."""
        self.assertEqual(f"https://{HOST}{ours.target}", theirs.url)
        headers = {name.lower(): _text(value) for name, value in theirs.headers.items()}
        fields = {name.decode(): value.decode() for name, value in ours.headers}
        self.assertEqual(names(fields), names(headers))
        when = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        request = UpstreamRequest("POST", theirs.url, ours.headers, body)
        keys = AwsKeys(KEY_ID, Secret(SECRET), Secret(TOKEN))
        again = dict(signed(request, keys, REGION, when.timestamp()).headers)
        for name in SIGNED - {"host"}:
            self.assertEqual(again[name.encode()].decode(), headers[name])
        self.assertEqual(again[b"authorization"].decode(), headers["authorization"])

    def test_invoking(self) -> None:
        """The same address, header fields and signature as AWS's own client has for the same body."""
        client, sent = self.client()
        for model in MODELS[:3]:
            ours = self.relayed(model)
            client.invoke_model(
                modelId=model, body=ours.body, contentType="application/json", accept="application/json"
            )
            self.assertEqual(sent[-1].body, ours.body)
            self.judge(sent[-1], ours, ours.body)

    def test_counting(self) -> None:
        """The same address of C{CountTokens}, and what is to be counted is in the same place."""
        client, sent = self.client()
        ours = self.relayed(MODELS[0], counting=True)
        inner = json.loads(ours.body)["input"]["invokeModel"]["body"]
        client.count_tokens(modelId=MODELS[0], input={"invokeModel": {"body": _decoded(inner)}})
        self.assertEqual(json.loads(sent[-1].body), json.loads(ours.body))
        self.assertEqual(f"https://{HOST}{ours.target}", sent[-1].url)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)

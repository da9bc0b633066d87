"""The rules of what the clouds are sent, with Anthropic's own SDK as the judge; nothing is sent."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import unquote

import httpx2
from anthropic import Anthropic, AnthropicBedrock, AnthropicFoundry, AnthropicVertex
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.providers.interfaces import IProvider
from ccrelay.providers.registry import provider_of
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.request import MessagesRequest
from tests.wire.frames import chunk

MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
    "input_tokens": 1,
}
ASKED: Final[dict[str, Any]] = {
    "max_tokens": 10,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "h\u00e4\u2028\U0001f600"}],
    "tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"n": {"type": "number"}}}}],
    "thinking": {"type": "adaptive"},
    "metadata": {"user_id": '{"session_id":"x"}'},
}
BETAS: Final = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"]


class Wire(httpx2.BaseTransport):
    """A network that keeps what it is given and answers with a message."""

    def __init__(self) -> None:
        self.asked: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(
            200, headers=headers if b'"stream":true' in request.content else None, json=MESSAGE
        )


class Side:
    """One request, as the SDK of a cloud prepares it and as we make it out of that of Anthropic's own SDK."""

    def __init__(self, client: Any, wire: Wire, provider: IProvider) -> None:
        self._client = client
        self._wire = wire
        self._provider = provider

    def prepared(
        self, model: str, *, stream: bool = False, counting: bool = False
    ) -> tuple[Any, UpstreamRequest]:
        """Return what the SDK of the cloud sends, and what we would."""
        first_party = Wire()
        plain = Anthropic(api_key="k", http_client=httpx2.Client(transport=first_party), max_retries=0)
        for client in (self._client, plain):
            asked = {**ASKED, "model": model, "betas": BETAS}
            if counting:
                del asked["max_tokens"], asked["metadata"]
                client.beta.messages.count_tokens(**asked)
            else:
                client.beta.messages.create(**asked, **({"stream": True} if stream else {}))
        theirs, ours = self._wire.asked[-1], first_party.asked[-1]
        request = MessagesRequest.parse(ours.content)
        headers = tuple((name.lower(), value) for name, value in ours.headers.raw)
        fitted = self._provider.betas.fitted(request, headers, counting=counting)
        compose = self._provider.count if counting else self._provider.compose
        return theirs, compose(fitted.request, fitted.headers, b"")


def body(raw: bytes | None) -> Any:
    assert raw is not None
    return json.loads(raw)


def beta_of(request: Any) -> list[str]:
    """Return the flags in a request's header fields."""
    pairs = request.headers.items() if isinstance(request, httpx2.Request) else request.headers
    spelled = [(n, v) if isinstance(n, str) else (n.decode(), v.decode()) for n, v in pairs]
    return [flag for name, value in spelled if name == "anthropic-beta" for flag in value.split(",")]


class BedrockOracleTests(SynchronousTestCase):
    """C{AnthropicBedrock}."""

    MODELS = (
        "anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-opus-4-8", "a;b",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab",
    )  # fmt: skip

    def setUp(self) -> None:
        """Make both sides."""
        wire = Wire()
        client = AnthropicBedrock(
            api_key="k", aws_region="us-east-1", http_client=httpx2.Client(transport=wire), max_retries=0
        )
        self.provider = provider_of("bedrock", None, None, has_key=True, region="us-east-1")
        self.side = Side(client, wire, self.provider)

    def test_requests(self) -> None:
        """
        The same path, but that a colon and semicolon are encoded; the same body, but for the version.

        The SDK sends the version of its own day; older models do not know that (docs/wire.md, Bedrock).
        """
        for model in self.MODELS:
            for stream in (False, True):
                theirs, ours = self.side.prepared(model, stream=stream)
                self.assertEqual(unquote(str(theirs.url)), unquote(ours.url))
                self.assertEqual(ours.url, str(theirs.url).replace(":", "%3A").replace(";", "%3B")
                                 .replace("https%3A", "https:"))  # fmt: skip
                expected = body(theirs.content)
                expected["anthropic_version"] = "bedrock-2023-05-31"
                self.assertEqual(body(ours.body), expected)
                self.assertEqual(body(ours.body)["anthropic_beta"], BETAS)

    def test_header_fields(self) -> None:
        """The same accept and content-type; flags stand in the body alone, as the field is judged, too."""
        theirs, ours = self.side.prepared(self.MODELS[0])
        ours_headers = dict(ours.headers)
        for name in ("accept", "content-type"):
            self.assertEqual(ours_headers[name.encode()].decode(), theirs.headers[name])
        self.assertEqual(beta_of(theirs), BETAS)
        self.assertEqual(beta_of(ours), [])

    def test_models_that_both_refuse(self) -> None:
        """What the SDK takes for no segment of a path, we refuse as well."""
        for model in ("", ".", "..", "..;x", ";x"):
            self.assertRaises(ValueError, self.side._client.messages.create, model=model, **ASKED)
            request = MessagesRequest(b'{"messages":[]}', model, stream=False, session="")
            self.assertRaises(Malformed, self.provider.compose, request, (), b"")

    def test_a_stream(self) -> None:
        """From the same frames the SDK reads the events that we hand on."""
        from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder  # noqa: PLC0415

        from tests.providers.test_bedrock_stream import EVENTS, fed  # noqa: PLC0415

        frames = b"".join(map(chunk, [*EVENTS, b'{"amazon-bedrock-invocationMetrics":{}}']))
        theirs = [
            (sse.event, json.loads(sse.data)) for sse in AWSEventStreamDecoder().iter_bytes(iter([frames]))
        ]
        out, _ = fed(frames)
        plain = Anthropic(api_key="k")._make_sse_decoder()
        ours = [(sse.event, json.loads(sse.data)) for sse in plain.iter_bytes(iter([out]))]
        self.assertEqual(ours, theirs)


class VertexOracleTests(SynchronousTestCase):
    """C{AnthropicVertex}."""

    def sides(self) -> Any:
        """Yield both sides for each kind of region."""
        for region in ("global", "us", "eu", "us-east5"):
            wire = Wire()
            client = AnthropicVertex(
                region=region, project_id="my-project", access_token="k",
                http_client=httpx2.Client(transport=wire), max_retries=0,
            )  # fmt: skip
            yield Side(client, wire, provider_of(
                "vertex", None, None, has_key=False, region=region, project="my-project"
            ))  # fmt: skip

    def test_requests(self) -> None:
        """The same address and flags, and the same body, but for the version."""
        for side in self.sides():
            for model in ("claude-sonnet-4-5@20250929", "claude-opus-4-8", "a;b", "a b/c"):
                for stream in (False, True):
                    theirs, ours = side.prepared(model, stream=stream)
                    self.assertEqual(ours.url, str(theirs.url))
                    expected = {**body(theirs.content), "anthropic_version": "vertex-2023-10-16"}
                    self.assertEqual(body(ours.body), expected)
                    self.assertEqual(beta_of(ours), beta_of(theirs))
                    self.assertNotIn(b"anthropic-version", dict(ours.headers))
                    self.assertNotIn("anthropic-version", theirs.headers)

    def test_counting(self) -> None:
        """The same address and flags, and the same body, but for the version."""
        for side in self.sides():
            theirs, ours = side.prepared("claude-sonnet-4-5@20250929", counting=True)
            self.assertEqual(ours.url, str(theirs.url).partition("?")[0])
            expected = {**body(theirs.content), "anthropic_version": "vertex-2023-10-16"}
            self.assertEqual(body(ours.body), expected)
            self.assertEqual(set(beta_of(ours)), set(beta_of(theirs)))


class FoundryOracleTests(SynchronousTestCase):
    """C{AnthropicFoundry}."""

    def test_requests(self) -> None:
        """The same address but for the query, the same body, the same flags and version."""
        wire = Wire()
        client = AnthropicFoundry(
            resource="res", api_key="k", http_client=httpx2.Client(transport=wire), max_retries=0
        )
        side = Side(client, wire, provider_of("azure", None, None, has_key=True, resource="res"))
        for counting in (False, True):
            theirs, ours = side.prepared("my-deployment", counting=counting)
            self.assertEqual(ours.url, str(theirs.url).partition("?")[0])
            self.assertEqual(body(ours.body), body(theirs.content))
            self.assertEqual(beta_of(ours), beta_of(theirs))
            self.assertEqual(
                dict(ours.headers)[b"anthropic-version"].decode(), theirs.headers["anthropic-version"]
            )

"""The rules of what goes up, with Anthropic's SDKs for these clouds as the judge, through the whole relay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from anthropic import Anthropic, AnthropicFoundry, AnthropicVertex
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Says
from ccrelay.simulator.script import Script
from tests.clouds.rooms import COUNTED, MODEL, PROJECT, Clouds, vertex
from tests.providers.test_sdk_oracle import ASKED, BETAS, Wire
from tests.stack import KEY

RELAYED: Final = {"host", "content-length", "accept-encoding", "connection", "authorization", "x-api-key"}
"""Header fields of the connection, and those that each side has a credential of its own in."""


class Pair:
    """
    The same call of two SDKs: that of the cloud, and Anthropic's own by way of the relay.

    @ivar theirs: what the cloud's SDK sends; C{ours}: what the relay does.
    """

    def __init__(
        self, stack: Clouds, name: str, cloud: Any, wire: Wire, *, counting: bool, **asked: Any
    ) -> None:
        plain = Wire()
        first_party = Anthropic(api_key="k", http_client=httpx2.Client(transport=plain), max_retries=0)
        for client in (cloud, first_party):
            given = ASKED | {"betas": BETAS} | asked
            if counting:
                del given["max_tokens"], given["metadata"]
                client.beta.messages.count_tokens(**given)
            else:
                client.beta.messages.create(**given)
        self.theirs = wire.asked[-1]
        sent = plain.asked[-1]
        headers = [pair for pair in sent.headers.items() if pair[0] not in {"host", "connection"}]
        target = sent.url.raw_path.decode()
        stack.answered = stack.ask(sent.content, path=target, headers=(("host", "localhost"), *headers))
        self.ours = stack.asked(name)[-1]

    def headers(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the header fields of both that are to be the same; each SDK calls itself by its name."""
        theirs = {name: value for name, value in self.theirs.headers.items() if name not in RELAYED}
        theirs["user-agent"] = re.sub(r"^Anthropic\w+/", "Anthropic/", theirs["user-agent"])
        ours = {name.decode(): value.decode() for name, value in self.ours.headers}
        return theirs, {name: value for name, value in ours.items() if name not in RELAYED}


class VertexTests(SynchronousTestCase):
    """C{AnthropicVertex}."""

    def pairs(self, model: str, **how: Any) -> Iterator[tuple[Clouds, Pair]]:
        """Yield what is sent to each kind of region."""
        for region in ("global", "us", "us-east5"):
            wire = Wire()
            cloud = AnthropicVertex(
                region=region, project_id=PROJECT, access_token="token-number-1",
                http_client=httpx2.Client(transport=wire), max_retries=0,
            )  # fmt: skip
            stack = Clouds(
                self, {"vertex": vertex([Says("x")])}, vertex={"base_url": None, "gcp_region": region}
            )
            host = urlsplit(stack.upstreams["vertex"].provider.base_url).hostname
            stack.network.listen(host, stack.simulators["vertex"].site)
            yield stack, Pair(stack, "vertex", cloud, wire, model=model, **how)

    def judge(self, stack: Clouds, pair: Pair) -> None:
        """Assert that both are the same but for the version, whose newest not every model takes."""
        self.assertEqual(stack.answered.status, 200)
        self.assertEqual(pair.ours.header("host"), pair.theirs.url.host)
        self.assertEqual(pair.ours.path, pair.theirs.url.raw_path.decode().partition("?")[0])
        self.assertEqual(pair.ours.header("authorization"), pair.theirs.headers["authorization"])
        expected = json.loads(pair.theirs.content) | {"anthropic_version": "vertex-2023-10-16"}
        self.assertEqual(pair.ours.json, expected)
        theirs, ours = pair.headers()
        self.assertEqual(ours.pop("anthropic-beta").split(",")[: len(BETAS)], BETAS)
        theirs.pop("anthropic-beta")
        self.assertEqual(ours, theirs)

    def test_messages(self) -> None:
        """The same host, path, credential, header fields and body, streamed or not."""
        for model in (MODEL, "claude-opus-4-8"):
            for stream in (False, True):
                for stack, pair in self.pairs(model, stream=stream, counting=False):
                    self.judge(stack, pair)

    def test_counting(self) -> None:
        """The same for counts of tokens."""
        for stack, pair in self.pairs(MODEL, counting=True):
            self.judge(stack, pair)


class FoundryTests(SynchronousTestCase):
    """C{AnthropicFoundry}."""

    def pair(self, name: str, credential: dict[str, Any], **how: Any) -> tuple[Clouds, Pair]:
        """Return what is sent to a resource."""
        wire = Wire()
        cloud = AnthropicFoundry(
            resource="res", http_client=httpx2.Client(transport=wire), max_retries=0, **credential
        )
        where = {"base_url": None, "azure_resource_name": "res"}
        script = Script([Says("x")], {"*/count_tokens": [COUNTED]})
        stack = Clouds(self, {name: script}, **{name: where})
        stack.network.listen("res.services.ai.azure.com", stack.simulators[name].site)
        return stack, Pair(stack, name, cloud, wire, model="our-deployment", **how)

    def judge(self, stack: Clouds, pair: Pair) -> None:
        """Assert that both are the same: also every byte of the body."""
        self.assertEqual(stack.answered.status, 200)
        self.assertEqual(pair.ours.header("host"), pair.theirs.url.host)
        self.assertEqual(pair.ours.target, pair.theirs.url.raw_path.decode())
        self.assertEqual(pair.ours.json, json.loads(pair.theirs.content))
        theirs, ours = pair.headers()
        theirs.pop("api-key", None)  # the key once more, for an older service (docs/wire.md, Azure)
        self.assertEqual(ours, theirs)

    def test_a_key(self) -> None:
        """The same with a key, streamed or not, and for counts."""
        for how in ({"counting": False}, {"counting": False, "stream": True}, {"counting": True}):
            stack, pair = self.pair("azure", {"api_key": KEY}, **how)
            self.judge(stack, pair)
            self.assertEqual(pair.ours.header("x-api-key"), pair.theirs.headers["x-api-key"])

    def test_a_token(self) -> None:
        """The same with a token of Entra ID."""
        token = {"azure_ad_token_provider": lambda: "token-number-1"}
        stack, pair = self.pair("entra", token, counting=False)
        self.judge(stack, pair)
        self.assertEqual(pair.ours.header("authorization"), pair.theirs.headers["authorization"])

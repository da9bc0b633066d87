"""The relay in memory before Bedrock: its answers are played, the signing and the check of it are real."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Plays
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Chunk, End, Head, Step
from tests.credentials.hands import at_once
from tests.credentials.sigv4_verifier import Refused, verify_sigv4
from tests.credentials.standins import environment
from tests.credentials.standins_aws import OWN_KEY_ID, OWN_SECRET
from tests.network import Answer
from tests.providers.test_bedrock_stream import EVENTS
from tests.stack import WALL, Stack
from tests.wire.frames import chunk

ACCOUNT = "123456789012"
ARN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/ab12cd34"
REQUEST_ID = "d5e9a3f0-0000-4000-8000-00000000abcd"
FRAMES = tuple(map(chunk, EVENTS))
MESSAGE = (
    b'{"model":"claude-sonnet-4-5-20250929","id":"msg_bdrk_01","type":"message","role":"assistant",'
    b'"content":[{"type":"text","text":"Hi \\u00e4 1.10"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":15}}'
)
_KEY = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/")


def answered(body: bytes, status: int = 200, *more: tuple[bytes, bytes]) -> Plays:
    """Return an answer of AWS's in JSON."""
    headers = ((b"content-type", b"application/json"), (b"x-amzn-requestid", REQUEST_ID.encode()), *more)
    return Plays((Head(status, headers, len(body)), Chunk(body), End()))


def refused(status: int, name: str, message: str, **more: Any) -> Plays:
    """Return an error of AWS's, with its name in the head, as most of its services write it."""
    body = json.dumps({"message": message, **more}).encode()
    return answered(body, status, (b"x-amzn-errortype", f"{name}:http://internal.amazon.com/coral/".encode()))


def streamed(*pieces: bytes | Step) -> Plays:
    """Return a streamed answer: of frames, of pieces of frames, and of what happens between them."""
    kind = (b"content-type", b"application/vnd.amazon.eventstream")
    steps = [Chunk(piece) if isinstance(piece, bytes) else piece for piece in pieces]
    return Plays((Head(200, (kind, (b"x-amzn-requestid", REQUEST_ID.encode()))), *steps, End()))


COUNTED = answered(b'{"inputTokens":42}')
SAID = answered(MESSAGE)
STREAMED = streamed(*FRAMES)


class Runtime:
    """
    Bedrock in one region: whoever has not signed for it is refused; who has, gets the next act.

    @ivar keys: the secrets and session tokens of those it knows, by the ids of their keys.
    @ivar expired: ids of keys that it knows no more.
    @ivar ahead: by how many seconds its clock differs from the relay's.
    @ivar seen: ids of keys that requests were signed with, in the order they came.
    @ivar dates: when they say that they were signed.
    """

    def __init__(self, *acts: Act, counts: Sequence[Act] = (COUNTED,), region: str = "us-east-1") -> None:
        """@param acts: for messages; the last one goes on and on.  C{counts}: for counts of tokens."""
        self.region = region
        self.keys: dict[str, tuple[str, str | None]] = {OWN_KEY_ID: (OWN_SECRET, None)}
        self.expired: set[str] = set()
        self.ahead = 0.0
        self.seen: list[str] = []
        self.dates: list[str] = []
        probed = (refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),)
        self.script = Script(paths={
            "*/count-tokens": self._checking(counts), "*/invoke*": self._checking(acts), "/": probed,
        })  # fmt: skip

    def _checking(self, acts: Sequence[Act]) -> Callable[[Asked], Act]:
        coming = list(acts)

        def act(asked: Asked) -> Act:
            refusal = self._refusal(asked)
            if refusal is not None or not coming:
                return refusal or refused(500, "InternalServerException", "nothing is to be asked here")
            return coming.pop(0) if len(coming) > 1 else coming[0]

        return act

    def _refusal(self, asked: Asked) -> Act | None:
        found = _KEY.search(asked.header("authorization") or "")
        if found is None:
            return refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        key = found["key"]
        self.seen.append(key)
        self.dates.append(asked.header("x-amz-date") or "")
        if key in self.expired:
            said = "The security token included in the request is expired"
            return refused(403, "ExpiredTokenException", said)
        if key not in self.keys:
            said = "The security token included in the request is invalid."
            return refused(403, "UnrecognizedClientException", said)
        secret, token = self.keys[key]
        if (found["region"], asked.header("x-amz-security-token")) != (self.region, token):
            return refused(403, "InvalidSignatureException", "Credential should be scoped to a valid region.")
        url = f"http://{asked.header('host')}{asked.target}"
        try:
            verify_sigv4(asked.method, url, asked.headers, asked.body, secret, WALL + asked.at + self.ahead)
        except Refused as problem:
            return refused(403, f"{problem.code}Exception", str(problem))
        return None


class Bedrock(Stack):
    """A relay that goes on and waits for nobody, in an environment that has no keys but the test's."""

    def __init__(
        self,
        test: SynchronousTestCase,
        providers: Mapping[str, Any],
        routing: Mapping[str, Any] | None = None,
        in_thread: Callable[..., Any] = at_once,
        **fields: Any,
    ) -> None:
        """
        @param providers: by name: a L{Runtime}, or a script of a provider of Anthropic's own.
        @param fields: of every L{Runtime}; those of one by its name, as a mapping.
        """
        environment(test)
        common = {name: value for name, value in fields.items() if name not in providers}
        own = {
            name: self.fields(runtime.region) | common | fields.get(name, {})
            for name, runtime in providers.items()
            if isinstance(runtime, Runtime)
        }
        scripts = {
            name: acts.script if isinstance(acts, Runtime) else acts for name, acts in providers.items()
        }
        bounds = {"max_wait_ms": 0, "affinity": {"enabled": False}, **(routing or {})}
        super().__init__(test, scripts, {"providers": own, "routing": bounds}, in_thread)

    def fields(self, region: str) -> dict[str, Any]:
        """Return the settings of a provider whose keys are written down."""
        return {
            "type": "bedrock", "keys": (), "aws_region": region,
            "aws_access_key_id": OWN_KEY_ID, "aws_secret_access_key": OWN_SECRET,
        }  # fmt: skip

    def count(self, content: bytes, **how: Any) -> Answer:
        """Return the answer to a request to count tokens."""
        return self.ask(content, path="/v1/messages/count_tokens", **how)

    def _end(self) -> None:
        super()._end()
        log = "".join(self.lines)
        self.test.assertNotIn(OWN_SECRET, log)
        for peer in self.peers:
            heard = peer.received.decode("utf-8", "replace")
            for private in (ACCOUNT, "arn:aws", OWN_SECRET, OWN_KEY_ID):
                self.test.assertNotIn(private, heard)


def said(answer: Answer) -> tuple[int, str, str]:
    """Return status, kind and words of an error, which must be in Anthropic's envelope."""
    body = json.loads(answer.body)
    assert body["type"] == "error"
    assert body["request_id"]
    return answer.status, body["error"]["type"], body["error"]["message"]

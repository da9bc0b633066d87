"""The relay in memory before Vertex and Azure; what their tokens come from is played, the rest is real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.cache import Fetched
from ccrelay.credentials.wording import Unavailable
from ccrelay.simulator.acts import Refuses, Sends
from ccrelay.simulator.script import Script
from ccrelay.wire.secret import Secret
from tests.network import Answer
from tests.stack import HEADERS, KEY, Stack

PROJECT = "project-of-ours-1"
TENANT = "11111111-2222-3333-4444-555555555555"
VERTEX = {
    "type": "vertex", "base_url": "http://vertex/v1", "keys": (), "gcp_project_id": PROJECT,
    "gcp_region": "us-east5",
}  # fmt: skip
AZURE = {"type": "azure", "base_url": "http://azure/anthropic", "keys": ({"key": KEY},)}
ENTRA = AZURE | {"keys": (), "azure_auth": "entra"}
MODELS = f"/v1/projects/{PROJECT}/locations/us-east5/publishers/anthropic/models"
MODEL = "claude-sonnet-4-5@20250929"
COUNTED = Sends(b'{"input_tokens": 42}', "application/json")


class Tokens:
    """
    Threads in which tokens are fetched: at once, each another one.

    @ivar fetched: how often one was fetched.
    @ivar missing: raised instead of a token, unless None.
    @ivar slow: the fetches that are under way, where they are not to end at once; else None.
    """

    def __init__(self) -> None:
        self.fetched = 0
        self.missing: Unavailable | None = None
        self.slow: list[Deferred[Any]] | None = None

    def run(self, _function: Callable[[], Any]) -> Deferred[Any]:
        self.fetched += 1
        if self.slow is not None:
            self.slow.append(Deferred())
            return self.slow[-1]
        return fail(self.missing) if self.missing is not None else succeed(self.token())

    def token(self) -> Fetched[Secret]:
        """Return what a fetch brings."""
        return Fetched(Secret(f"token-number-{self.fetched}"), None)


def vertex(acts: Sequence[Any] = (), counts: Sequence[Any] = (COUNTED,)) -> Script:
    """Return the script of a Vertex: its acts for messages, and for counts of tokens."""
    return Script(paths={"*/count-tokens:rawPredict": counts, "*awPredict": acts})


def platform(status: str, code: int, message: str, *, wrapped: bool = True, **more: Any) -> Refuses:
    """Return an error of Google's platform, by default in an array of one, as streams are answered."""
    error = {"error": {"code": code, "message": message, "status": status} | more}
    return Refuses(code, body=json.dumps([error] if wrapped else error).encode())


def front(status: int, code: str, message: str) -> Refuses:
    """Return an error of Azure's front door."""
    return Refuses(status, body=json.dumps({"error": {"code": code, "message": message}}).encode())


class Clouds(Stack):
    """
    A relay that goes on and waits for nobody.

    @ivar tokens: where tokens come from.
    """

    def __init__(
        self, test: SynchronousTestCase, providers: dict[str, Any], routing: Any = None, **fields: Any
    ) -> None:
        """
        @param providers: by name, each with its acts; C{vertex}, C{azure} and C{entra} are such.
        @param fields: of each provider, by its name, beside those that its name means.
        """
        self.tokens = Tokens()
        usual = {"vertex": VERTEX, "azure": AZURE, "entra": ENTRA | {"base_url": "http://entra/anthropic"}}
        own = {name: usual.get(name, {}) | fields.get(name, {}) for name in providers}
        bounds = {"max_wait_ms": 0, "affinity": {"enabled": False}} | (routing or {})
        super().__init__(
            test, providers, {"providers": own, "routing": bounds}, in_thread=self.tokens.run
        )

    def count(self, content: bytes, **how: Any) -> Answer:
        """Return the answer to a request to count tokens."""
        return self.ask(content, path="/v1/messages/count_tokens", **how)

    @property
    def bearers(self) -> Iterator[str | None]:
        """The credentials that Vertex was shown."""
        return (asked.header("authorization") for asked in self.asked("vertex"))


def said(answer: Answer) -> tuple[int, str, str]:
    """Return status, kind and words of an error."""
    error = json.loads(answer.body)["error"]
    return answer.status, error["type"], error["message"]


def flags(*names: str) -> tuple[tuple[str, str], ...]:
    """Return a request's header fields with beta flags."""
    return (*HEADERS, ("anthropic-beta", ",".join(names)))

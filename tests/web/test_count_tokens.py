"""Counting tokens: relayed where a provider can count, estimated where it cannot, never made up."""

from __future__ import annotations

import json
from typing import Any

from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.faults import Breaks, Stalls
from tests.network import Answer
from tests.stack import Stack, body
from tests.web.stage import DoorTestCase, scripted

PATH = "/v1/messages/count_tokens"
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
TOOL = {"name": "look", "description": "Looks at things.", "input_schema": {"type": "object"}}


def count(number: int) -> Sends:
    """Return an act that counts."""
    return Sends(
        b'{ "input_tokens":%d, "context_management":{"original_input_tokens":9} }\n' % number,
        "application/json",
    )


class CountTestCase(DoorTestCase):
    """A test of counting."""

    def ask(self, stack: Stack, content: bytes | None = None, query: str = "", seconds: float = 0) -> Answer:
        """Return the answer to a request for a count."""
        return stack.ask(body() if content is None else content, seconds, path=PATH + query)

    def assert_estimated(self, answer: Answer) -> int:
        """Assert that an answer is an estimate that says so; return it."""
        self.assertEqual((answer.status, answer.headers["x-ccrelay-estimate"]), (200, "true"))
        self.assertEqual(answer.headers["content-type"], "application/json")
        told = json.loads(answer.body)
        self.assertEqual(list(told), ["input_tokens"])
        self.assertGreaterEqual(told["input_tokens"], 1)
        return int(told["input_tokens"])


class RelayedTests(CountTestCase):
    """Where a provider can count."""

    def test_byte_for_byte(self) -> None:
        """Request and count are relayed byte for byte, with the query, and not called an estimate."""
        stack = Stack(self, {"a": []})
        scripted(stack, "a", {PATH: [count(17)]})
        sent = b' {"model":"claude-opus", "messages":[], "big":12345678901234567890}'
        answer = self.ask(stack, sent, "?beta=true")
        self.assertEqual(answer.body, count(17).body)
        self.assertNotIn("x-ccrelay-estimate", answer.headers)
        asked = stack.asked("a")[0]
        self.assertEqual((asked.target, asked.body), (PATH + "?beta=true", sent))
        line = stack.logged[-1]
        self.assertEqual((line["path"], line["attempts"], line["ended"]), (PATH, 1, "complete"))
        self.assertNotIn("input_tokens", line)

    def test_no_stream(self) -> None:
        """A count is no stream, even where the request says stream."""
        stack = Stack(self, {"a": []})
        scripted(stack, "a", {PATH: [count(17)]})
        self.assertEqual(self.ask(stack, body(stream=True)).headers["content-type"], "application/json")
        self.assertNotIn("stream", stack.logged[-1])

    def test_a_mapped_model(self) -> None:
        """The model is mapped as in a request for a message."""
        stack = Stack(self, {"a": []}, model_mapping={"claude-*": "glm-5"})
        scripted(stack, "a", {PATH: [count(17)]})
        self.ask(stack)
        self.assertEqual(stack.asked("a")[0].model, "glm-5")

    def test_a_refusal(self) -> None:
        """What the request itself has wrong comes back as the provider says it, and nobody else is asked."""
        stack = Stack(self, {"a": [], "b": []})
        scripted(
            stack, "a", {PATH: [Refuses(400, "messages: too many", headers=((b"x-should-retry", b"false"),))]}
        )
        answer = self.ask(stack)
        said = json.loads(answer.body)["error"]
        self.assertEqual((answer.status, said["message"]), (400, "messages: too many"))
        self.assertEqual(answer.headers["x-should-retry"], "false")
        self.assertEqual(stack.asked("b"), [])

    def test_failover(self) -> None:
        """A provider that fails, or answers what is no count, is followed by the next one."""
        for act in (
            Refuses(500), Refuses(429), Refuses(401), Refuses(529), Breaks(after_events=None),
            Sends(b"<html>"), Breaks(after_events=1, how="cut", act=count(1)),
            Sends(b"{}", "application/json"), Sends(b'{"input_tokens":"x"}', "application/json"), Says("x"),
        ):  # fmt: skip
            stack = Stack(self, {"a": [], "b": []})
            scripted(stack, "a", {PATH: [act]})
            scripted(stack, "b", {PATH: [count(17)]})
            answer = self.ask(stack, seconds=10)
            self.assertEqual((answer.status, answer.body), (200, count(17).body))

    def test_nobody_answers(self) -> None:
        """Where nobody who can count answers it is an error, not an estimate that nobody asked for."""
        stack = Stack(self, {"a": []}, {"server": {"timeout_ms": 30_000}})
        scripted(stack, "a", {PATH: [Stalls(before_head=True)]})
        answer = self.ask(stack, seconds=31)
        self.assertEqual((answer.status, json.loads(answer.body)["error"]["type"]), (504, "timeout_error"))
        stack.network.refuse("a")
        self.assertEqual(self.ask(stack).status, 502)


class EstimatedTests(CountTestCase):
    """Where no provider can count."""

    def test_a_provider_that_cannot(self) -> None:
        """For a kind that cannot count the relay estimates, without asking it, and says so."""
        for kind in ("ollama", "minimax", "deepseek"):
            stack = Stack(self, {"a": [Says("x")]}, type=kind)
            self.assert_estimated(self.ask(stack))
            self.assertEqual(stack.asked("a"), [])
            self.assertEqual((stack.logged[-1]["status"], stack.why), (200, "complete"))

    def test_all_that_counts(self) -> None:
        """System, tools, images and documents count, or the client's gauge would be wrong; it is never 0."""
        stack = Stack(self, {"a": [Says("x")]}, type="ollama")
        bare = self.assert_estimated(self.ask(stack, body(messages=[])))
        turn: list[dict[str, Any]] = [{"role": "user", "content": "Hello there"}]
        said = self.assert_estimated(self.ask(stack, body(messages=turn)))
        self.assertGreater(said, bare)
        for more in (
            {"system": "You are brief."},
            {"tools": [TOOL]},
            {"messages": [*turn, {"role": "user", "content": [IMAGE]}]},
            {"messages": [*turn, {"role": "assistant", "content": "And hello to you."}]},
        ):
            asked = body(**({"messages": turn} | more))
            self.assertGreater(self.assert_estimated(self.ask(stack, asked)), said)

    def test_not_wanted(self) -> None:
        """With count_tokens: 404 the client is told to count for itself."""
        stack = Stack(self, {"a": [Says("x")]}, type="ollama", count_tokens="404")
        words = "The provider a cannot count tokens, and its count_tokens is set to 404."
        self.assert_refused(stack, self.ask(stack), 404, "not_found_error", words)

    def test_a_path_that_is_not_there(self) -> None:
        """A provider that turns out to have no such path gets an estimate, or the 404, likewise."""
        for status in (404, 405, 501):
            stack = Stack(self, {"a": []})
            scripted(stack, "a", {PATH: [Refuses(status, body=b"no such page", content_type="text/html")]})
            self.assert_estimated(self.ask(stack))
            stack = Stack(self, {"a": []}, count_tokens="404")
            scripted(stack, "a", {PATH: [Refuses(status)]})
            words = "The provider a cannot count tokens, and its count_tokens is set to 404."
            self.assertEqual(
                json.loads(self.ask(stack).body)["error"], {"type": "not_found_error", "message": words}
            )

    def test_not_asked_what_they_cannot(self) -> None:
        """Counting fails over only to providers that can count."""
        stack = Stack(self, {"a": [], "b": [Says("x")]}, {"providers": {"b": {"type": "ollama"}}})
        scripted(stack, "a", {PATH: [Refuses(500)]})
        self.assertEqual(self.ask(stack).status, 500)
        self.assertEqual(stack.asked("b"), [])

    def test_the_preferred_one_decides(self) -> None:
        """Where the provider that would answer cannot count, another one's count would be of other tokens."""
        stack = Stack(self, {"a": [], "b": []}, {"providers": {"a": {"type": "ollama"}}})
        scripted(stack, "b", {PATH: [count(17)]})
        self.assert_estimated(self.ask(stack))
        self.assertEqual(stack.asked("b"), [])

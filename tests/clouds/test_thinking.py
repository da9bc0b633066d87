"""Thinking through the whole relay: who signed it is remembered, and whoever cannot read it never gets it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.messages import Tool
from tests.clouds.rooms import said
from tests.clouds.test_betas import Room, providers
from tests.network import sse
from tests.relay.test_failover import text
from tests.service.machine import Running
from tests.stack import body

THOUGHT = Says("done", thinking="hm", tools=(Tool("ls", {"path": "."}, "toolu_1"),))
HELLO = Says("hello")
ASKING: dict[str, Any] = {"role": "user", "content": "List the files."}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a b"}
FAMILY = ("anthropic", "azure", "bedrock", "vertex")
OTHERS = {"zai": {"type": "zai"}, "ollama": {"type": "ollama"}, "minimax": {"type": "minimax"}}
REFUSED = Refuses(400, "messages.1.content.0: Invalid `signature` in `thinking` block")


def content_of(answer: Any) -> list[dict[str, Any]]:
    """Return the blocks of an answer as a client keeps them, streamed or not."""
    if answer.headers["content-type"] == "application/json":
        return list(json.loads(answer.body)["content"])
    blocks: list[dict[str, Any]] = []
    for name, event in sse(answer.body):
        if name == "content_block_start":
            blocks.append(dict(event["content_block"]))
            inputs = ""
        elif name == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "input_json_delta":
                inputs += delta["partial_json"]
                blocks[-1]["input"] = json.loads(inputs) if inputs.endswith("}") else {}
            else:
                key = delta["type"].removesuffix("_delta")
                blocks[-1][key] = blocks[-1].get(key, "") + delta[key]
    return blocks


def next_turn(blocks: list[dict[str, Any]], **more: Any) -> bytes:
    """Return the request with the result of the tool that an answer called."""
    turns = [ASKING, {"role": "assistant", "content": blocks}, {"role": "user", "content": [RESULT]}]
    return body(messages=turns, **more)


def sent_blocks(asked: Any, turn: int = 1) -> list[str]:
    """Return the types of the blocks in a turn that a provider got."""
    return [block["type"] for block in asked.json["messages"][turn]["content"]]


class Conversation(Room):
    """Providers that are asked in this order, as soon as the ones before fail."""

    def __init__(self, test: SynchronousTestCase, scripts: dict[str, Any], **fields: Any) -> None:
        own = {name: OTHERS[name] | fields.pop(name, {}) for name in scripts if name in OTHERS}
        super().__init__(test, scripts, **own, **fields)


class FailoverTests(SynchronousTestCase):
    """A conversation that begins at one provider and goes on at another."""

    def moved(self, begun: str, goes_on: str, *, stream: bool) -> tuple[Conversation, bytes, Any]:
        """Return a relay, the second turn, and what the second provider got of it."""
        scripts = providers(HELLO, names=[goes_on])
        scripts = providers(THOUGHT, Refuses(500), names=[begun]) | scripts
        room = Conversation(self, scripts)
        blocks = content_of(room.ask(body(messages=[ASKING], stream=stream)))
        self.assertEqual([block["type"] for block in blocks], ["thinking", "text", "tool_use"])
        turn = next_turn(blocks, stream=stream)
        answer = room.ask(turn)
        self.assertEqual((answer.status, text(answer)), (200, "hello"))
        return room, turn, room.asked(goes_on)[0]

    def test_to_another_family(self) -> None:
        """Blocks that it cannot read go, whole; the tool's call and result stay, and every other byte."""
        ways = (("zai", "anthropic"), ("minimax", "azure"), ("anthropic", "zai"), ("azure", "ollama"))
        for begun, goes_on in ways:
            for stream in (False, True):
                room, turn, asked = self.moved(begun, goes_on, stream=stream)
                self.assertEqual(sent_blocks(asked), ["text", "tool_use"], (begun, goes_on))
                self.assertEqual(asked.json["messages"][2]["content"], [RESULT])
                start = turn.index(b'{"type": "thinking"')
                end = turn.index(b'{"type": "text"')
                self.assertEqual(asked.body, turn[:start] + turn[end:])
                self.assertEqual(room.told.attempts[-1].dropped, ("thinking",))
                # The one that it was from had got all of it.
                self.assertEqual(room.asked(begun)[1].body, turn)

    def test_in_the_family(self) -> None:
        """Anthropic, Bedrock, Vertex and Azure read each other's: there it stays to the byte."""
        for begun in FAMILY:
            for goes_on in FAMILY:
                if begun == goes_on:
                    continue
                _, turn, asked = self.moved(begun, goes_on, stream=False)
                messages = turn[turn.index(b'"messages"') : turn.rindex(b"]") + 1]
                self.assertIn(messages, asked.body, (begun, goes_on))

    def test_streams_of_the_family(self) -> None:
        """The same where the answer was streamed."""
        for begun, goes_on in (("vertex", "anthropic"), ("azure", "bedrock"), ("anthropic", "vertex")):
            _, turn, asked = self.moved(begun, goes_on, stream=goes_on != "bedrock")
            self.assertEqual(sent_blocks(asked), ["thinking", "text", "tool_use"])
            self.assertIn(turn[turn.index(b'"messages"') : turn.rindex(b"]") + 1], asked.body)

    def test_a_message_of_thinking_alone(self) -> None:
        """No message is left empty: one that was thinking alone goes as a whole."""
        room = Conversation(self, {"zai": [THOUGHT, Refuses(500)], "anthropic": [HELLO]})
        thought = content_of(room.ask())[0]
        turns = [ASKING, {"role": "assistant", "content": [thought]}, {"role": "user", "content": "Go on."}]
        self.assertEqual(text(room.ask(body(messages=turns))), "hello")
        self.assertEqual(room.asked("anthropic")[0].json["messages"], [turns[0], turns[2]])

    def test_its_own_again(self) -> None:
        """Whoever signed it gets it, also after another has answered in between."""
        other = Says("done", thinking="let me see", tools=THOUGHT.tools)
        room = Conversation(self, {"zai": [THOUGHT, Refuses(500), HELLO], "anthropic": [other]})
        first = content_of(room.ask(body(messages=[ASKING])))
        second = content_of(room.ask(next_turn(first)))
        turns = [
            ASKING, {"role": "assistant", "content": first}, {"role": "user", "content": [RESULT]},
            {"role": "assistant", "content": second}, {"role": "user", "content": [RESULT]},
        ]  # fmt: skip
        room.ask(body(messages=turns))
        asked = room.asked("zai")[-1]
        self.assertEqual(asked.json["messages"][1], turns[1])
        self.assertEqual(sent_blocks(asked, 3), ["text", "tool_use"])


class UnsignedTests(SynchronousTestCase):
    """Thinking without a signature, as Ollama gives it."""

    BLOCKS = ({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"})

    def test_for_those_that_verify(self) -> None:
        """It goes for providers that verify signatures, and stays for those that do not."""
        for signature in ({}, {"signature": ""}, {"signature": None}):
            blocks = [self.BLOCKS[0] | signature, self.BLOCKS[1]]
            turn = next_turn([*blocks, {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}])
            for name in (*FAMILY, *OTHERS):
                room = Conversation(self, providers(HELLO, names=[name]))
                self.assertEqual(room.ask(turn).status, 200)
                kept = sent_blocks(room.asked(name)[0])
                expected = ["text", "tool_use"] if name in FAMILY else ["thinking", "text", "tool_use"]
                self.assertEqual(kept, expected, name)


class RepairTests(SynchronousTestCase):
    """Thinking of which nobody knows who signed it: after a restart, or from another relay."""

    BLOCKS = (
        {"type": "thinking", "thinking": "hm", "signature": "EqQBstrange"},
        {"type": "redacted_thinking", "data": "EmwKstrange"},
        {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}},
    )

    def test_kept(self) -> None:
        """It is sent as it is: it may well be readable."""
        for name in (*FAMILY, *OTHERS):
            room = Conversation(self, providers(HELLO, names=[name]))
            self.assertEqual(room.ask(next_turn(list(self.BLOCKS))).status, 200)
            self.assertEqual(sent_blocks(room.asked(name)[0]), [block["type"] for block in self.BLOCKS])
            self.assertEqual(room.told.attempts[0].dropped, ())

    def test_repaired(self) -> None:
        """Where the signature is refused the request goes once more without thinking, and is answered."""
        for name in FAMILY:
            for stream in (False, True):
                if stream and name == "bedrock":
                    continue
                room = Conversation(self, providers(REFUSED, HELLO, names=[name]))
                answer = room.ask(next_turn(list(self.BLOCKS), stream=stream))
                self.assertEqual((answer.status, text(answer)), (200, "hello"))
                self.assertEqual(len(room.asked(name)), 2)
                self.assertEqual(sent_blocks(room.asked(name)[1]), ["tool_use"])
                (attempt,) = room.told.attempts
                self.assertEqual((attempt.mended, attempt.dropped[-1]), (("thinking",), "thinking"))

    def test_real_wordings(self) -> None:
        """Each wording of it that was seen is known."""
        wordings = [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "***.***.***.***.***.content.0: Invalid `signature` in `thinking` block",
            "messages.3.content.1: Invalid `data` in `redacted_thinking` block",
            "messages.1.content.0: `thinking` or `redacted_thinking` blocks cannot be modified.",
        ]
        for words in wordings:
            room = Conversation(self, {"anthropic": [Refuses(400, words), HELLO]})
            self.assertEqual(room.ask(next_turn(list(self.BLOCKS))).status, 200, words)

    def test_not_twice(self) -> None:
        """A second refusal is the answer; so is one of a request without thinking."""
        room = Conversation(self, {"anthropic": [REFUSED]})
        answer = room.ask(next_turn(list(self.BLOCKS)))
        self.assertEqual(said(answer), (400, "invalid_request_error", REFUSED.message))
        self.assertEqual(len(room.asked("anthropic")), 2)
        room.ask()
        self.assertEqual(len(room.asked("anthropic")), 3)

    def test_other_refusals(self) -> None:
        """A refusal of anything else is not repeated, whatever thinking there is."""
        words = "`max_tokens` must be greater than `thinking.budget_tokens`."
        room = Conversation(self, {"anthropic": [Refuses(400, words)]})
        self.assertEqual(room.ask(next_turn(list(self.BLOCKS))).status, 400)
        self.assertEqual(len(room.asked("anthropic")), 1)


class MissedTests(SynchronousTestCase):
    """Providers that want to see the thinking of a turn whose tools have run, where it had to go."""

    WORDS = (
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
        "lastmost set of `tool_use` and `tool_result` blocks)."
    )
    CLEARING = ({"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"})
    ASKED: ClassVar[dict[str, Any]] = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "context_management": {"edits": list(CLEARING)},
    }

    def room(self, *acts: Any) -> tuple[Conversation, bytes]:
        """Return a relay, and a turn that was begun at Z.AI, which is gone."""
        room = Conversation(self, {"zai": [THOUGHT, Refuses(500)], "anthropic": list(acts)})
        return room, next_turn(content_of(room.ask(body(messages=[ASKING]))), **self.ASKED)

    def test_without_thinking(self) -> None:
        """The request goes once more, asking for no thinking, and is answered."""
        room, turn = self.room(Refuses(400, self.WORDS), HELLO)
        self.assertEqual(text(room.ask(turn)), "hello")
        first, second = (asked.json for asked in room.asked("anthropic"))
        self.assertEqual(first["thinking"], self.ASKED["thinking"])
        self.assertNotIn("thinking", second)
        self.assertEqual(second["context_management"], {"edits": [self.CLEARING[1]]})
        self.assertEqual(second["messages"], first["messages"])
        attempt = room.told.attempts[-1]
        self.assertEqual((attempt.mended, attempt.dropped), (("thinking_off",), ("thinking",)))

    def test_not_twice(self) -> None:
        """A second refusal is the answer."""
        room, turn = self.room(Refuses(400, self.WORDS))
        self.assertEqual(said(room.ask(turn))[2], self.WORDS)
        self.assertEqual(len(room.asked("anthropic")), 2)

    def test_after_a_repair(self) -> None:
        """The same where the relay found out only by a refused signature that the thinking had to go."""
        room = Conversation(self, {"anthropic": [REFUSED, Refuses(400, self.WORDS), HELLO]})
        answer = room.ask(next_turn(list(RepairTests.BLOCKS), **self.ASKED))
        self.assertEqual(text(answer), "hello")
        self.assertEqual(room.told.attempts[0].mended, ("thinking", "thinking_off"))

    def test_the_client_s_own_fault(self) -> None:
        """Where nothing was taken out, the refusal is the client's to read, byte for byte."""
        room = Conversation(self, {"anthropic": [Refuses(400, self.WORDS)]})
        turn = next_turn([RepairTests.BLOCKS[2]], **self.ASKED)
        self.assertEqual(said(room.ask(turn))[2], self.WORDS)
        self.assertEqual(len(room.asked("anthropic")), 1)


class MemoryTests(SynchronousTestCase):
    """How long it is remembered."""

    def test_a_reload(self) -> None:
        """It outlives a reload, also where the provider that signed it is gone from the configuration."""
        running = Running(
            self, {"zai": [THOUGHT], "anthropic": [HELLO]}, {"zai": OTHERS["zai"] | {"priority": 2}}
        )
        blocks = content_of(running.ask(body(messages=[ASKING])))
        del running.providers["zai"]
        running.reload()
        self.assertEqual(text(running.ask(next_turn(blocks))), "hello")
        self.assertEqual(sent_blocks(running.asked("anthropic")[0]), ["text", "tool_use"])

"""The rules of the simulated Messages: both forms say the same, in the grammar of the real ones."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.messages import Message, Tool, cut, signature, tokens
from tests.network import sse

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-99, 99) | WORDS, st.lists, max_leaves=5)
TOOLS = st.builds(Tool, WORDS, st.dictionaries(WORDS, JSON, max_size=3))
MESSAGES = st.builds(
    Message,
    id=st.just("msg_sim_1"),
    model=WORDS,
    text=WORDS,
    thinking=st.none() | WORDS,
    tools=st.lists(TOOLS, max_size=3).map(tuple),
    input_tokens=st.integers(0, 9999),
)


def joined(events: list[tuple[str, Any]]) -> dict[str, Any]:
    """Put a stream together, as an SDK does, refusing what breaks the grammar."""
    (first, start), *middle, (before, delta), (last, _) = events
    assert (first, before, last) == ("message_start", "message_delta", "message_stop")
    message = {**start["message"], **delta["delta"]}
    message["usage"] = {**message["usage"], **delta["usage"]}
    pieces: list[str] = []
    for name, event in middle:
        if name == "ping":
            continue
        if name == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(dict(event["content_block"]))
            pieces.clear()
            continue
        block = message["content"][-1]
        assert event["index"] == len(message["content"]) - 1
        if name == "content_block_stop":
            if block["type"] == "tool_use":
                block["input"] = json.loads("".join(pieces))
            continue
        kind = event["delta"].pop("type")
        ((key, piece),) = event["delta"].items()
        if kind == "input_json_delta":
            pieces.append(piece)
        else:
            assert kind == key + "_delta"
            block[key] += piece
    return message


class MessageTests(SynchronousTestCase):
    """A Message, whole and in events."""

    @given(MESSAGES, st.none() | st.integers(1, 9))
    def test_both_forms_say_the_same(self, message: Message, pieces: int | None) -> None:
        """Whoever puts the stream together has the very Message that comes without a stream."""
        events = sse(b"".join(message.events(pieces)))
        self.assertEqual(joined(events), json.loads(message.whole()))

    @given(MESSAGES)
    def test_events_are_named_by_their_type(self, message: Message) -> None:
        """Each event is one piece, and its event line says what its data's type says."""
        for event in message.events():
            ((name, data),) = sse(event)
            self.assertEqual(name, data["type"])

    def test_thinking_stands_first_and_is_signed(self) -> None:
        """Thinking comes ahead of the text, with a signature that says it is simulated."""
        thinking, text = Message("msg_sim_1", "m", "text", thinking="hm").content()
        self.assertEqual((thinking["thinking"], text["text"]), ("hm", "text"))
        self.assertEqual(thinking["signature"], signature("hm"))
        self.assertTrue(signature("hm").startswith("simulated/"))
        self.assertNotEqual(signature("hm"), signature("ha"))

    def test_thinking_that_is_not_shown(self) -> None:
        """Thinking of no text is a block of a signature alone: `display: omitted`."""
        events = sse(b"".join(Message("msg_sim_1", "m", "text", thinking="").events()))
        deltas = [data["delta"]["type"] for name, data in events if name == "content_block_delta"]
        self.assertEqual(deltas, ["signature_delta", "text_delta"])

    def test_parallel_tools_have_ids_of_their_own(self) -> None:
        """Two calls of one tool are told apart by their ids, unless the script names them."""
        tools = (Tool("Read"), Tool("Read"), Tool("Read", id="toolu_mine"))
        ids = [block["id"] for block in Message("msg_sim_1", "m", "", tools=tools).content()]
        self.assertEqual(ids, ["toolu_sim_1_0", "toolu_sim_1_1", "toolu_mine"])

    def test_tool_input_comes_in_pieces(self) -> None:
        """The input of a tool arrives as several pieces of JSON, the first of them empty."""
        events = sse(b"".join(Message("m", "m", "", tools=(Tool("Read", {"path": "a" * 40}),)).events()))
        pieces = [data["delta"]["partial_json"] for name, data in events if name == "content_block_delta"]
        self.assertEqual(pieces[0], "")
        self.assertGreater(len(pieces), 3)

    def test_usage_can_be_set(self) -> None:
        """A script may say what was used: the cache's tokens, or keys that nobody knows."""
        usage = {"cache_read_input_tokens": 900, "output_tokens": 5, "novel": {"a": 1}}
        message = Message("m", "m", "text", input_tokens=12, usage=usage)
        whole = json.loads(message.whole())["usage"]
        self.assertEqual({key: whole[key] for key in usage}, usage)
        self.assertEqual(whole["input_tokens"], 12)
        events = sse(b"".join(message.events()))
        self.assertEqual(events[0][1]["message"]["usage"]["cache_read_input_tokens"], 900)
        self.assertEqual(events[-2][1]["usage"]["output_tokens"], 5)

    @given(WORDS, st.integers(1, 9))
    def test_cut(self, text: str, pieces: int) -> None:
        """Text is cut into no more pieces than was said, none of them empty, and none of it is lost."""
        found = list(cut(text, pieces))
        self.assertEqual("".join(found), text)
        self.assertLessEqual(len(found), pieces)
        self.assertNotIn("", found)

    def test_tokens(self) -> None:
        """A token is four characters, whatever they are wrapped in."""
        self.assertEqual(tokens("a" * 40), 10)
        self.assertEqual(tokens([{"text": "a" * 36}, None, True]), 11)
        self.assertEqual(tokens([None]), 0)
        self.assertEqual(tokens(""), 0)

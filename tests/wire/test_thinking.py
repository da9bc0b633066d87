"""The rules of thinking: who signed it is remembered, and only what a provider cannot read is taken out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.provenance import Provenance, signatures_in_answer, signatures_in_events
from ccrelay.wire.sse import render
from ccrelay.wire.thinking import (
    CLAUDE,
    family_of,
    refuses_signature,
    repaired,
    without_foreign,
)

GLM = family_of("zai", "z")
OLLAMA = family_of("ollama", "o")


def thinking(signature: str | None = "", **more: Any) -> dict[str, Any]:
    """Return a block of thinking; None for one without the key."""
    signed = {} if signature is None else {"signature": signature}
    return {"type": "thinking", "thinking": "hm", **signed, **more}


def redacted(data: str) -> dict[str, Any]:
    """Return a block of thinking that is hidden."""
    return {"type": "redacted_thinking", "data": data}


TEXT = {"type": "text", "text": "so"}
BLANK = {"type": "text", "text": " \n"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {"type": "thinking", "signature": "glm"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [thinking("glm")]}


def body(*contents: Any) -> bytes:
    """Return a conversation: a user's words, then the assistant's contents, each with an answer of a user."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for content in contents:
        messages.append({"role": "assistant", "content": content})
        messages.append({"role": "user", "content": [RESULT] if USE in content else "on"})
    return json.dumps({"model": "m", "thinking": {"type": "adaptive"}, "messages": messages}).encode()


def known() -> Provenance:
    """Return a memory of signatures that are called after their makers."""
    provenance = Provenance()
    for signature, family in (("claude", CLAUDE), ("glm", GLM), ("ollama", OLLAMA)):
        provenance.note(signature, family)
    return provenance


def contents(text: bytes) -> list[Any]:
    """Return what the assistant said."""
    return [m["content"] for m in json.loads(text)["messages"] if m["role"] == "assistant"]


class SignatureTests(SynchronousTestCase):
    """What is read of answers."""

    def test_in_events(self) -> None:
        """A signature comes in a delta of its own or with the block; hidden thinking is known by its data."""
        events = b"".join(
            render(b"x", json.dumps(said).encode())
            for said in (
                {"type": "content_block_start", "index": 0, "content_block": thinking("")},
                {"delta": {"type": "thinking_delta", "thinking": "signature"}},
                {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "s/1=="}},
                {"index": 1, "content_block": redacted("d2")},
                {"index": 2, "content_block": thinking("s3")},
                {"delta": {"type": "text_delta", "text": '"signature":"no"'}},
            )
        )
        self.assertEqual(list(signatures_in_events(events)), ["s/1==", "d2", "s3"])

    def test_in_a_whole_answer(self) -> None:
        """Of a whole answer the blocks tell, and not what an input of a tool is called."""
        said = {"type": "message", "content": [thinking("s1"), redacted("d2"), TEXT, USE, thinking("")]}
        self.assertEqual(list(signatures_in_answer(json.dumps(said).encode())), ["s1", "d2"])

    def test_what_cannot_be_read(self) -> None:
        """Broken events, web pages and pieces of events teach nothing and do no harm."""
        for text in (
            b"", b"signature", b'data: {"delta":{"signature":1}}\n\n', b'data: {"signature', b"\xff",
            b"\xff signature", b'{"content":"signature"}', b'{"content":[{"signature":7}]}', b"<a>signature",
            b'["signature"]',
        ):  # fmt: skip
            self.assertEqual(list(signatures_in_events(text)), [])
            self.assertEqual(list(signatures_in_answer(text)), [])


class ProvenanceTests(SynchronousTestCase):
    """What is remembered."""

    def test_families(self) -> None:
        """Anthropic and the clouds that serve Claude read each other's thinking, and nobody else's."""
        for kind in ("anthropic", "bedrock", "vertex", "azure"):
            self.assertEqual(family_of(kind, "any"), CLAUDE)
        others = [
            family_of(kind, name)
            for kind in ("zai", "minimax", "deepseek", "ollama", "anthropic_compatible", "simulator")
            for name in ("claude", "b")
        ]
        self.assertEqual(len({CLAUDE, *others}), 13)

    def test_an_answer_is_remembered(self) -> None:
        """What was read of answers is known afterwards."""
        provenance = Provenance()
        provenance.note_events(render(b"x", b'{"delta":{"signature":"a"}}'), GLM)
        provenance.note_answer(json.dumps({"content": [thinking("b")]}).encode(), CLAUDE)
        found = [provenance.family(signature) for signature in "abc"]
        self.assertEqual(found, [GLM, CLAUDE, None])

    def test_it_is_bounded(self) -> None:
        """The memory has an end: what was not asked for the longest time is forgotten first."""
        provenance = Provenance(most=3)
        for signature in "abc":
            provenance.note(signature, GLM)
        provenance.family("a")
        provenance.note("d", CLAUDE)
        self.assertEqual(len(provenance), 3)
        self.assertEqual([provenance.family(s) for s in "abcd"], [GLM, None, GLM, CLAUDE])


class ForeignTests(SynchronousTestCase):
    """What is taken out of a request."""

    def left(self, content: list[Any], family: str = CLAUDE) -> list[Any]:
        """Return what is left of an assistant's content."""
        return contents(without_foreign(body(content), family, known()).body)

    def test_its_own_stays(self) -> None:
        """Thinking of the family's own, also through another of its members, stays byte for byte."""
        text = body([thinking("claude"), TEXT], [redacted("claude"), USE])
        trimmed = without_foreign(text, CLAUDE, known())
        self.assertIs(trimmed.body, text)
        self.assertEqual(trimmed.removed, 0)

    def test_that_of_others_goes(self) -> None:
        """Thinking that another family signed goes as whole blocks; the rest of the turn stays."""
        self.assertEqual(self.left([thinking("glm"), TEXT, redacted("glm"), USE]), [[TEXT, USE]])
        self.assertEqual(self.left([thinking("claude"), TEXT], GLM), [[TEXT]])
        mixed = [thinking("ollama"), thinking("glm"), TEXT]
        self.assertEqual(self.left(mixed, GLM), [mixed[1:]])

    def test_unsigned(self) -> None:
        """What nobody signed goes where signatures are verified, and nowhere else."""
        for block in (thinking(""), thinking(None), {**thinking(), "signature": None}):
            self.assertEqual(self.left([block, TEXT]), [[TEXT]])
            self.assertEqual(self.left([block, TEXT], OLLAMA), [[block, TEXT]])

    def test_of_unknown_origin(self) -> None:
        """Thinking that nobody remembers stays: most likely it is the provider's own."""
        for family in (CLAUDE, GLM):
            self.assertEqual(self.left([thinking("?"), TEXT], family), [[thinking("?"), TEXT]])

    def test_nothing_empty_is_left(self) -> None:
        """A message of which nothing is left goes as a whole, blank texts beside the thinking likewise."""
        self.assertEqual(self.left([thinking("glm")]), [])
        self.assertEqual(self.left([thinking("glm"), BLANK]), [])
        self.assertEqual(self.left([thinking("glm"), BLANK, USE]), [[USE]])
        self.assertEqual(self.left([BLANK, USE]), [[BLANK, USE]])

    def test_results_of_tools_keep_their_calls(self) -> None:
        """A call of a tool and its result stay, whatever their JSON looks like."""
        text = body([thinking("glm"), USE], [thinking("glm"), TEXT])
        trimmed = without_foreign(text, CLAUDE, known())
        self.assertEqual(trimmed.removed, 2)
        left = json.loads(trimmed.body)["messages"]
        self.assertEqual([m["role"] for m in left], ["user", "assistant", "user", "assistant", "user"])
        self.assertEqual(left[1:3], [
            {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]},
        ])  # fmt: skip

    def test_a_request_keeps_a_message(self) -> None:
        """Where no message would be left, the request is the provider's to refuse."""
        only = {"messages": [{"role": "assistant", "content": [thinking("glm")]}]}
        text = json.dumps(only).encode()
        self.assertIs(without_foreign(text, CLAUDE, known()).body, text)

    def test_what_is_no_thinking(self) -> None:
        """Texts about it, a user's blocks and JSON that is no conversation are left as they are."""
        quoted = {"type": "text", "text": json.dumps(thinking("glm"))}
        for text in (
            body([quoted]), b'{"messages":[{"role":"assistant","content":"thinking"}]}', b"", b"[]",
            b'{"thinking":1}', b'{"messages":{"type":"thinking"}}',
            b'{"messages":[1,null,["thinking"],{"content":"thinking"}]}',
            b'{"messages":[{"role":"assistant","content":{"thinking":1}}]}',
            b'{"messages":[{"role":"assistant","content":[1,"thinking",{"type":["thinking"]}]}]}',
            b'{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":7}]}]}',
            b'{"messages":[{"role":"user","content":[{"type":"thinking","signature":"glm"}]}]}',
            b'{"messages":[{"role":"assistant","content":[{"type":"thinking","\xff":1}]}]}',
            b'{"messages":[],"messages":[{"role":"assistant","content":[{"type":"thinking"}]}]}',
        ):  # fmt: skip
            self.assertIs(without_foreign(text, CLAUDE, known()).body, text)
            self.assertIs(repaired(text).body, text)


BLOCKS = st.sampled_from([
    thinking("claude"), thinking("glm"), thinking("?"), thinking(""), redacted("glm"), redacted("claude"),
    TEXT, BLANK, {"type": "of_tomorrow", "n": 10**30, "text": None},
    {"type": "text", "text": 'a "thinking" b'},
])  # fmt: skip


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a conversation with calls of tools that are answered in the next message."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": draw(st.sampled_from(["go", [TEXT]]))}]
    for turn in range(draw(st.integers(0, 4))):
        content = draw(st.lists(BLOCKS, max_size=4))
        calls = [
            {"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": "a", "input": {"thinking": n}}
            for n in range(draw(st.integers(0, 2)))
        ]
        messages.append({"role": "assistant", "content": content + calls})
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "x"} for call in calls]
        messages.append({"role": "user", "content": results or "on"})
        if draw(st.booleans()):
            messages.append({"role": "system", "content": "and"})
    return {"model": "m", "messages": messages, "thinking": {"type": "adaptive"}, "n": 1.10}


class FidelityTests(SynchronousTestCase):
    """What stays as it was."""

    @given(conversations(), st.sampled_from([CLAUDE, GLM, None]), st.sampled_from([None, 1]))
    def test_all_else(self, said: dict[str, Any], family: str | None, indent: int | None) -> None:
        """Order, pairs of calls and results, and every byte of what stays are as they were."""
        text = json.dumps(said, indent=indent).encode()
        trimmed = repaired(text) if family is None else without_foreign(text, family, known())
        expected = {**said, "messages": [
            {**message, "content": left}
            for message in said["messages"]
            if (left := expected_of(message, family)) is not None
        ]}  # fmt: skip
        if not trimmed.removed:
            self.assertIs(trimmed.body, text)
        elif indent is None:
            self.assertEqual(trimmed.body, json.dumps(expected).encode())
        else:
            self.assertEqual(json.loads(trimmed.body), expected)


def expected_of(message: dict[str, Any], family: str | None) -> Any:
    """Return what the rules leave of a message's content; None for a message that goes."""
    content = message["content"]
    if message["role"] != "assistant":
        return content
    makers = {"claude": CLAUDE, "glm": GLM, "": None if family == CLAUDE else family}
    left = [
        block
        for block in content
        if not block["type"].endswith("thinking")
        or (family is not None and makers.get(block.get("signature", block.get("data")), family) == family)
    ]
    if len(left) == len(content):
        return content
    return [block for block in left if block != BLANK] or None


class RepairTests(SynchronousTestCase):
    """The one repeat."""

    def test_everything_goes(self) -> None:
        """After a refused signature the repeat has no thinking at all, and its calls and words are there."""
        text = body([thinking("claude"), TEXT], [redacted("x"), USE], [thinking("?")])
        trimmed = repaired(text)
        self.assertEqual(trimmed.removed, 3)
        self.assertEqual(contents(trimmed.body), [[TEXT], [USE]])

    def test_when(self) -> None:
        """A refusal of a signature is known by its words; of any other refusal nothing is repaired."""
        for message in (
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "messages.5.content.0: Invalid `data` in `redacted_thinking` block",
            "***.***.content.0: Invalid signature in thinking block",
            "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        ):
            self.assertTrue(refuses_signature(400, message), message)
            self.assertFalse(refuses_signature(500, message))
        for message in (
            "The request signature we calculated does not match the signature you provided.",
            "thinking.budget_tokens: Input should be greater than 1024", "Invalid signature", "",
        ):  # fmt: skip
            self.assertFalse(refuses_signature(400, message), message)

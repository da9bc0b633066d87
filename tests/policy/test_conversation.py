"""The rules of telling conversations apart."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.conversation import Conversation, named_session, opening_session
from tests.wire.json_bytes import WORDS

HEADER = b"x-claude-code-session-id"
MARKS = st.sampled_from([
    {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"scope": {"of": "tomorrow"}}, {}, None,
])  # fmt: skip
SAID = WORDS | st.sampled_from([
    '"cache_control": {"type": "ephemeral"}', '{"type":"text","text":"x","cache_control":{}}',
    '"content":[{"type":"text","text":"x"}]', "}]", '\\"', "\\", "ä\n",
])  # fmt: skip
STYLES = st.sampled_from([
    {"separators": (",", ":")}, {"separators": (", ", ": ")}, {"indent": 2}, {"ensure_ascii": False},
])  # fmt: skip


def marked(block: dict[str, Any], mark: object, place: int) -> dict[str, Any]:
    """Return a block with a mark among its members."""
    members = list(block.items())
    members.insert(place, ("cache_control", mark))
    return dict(members)


def asked(message: dict[str, Any], style: dict[str, Any] | None = None, **others: Any) -> str:
    """Return the session of a request that begins so."""
    system, tools = others.get("system", "You help."), others.get("tools", [])
    return opening_session(*(json.dumps(part, **(style or {})).encode() for part in (system, tools, message)))


class NamedTests(SynchronousTestCase):
    """Sessions that the client names."""

    def test_the_header_first(self) -> None:
        """The session in Claude Code's header counts before the one in the body."""
        self.assertEqual(named_session(((b"accept", b"x"), (HEADER, b"5e55-10")), "body"), "5e55-10")
        self.assertEqual(named_session(((HEADER, b" 5e55-10\t"),), ""), "5e55-10")

    def test_the_body_next(self) -> None:
        """Without the header, or with an empty one, the session in C{metadata} counts."""
        for headers in ((), ((HEADER, b""),), ((HEADER, b"  "),), ((b"x-session-id", b"other"),)):
            self.assertEqual(named_session(headers, "body"), "body")

    def test_no_name(self) -> None:
        """A client that names no session has none of that kind."""
        self.assertEqual(named_session((), ""), "")

    def test_any_bytes_will_do(self) -> None:
        """A header that is no proper text names a session too."""
        self.assertNotEqual(named_session(((HEADER, b"\xff"),), ""), named_session(((HEADER, b"\xfe"),), ""))

    def test_subagents_share_it(self) -> None:
        """A subagent, which sends a header of its own besides, is in the conversation of its session."""
        main = ((HEADER, b"5e55-10"),)
        agent = (*main, (b"x-claude-code-agent-id", b"a1"))
        self.assertEqual(named_session(main, ""), named_session(agent, ""))


class ConversationTests(SynchronousTestCase):
    """What makes a conversation."""

    def test_client_session_and_model(self) -> None:
        """Another client, another session and another model are each another conversation."""
        one = Conversation("ci", "s1", "claude-opus-5")
        self.assertEqual(one, Conversation("ci", "s1", "claude-opus-5"))
        self.assertEqual(one.digest, Conversation("ci", "s1", "claude-opus-5").digest)
        others = [
            Conversation("me", "s1", "claude-opus-5"),
            Conversation("ci", "s2", "claude-opus-5"),
            Conversation("ci", "s1", "claude-haiku-5"),
            Conversation("ci", "s1", "claude-opus-5[1m]"),
        ]
        self.assertEqual(len({one.digest} | {other.digest for other in others}), 5)
        self.assertNotIn(one, others)

    @given(st.lists(st.text(max_size=3), min_size=6, max_size=6))
    def test_no_two_share_a_digest(self, words: list[str]) -> None:
        """Names that read the same one after the other are still apart."""
        one, other = Conversation(*words[:3]), Conversation(*words[3:])
        self.assertEqual(one == other, one.digest == other.digest)

    def test_borders_count(self) -> None:
        """A letter that moves from the client's name to the session's makes another conversation."""
        self.assertNotEqual(Conversation("ab", "c", "m").digest, Conversation("a", "bc", "m").digest)

    def test_the_same_in_every_process(self) -> None:
        """A digest depends on the names alone, so that relays side by side agree."""
        digest = Conversation("", "5e55", "claude-opus-5").digest
        self.assertEqual(digest.hex(), "5ab6e257a920fe6b3633987afafd3dad")
        self.assertEqual(len(Conversation("ü", "\udcff", "").digest), 16)


class OpeningTests(SynchronousTestCase):
    """Sessions that are told by how they began."""

    @given(SAID, SAID, MARKS, st.integers(0, 2), STYLES)
    def test_moving_marks(
        self, one: str, other: str, mark: object, place: int, style: dict[str, Any]
    ) -> None:
        """It is the same conversation while the marks of what to cache move along with it."""
        system = [{"type": "text", "text": one}, {"type": "text", "text": other}]
        tools = [{"name": "a", "input_schema": {"type": "object", "properties": {}}}, {"name": "b"}]
        said = [{"type": "text", "text": other}, {"type": "text", "text": one}]
        plain = asked({"role": "user", "content": said}, style, system=system, tools=tools)
        for at in range(2):
            marks = [marked(said[at], mark, place) if at == number else said[number] for number in range(2)]
            message = {"role": "user", "content": marks}
            self.assertEqual(asked(message, style, system=system, tools=tools), plain)
        self.assertEqual(
            asked(
                {"role": "user", "content": said},
                style,
                system=[marked(system[0], mark, place), system[1]],
                tools=[tools[0], marked(tools[1], mark, min(place, 1))],
            ),
            plain,
        )

    @given(SAID, MARKS, st.integers(0, 2), st.booleans(), STYLES)
    def test_a_string_or_a_list_of_one_text(
        self, said: str, mark: object, place: int, text_first: bool, style: dict[str, Any]
    ) -> None:
        """It is the same conversation where its first message turns from a string to a list and back."""
        block = {"text": said, "type": "text"} if text_first else {"type": "text", "text": said}
        for role_first in (True, False):
            sessions = set()
            for content in (said, [block], [marked(block, mark, place)]):
                message = {"role": "user", "content": content}
                sessions.add(asked(message if role_first else dict(reversed(message.items())), style))
            self.assertEqual(len(sessions), 1)

    @given(SAID, SAID)
    def test_other_words(self, one: str, other: str) -> None:
        """A conversation that begins with other words is another one."""
        self.assertEqual(
            asked({"role": "user", "content": one}) == asked({"role": "user", "content": other}), one == other
        )

    def test_other_openings(self) -> None:
        """Another system prompt, other tools, another block or another order make another conversation."""
        texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        sessions = [
            asked({"role": "user", "content": "a"}),
            asked({"role": "user", "content": "a"}, system="You do not help."),
            asked({"role": "user", "content": "a"}, tools=[{"name": "t"}]),
            asked({"role": "user", "content": texts}),
            asked({"role": "user", "content": texts[::-1]}),
            asked({"role": "user", "content": [texts[0], {"type": "image", "source": {}}]}),
            asked({"role": "user", "content": [{**texts[0], "citations": []}]}),
            asked({"role": "user", "content": []}),
        ]
        self.assertEqual(len(set(sessions)), len(sessions))

    def test_words_about_marks_are_words(self) -> None:
        """A prompt that speaks of C{cache_control} is told from one that does not."""
        words = 'Set "cache_control": {"type": "ephemeral"}, please.'
        self.assertNotEqual(
            asked({"role": "user", "content": words}), asked({"role": "user", "content": "Set please."})
        )

    def test_what_is_absent(self) -> None:
        """Without a system prompt and tools it is still told by the first message; borders count."""
        message = b'{"role":"user","content":"a"}'
        sessions = {
            opening_session(b"", b"", message),
            opening_session(b"", b"[]", message),
            opening_session(b"[]", b"", message),
            opening_session(b"", b"", b""),
        }
        self.assertEqual(len(sessions), 4)

    def test_hexadecimal(self) -> None:
        """A session that is told by its opening is 32 hexadecimal digits."""
        self.assertRegex(opening_session(b'""', b"[]", b"{}"), "^[0-9a-f]{32}$")

    @given(st.binary(max_size=100))
    def test_rubbish(self, rubbish: bytes) -> None:
        """Whatever a client sends, even what is no JSON, has a session, the same each time."""
        for before in (b"", b'"cache_control":{' * 30, b'{"content":[{"type":"text","text":"'):
            part = before + rubbish
            self.assertEqual(opening_session(part, part, part), opening_session(part, part, part))

    def test_much_of_it(self) -> None:
        """A long opening that looks almost like marks or texts, again and again, is read through as well."""
        almost = (b'"cache_control":{', b'"content":[{"type":"text","text":"', b'"cache_control":{{}', b'"\\')
        for part in almost:
            self.assertEqual(len(opening_session(part * 3000, b"", part * 3000)), 32)

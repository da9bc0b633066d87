"""The rules of the estimate: everything the model reads is in it, and nothing it does not read."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.wire.tokens import estimate
from tests.wire.images import jpeg, png, text
from tests.wire.json_bytes import VALUES, WORDS, objects

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        },
        "required": ["location"],
    },
}
WORDY = "The relay answers with an estimate. " * 40
SEALED = "QUJD" * 600
KINDS = st.sampled_from(
    ["text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result", "new"]
)
SOURCES = st.fixed_dictionaries(
    {"type": st.sampled_from(["base64", "url", "file", "text", "content", "new"])},
    optional={
        "media_type": st.sampled_from(["application/pdf", "image/png"]),
        "data": WORDS | VALUES,
        "content": VALUES,
    },
)
BLOCKS = st.fixed_dictionaries(
    {"type": KINDS | VALUES},
    optional={"text": WORDS | VALUES, "source": SOURCES | VALUES, "content": VALUES, "input": VALUES,
              "thinking": WORDS | VALUES, "signature": VALUES, "title": VALUES, "name": WORDS},
)  # fmt: skip
CONTENTS = st.lists(BLOCKS | VALUES, max_size=4) | VALUES
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "system": CONTENTS,
        "messages": st.lists(st.fixed_dictionaries({"content": CONTENTS}) | VALUES, max_size=4) | VALUES,
        "tools": st.lists(st.just(WEATHER) | BLOCKS | VALUES, max_size=3) | VALUES,
        "output_config": st.fixed_dictionaries({"format": VALUES}) | VALUES,
    },
)


def tokens(**fields: object) -> int:
    """Return the estimate for a request of the given fields."""
    return estimate(json.dumps(fields).encode())


def said(content: object) -> int:
    """Return the estimate for one message with the given content."""
    return tokens(messages=[{"role": "user", "content": content}])


def added(*blocks: dict[str, Any]) -> int:
    """Return what blocks add to an empty message."""
    return said(list(blocks)) - said([])


def base64(kind: str, media_type: str, data: str) -> dict[str, Any]:
    """Return a block whose source is in base64."""
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


class DocumentedTests(SynchronousTestCase):
    """Anthropic's own examples."""

    def test_short_messages(self) -> None:
        """A greeting counts what the real API says, with a system prompt or without, to a token."""
        greeting = [{"role": "user", "content": "Hello, Claude"}]
        self.assertApproximates(tokens(system="You are a scientist", messages=greeting), 14, 1)
        self.assertApproximates(said("Hello"), 8, 1)

    def test_a_tool(self) -> None:
        """The example with a tool counts the 403 of the real API, give or take a tenth."""
        asked = [{"role": "user", "content": "What's the weather like in San Francisco?"}]
        self.assertApproximates(tokens(tools=[WEATHER], messages=asked), 403, 40)


class TotalTests(SynchronousTestCase):
    """What may come."""

    @given(REQUESTS | objects("messages").map(lambda written: json.loads(written.body)))
    def test_any_object_has_an_estimate(self, request: dict[str, Any]) -> None:
        """No JSON object, whatever is in it, fails to be counted, and none counts as nothing."""
        self.assertGreater(estimate(json.dumps(request).replace("Infinity", "1e999").encode()), 0)

    @given(objects("messages").map(lambda written: written.body), st.binary(max_size=50))
    def test_any_spelling_has_one(self, body: bytes, rest: bytes) -> None:
        """Escapes, spaces and numbers too large for any machine are counted; broken JSON is refused."""
        self.assertGreater(estimate(body), 0)
        try:
            estimate(body[:-2] + rest)
        except Malformed as refusal:
            self.assertEqual(refusal.status, 400)

    def test_what_is_no_object_is_refused(self) -> None:
        """Other JSON, broken JSON and no JSON at all are the client's fault."""
        broken = (b"", b"{", b'{"a":1e999', b"{}x", b'{"a":"\xff"}', b'{"a":"\\ud800"}')
        for body in (b"[]", b"[1e999]", b'"x"', b"7", *broken):
            self.assertRaises(Malformed, estimate, body)

    def test_depth_is_counted_or_refused(self) -> None:
        """However deep a request is nested, it is counted, or refused as too deep."""
        counted = 0
        for depth in (*range(1, 50), *range(900, 1000), 100_000):
            for opening, closing in ((b"[", b"]"), (b'{"content":', b"}"), (b'{"type":"new","input":', b"}")):
                inner = opening * depth + b"1" + closing * depth
                for body in (b'{"messages":%s}', b'{"tools":%s}', b'{"output_config":{"format":%s}}'):
                    try:
                        counted += estimate(body % inner) > 0
                    except Malformed:
                        self.assertGreater(depth, 200)
        self.assertGreater(counted, 0)

    @given(st.lists(WORDS, max_size=5), WORDS)
    def test_a_longer_conversation_has_more(self, before: list[str], last: str) -> None:
        """A further message, be it empty, never makes a request smaller."""
        messages = [{"role": "user", "content": text} for text in before]
        more = [*messages, {"role": "user", "content": last}]
        self.assertGreater(tokens(messages=more), tokens(messages=messages))


class TextTests(SynchronousTestCase):
    """Words, wherever they stand."""

    def test_the_same_words_count_the_same_everywhere(self) -> None:
        """In a string or a block, as prompt, result, thinking, document or something new, words are words."""
        plain, block = said(WORDY), {"type": "text", "text": WORDY}
        for content in (
            [{"type": "text", "text": WORDY, "cache_control": {"type": "ephemeral"}}],
            [{"type": "thinking", "thinking": WORDY, "signature": SEALED}],
            [{"type": "tool_result", "tool_use_id": "toolu_1", "content": WORDY}],
            [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [block]}],
            [{"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"text": WORDY}}],
            [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": WORDY}}],
            [{"type": "document", "source": {"type": "content", "content": [block]}}],
            [{"type": "search_result", "source": "a", "title": "b", "content": [block]}],
            [{"type": "web_fetch_tool_result", "content": {"type": "new", "content": block}}],
            [{"type": "tomorrow", "words": [WORDY]}],
        ):
            self.assertApproximates(said(content), plain, 30)
        self.assertApproximates(tokens(system=WORDY), plain, 30)
        self.assertApproximates(tokens(system=[{"type": "text", "text": WORDY}]), plain, 30)
        self.assertApproximates(tokens(output_config={"format": {"schema": WORDY}}), plain, 30)

    def test_lines_in_a_call_are_lines(self) -> None:
        """A file that is written by a tool counts as its text, not as JSON with its lines escaped."""
        source = 'def say() -> str:\n    return "hello"\n' * 50
        call = {"type": "tool_use", "id": "t", "name": "Write", "input": {"content": source}}
        self.assertApproximates(added(call) / added({"type": "text", "text": source}), 1, 0.1)

    def test_what_the_model_does_not_read_is_free(self) -> None:
        """Ids, cache marks, signatures and citations add nothing."""
        marks = {"cache_control": {"type": "ephemeral"}, "citations": [{"cited_text": WORDY}], "id": WORDY}
        for kind, words in (("text", "text"), ("thinking", "thinking"), ("new", "words")):
            block = {"type": kind, words: "a", "signature": ""}
            self.assertEqual(added({**block, **marks, "signature": SEALED}), added(block))

    def test_sealed_text_counts_by_its_length(self) -> None:
        """Encrypted thinking and pages found on the web are read by the model, but not as base64."""
        for block in (
            {"type": "redacted_thinking", "data": SEALED},
            {"type": "thinking", "thinking": "", "signature": SEALED},
            {"type": "web_search_tool_result", "content": [{"type": "new", "encrypted_content": SEALED}]},
            base64("audio", "audio/wav", SEALED),
        ):
            self.assertApproximates(added(block), len(SEALED) / 6, 45)


class ToolTests(SynchronousTestCase):
    """Tools and what comes with them."""

    def test_the_prompt_for_tools_comes_once(self) -> None:
        """The first tool brings the API's own prompt, the next do not, and an empty list brings nothing."""
        none, one, two = (tokens(messages=[], tools=[WEATHER] * number) for number in range(3))
        self.assertEqual(none, tokens(messages=[]))
        self.assertApproximates(one - none - (two - one), 346, 2)

    def test_the_whole_definition_counts(self) -> None:
        """Name, description and schema all count; how the tool is to be loaded does not."""
        tool = {"name": "a", "input_schema": {}}
        for more in ({"name": WORDY}, {"description": WORDY}, {"input_schema": {"title": WORDY}}):
            self.assertGreater(tokens(tools=[{**tool, **more}]), tokens(tools=[tool]) + 200)
        loaded = {**tool, "defer_loading": True, "cache_control": {"type": "ephemeral"}}
        self.assertEqual(tokens(tools=[loaded]), tokens(tools=[tool]))

    def test_anthropics_own_tools_have_their_size(self) -> None:
        """A tool that is named by type only counts what Anthropic says it brings, of whatever date it is."""
        for kind, size in (("bash_20250124", 245), ("text_editor_20250728", 700), ("computer_20990101", 735)):
            self.assertApproximates(tokens(tools=[{"type": kind, "name": "x"}]) - tokens(), 346 + size, 2)


class ImageTests(SynchronousTestCase):
    """Images."""

    def test_the_size_makes_the_tokens(self) -> None:
        """An image counts about a 750th of its pixels, up to what the API scales it down to."""
        for width, height, expected in (
            (200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (28, 28, 1), (1, 1, 1),
            (4000, 3000, 1568), (8000, 100, 56), (100, 8000, 56), (3840, 2160, 1568),
        ):  # fmt: skip
            for image in (png(width, height), jpeg(width, height)):
                block = base64("image", "image/png", text(image))
                self.assertApproximates(added(block), expected, 20 + expected * 0.05)
                self.assertLessEqual(added(block), 1_568)

    def test_an_image_in_a_result_is_an_image(self) -> None:
        """A screenshot that a tool returns counts by its pixels, wherever it is nested, and not as text."""
        shot = base64("image", "image/png", text(png(1000, 1000) + bytes(200_000)))
        for block in (
            {"type": "tool_result", "content": [shot]},
            {"type": "tool_result", "content": [{"type": "tool_result", "content": [shot]}]},
            {"type": "new_tool_result", "content": {"type": "new_result", "content": [shot]}},
            {"type": "document", "source": {"type": "content", "content": [shot]}},
        ):
            self.assertApproximates(added(block), added(shot), 30)

    def test_an_image_that_is_not_there_counts_as_a_large_one(self) -> None:
        """Behind a URL, in a file, broken or of another format, an image counts 1,600."""
        for source in (
            {"type": "url", "url": "https://example.com/a.png"}, {"type": "file", "file_id": "file_1"},
            {"type": "base64", "media_type": "image/png", "data": "AAAA"}, {"type": "base64"}, None, "x",
        ):  # fmt: skip
            self.assertEqual(added({"type": "image", "source": source}), 1_600)


class DocumentTests(SynchronousTestCase):
    """Documents."""

    def test_a_pdf_counts_by_its_pages(self) -> None:
        """A page counts between 2,000 and 2,500 tokens, whatever its bytes are."""
        for pages in (1, 3, 40):
            pdf = b"%PDF-1.4\n" + b"<</Type/Page>>" * pages + bytes(100_000)
            each = added(base64("document", "application/pdf", text(pdf))) / pages
            self.assertTrue(2_000 <= each <= 2_500, each)

    def test_its_title_and_context_count(self) -> None:
        """What is said about a document counts beside it."""
        pdf = base64("document", "application/pdf", text(b"/Type/Page "))
        for more in ({"title": WORDY}, {"context": WORDY}):
            self.assertGreater(added({**pdf, **more}), added(pdf) + 200)

    def test_a_document_of_another_type_counts_by_its_text(self) -> None:
        """A source that nobody knows today counts as words where it reads as text, else by its length."""
        plain = {"type": "document", "source": {"type": "new", "words": WORDY}}
        self.assertApproximates(added(plain), said(WORDY), 30)
        sealed = base64("document", "application/new", SEALED)
        self.assertApproximates(added(sealed), len(SEALED) / 6, 45)

    def test_a_document_that_is_not_there_counts_as_some_pages(self) -> None:
        """Behind a URL or in a file a document counts as five pages."""
        for source in ({"type": "url", "url": "https://example.com/a.pdf"}, {"type": "file", "file_id": "f"}):
            self.assertEqual(added({"type": "document", "source": source}), 11_000)

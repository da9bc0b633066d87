"""The rules of edits inside JSON: what goes takes one comma with it, and every other byte stays."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.wire.edits import edited, elements, members, with_members, without
from tests.wire.json_bytes import SPACE, WORDS, objects, texts


@st.composite
def lists(draw: st.DrawFn) -> bytes:
    """Draw an array with any spacing."""
    parts = [draw(SPACE) + draw(texts()) + draw(SPACE) for _ in range(draw(st.integers(0, 5)))]
    return b"[" + (b",".join(parts) or draw(SPACE)) + b"]"


def loaded(text: bytes) -> Any:
    return json.loads(text, object_pairs_hook=list)


class PartsTests(SynchronousTestCase):
    """Where things are."""

    @given(objects("model"), st.binary(max_size=4), st.binary(max_size=4))
    def test_members(self, written: Any, before: bytes, after: bytes) -> None:
        """Members are found inside any text, each with its key and value and without the space about them."""
        found = members(before + written.body + after, len(before), len(before + written.body))
        text = before + written.body + after
        self.assertEqual(
            [(part.key, json.loads(text[part.start : part.end])) for part in found],
            list(json.loads(written.body).items()),
        )
        for part in found:
            self.assertEqual(json.loads(b"{" + text[part.at : part.end] + b"}").keys(), {part.key})
            self.assertEqual(text[part.start : part.end], text[part.start : part.end].strip())

    @given(lists())
    def test_elements(self, text: bytes) -> None:
        """Elements are found in their order, each without the space about it."""
        found = elements(b"x" + text, 1, len(text) + 1)
        self.assertEqual([json.loads(text[part.at - 1 : part.end - 1]) for part in found], json.loads(text))

    def test_a_key_that_stands_twice(self) -> None:
        """An object with a key that stands twice cannot be edited, wherever in it and whatever the values."""
        for text in (
            b'{"a":1,"a":1}', b'{"a":1,"b":2,"a":"xxxxxx"}', b'{"a":1,"b":2,"a":"xxxxxx","b":3}',
            b'{"a":12,"a":1}', b'{"a":1,"\\u0061":12}',
        ):  # fmt: skip
            self.assertRaises(Malformed, members, text)

    def test_what_is_neither(self) -> None:
        """What is no object has no members, and what is no array no elements."""
        deep = b"[" * 100_000 + b"]" * 100_000
        for text in (b"", b"1", b"null", b'"{}"', b"{", b'{"a"}', b"[1", b"\xff", b'{"a":' + deep + b"}"):
            self.assertRaises(Malformed, members, text)
        for text in (b"", b"1", b"{}", b"[", b"[1,]"):
            self.assertRaises(Malformed, elements, text, 0, len(text))


class WithoutTests(SynchronousTestCase):
    """Taking out."""

    @given(objects("model"), st.data())
    def test_members_go(self, written: Any, data: st.DataObject) -> None:
        """Whichever members go, the others stay in their order, with the very bytes of their values."""
        found = members(written.body)
        gone = data.draw(st.sets(st.integers(0, len(found) - 1)))
        text = edited(written.body, without(found, gone))
        self.assertEqual(
            loaded(text), [pair for at, pair in enumerate(loaded(written.body)) if at not in gone]
        )
        kept = [written.body[part.at : part.end] for at, part in enumerate(found) if at not in gone]
        self.assertEqual([text[part.at : part.end] for part in members(text)], kept)

    @given(lists(), st.data())
    def test_elements_go(self, text: bytes, data: st.DataObject) -> None:
        """Likewise with elements of an array."""
        found = elements(text, 0, len(text))
        gone = data.draw(st.sets(st.sampled_from(range(len(found))))) if found else set()
        left = edited(text, without(found, gone))
        self.assertEqual(json.loads(left), [v for at, v in enumerate(json.loads(text)) if at not in gone])

    def test_nothing_goes(self) -> None:
        """Where nothing goes, the very object is returned."""
        text = b'{"a":1}'
        self.assertIs(edited(text, without(members(text), set())), text)

    def test_what_is_left_looks_as_written(self) -> None:
        """The spacing between what stays is what the writer chose."""
        text = b'{ "a" : 1 ,\n  "b" : 2 ,\n  "c" : 3 }'
        for gone, left in (
            ({0}, b'{ "b" : 2 ,\n  "c" : 3 }'), ({1}, b'{ "a" : 1 ,\n  "c" : 3 }'),
            ({2}, b'{ "a" : 1 ,\n  "b" : 2 }'), ({1, 2}, b'{ "a" : 1 }'),
            ({0, 1, 2}, b"{  }"), ({0, 2}, b'{ "b" : 2 }'),
        ):  # fmt: skip
            self.assertEqual(edited(text, without(members(text), gone)), left)


class WithMembersTests(SynchronousTestCase):
    """Putting in."""

    @given(objects("model"), WORDS, texts(), st.booleans())
    def test_a_member_first(self, written: Any, key: str, value: bytes, model: bool) -> None:
        """A member is put first, in place of one of that key; the others stay behind it in their order."""
        gone = ("model",) if model else ()
        text = with_members(written.body, members(written.body), gone, {key: value})
        self.assertEqual(loaded(text)[0], (key, loaded(value)))
        rest = [pair for pair in loaded(written.body) if pair[0] != key and pair[0] not in gone]
        self.assertEqual(loaded(text)[1:], rest)

    def test_into_nothing(self) -> None:
        """An empty object gets its first member without a comma."""
        for text in (b"{}", b" { } ", b'{"a":1}'):
            self.assertEqual(json.loads(with_members(text, members(text), ("a",), {"b": b"2"})), {"b": 2})

"""The rules of editing JSON in place."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli.json_text import drop, literal, put

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
STYLES = st.sampled_from([None, 0, 2, 4, "\t"])


class JsonTextTests(SynchronousTestCase):
    """What the user wrote stays as it was written."""

    def test_replaces_only_the_value(self) -> None:
        """Spaces, order, odd numbers, escapes and arrays on one line stay when a value is replaced."""
        text = '{"a" : 1.50e+3,\n\t"env":{ "B":"\\u00e9" , "C" : "old"}, "list": [1,2 ,3]}\n\n'
        self.assertEqual(put(text, ("env", "C"), '"new"'), text.replace('"old"', '"new"'))

    def test_adds_in_the_style_of_the_neighbour(self) -> None:
        """A new member is indented as the one before it."""
        text = '{\r\n    "env": {\r\n        "A": "1"\r\n    }\r\n}'
        wanted = '{\r\n    "env": {\r\n        "A": "1",\r\n        "B": "2"\r\n    }\r\n}'
        self.assertEqual(put(text, ("env", "B"), '"2"'), wanted)

    def test_adds_to_one_line(self) -> None:
        """What was on one line stays on one line, tight or with spaces."""
        self.assertEqual(put('{"a":1,"b":2}', ("c",), "3"), '{"a":1,"b":2,"c":3}')
        self.assertEqual(put('{"a":1}', ("c",), "3"), '{"a":1,"c":3}')
        self.assertEqual(put('{"a": 1}', ("c",), "3"), '{"a": 1, "c": 3}')
        self.assertEqual(put('{"a": {}}', ("a", "c"), "3"), '{"a": {"c": 3}}')

    def test_adds_to_an_empty_object(self) -> None:
        """The first member of an object is indented as the file is; in an empty file, by two spaces."""
        self.assertEqual(put("{}", ("a",), "1"), '{\n  "a": 1\n}')
        text = '{\n\t"env": {}\n}\n'
        self.assertEqual(put(text, ("env", "A"), "1"), '{\n\t"env": {\n\t\t"A": 1\n\t}\n}\n')

    def test_drops_with_its_comma(self) -> None:
        """The first, the middle, the last and the only member go with the comma that they needed."""
        text = '{"a": 1, "b": 2 ,\n "c": 3 }'
        self.assertEqual(drop(text, ("a",)), '{"b": 2 ,\n "c": 3 }')
        self.assertEqual(drop(text, ("b",)), '{"a": 1 ,\n "c": 3 }')
        self.assertEqual(drop(text, ("c",)), '{"a": 1, "b": 2 }')
        self.assertEqual(drop('{ "a": 1 }', ("a",)), "{}")

    def test_the_last_of_a_name_counts(self) -> None:
        """Where a name stands twice, the one that parsers take is the one that is edited."""
        text = '{"a": 1, "a": 2}'
        self.assertEqual(literal(text, ("a",)), "2")
        self.assertEqual(put(text, ("a",), "3"), '{"a": 1, "a": 3}')

    def test_nothing_there(self) -> None:
        """What is not there is None to the reader, and an error to whoever drops it."""
        self.assertIsNone(literal("{}", ("a",)))
        self.assertRaises(KeyError, drop, "{}", ("a",))
        self.assertRaises(TypeError, literal, '{"a": []}', ("a", "b"))
        self.assertRaises(TypeError, put, "{}", ("a", "b"), "1")
        self.assertRaises(TypeError, put, "[]", ("a",), "1")

    @given(OBJECTS, STYLES, st.booleans(), st.text(max_size=5), VALUES)
    def test_put_sets_and_nothing_else(self, before, style, raw, name, value) -> None:
        """To a parser, the edited text is the old object with that one value set, in the old order."""
        text = json.dumps(before, indent=style, ensure_ascii=raw)
        wanted = json.dumps({**before, name: value})
        self.assertEqual(json.dumps(json.loads(put(text, (name,), json.dumps(value)))), wanted)

    @given(OBJECTS.filter(bool), STYLES, st.booleans(), st.text(max_size=5))
    def test_drop_undoes_put(self, before, style, raw, name) -> None:
        """What was added and dropped again, or replaced and put back, leaves every byte as it was."""
        text = json.dumps(before, indent=style, ensure_ascii=raw)
        old = literal(text, (name,))
        new = put(text, (name,), "[1]")
        self.assertEqual(drop(new, (name,)) if old is None else put(new, (name,), old), text)

"""The rules of fields taken out of a body: those that are named, wherever they are, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Malformed
from ccrelay.wire.body_fields import without_fields
from tests.wire.json_bytes import VALUES, WORDS

SCOPE = "messages[].content[].cache_control.scope"


def left(body: Any, *paths: str) -> Any:
    """Return what is left of a body, as JSON."""
    return json.loads(without_fields(json.dumps(body).encode(), paths)[0])


class PathTests(SynchronousTestCase):
    """What a path names."""

    def test_a_field_at_the_top(self) -> None:
        """A plain name is a field of the body itself, and not one that is deeper."""
        self.assertEqual(left({"speed": 1, "a": {"speed": 2}}, "speed"), {"a": {"speed": 2}})

    def test_a_field_inside(self) -> None:
        """Names with dots go down objects; an object that has nothing left goes with its field."""
        config = {"effort": "high", "format": {}}
        kept = {"output_config": {"format": {}}}
        self.assertEqual(left({"output_config": config}, "output_config.effort"), kept)
        self.assertEqual(left({"output_config": {"effort": 1}, "a": 1}, "output_config.effort"), {"a": 1})
        both = ("output_config.effort", "output_config.format")
        self.assertEqual(left({"output_config": config}, *both), {})

    def test_fields_of_elements(self) -> None:
        """Brackets are all elements of an array; the array keeps its length."""
        tools = [{"name": "a", "defer_loading": True}, {"defer_loading": False}, {"name": "c"}, 1]
        expected = {"tools": [{"name": "a"}, {}, {"name": "c"}, 1]}
        self.assertEqual(left({"tools": tools}, "tools[].defer_loading"), expected)

    def test_only_the_key_of_a_cache_control(self) -> None:
        """A scope goes, and the cache_control about it stays: without that nothing would be cached."""
        control = {"type": "ephemeral", "scope": "global", "ttl": "1h"}
        body = {"messages": [{"role": "user", "content": [{"type": "text", "cache_control": control}]}]}
        kept = left(body, SCOPE)["messages"][0]["content"][0]
        self.assertEqual(kept, {"type": "text", "cache_control": {"type": "ephemeral", "ttl": "1h"}})

    def test_elements_of_a_type(self) -> None:
        """A word in brackets names the elements whose type begins so; empty surroundings go with them."""
        path = "context_management.edits[compact_]"
        edits = [{"type": "compact_20260112"}, {"type": "clear_thinking_20251015"}]
        self.assertEqual(
            left({"context_management": {"edits": edits}}, path), {"context_management": {"edits": edits[1:]}}
        )
        self.assertEqual(left({"context_management": {"edits": edits[:1]}, "a": 1}, path), {"a": 1})
        self.assertEqual(left({"context_management": {"edits": ["compact_1", 1]}}, path), {
            "context_management": {"edits": ["compact_1", 1]},
        })  # fmt: skip

    def test_a_step_that_may_be_no_key(self) -> None:
        """A step with a question mark is a key where there is such a key, and else says nothing."""
        path = "tools[].?custom.strict"
        self.assertEqual(left({"tools": [{"name": "a", "strict": True}]}, path), {"tools": [{"name": "a"}]})
        nested = {"tools": [{"custom": {"strict": True, "a": 1}, "strict": 1}]}
        self.assertEqual(left(nested, path), {"tools": [{"custom": {"a": 1}, "strict": 1}]})

    def test_a_whole_and_a_part_of_it(self) -> None:
        """Where a field goes as a whole, it does not matter what of it was to go besides."""
        body = {"output_config": {"effort": 1, "b": 2}, "a": 1}
        for paths in (("output_config", "output_config.effort"), ("output_config.effort", "output_config")):
            self.assertIn(left(body, *paths), ({"a": 1}, {"a": 1, "output_config": {"b": 2}}))

    def test_what_went_is_told(self) -> None:
        """The paths that were there are told, each once, however often they were."""
        body = json.dumps({"tools": [{"x": 1, "y": 1}, {"x": 2, "y": 2}], "speed": 1}).encode()
        _, taken = without_fields(body, ("speed", "tools[].x", "absent", "tools[].absent"))
        self.assertEqual(set(taken), {"speed", "tools[].x"})


class FidelityTests(SynchronousTestCase):
    """What stays."""

    def test_nothing_to_take(self) -> None:
        """Without paths, or with none that is there, the very bytes are returned."""
        body = b'{"messages":[{"content":"the \\"scope\\" of it"}],"n":1.10}'
        for paths in ((), ("speed",), (SCOPE, "tools[].strict")):
            self.assertIs(without_fields(body, paths)[0], body)

    @given(
        st.lists(st.tuples(WORDS, VALUES), max_size=4, unique_by=lambda pair: pair[0]),
        st.lists(st.dictionaries(WORDS | st.just("strict"), VALUES, max_size=4) | VALUES, max_size=4),
        st.sampled_from([None, 2]),
    )
    def test_all_else_is_byte_identical(self, others: Any, tools: Any, indent: int | None) -> None:
        """Whatever a body is made of, it reads as before but for the fields that went."""
        body = {**dict(others), "tools": tools, "speed": 1}
        spelled = json.dumps(body, indent=indent).replace("Infinity", "1e400").encode()
        text, taken = without_fields(spelled, ("speed", "tools[].strict"))
        expected = json.loads(spelled)
        del expected["speed"]
        for tool in expected["tools"]:
            if isinstance(tool, dict):
                tool.pop("strict", None)
        self.assertEqual(list(json.loads(text).items()), list(expected.items()))
        for key, value in others:
            if key not in ("tools", "speed"):
                text_of = json.dumps(value).replace("Infinity", "1e400").encode()
                self.assertTrue(indent or text_of in text)
        self.assertIn("speed", taken)

    def test_what_cannot_be_edited(self) -> None:
        """A body that may mean two things is refused; an object inside that may, is left as it is."""
        self.assertRaises(Malformed, without_fields, b'{"a":1,"a":2}', ("speed",))
        body = b'{"tools":[{"strict":1,"strict":2},{"strict":3,"b":1}]}'
        self.assertEqual(
            without_fields(body, ("tools[].strict",))[0], b'{"tools":[{"strict":1,"strict":2},{"b":1}]}'
        )

    def test_what_is_no_such_thing(self) -> None:
        """A text, number or null where an object or array might be has no fields, and is no problem."""
        for value in ("strict", 1, None, True, ["strict"], {"strict": 1}, [["strict"]], [None]):
            self.assertEqual(left({"tools": value, "a": 1}, "tools[].strict"), {"tools": value, "a": 1})

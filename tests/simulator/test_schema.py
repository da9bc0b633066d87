"""The rules of made-up tool input: it fits the schema that the tool came with."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.schema import fitting

SIMPLE: list[tuple[dict[str, Any], Any]] = [
    ({}, "simulated"),
    ({"type": "string"}, "simulated"),
    ({"type": "string", "format": "uri"}, "https://example.com/simulated"),
    ({"type": "string", "format": "unheard-of"}, "simulated"),
    ({"type": "string", "minLength": 12}, "simulated..."),
    ({"type": "string", "maxLength": 3}, "sim"),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "boolean"]}, True),
    ({"type": "integer"}, 1),
    ({"type": "number"}, 1),
    ({"enum": ["a", "b"], "type": "string"}, "a"),
    ({"const": 5}, 5),
    ({"default": {}}, {}),
    ({"type": "string", "examples": ["an example"]}, "an example"),
    ({"type": "array"}, []),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ({"oneOf": [{"type": "boolean"}]}, True),
]

OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "limit": {"type": "integer"},
        "edits": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/edit"}},
    },
    "required": ["path", "edits", "unheard-of"],
    "$defs": {
        "edit": {"properties": {"a/b": {"$ref": "#/$defs/a~1b"}}, "required": ["a/b"]},
        "a/b": {"type": "boolean"},
    },
}


class FittingTests(SynchronousTestCase):
    """Values that fit."""

    def test_simple(self) -> None:
        """Each type has its value; what the schema itself offers is taken first."""
        for schema, value in SIMPLE:
            self.assertEqual(fitting(schema), value, schema)

    def test_objects(self) -> None:
        """An object has its required properties and no others, by references too."""
        self.assertEqual(
            fitting(OBJECT), {"path": "simulated", "edits": [{"a/b": True}], "unheard-of": "simulated"}
        )

    def test_all_of(self) -> None:
        """What stands in allOf adds up."""
        schema = {
            "type": "object",
            "required": ["a"],
            "allOf": [
                {"properties": {"a": {"type": "integer"}}},
                {"$ref": "#/$defs/b"},
                True,
            ],
            "$defs": {"b": {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}},
        }
        self.assertEqual(fitting(schema), {"a": 1, "b": True})

    def test_a_schema_of_itself(self) -> None:
        """A schema that refers to itself comes to an end."""
        loop = {"type": "object", "properties": {"child": {"$ref": "#"}}, "required": ["child"]}
        self.assertIn("child", fitting(loop))
        self.assertIsNone(fitting({"$ref": "#"}))

    def test_what_is_no_schema(self) -> None:
        """Nonsense in the place of a schema is no error."""
        for nonsense in (
            None,
            True,
            [],
            "a",
            {"$ref": 5},
            {"$ref": "https://example.com/a"},
            {"$ref": "#/a/b"},
        ):
            self.assertIsNone(fitting(nonsense))
        self.assertEqual(fitting({"type": "object", "required": "a", "properties": []}), {})
        self.assertEqual(fitting({"type": "array", "minItems": "a"}), [])

    @given(
        st.sampled_from(["integer", "number"]),
        st.sampled_from([None, "minimum", "exclusiveMinimum"]),
        st.sampled_from([None, "maximum", "exclusiveMaximum"]),
        st.integers(-50, 50),
        st.integers(2, 50),
    )
    def test_bounds(self, kind: str, least: str | None, most: str | None, low: int, width: int) -> None:
        """A number lies within its bounds, a whole number is whole."""
        schema: dict[str, Any] = {"type": kind}
        if least:
            schema[least] = low
        if most:
            schema[most] = low + width
        number = fitting(schema)
        if kind == "integer":
            self.assertIsInstance(number, int)
        if least:
            (self.assertGreater if least.startswith("excl") else self.assertGreaterEqual)(number, low)
        if most:
            (self.assertLess if most.startswith("excl") else self.assertLessEqual)(number, low + width)

    def test_narrow_bounds(self) -> None:
        """A fraction is found where no whole number would do."""
        self.assertEqual(fitting({"type": "number", "exclusiveMinimum": 0, "maximum": 1}), 0.5)
        self.assertEqual(fitting({"type": "integer", "minimum": 1.5}), 2)
        self.assertEqual(fitting({"type": "integer", "maximum": -1.5}), -2)

"""The rules of what a provider calls the models that clients ask for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.mapping import ModelMapping

NAMES = st.text("abc-[]1m*", max_size=8)
PLAIN = st.text("abc-1", min_size=1, max_size=8)
TABLES = st.dictionaries(NAMES, NAMES, max_size=6)


class MappingTests(SynchronousTestCase):
    """Exact names, patterns, and variants."""

    def test_an_exact_name_goes_before_every_pattern(self) -> None:
        """A model that the table names is called what the table says, whatever patterns fit it."""
        mapping = ModelMapping({"claude-*": "glm", "claude-haiku": "glm-air", "claude-haiku*": "glm-flash"})
        self.assertEqual(mapping("claude-haiku"), "glm-air")

    def test_the_longest_pattern_wins(self) -> None:
        """Of the patterns that fit, the most precise decides, wherever it stands in the file."""
        for table in (
            {"*": "any", "claude-*": "glm", "claude-opus-*": "glm-5.3"},
            {"claude-opus-*": "glm-5.3", "claude-*": "glm", "*": "any"},
        ):
            mapping = ModelMapping(table)
            self.assertEqual(mapping("claude-opus-4-8"), "glm-5.3")
            self.assertEqual(mapping("claude-sonnet-5"), "glm")
            self.assertEqual(mapping("gpt"), "any")

    def test_a_pattern_ends_in_a_star(self) -> None:
        """A star stands for the rest of a name; anywhere else it is a letter like others."""
        mapping = ModelMapping({"claude-*-4": "glm", "opus*": "big"})
        self.assertEqual(mapping("claude-opus-4"), "claude-opus-4")
        self.assertEqual(mapping("claude-*-4"), "glm")
        self.assertEqual(mapping("opus"), "big")
        self.assertEqual(mapping("my-opus"), "my-opus")

    def test_a_variant_is_kept(self) -> None:
        """Claude Code's C{[1m]} goes on behind the name that the model is mapped to."""
        mapping = ModelMapping({"claude-opus": "glm-5.3", "claude-sonnet-*": "glm-5.2"})
        self.assertEqual(mapping("claude-opus[1m]"), "glm-5.3[1m]")
        self.assertEqual(mapping("claude-sonnet-5[1m]"), "glm-5.2[1m]")
        self.assertEqual(mapping("claude-haiku[1m]"), "claude-haiku[1m]")

    def test_a_variant_that_the_table_names_is_the_tables(self) -> None:
        """A name with a variant of its own in the table is mapped as it stands there."""
        mapping = ModelMapping({"claude-opus": "glm-5.3", "claude-opus[1m]": "glm-long", "claude-*": "glm"})
        self.assertEqual(mapping("claude-opus[1m]"), "glm-long")

    def test_a_variant_is_not_put_on_twice(self) -> None:
        """Where a model is mapped to a name that has a variant, the one asked for is not added to it."""
        mapping = ModelMapping({"claude-opus-*": "glm-5.2[1m]"})
        self.assertEqual(mapping("claude-opus-4-8[1m]"), "glm-5.2[1m]")
        self.assertEqual(mapping("claude-opus-4-8"), "glm-5.2[1m]")

    def test_the_names_one_may_ask_for(self) -> None:
        """The list of models shows the exact names of the table; a pattern is no name."""
        self.assertEqual(
            ModelMapping({"opus": "a", "claude-*": "b", "haiku": "c"}).names(), ("opus", "haiku")
        )

    @given(PLAIN)
    def test_without_a_table_names_are_as_they_are(self, model: str) -> None:
        """A provider without a mapping is asked for the very model that the client named."""
        self.assertEqual(ModelMapping({})(model), model)

    @given(TABLES, NAMES)
    def test_what_is_named_exactly_is_found(self, table: dict[str, str], model: str) -> None:
        """Any name of the table that is no pattern is mapped to what stands beside it, brackets or not."""
        if model in table and not model.endswith("*"):
            self.assertEqual(ModelMapping(table)(model), table[model])

    @given(TABLES, PLAIN)
    def test_a_name_comes_from_the_table_or_from_the_client(self, table: dict[str, str], model: str) -> None:
        """Nobody is ever asked for a model that neither the client nor the operator wrote."""
        self.assertIn(ModelMapping(table)(model), {model, *table.values()})

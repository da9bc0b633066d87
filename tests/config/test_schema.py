"""The rules of the JSON Schema."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.parse import parsed
from ccrelay.config.schema import json_schema
from ccrelay.config.vocabulary import Vocabulary
from ccrelay.config.written import leaves
from tests.config.test_spellings import CC_RELAY


class SchemaTests(SynchronousTestCase):
    """What editors are told."""

    def setUp(self) -> None:
        """Make the schema."""
        self.schema = json_schema()
        self.words = Vocabulary(self.schema)

    def test_head(self) -> None:
        """The schema says which dialect it is of, and what it describes."""
        self.assertEqual(self.schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
        self.assertEqual((self.schema["title"], self.schema["type"]), ("ccrelay", "object"))
        self.assertIn("Messages API", self.schema["description"])

    def test_strict(self) -> None:
        """No section allows what it does not know; what is compulsory is said."""
        for name, section in self.schema["$defs"].items():
            with self.subTest(section=name):
                self.assertFalse(section["additionalProperties"])
        self.assertEqual(self.schema["$defs"]["ProviderSettings"]["required"], ["name", "type"])

    def test_secrets(self) -> None:
        """A secret is marked as one."""
        self.assertTrue(self.words.secret(("providers", 0, "keys", 0, "key")))

    def test_knows_other_spellings(self) -> None:
        """Every key of cc-relay's files is known, and what is old or without effect is marked."""
        written = parsed(CC_RELAY, "relay.yaml")
        for path, _ in leaves(written.tree):
            deep = {"cache": 1, "grpc": 1, "logging": 2}.get(str(path[0]), len(path))
            with self.subTest(path=path):
                self.assertTrue(self.words.at(path[:deep]))
        pooling = ("providers", 0, "pooling", "enabled")
        for path in (("server", "api_key"), ("logging", "pretty"), ("cache",), pooling):
            self.assertTrue(self.words.at(path)["deprecated"])
        self.assertEqual(self.words.at(("metrics", "prometheus_listen"))["type"], "string")

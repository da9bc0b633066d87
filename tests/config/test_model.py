"""The rules of the sections and their defaults."""

from pydantic import BaseModel, ValidationError
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.fields import Section
from ccrelay.config.model import ProviderSettings, Settings
from tests.config.reading import SIMULATOR, settings


def sections(model: type[BaseModel] = Section) -> set[type[BaseModel]]:
    """Return all kinds of sections."""
    return {one for sub in model.__subclasses__() for one in {sub} | sections(sub)}


class ModelTests(SynchronousTestCase):
    """The settings as a value."""

    def provider(self, **given: object) -> ProviderSettings:
        """Return a provider."""
        return ProviderSettings.model_validate({"name": "a", "type": "simulator", **given})

    def test_defaults(self) -> None:
        """What is left out has the default that is documented."""
        made = settings(SIMULATOR)
        self.assertEqual(made.server.listen, ("127.0.0.1:8787",))
        self.assertEqual((made.server.timeout_ms, made.server.ping_interval_ms), (600_000, 15_000))
        self.assertEqual((made.server.max_body_bytes, made.server.drain_ms), (33_554_432, 30_000))
        self.assertEqual((made.routing.strategy, made.routing.failover_timeout), ("failover", 180_000))
        self.assertEqual(made.routing.max_attempts, 4)
        self.assertEqual((made.logging.level, made.logging.format), ("info", "text"))
        provider = made.providers[0]
        self.assertTrue(provider.enabled)
        self.assertIsNone(provider.base_url)
        self.assertEqual((provider.connect_timeout_ms, provider.idle_timeout_ms), (10_000, 300_000))
        self.assertEqual(provider.max_connections, 1024)

    def test_sections_may_be_empty(self) -> None:
        """A section or key without a value is as if it were left out."""
        self.assertEqual(settings("server:\nrouting: {debug: null}\n" + SIMULATOR), settings(SIMULATOR))

    def test_patience_by_kind(self) -> None:
        """Ollama gets ten minutes for its first byte, all others two, unless the operator says otherwise."""
        self.assertEqual(self.provider(type="ollama").first_byte_timeout_ms, 600_000)
        self.assertEqual(self.provider(type="zai").first_byte_timeout_ms, 120_000)
        self.assertEqual(self.provider(type="ollama", first_byte_timeout_ms=5).first_byte_timeout_ms, 5)

    def test_priority_of_the_first_key(self) -> None:
        """A provider without a priority or weight has that of its first key, without keys 1."""
        keys = [{"key": "sk-test-1", "priority": 5, "weight": 3}, {"key": "sk-test-2", "priority": 9}]
        provider = self.provider(keys=keys)
        self.assertEqual((provider.priority, provider.weight), (5, 3))
        self.assertEqual(self.provider(keys=keys, priority=2).priority, 2)
        self.assertEqual(self.provider().priority, 1)

    def test_count_tokens(self) -> None:
        """404 may be written as the number it is."""
        self.assertEqual(self.provider(count_tokens=404).count_tokens, "404")

    def test_frozen(self) -> None:
        """Settings do not change."""
        made = settings(SIMULATOR)
        self.assertRaises(ValidationError, setattr, made, "server", None)
        self.assertRaises(ValidationError, setattr, made.server, "drain_ms", 1)

    def test_comparable(self) -> None:
        """The same file gives equal settings, another one others: a reload sees what has changed."""
        text = "server: {auth: {api_key: %s}}\n" + SIMULATOR
        self.assertEqual(settings(text % "sk-test-a"), settings(text % "sk-test-a"))
        self.assertNotEqual(settings(text % "sk-test-a"), settings(text % "sk-test-b"))

    def test_every_key_is_described(self) -> None:
        """Every key has one sentence that says what it is, fit for a reference."""
        self.assertIn(Settings, sections())
        for section in sections():
            for name, field in section.model_fields.items():
                with self.subTest(key=f"{section.__name__}.{name}"):
                    self.assertRegex(field.description or "", r"\A\S[^\n]{0,99}\.\Z")

"""The rules of the files that show the configuration: the reference, and what `ccrelay init` writes."""

import re
from importlib import resources
from pathlib import Path

from pydantic import BaseModel
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import ClientSettings, KeySettings, ProviderSettings, Settings
from ccrelay.config.parse import parsed
from ccrelay.config.schema import json_schema
from ccrelay.config.vocabulary import Vocabulary
from ccrelay.config.written import KeyPath, leaves
from tests.config.reading import loaded, settings

ROOT = Path(__file__).parents[2]


class ReferenceTests(SynchronousTestCase):
    """etc/ccrelay.yaml has every key."""

    def setUp(self) -> None:
        """Read the file."""
        self.text = (ROOT / "etc/ccrelay.yaml").read_text("utf-8")
        self.written = parsed(self.text, "ccrelay.yaml")
        self.loaded = loaded(self.text)

    def sentences(self, path: KeyPath) -> str:
        """Return the comment that stands above a key."""
        lines = self.text.splitlines()
        number = self.written.lines[path] - 1
        found = ""
        while number and lines[number - 1].strip().startswith("#"):
            number -= 1
            found = lines[number].strip(" #") + " " + found
        return found

    def show(self, model: type[BaseModel], paths: list[KeyPath]) -> None:
        """Hold that each key of a section stands at one of the paths, with its sentence and its default."""
        for name, field in model.model_fields.items():
            there = [(*path, name) for path in paths if (*path, name) in self.written.lines]
            self.assertTrue(there, f"{paths[0]} {name} is missing")
            self.assertIn(field.description, "".join(self.sentences(path) for path in there))
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                self.show(field.annotation, there)

    def test_every_key(self) -> None:
        """Every key stands in the reference, and above it the sentence that describes it."""
        self.show(Settings, [()])
        providers = self.written.tree["providers"]
        self.show(ProviderSettings, [("providers", n) for n in range(len(providers))])
        self.show(KeySettings, [("providers", 1, "keys", 0)])

    def test_every_default(self) -> None:
        """What stands in the reference is the default: without it the settings are the same."""
        short = settings("providers: [{name: simulator, type: simulator}]")
        self.assertEqual(self.loaded.settings.model_copy(update={"providers": short.providers}), short)
        self.assertEqual(self.loaded.settings.providers[0], short.providers[0])
        key = self.loaded.settings.providers[1].keys[0]
        self.assertEqual(key.model_copy(update={"name": None}), KeySettings())

    def test_client(self) -> None:
        """The client that is shown as a comment has every key, and is right once it is none."""
        block = self.text.partition("    # With one client, and each of its keys:\n")[2]
        lines = re.match(r"(?:    # .*\n)+", block)
        shown = re.sub(r"(?m)^    # ", "    ", lines[0] if lines else "")
        providers = "providers: [{name: anthropic, type: simulator}]\n"
        made = settings(f"server:\n  auth:\n{shown}{providers}", {"CI_KEY": "sk-test-1"})
        (client,) = made.server.auth.clients
        self.assertEqual(client.model_fields_set, set(ClientSettings.model_fields))
        for field in ClientSettings.model_fields.values():
            self.assertIn(field.description, shown)

    def test_starts(self) -> None:
        """The reference can be used as it is, with an empty environment: it has the simulator."""
        enabled = [provider.name for provider in self.loaded.settings.providers if provider.enabled]
        self.assertEqual((enabled, self.loaded.notes), (["simulator"], ()))

    def test_not_in_effect(self) -> None:
        """What does nothing yet is marked so."""
        paths = {".".join(str(step) for step in path): path for path in self.written.lines}
        self.assertTrue(self.loaded.not_in_effect)
        for name in self.loaded.not_in_effect:
            path = paths[name.replace("[", ".").replace("]", "")]
            self.assertIn("Not in this version.", self.sentences(path))

    def test_schema(self) -> None:
        """The schema knows every key of the reference and of the starter."""
        words = Vocabulary(json_schema())
        starter = parsed(resources.files("ccrelay.config").joinpath("starter.yaml").read_text("utf-8"), "s")
        for tree in (self.written.tree, starter.tree):
            for path, _ in leaves(tree):
                self.assertTrue(words.at(path), path)


class StarterTests(SynchronousTestCase):
    """What `ccrelay init` writes."""

    def setUp(self) -> None:
        """Read it."""
        self.text = resources.files("ccrelay.config").joinpath("starter.yaml").read_text("utf-8")

    def test_starts(self) -> None:
        """It can be used as it is: the simulator answers."""
        result = loaded(self.text)
        self.assertEqual([provider.type for provider in result.settings.providers], ["simulator"])
        self.assertEqual((result.notes, result.not_in_effect), ((), ()))

    def test_short(self) -> None:
        """It fits one screen."""
        self.assertLess(len(self.text.splitlines()), 40)

    def test_examples(self) -> None:
        """What it shows as comments is right once the comments are none, and asked in that order."""
        shown = re.sub(r"(?m)^  # (- |  )", r"  \1", self.text)
        names = ("ANTHROPIC_API_KEY", "ZAI_API_KEY", "CCRELAY_API_KEY")
        environ = {name: f"sk-test-{name}" for name in names}
        shown = re.sub(r"(?m)^  # (listen|auth)", r"  \1", shown).replace("  listen: 127.0.0.1:8787 ", "  #")
        made = settings(shown, environ)
        self.assertEqual([provider.name for provider in made.providers], ["anthropic", "zai", "simulator"])
        self.assertTrue(made.server.auth.asks)

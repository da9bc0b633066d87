"""Which configuration is run with."""

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.load import load, ollama_answers
from ccrelay.errors import ConfigError


class LoadTests(SynchronousTestCase):
    """A named file, else one in the usual places, else the environment."""

    def setUp(self) -> None:
        """Make a home with a configuration in it."""
        self.home = Path(self.mktemp())
        self.usual = self.home / ".config/ccrelay/config.yaml"
        self.usual.parent.mkdir(parents=True)
        self.named = self.home / "named.yaml"
        self.named.write_text("providers: [{name: named, type: simulator}]")

    def names(self, given: Path | None, environ: dict[str, str], *, ollama: bool = False) -> list[str]:
        """Return the names of the providers that would be run with."""
        loaded = load(given, environ, self.home, lambda: ollama)
        return [provider.name for provider in loaded.settings.providers]

    def test_a_named_file_counts(self) -> None:
        """The file that was named is read, whatever else there is."""
        self.usual.write_text("providers: [{name: usual, type: simulator}]")
        self.assertEqual(self.names(self.named, {"ANTHROPIC_API_KEY": "sk-test-0123456789"}), ["named"])

    def test_a_named_file_must_be_there(self) -> None:
        """A named file that is missing is an error, not a reason to look elsewhere."""
        problem = self.assertRaises(ConfigError, load, self.home / "none.yaml", {}, self.home)
        self.assertIn("none.yaml", problem.problems[0])

    def test_the_usual_places(self) -> None:
        """Without a named file one in the usual places is read."""
        self.usual.write_text("providers: [{name: usual, type: simulator}]")
        self.assertEqual(self.names(None, {}), ["usual"])

    def test_the_environment(self) -> None:
        """Without any file the environment names the providers; a local Ollama counts if it names none."""
        self.assertEqual(self.names(None, {"ANTHROPIC_API_KEY": "sk-test-0123456789"}), ["anthropic"])
        self.assertEqual(self.names(None, {}, ollama=True), ["ollama"])
        self.assertEqual(self.names(None, {}), ["simulator"])

    def test_a_local_ollama_is_only_knocked_at(self) -> None:
        """Whether an Ollama answers is found out by connecting to its port, and no more."""
        port = socket.socket()
        self.addCleanup(port.close)
        port.bind(("127.0.0.1", 0))
        self.assertFalse(ollama_answers(port.getsockname()))
        port.listen()
        self.assertTrue(ollama_answers(port.getsockname()))

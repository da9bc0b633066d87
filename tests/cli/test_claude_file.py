"""The rules of Claude Code's settings file where it lies."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli.claude_file import SettingsFile
from ccrelay.cli.claude_settings import BASE_URL, Unusable, set_up


class SettingsFileTests(SynchronousTestCase):
    """Two who write at once do not lose each other's words."""

    def setUp(self) -> None:
        """Make settings with a value in them."""
        self.path = Path(self.mktemp()).absolute()
        self.path.write_text('{"a": 1}')

    def test_changed_meanwhile(self) -> None:
        """If Claude Code wrote to its settings while we thought, we write nothing, and say so."""
        settings = SettingsFile.found(self.path)
        edit = set_up(settings.text, settings.memory, {BASE_URL: "http://127.0.0.1:8787"})
        self.path.write_text('{"a": 2}')
        self.assertIn("somebody else", str(self.assertRaises(Unusable, settings.become, edit)))
        self.assertEqual(self.path.read_text(), '{"a": 2}')
        self.assertFalse(settings.memory_path.exists())

    def test_memory_is_private(self) -> None:
        """What is remembered may hold a credential that was replaced, and is for its owner alone."""
        self.path.chmod(0o644)
        settings = SettingsFile.found(self.path)
        settings.become(set_up(settings.text, settings.memory, {BASE_URL: "http://127.0.0.1:8787"}))
        self.assertEqual(settings.memory_path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(SettingsFile.found(self.path).memory.variables.keys(), {BASE_URL})

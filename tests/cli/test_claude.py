"""The rules of C{ccrelay claude}."""

import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main

TOKEN = "sk-test-0123456789"
OURS = "http://127.0.0.1:8787"
THEIRS = """{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
  "env": {
    "ANTHROPIC_BASE_URL": "https://gateway.example.com",
    "EDITOR": "vi"
  },
  "something new": 1.0
}
"""
RELAY = """
server:
  auth: {AUTH}
providers:
  - {name: simulator, type: simulator}
"""


class ClaudeTests(SynchronousTestCase):
    """Claude Code is pointed to the relay, and back."""

    def setUp(self) -> None:
        """Make a home directory with settings in it."""
        self.home = Path(self.mktemp()).absolute()
        self.settings = self.home / ".claude" / "settings.json"
        self.settings.parent.mkdir(parents=True)
        self.settings.write_text(THEIRS)
        # The machine's own configuration of a relay, if it has one, is not to be looked at.
        self.environ = {"CCRELAY_CONFIG": self.relay("{}")}

    def relay(self, auth: str) -> str:
        """Write a relay's configuration, and return where it is."""
        path = self.home / "relay.yaml"
        path.write_text(RELAY.replace("{AUTH}", auth))
        path.chmod(0o600)
        return str(path)

    def claude(self, *arguments: str, status: int = 0) -> str:
        """Run C{ccrelay claude}; return what it printed, which never has the token in it."""
        out, err = io.StringIO(), io.StringIO()
        self.assertEqual(
            main.run(["claude", *arguments], out, err, self.environ, self.home), status, err.getvalue()
        )
        printed = out.getvalue() + err.getvalue()
        self.assertNotIn(TOKEN, printed)
        self.assertEqual(bool(err.getvalue()), status not in {0, 1} or not out.getvalue())
        return printed

    def env(self) -> dict[str, object]:
        """Return the variables that Claude Code would take from its settings."""
        return json.loads(self.settings.read_text())["env"]

    def names(self) -> list[str]:
        """Return the names of the files beside the settings."""
        return sorted(path.name for path in self.settings.parent.iterdir())

    def test_setup_touches_one_value(self) -> None:
        """Setting up replaces the base URL, and leaves every other byte as it is."""
        self.assertIn(f"+ ANTHROPIC_BASE_URL = {OURS}\n", self.claude("setup"))
        self.assertEqual(self.settings.read_text(), THEIRS.replace("https://gateway.example.com", OURS))

    def test_remove_puts_everything_back(self) -> None:
        """After setting up, once or twice, and removing, the settings are what they were, byte for byte."""
        self.claude("setup", "--token", TOKEN)
        self.claude("setup", "--url", "http://localhost:9999")
        self.claude("remove")
        self.assertEqual(self.settings.read_text(), THEIRS)
        self.assertNotIn("settings.json.ccrelay", self.names())

    def test_backup(self) -> None:
        """What the settings were is kept beside them, and the place is told."""
        printed = self.claude("setup")
        backup = self.settings.with_name("settings.json.before-ccrelay")
        self.assertIn(str(backup), printed)
        self.assertEqual(backup.read_text(), THEIRS)
        self.claude("remove")
        self.claude("setup", "--url", "http://localhost:9999")
        self.assertEqual(backup.read_text(), THEIRS)

    def test_without_settings(self) -> None:
        """Where there are no settings yet, they are made, for their owner alone; removing leaves none."""
        self.settings.unlink()
        self.settings.parent.rmdir()
        self.claude("setup", "--token", TOKEN)
        self.assertEqual(self.env(), {"ANTHROPIC_BASE_URL": OURS, "ANTHROPIC_AUTH_TOKEN": TOKEN})
        self.assertEqual(self.settings.stat().st_mode & 0o777, 0o600)
        self.claude("remove")
        self.assertEqual(self.names(), [])

    def test_other_directory(self) -> None:
        """CLAUDE_CONFIG_DIR and --settings say where the settings are, the latter with more right."""
        self.environ["CLAUDE_CONFIG_DIR"] = str(self.home / "other")
        self.claude("setup")
        self.assertTrue((self.home / "other" / "settings.json").exists())
        self.claude("setup", "--settings", str(self.home / "third.json"))
        self.assertTrue((self.home / "third.json").exists())
        self.assertEqual(self.settings.read_text(), THEIRS)

    def test_link(self) -> None:
        """Settings that are a link into a dotfiles repository stay one."""
        real = self.home / "dotfiles.json"
        self.settings.rename(real)
        self.settings.symlink_to(real)
        self.claude("setup")
        self.assertTrue(self.settings.is_symlink())
        self.assertIn(OURS, real.read_text())
        self.claude("remove")
        self.assertEqual(real.read_text(), THEIRS)

    def test_dry_run(self) -> None:
        """A dry run says what would change, and changes nothing."""
        printed = self.claude("setup", "--dry-run", "--token", TOKEN)
        self.assertIn(
            "- ANTHROPIC_BASE_URL = https://gateway.example.com\n"
            f"+ ANTHROPIC_BASE_URL = {OURS}\n"
            "+ ANTHROPIC_AUTH_TOKEN = …6789\n",
            printed,
        )
        self.assertEqual((self.settings.read_text(), self.names()), (THEIRS, ["settings.json"]))
        self.claude("setup")
        before = self.settings.read_text(), self.names()
        self.assertIn(
            "+ ANTHROPIC_BASE_URL = https://gateway.example.com\n", self.claude("remove", "--dry-run")
        )
        self.assertEqual((self.settings.read_text(), self.names()), before)

    def test_twice(self) -> None:
        """Setting up what is set up already changes nothing, and says so."""
        self.claude("setup")
        before = self.names()
        self.assertIn("nothing to change", self.claude("setup"))
        self.assertEqual(self.names(), before)

    def test_key_file(self) -> None:
        """A token can come from a file; the end of its line does not count."""
        key = self.home / "key"
        key.write_text(TOKEN + "\n")
        self.claude("setup", "--key-file", str(key))
        self.assertEqual(self.env()["ANTHROPIC_AUTH_TOKEN"], TOKEN)
        self.claude("setup", "--key-file", str(self.home / "none"), status=1)
        key.write_text("")
        self.claude("setup", "--key-file", str(key), status=2)

    def test_key_of_the_relay(self) -> None:
        """What key a relay on this machine asks for is read from its configuration."""
        for auth in (
            f"{{api_key: {TOKEN}}}",
            f"{{bearer_secret: {TOKEN}}}",
            f"{{clients: [{{name: a, key: {TOKEN}}}]}}",
        ):
            self.relay(auth)
            self.claude("setup", "--url", "https://relay.example.com")
            self.assertNotIn("ANTHROPIC_AUTH_TOKEN", self.env())
            self.claude("setup")
            self.assertEqual(self.env()["ANTHROPIC_AUTH_TOKEN"], TOKEN)
            self.claude("remove")

    def test_several_clients(self) -> None:
        """Which client of several Claude Code is has to be said."""
        self.relay(f"{{clients: [{{name: ann, key: {TOKEN}}}, {{name: bob, key: sk-test-of-bob-0123}}]}}")
        self.assertIn("(ann, bob)", self.claude("setup", status=2))
        self.assertEqual(self.settings.read_text(), THEIRS)

    def test_broken_relay(self) -> None:
        """A configuration of the relay that cannot be read is told, and nothing is changed."""
        self.relay("{no_such_key: 1}")
        self.assertIn("no_such_key", self.claude("setup", status=78))
        self.assertEqual(self.settings.read_text(), THEIRS)
        self.claude("setup", "--token", TOKEN)

    def test_no_token(self) -> None:
        """Without a token it is said what Claude Code will show the relay instead."""
        self.assertRegex(self.claude("setup"), r"its own login or API key, .*\(--token any\)")
        self.settings.write_text(THEIRS.replace("EDITOR", "ANTHROPIC_AUTH_TOKEN"))
        self.assertIn("ANTHROPIC_AUTH_TOKEN stays as it is", self.claude("setup"))

    def test_readable_by_others(self) -> None:
        """Putting a token where others can read it is said."""
        self.settings.chmod(0o644)
        self.assertIn("chmod 600", self.claude("setup", "--token", TOKEN))
        self.assertEqual(self.settings.stat().st_mode & 0o777, 0o644)

    def test_show(self) -> None:
        """`show` says what is set, and by its status too whether that is this relay."""
        self.assertIn("= https://gateway.example.com\n", self.claude("show", status=1))
        self.claude("setup", "--token", TOKEN)
        printed = self.claude("show", "--url", "http://localhost:8787")
        self.assertIn("  ANTHROPIC_AUTH_TOKEN = …6789\n", printed)
        self.assertIn("Claude Code goes through the relay", printed)
        self.assertIn("does not go", self.claude("show", "--url", "http://127.0.0.1:1", status=1))
        self.settings.unlink()
        self.assertIn("ANTHROPIC_BASE_URL is not set", self.claude("show", status=1))

    def test_taken_elsewhere(self) -> None:
        """What takes Claude Code to a cloud, whatever the base URL, is named; switched off it is not."""
        self.settings.write_text(THEIRS.replace('"EDITOR": "vi"', '"CLAUDE_CODE_USE_BEDROCK": "1"'))
        self.assertIn("CLAUDE_CODE_USE_BEDROCK is set", self.claude("setup"))
        self.assertIn("does not go", self.claude("show", status=1))
        self.settings.write_text(self.settings.read_text().replace('"1"', '"0"'))
        self.assertNotIn("BEDROCK", self.claude("show"))

    def test_broken_settings(self) -> None:
        """Settings that are broken are refused with file, line and column, and not written to."""
        self.settings.write_text('{\n  "env": {"A": 1,}\n}\n')
        for action in ("setup", "show"):
            self.assertIn(f"{self.settings}:2:", self.claude(action, status=1))
        self.settings.write_bytes(b'{"a": "\xff"}')
        self.assertIn("not UTF-8 at byte 8", self.claude("setup", status=1))
        self.assertEqual(self.names(), ["settings.json"])

    def test_broken_memory(self) -> None:
        """If what was remembered is broken, its file is named, and nothing is changed."""
        memory = self.settings.with_name("settings.json.ccrelay")
        memory.write_text("[]")
        self.assertIn(str(memory), self.claude("remove", status=1))
        self.assertEqual(self.settings.read_text(), THEIRS)

    def test_nothing_put_there(self) -> None:
        """Where nothing was put, removing changes nothing, and says so."""
        self.assertIn("has put nothing there", self.claude("remove"))
        self.assertEqual(self.names(), ["settings.json"])

    def test_changed_since(self) -> None:
        """What the user set after us stays when we go, and is named."""
        self.claude("setup")
        self.settings.write_text(self.settings.read_text().replace(OURS, "https://other.example.com"))
        self.assertIn("ANTHROPIC_BASE_URL stays", self.claude("remove"))
        self.assertEqual(self.env()["ANTHROPIC_BASE_URL"], "https://other.example.com")

    def test_bad_address(self) -> None:
        """An address that cannot be one is refused, and nothing is written."""
        self.assertIn("/v1", self.claude("setup", "--url", f"{OURS}/v1", status=2))
        self.assertEqual(self.names(), ["settings.json"])

    def test_action_is_asked_for(self) -> None:
        """Without an action, the command line is wrong."""
        self.patch(main.sys, "stderr", io.StringIO())
        self.assertEqual(self.assertRaises(SystemExit, self.claude).code, 2)

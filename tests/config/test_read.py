"""The rules of finding and reading the file."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.read import find, read
from ccrelay.errors import ConfigError
from tests.config.reading import SIMULATOR

SECRET = "server: {auth: {api_key: sk-test-0123456789}}\n" + SIMULATOR


class FindTests(SynchronousTestCase):
    """Where a configuration is looked for."""

    def setUp(self) -> None:
        """Make a machine with nothing on it."""
        self.root = Path(self.mktemp()).absolute()
        self.home = self.root / "home/me"

    def put(self, path: Path) -> Path:
        """Write a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SIMULATOR)
        return path

    def test_order(self) -> None:
        """The variable comes first, then ccrelay's own, cc-relay's, and the machine's."""
        self.assertIsNone(find({}, self.home, self.root))
        for place in (
            self.root / "etc/ccrelay/config.yaml",
            self.home / ".config/cc-relay/config.toml",
            self.home / ".config/cc-relay/config.yaml",
            self.home / ".config/ccrelay/config.yaml",
        ):
            self.put(place)
            self.assertEqual(find({"CCRELAY_CONFIG": ""}, self.home, self.root), place)
        self.assertEqual(find({"CCRELAY_CONFIG": "/x.yaml"}, self.home, self.root), Path("/x.yaml"))

    def test_never_the_working_directory(self) -> None:
        """What lies in the working directory is never used: a cloned repository configures nothing."""
        self.put(self.root / "work/config.yaml")
        self.put(self.root / "work/.config/ccrelay/config.yaml")
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.root / "work")
        self.assertIsNone(find({}, self.home, self.root))


class ReadTests(SynchronousTestCase):
    """A file, read."""

    def setUp(self) -> None:
        """Choose a file."""
        self.path = Path(self.mktemp() + ".yaml").absolute()

    def refused(self) -> tuple[str, ...]:
        """Return why the file cannot be used."""
        return self.assertRaises(ConfigError, read, self.path, {}).problems

    def notes(self, text: str, mode: int) -> tuple[str, ...]:
        """Return what is noted of a file with such a mode."""
        self.path.write_text(text)
        self.path.chmod(mode)
        return read(self.path, {"KEY": "sk-test-from-outside"}).notes

    def test_read(self) -> None:
        """What is read knows where it comes from; a byte order mark is no part of it."""
        self.path.write_bytes(b"\xef\xbb\xbf" + SIMULATOR.encode())
        loaded = read(self.path, {})
        self.assertEqual((loaded.source, loaded.notes, loaded.not_in_effect), (str(self.path), (), ()))
        self.assertEqual(loaded.settings.providers[0].name, "simulator")

    def test_toml(self) -> None:
        """A file whose name ends in .toml is TOML."""
        path = self.path.with_suffix(".toml")
        path.write_text('[[providers]]\nname = "a"\ntype = "simulator"\n')
        self.assertEqual(read(path, {}).settings.providers[0].name, "a")

    def test_unreadable(self) -> None:
        """A file that is not there, or not a text, is told."""
        self.assertEqual(self.refused(), (f"{self.path}: it cannot be read: No such file or directory",))
        self.path.write_bytes(b"a: \xff")
        self.assertEqual(self.refused(), (f"{self.path}: it is not a text in UTF-8: byte 3",))

    def test_readable_by_others(self) -> None:
        """A secret in a file that group or others may read is noted, and not shown."""
        for mode in (0o644, 0o640, 0o604):
            (note,) = self.notes(SECRET, mode)
            self.assertIn(
                f"{self.path}:1: server.auth.api_key: a secret stands here, and others may read", note
            )
            self.assertNotIn("0123456789", note)
        self.assertEqual(self.notes(SECRET, 0o600), ())

    def test_nothing_to_read(self) -> None:
        """A file that names its secrets by variables may be read by all."""
        self.assertEqual(self.notes(SECRET.replace("sk-test-0123456789", "'${KEY}'"), 0o644), ())
        self.assertEqual(self.notes(SIMULATOR, 0o644), ())

    def test_groups(self) -> None:
        """Whoever reads a file by its group alone is not told that its group may read it."""
        if os.geteuid() != 0:
            self.skipTest("only root can give a file to somebody else")
        self.path.write_text(SECRET)
        os.chown(self.path, 65534, -1)
        self.assertEqual(self.notes(SECRET, 0o640), ())
        self.assertEqual(len(self.notes(SECRET, 0o644)), 1)

    def test_secrets_of_toml(self) -> None:
        """The note on a secret in TOML names its path."""
        path = self.path.with_suffix(".toml")
        text = '[[providers]]\nname = "a"\ntype = "zai"\n[[providers.keys]]\nkey = "sk-test-1"\n'
        path.write_text(text)
        path.chmod(0o644)
        (note,) = read(path, {}).notes
        self.assertIn(f"{path}: providers[0].keys[0].key: a secret stands here", note)

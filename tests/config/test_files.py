"""The rules of which files a configuration was read from: a change of any of them is a change of it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.implied import from_environment
from ccrelay.config.read import read
from ccrelay.errors import ConfigError
from tests.config.reading import SIMULATOR


class FilesTests(SynchronousTestCase):
    """A file, and those it names."""

    def setUp(self) -> None:
        """Choose a folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "config.yaml"

    def key(self, name: str) -> Path:
        """Write a key into a file."""
        path = self.folder / name
        path.write_text("sk-test-0123456789")
        return path

    def provider(self, name: str, *files: str, enabled: bool = True) -> str:
        """Return a provider as it is written."""
        keys = ", ".join(f"{{key_file: '{file}'}}" for file in files)
        return f"- {{name: {name}, type: anthropic, enabled: {str(enabled).lower()}, keys: [{keys}]}}\n"

    def test_alone(self) -> None:
        """A file that names no other is the only one."""
        self.path.write_text(SIMULATOR)
        self.assertEqual(read(self.path, {}).files, (self.path,))

    def test_keys(self) -> None:
        """The key files of enabled providers count, wherever their names come from."""
        one, two, three = (self.key(name) for name in ("one", "two", "three"))
        self.path.write_text(
            "providers:\n"
            + self.provider("a", str(one), "${TWO}")
            + self.provider("b", "three")
            + self.provider("c", "/nowhere", enabled=False)
        )
        environ = {"TWO": str(two), "CREDENTIALS_DIRECTORY": str(self.folder)}
        self.assertEqual(read(self.path, environ).files, (self.path, one, two, three))

    def test_no_file(self) -> None:
        """What the environment means is read from none."""
        self.assertEqual(from_environment({}, ollama_answers=False).files, ())

    def test_a_key_that_is_not_there(self) -> None:
        """Where a key file cannot be read the error tells which files would have to change."""
        one = self.key("one")
        missing = self.folder / "missing"
        self.path.write_text("providers:\n" + self.provider("a", str(one), str(missing)))
        error = self.assertRaises(ConfigError, read, self.path, {})
        self.assertEqual(error.files, (one, missing))
        self.assertIn(str(missing), error.problems[0])

    def test_a_file_that_is_none(self) -> None:
        """A file that cannot be read, or is no YAML, names none."""
        for text in (None, "a: ["):
            if text is not None:
                self.path.write_text(text)
            self.assertEqual(self.assertRaises(ConfigError, read, self.path, {}).files, ())

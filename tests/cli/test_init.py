"""The rules of C{ccrelay init}."""

import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import init
from ccrelay.config.read import find, read


class InitTests(SynchronousTestCase):
    """A configuration to begin with."""

    def setUp(self) -> None:
        """Make a home directory."""
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        self.usual = self.home / ".config/ccrelay/config.yaml"

    def init(self, *arguments: str) -> tuple[int, str]:
        """Run it; return the status and what was printed, to the right place."""
        out, err = io.StringIO(), io.StringIO()
        status = init.run(arguments, out, err, {}, self.home)
        self.assertEqual(bool(err.getvalue()), status != 0)
        self.assertEqual(bool(out.getvalue()), status == 0)
        return status, out.getvalue() + err.getvalue()

    def test_usual_place(self) -> None:
        """It goes where it is looked for, for its owner alone, and can be used."""
        status, printed = self.init()
        self.assertEqual(status, 0)
        self.assertIn(f"Wrote {self.usual}.", printed)
        self.assertIn("`ccrelay serve` runs it", printed)
        self.assertEqual(self.usual.stat().st_mode & 0o777, 0o600)
        self.assertEqual(find({}, self.home, self.home), self.usual)
        loaded = read(self.usual, {})
        self.assertEqual([provider.type for provider in loaded.settings.providers], ["simulator"])
        self.assertEqual((loaded.notes, loaded.not_in_effect), ((), ()))

    def test_named_place(self) -> None:
        """It goes where it is told, and says how to use it there."""
        path = self.home / "a/b.yaml"
        status, printed = self.init(str(path))
        self.assertEqual(status, 0)
        self.assertTrue(path.exists())
        self.assertFalse(self.usual.exists())
        self.assertIn(f"`ccrelay serve --config {path}` runs it", printed)

    def test_never_overwrites(self) -> None:
        """A file, a directory or a link that is there already stays, and it is said what to do."""
        there = self.home / "there.yaml"
        there.write_text("mine")
        link = self.home / "link.yaml"
        link.symlink_to(self.home / "nowhere")
        for path in (there, link, self.home):
            status, printed = self.init(str(path))
            self.assertEqual(status, 1)
            self.assertIn(f"{path} is there already: edit it, or name another: ccrelay init PATH", printed)
        self.assertEqual(there.read_text(), "mine")
        self.assertFalse((self.home / "nowhere").exists())

    def test_cannot(self) -> None:
        """A place where nothing can be written is told."""
        (self.home / "file").write_text("")
        status, printed = self.init(str(self.home / "file/config.yaml"))
        self.assertEqual(status, 1)
        self.assertIn("cannot be written: ", printed)

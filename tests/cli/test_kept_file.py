"""The rules of replacing a user's file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli.kept_file import back_up, contents, replace


class KeptFileTests(SynchronousTestCase):
    """Nothing that the user had is lost."""

    def setUp(self) -> None:
        """Make a file in a directory of its own."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "settings.json"
        self.file.write_bytes(b"old")

    def names(self) -> list[str]:
        """Return what is in the directory."""
        return sorted(path.name for path in self.folder.iterdir())

    def test_replaces_in_one_step(self) -> None:
        """Whoever has the old file open goes on reading the old one; nothing is left lying about."""
        with self.file.open("rb") as old:
            replace(self.file, b"new")
            self.assertEqual(old.read(), b"old")
        self.assertEqual((self.file.read_bytes(), self.names()), (b"new", ["settings.json"]))

    def test_mode_stays(self) -> None:
        """The file's mode stays, and its copy has the same."""
        for mode in (0o640, 0o600, 0o664):
            self.file.chmod(mode)
            replace(self.file, b"mode %o" % mode)
            copy = back_up(self.file)
            self.assertEqual([path.stat().st_mode & 0o777 for path in (self.file, copy)], [mode, mode])

    def test_new_file_is_private(self) -> None:
        """A file that was not there is made for its owner alone, and so are the directories on the way."""
        new = self.folder / "a" / "b"
        replace(new, b"new")
        self.assertEqual(new.stat().st_mode & 0o777, 0o600)
        self.assertEqual(new.parent.stat().st_mode & 0o077, 0)

    def test_link_stays(self) -> None:
        """A symbolic link (a dotfiles repository, say) stays one, and what it leads to is replaced."""
        link = self.folder / "link"
        link.symlink_to("settings.json")
        replace(link, b"new")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.file.read_bytes(), b"new")
        self.assertEqual(back_up(link), self.folder / "settings.json.before-ccrelay")

    def test_failure_changes_nothing(self) -> None:
        """If the file cannot be replaced, it is as it was, and nothing is left lying about."""
        target = self.folder / "directory"
        target.mkdir()
        self.assertRaises(OSError, replace, target, b"new")
        self.assertEqual(self.names(), ["directory", "settings.json"])

    def test_copies_are_never_overwritten(self) -> None:
        """Each state that was replaced has a copy; the same state has one."""
        for data in (b"one", b"two", b"one"):
            self.file.write_bytes(data)
            back_up(self.file)
        self.assertEqual(
            {name: (self.folder / name).read_bytes() for name in self.names() if "before" in name},
            {"settings.json.before-ccrelay": b"one", "settings.json.before-ccrelay.2": b"two"},
        )

    def test_nothing_to_keep(self) -> None:
        """Of a file that is not there, there is nothing to read and nothing to keep."""
        self.file.unlink()
        self.assertEqual((contents(self.file), back_up(self.file), self.names()), (None, None, []))

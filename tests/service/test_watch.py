"""The rules of the watch over files: however an editor, a tool or Kubernetes changes them, it is seen."""

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.service.watch import FileWatchService


class WatchTests(SynchronousTestCase):
    """A watch over real files, with a clock of the test's own."""

    def setUp(self) -> None:
        """Watch one file."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "config.yaml"
        self.file.write_text("one")
        self.files = [self.file]
        self.clock = Clock()
        self.told = 0
        self.watch = FileWatchService(lambda: self.files, self.changed, self.clock)
        self.watch.startService()
        self.addCleanup(self.watch.stopService)

    def write(self, text: str, path: Path | None = None) -> None:
        """Write a file, at another time than whatever was done before, as coarse as the system's clock is."""
        scratch = self.folder / "scratch"
        scratch.write_text("")
        before = scratch.stat().st_ctime_ns
        while scratch.stat().st_ctime_ns == before:
            scratch.chmod(0o600)
        (path or self.file).write_text(text)

    def changed(self) -> None:
        """Count changes, as somebody who reads the files then."""
        self.told += 1

    def go(self, seconds: int = 3) -> int:
        """Let time pass; return how many changes were told in it."""
        before = self.told
        for _ in range(seconds):
            self.clock.advance(1)
        return self.told - before

    def test_nothing(self) -> None:
        """What does not change is not read again."""
        self.assertEqual(self.go(60), 0)

    def test_written(self) -> None:
        """A file that is written is told once, within two looks."""
        self.write("another")
        self.assertEqual((self.go(2), self.go(60)), (1, 0))

    def test_the_same_length(self) -> None:
        """So is one whose text is as long as before."""
        self.write("two")
        self.assertEqual(self.go(), 1)

    def test_renamed_over(self) -> None:
        """A new file that is renamed over the old one, as editors do, is a change, even if it is older."""
        for stamp in (None, (1.0, 1.0)):
            new = self.folder / "new"
            new.write_text("two")
            if stamp:
                os.utime(new, stamp)
            new.replace(self.file)
            self.assertEqual((self.go(2), self.go()), (1, 0))

    def test_a_swapped_folder(self) -> None:
        """Kubernetes keeps the files in a folder behind a symbolic link, and swaps the link."""
        mount = self.folder / "mount"
        for version in ("v1", "v2"):
            (mount / version).mkdir(parents=True)
            (mount / version / "config.yaml").write_text("one")
        (mount / "..data").symlink_to("v1")
        (mount / "config.yaml").symlink_to("..data/config.yaml")
        self.files[:] = [mount / "config.yaml"]
        self.assertEqual(self.go(), 0)
        (mount / "..data_tmp").symlink_to("v2")
        (mount / "..data_tmp").replace(mount / "..data")
        self.assertEqual((self.go(2), self.go()), (1, 0))

    def test_still_being_written(self) -> None:
        """A file that grows from look to look is waited for, and told once it has stood still."""
        with self.file.open("a") as file:
            for _ in range(5):
                file.write("and more")
                file.flush()
                self.assertEqual(self.go(1), 0)
        self.assertEqual((self.go(1), self.go(60)), (1, 0))

    def test_gone_and_back(self) -> None:
        """A file that is gone is a change, and so is its return."""
        moved = self.file.rename(self.folder / "moved")
        self.assertEqual((self.go(), self.go()), (1, 0))
        moved.rename(self.file)
        self.assertEqual((self.go(), self.go()), (1, 0))

    def test_permissions(self) -> None:
        """A file that may be read at last is a change: it could not be used before."""
        self.write("", self.folder / "other")
        self.file.chmod(0o600)
        self.assertEqual(self.go(), 1)

    def test_all_of_them(self) -> None:
        """Each file counts, and several that change together are told together."""
        key = self.folder / "key"
        self.write("sk-test-one", key)
        self.files.append(key)
        self.assertEqual(self.go(), 0)
        self.write("sk-test-two", key)
        self.assertEqual((self.go(), self.go()), (1, 0))
        self.write("sk-test-three", key)
        self.write("three")
        self.assertEqual((self.go(), self.go()), (1, 0))

    def test_named_later(self) -> None:
        """A file that is named from now on was read when it was named; one that is no more is no news."""
        key = self.folder / "key"
        self.write("sk-test-one", key)
        self.files.append(key)
        self.assertEqual(self.go(), 0)
        self.files.remove(key)
        key.unlink()
        self.assertEqual(self.go(), 0)

    def test_waited_for(self) -> None:
        """A file that is named and not there is seen when it comes."""
        key = self.folder / "key"
        self.files.append(key)
        self.assertEqual(self.go(), 0)
        self.write("sk-test-one", key)
        self.assertEqual((self.go(), self.go()), (1, 0))

    def test_read_by_somebody_else(self) -> None:
        """What somebody reads for another reason is known then, and not read twice."""
        self.write("two")
        self.watch.reading()
        self.assertEqual(self.go(), 0)

    def test_changed_during_the_reading(self) -> None:
        """What changes after somebody began to read is a change."""
        self.write("two")
        self.watch.reading()
        self.write("three")
        self.assertEqual((self.go(), self.go()), (1, 0))

    def test_names_that_cannot_be(self) -> None:
        """A name that no file can have ends no watch."""
        self.files.extend([Path("/nowhere/key"), Path("a\0b"), Path("/" + "x" * 5000)])
        self.assertEqual(self.go(), 0)
        self.write("two")
        self.assertEqual(self.go(), 1)

    def test_stopped(self) -> None:
        """A watch that is stopped looks no more; started again it sees what has changed meanwhile."""
        self.watch.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.write("two")
        self.assertEqual(self.go(), 0)
        self.watch.startService()
        self.assertEqual((self.go(), self.go()), (1, 0))

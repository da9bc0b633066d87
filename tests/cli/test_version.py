"""The rules of C{ccrelay version}."""

import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay._version import __version__
from ccrelay.cli import main


class VersionTests(SynchronousTestCase):
    """What a report of a bug begins with."""

    def test_version(self) -> None:
        """`ccrelay version` and `--version` say the version on the first line, then what it runs on."""
        for asked in ("version", "--version"):
            out = io.StringIO()
            self.assertEqual(main.run([asked], out, io.StringIO(), {}, Path("/nonexistent")), 0)
            first, second = out.getvalue().splitlines()
            self.assertEqual(first, f"ccrelay {__version__}")
            for library in ("Twisted", "treq", "klein"):
                self.assertRegex(second, rf"\b{library} \d")

"""The rules of the manual: everything that there is stands in it, and man can read it."""

import re
import shutil
import subprocess
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from ccrelay.cli.main import COMMANDS, run
from ccrelay.cli.outline import Outline, outlines
from ccrelay.config.catalogue import catalogue
from ccrelay.config.schema import json_schema

ENVIRON = {"SOURCE_DATE_EPOCH": "1700000000"}


def page(number: str, environ: dict[str, str] | None = None) -> str:
    """Return a page as man reads it."""
    out, err = StringIO(), StringIO()
    status = run(["manual", number], out, err, ENVIRON if environ is None else environ, Path("/nowhere"))
    assert (status, err.getvalue()) == (0, "")
    return out.getvalue()


def plain(roff: str) -> str:
    """Return the words of a page."""
    bare = re.sub(r"\\f[BR]", "", roff).replace("\\&", "").replace("\\(dq", '"').replace("\\(aq", "'")
    return bare.replace("\\-", "-").replace("\\e", "\\")


class ManualTests(SynchronousTestCase):
    """`ccrelay manual`."""

    def test_commands(self) -> None:
        """ccrelay(1) has every command, with every argument that it takes and what that is for."""
        words = plain(page("1"))

        def has(outline: Outline) -> None:
            self.assertIn(f'.SS "{outline.usage}"', words)
            for argument in outline.arguments:
                self.assertTrue(argument.flags or argument.value)
                self.assertIn(f".B {', '.join(argument.flags)}", words)
                self.assertIn(argument.says, words)
            for action in outline.actions:
                has(action)

        told = list(outlines())
        self.assertEqual([outline.name for outline in told], list(COMMANDS))
        for outline in told:
            has(outline)

    def test_configuration(self) -> None:
        """ccrelay.yaml(5) has every key of the schema, older names aside."""
        words = plain(page("5"))
        entries = catalogue()
        for entry in entries:
            begin = ".B " if entry.kind and entry.kind != "a list" else '.SS "'
            self.assertIn(f"\n{begin}{entry.path}", words)
            self.assertIn(entry.says.replace('"', '"'), words)
        properties = [section["properties"] for section in (json_schema(), *json_schema()["$defs"].values())]
        named = {
            name for section in properties for name, node in section.items() if not node.get("deprecated")
        }
        self.assertLessEqual(named, {entry.path.rpartition(".")[2] for entry in entries})

    def test_daemon(self) -> None:
        """ccrelay(8) has every signal, and the files of the package."""
        words = plain(page("8"))
        for name in ("SIGTERM", "SIGHUP", "SIGUSR2", "/etc/ccrelay/config.yaml", "ccrelay@NAME.service"):
            self.assertIn(name, words)

    def test_date(self) -> None:
        """Whoever builds twice gets the same twice."""
        self.assertIn("2023-11-14", page("1").partition("\n")[0])
        self.assertEqual(page("5"), page("5"))
        self.assertRegex(page("8", {}).partition("\n")[0], r'"\d{4}-\d\d-\d\d"')

    def test_no_page(self) -> None:
        """A page that there is not is a wrong argument."""
        ended = self.assertRaises(SystemExit, run, ["manual", "2"], StringIO(), StringIO(), {}, Path("/"))
        self.assertEqual(ended.code, 2)

    def test_readable(self) -> None:
        """No check of man pages has anything to say against them."""
        mandoc = shutil.which("mandoc")
        if mandoc is None:
            msg = "mandoc is not here: sh tests/live/setup-debian.sh installs it"
            raise SkipTest(msg)
        for number in ("1", "5", "8"):
            done = subprocess.run(
                [mandoc, "-T", "lint", "-W", "warning"], input=page(number), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            self.assertEqual((done.returncode, done.stdout), (0, ""))

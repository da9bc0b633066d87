"""The rules of the log's output, which can change while it is in use."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import LEVELS, LogFile, Output


class OutputTests(SynchronousTestCase):
    """One observer, and what it writes to."""

    def setUp(self) -> None:
        """Have two places to write to."""
        self.stream = StringIO()
        self.path = Path(self.mktemp())
        self.stdout = LogFile("stdout", self.stream, StringIO())
        self.file = LogFile(str(self.path), StringIO(), StringIO())
        self.addCleanup(self.file.close)

    def log(self, output: Output, words: str, level: str = "info") -> None:
        """Let an event come."""
        event: dict[str, Any] = {"log_format": words, "log_level": LEVELS[level], "log_time": 0.0}
        output(event | {"log_namespace": "x"})

    def test_place(self) -> None:
        """Events go where the log was last told to write, and nowhere else."""
        output = Output(self.stdout, "text", "info")
        self.log(output, "one")
        output.change(self.file, "text", "info")
        self.log(output, "two")
        self.assertIs(output.file, self.file)
        self.assertTrue(self.stream.getvalue().endswith(" one\n"))
        self.assertTrue(self.path.read_text("utf-8").endswith(" two\n"))
        self.assertEqual(self.stream.getvalue().count("\n"), 1)

    def test_level(self) -> None:
        """What is less than the level is left out, from the change on."""
        output = Output(self.stdout, "text", "warn")
        for level in ("debug", "info", "warn", "error"):
            output.change(self.stdout, "text", level)
            for other in ("debug", "info", "warn", "error"):
                self.log(output, f"{level}/{other}", other)
        written = [line.split()[-1] for line in self.stream.getvalue().splitlines()]
        self.assertEqual(
            written,
            ["debug/debug", "debug/info", "debug/warn", "debug/error", "info/info", "info/warn",
             "info/error", "warn/warn", "warn/error", "error/error"],
        )  # fmt: skip

    def test_format(self) -> None:
        """So it is with the format."""
        output = Output(self.stdout, "text", "info")
        self.log(output, "one")
        output.change(self.stdout, "json", "info")
        self.log(output, "two")
        first, second = self.stream.getvalue().splitlines()
        self.assertTrue(first.endswith(" one"))
        self.assertEqual(json.loads(second)["message"], "two")

    def test_closed(self) -> None:
        """A file is closed; a stream that the process was given stays open; neither is written to in vain."""
        self.file.write("one")
        self.file.close()
        self.file.write("two")
        self.stdout.close()
        self.stdout.write("three")
        self.assertEqual((self.path.read_text("utf-8"), self.stream.getvalue()), ("one\n", "three\n"))

"""The rules of the log's output, which can change while it is in use."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import LEVELS, LogFile, Output
from ccrelay.observe.request_log import RequestLine

if TYPE_CHECKING:
    from collections.abc import Callable


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


class LineTests(SynchronousTestCase):
    """Lines that come with each request."""

    def setUp(self) -> None:
        """Have a stream to write to, and a turn of the reactor that ends when the test says so."""
        self.stream = StringIO()
        self.file = LogFile("stdout", self.stream, StringIO())
        self.due: list[Callable[[], None]] = []

    def output(self, form: str = "json", level: str = "info", *, gathering: bool = True) -> Output:
        """Return an output."""
        made = Output(self.file, form, level)
        if gathering:
            made.soon = self.due.append
        return made

    def line(self, name: str) -> RequestLine:
        """Return a line."""
        return RequestLine("2026-01-01T00:00:00.000Z", "info", "request", name, status=200)

    def tell(self, output: Output, *names: str) -> None:
        """Tell of requests."""
        for name in names:
            output.tell(LEVELS["info"], 0.0, self.line(name))

    @property
    def written(self) -> list[str]:
        """The ids of what is written, and the words of other lines."""
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line.get("id", line["message"]) for line in lines]

    def test_together(self) -> None:
        """The lines of one turn are written at its end, together and in order."""
        output = self.output()
        self.tell(output, "a", "b")
        self.assertEqual((self.written, len(self.due)), ([], 1))
        self.due.pop()()
        self.tell(output, "c")
        self.assertEqual((self.written, len(self.due)), (["a", "b"], 1))

    def test_before_others(self) -> None:
        """A line of another kind comes behind those that were gathered before it; none is written twice."""
        output = self.output()
        self.tell(output, "a", "b")
        output({"log_format": "other", "log_level": LEVELS["info"], "log_time": 0.0, "log_namespace": "x"})
        self.assertEqual(self.written, ["a", "b", "other"])
        self.due.pop()()
        self.assertEqual(self.written, ["a", "b", "other"])

    def test_at_the_end(self) -> None:
        """What was gathered is written before the log goes elsewhere."""
        self.tell(self.output(), "a")
        self.file.close()
        self.assertEqual(self.written, ["a"])

    def test_at_once(self) -> None:
        """Where there is no end of a turn to wait for, a line is written at once."""
        self.tell(self.output(gathering=False), "a")
        self.assertEqual(self.written, ["a"])

    def test_level_and_text(self) -> None:
        """The level and the form hold for these lines as for all others."""
        self.tell(self.output(level="warn"), "a")
        self.tell(self.output("text"), "b")
        self.due.pop()()
        self.assertTrue(self.stream.getvalue().endswith("info  request id=b status=200\n"))
        self.assertEqual((self.stream.getvalue().count("\n"), self.due), (1, []))

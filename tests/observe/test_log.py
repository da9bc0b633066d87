"""The log's lines and files: one event a line, no secret in any, whatever is in the event."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, LogPublisher
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.observe.log import FIELDS, LEVELS, LogFile, json_line, observer, text_line
from ccrelay.wire.secret import Secret

KEY = "sk-test-0123456789abcdef"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
"""Whatever a header, a path or a file may hold, lone surrogates included."""


def event(message: str = "hello", level: LogLevel = LogLevel.info, **more: Any) -> dict[str, Any]:
    """Return an event as Twisted makes one."""
    basic = {"log_format": message, "log_level": level, "log_time": 1_800_000_000.0625, "log_namespace": "x"}
    return basic | more


def told(**fields: Any) -> dict[str, Any]:
    """Return an event with fields to be shown."""
    return event(**{FIELDS: fields})


def failure() -> Failure:
    """Return a failure from a function that holds a key."""

    def calls(authorization: str) -> None:
        secret = Secret(authorization)
        msg = f"no luck with {secret}"
        raise ValueError(msg)

    try:
        calls(KEY)
    except ValueError:
        return Failure(captureVars=True)
    raise AssertionError


class JSONTests(SynchronousTestCase):
    """One JSON object for each event."""

    def test_a_line(self) -> None:
        """Time in UTC, level and message come first, then the fields in their order."""
        line = json_line(told(id="req_1", status=200, tried=["a/k", "b/k"]))
        self.assertEqual(
            line,
            '{"time":"2027-01-15T08:00:00.062Z","level":"info","message":"hello",'
            '"id":"req_1","status":200,"tried":["a/k","b/k"]}',
        )

    def test_fields_that_say_nothing(self) -> None:
        """What is empty or unknown is left out; a zero is an answer."""
        line = json.loads(json_line(told(a=None, b="", c=[], d=(), e=0, f=0.0)))
        self.assertEqual(sorted(line.keys() - {"time", "level", "message"}), ["e", "f"])

    def test_numbers(self) -> None:
        """A number of any size is written as it is."""
        self.assertIn('"n":123456789012345678901234567890', json_line(told(n=123456789012345678901234567890)))

    def test_events_of_other_hands(self) -> None:
        """An event without level, time or format is a line all the same."""
        line = json.loads(json_line({"log_text": "said the old way"}))
        expected = {"time": "1970-01-01T00:00:00.000Z", "level": "info", "message": "said the old way"}
        self.assertEqual(line, expected)

    @given(ANY_TEXT, ANY_TEXT)
    def test_any_text(self, said: str, value: str) -> None:
        """Whatever text is in an event, its line is one line, is JSON, can be written and says that text."""
        line = json_line(event("{said}", said=said, **{FIELDS: {"value": value, "list": [value]}}))
        self.assertEqual(len(line.splitlines()), 1)
        line.encode("utf-8")
        parsed = json.loads(line)
        self.assertEqual((parsed["message"], parsed["list"]), (said, [value]))


class TextTests(SynchronousTestCase):
    """One line to read for each event."""

    def test_a_line(self) -> None:
        """Time, level and message, then the fields; what has spaces is in quotes."""
        line = text_line(
            told(id="req_1", status=200, tried=["a/k", "b/k"], why='a "b"', sums={"x": 1, "y": 2})
        )
        self.assertEqual(
            line,
            "2027-01-15T08:00:00.062Z info  hello id=req_1 status=200 tried=a/k,b/k "
            r'why="a \"b\"" sums=x:1;y:2',
        )

    @given(ANY_TEXT, ANY_TEXT)
    def test_any_text(self, said: str, value: str) -> None:
        """Whatever text is in an event, its line is one line, printable, and can be written."""
        line = text_line(event("{said}", said=said, **{FIELDS: {"value": value, "last": 1}}))
        self.assertTrue(line.isprintable(), line)
        self.assertTrue(line.startswith("2027-01-15T08:00:00.062Z info  "))
        self.assertTrue(line.endswith(" last=1"))
        line.encode("utf-8")

    def test_no_field_from_outside(self) -> None:
        """A value cannot pass for another field."""
        line = text_line(told(model='x" status=200 "', ended="a\nb"))
        self.assertTrue(line.endswith(r' model="x\" status=200 \"" ended="a\nb"'), line)

    def test_a_terminal_is_not_steered(self) -> None:
        """Escape sequences are shown, not obeyed."""
        line = text_line(event("{x}", x="\x1b[2J\x9b31m", **{FIELDS: {"path": "\x1b]0;title\x07"}}))
        self.assertIn(r"\x1b[2J\x9b31m", line)
        self.assertIn(r'path="\x1b]0;title\x07"', line)


class SecretTests(SynchronousTestCase):
    """No line holds a secret."""

    def test_wherever_it_is(self) -> None:
        """A secret shows its last four characters, in messages, fields, lists and mappings."""
        secret = Secret(KEY)
        places = [
            event("key {key}, {key!r} and {key!s}", key=secret), event("{it.key}", it=Holder(secret)),
            told(key=secret), told(keys=[secret]), told(keys={"a": secret}), told(keys=[{"a": (secret,)}]),
        ]  # fmt: skip
        for line in (render(place) for place in places for render in (json_line, text_line)):
            self.assertNotIn(KEY, line)
            self.assertIn("…cdef", line)

    def test_an_event_that_cannot_be_formatted(self) -> None:
        """So it is where the whole event is shown, because its format is wrong."""
        for render in (json_line, text_line):
            line = render(event("{nowhere}", key=Secret(KEY), **{FIELDS: {"key": Secret(KEY)}}))
            self.assertIn("Unable to format event", line)
            self.assertNotIn(KEY, line)

    def test_tracebacks(self) -> None:
        """A traceback tells where, and what was raised; it shows no local variables."""
        traceback = json.loads(json_line(event(log_failure=failure())))["traceback"]
        for shown in (traceback, text_line(event(log_failure=failure()))):
            self.assertIn("no luck with …cdef", shown)
            self.assertIn(f"{Path(__file__).name}", shown)
            self.assertNotIn(KEY, shown)


class Holder:
    """Something that has a key."""

    def __init__(self, key: Secret) -> None:
        self.key = key


class TracebackTests(SynchronousTestCase):
    """Failures, as lines."""

    def test_indented(self) -> None:
        """In text only an event begins at the margin, so nothing in an error can pass for one."""
        raised = Failure(ValueError("a\n2027-01-15T08:00:00.062Z info  forged\x1b[2J"))
        lines = text_line(event(log_failure=raised)).split("\n")
        self.assertEqual(lines[0], "2027-01-15T08:00:00.062Z info  hello")
        self.assertGreater(len(lines), 2)
        for line in lines[1:]:
            self.assertTrue(line.startswith("    "), line)
            self.assertTrue(line.isprintable(), line)

    def test_the_old_way(self) -> None:
        """A failure that Twisted logs the old way is told once, not in the message as well."""
        lines: list[str] = []
        publisher = old_log.LogPublisher(publishPublisher=LogPublisher(lambda e: lines.append(text_line(e))))
        publisher.msg(failure=failure(), why="Something broke", isError=1)
        self.assertEqual(lines[0].split("\n")[0].split(" ", 1)[1], "critical Something broke")
        self.assertEqual(lines[0].count("no luck with"), 1)


class LevelTests(SynchronousTestCase):
    """What is written at which level."""

    def test_levels(self) -> None:
        """At each level what is less is left out."""
        for least, expected in (("debug", 5), ("info", 4), ("warn", 3), ("error", 2)):
            stream = StringIO()
            watch = observer(LogFile("stdout", stream, StringIO()), "text", least)
            for level in (*LEVELS.values(), LogLevel.critical):
                watch(event(level=level))
            self.assertEqual(stream.getvalue().count("\n"), expected, least)

    def test_formats(self) -> None:
        """The format is the operator's choice."""
        for form, begin in (("json", "{"), ("text", "2027-")):
            stream = StringIO()
            observer(LogFile("stderr", StringIO(), stream), form, "info")(event())
            self.assertTrue(stream.getvalue().startswith(begin))
            self.assertTrue(stream.getvalue().endswith("\n"))


class FileTests(SynchronousTestCase):
    """Where lines go."""

    def setUp(self) -> None:
        """Name a file that is not there."""
        self.path = Path(self.mktemp())
        self.stdout, self.stderr = StringIO(), StringIO()

    def file(self, output: str | None = None) -> LogFile:
        """Return a log that writes there, or to C{output}."""
        return LogFile(output or str(self.path), self.stdout, self.stderr)

    def test_streams(self) -> None:
        """The process's own streams are named stdout and stderr, and are not opened anew."""
        for output, stream in (("stdout", self.stdout), ("stderr", self.stderr)):
            file = self.file(output)
            file.write("one")
            file.reopen()
            file.write("two")
            self.assertEqual((file.path, stream.getvalue()), (None, "one\ntwo\n"))

    def test_at_once(self) -> None:
        """A line is in the file as soon as it is written, behind what was there."""
        self.path.write_text("before\n")
        file = self.file()
        file.write("line …")
        self.assertEqual(self.path.read_text("utf-8"), "before\nline …\n")
        file.reopen()

    def test_reopened(self) -> None:
        """After it was moved away the file is made anew; the old one gets nothing more."""
        file = self.file()
        file.write("one")
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        file.write("two")
        file.reopen()
        file.write("three")
        self.assertEqual((moved.read_text(), self.path.read_text()), ("one\ntwo\n", "three\n"))

    def test_not_reopened(self) -> None:
        """Where it cannot be made anew, the log goes on in the old one."""
        file = self.file()
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        self.path.mkdir()
        self.assertRaises(OSError, file.reopen)
        file.write("still here")
        self.assertEqual(moved.read_text(), "still here\n")

    def test_cannot_be_opened(self) -> None:
        """A file that cannot be opened is told at once."""
        self.assertRaises(OSError, self.file, str(self.path / "deeper" / "log"))

    def test_any_text(self) -> None:
        """What is no UTF-8 is written with escapes."""
        self.file().write("\udcff")
        self.assertEqual(self.path.read_text(), "\\udcff\n")

    def test_a_full_disk(self) -> None:
        """A log that cannot be written ends nothing."""
        file = self.file("/dev/full")
        file.write("x")
        file.write("y")
        self.stdout.close()
        self.file("stdout").write("z")

    def test_a_closed_pipe(self) -> None:
        """Neither does a reader that has gone."""
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w", encoding="utf-8") as stream:  # noqa: PTH123  a descriptor, not a path
            file = LogFile("stdout", stream, self.stderr)
            file.write("x")
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), writing
            )  # so that closing it finds something to write to
            file.write("y")

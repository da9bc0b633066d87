"""The log: one line for each event, as JSON or as text, with no secret in it."""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from zope.interface import implementer, provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from constantly import NamedConstant  # type: ignore[import-untyped]
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

LEVELS: Final = {
    "debug": LogLevel.debug, "info": LogLevel.info, "warn": LogLevel.warn, "error": LogLevel.error,
}  # fmt: skip
FIELDS: Final = "ccrelay_fields"
"""The key of an event under which a mapping of plain values stands, to be shown as they are."""
_FIRST: Final = frozenset({"time", "level", "message"})
_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON need not escape, and yet ends a line for some readers, steers a terminal, or is no UTF-8."""


class LogFile:
    """
    Where log lines go: a stream, or a file that can be reopened after it was moved away.

    @ivar path: of the file; None for a stream.
    """

    def __init__(self, output: str, stdout: TextIO, stderr: TextIO) -> None:
        """
        @param output: C{stdout}, C{stderr} or the path of a file.
        @raise OSError: if the file cannot be opened.
        """
        streams = {"stdout": stdout, "stderr": stderr}
        self.path = None if output in streams else output
        self._stream = streams.get(output) or self._open()
        self._gathered: list[str] = []

    def gather(self, line: str) -> bool:
        """Keep a line for the next L{write}; return whether it is the first, so that L{settle} is due."""
        self._gathered.append(line)
        return len(self._gathered) == 1

    def settle(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            self.write(self._gathered.pop())

    def write(self, line: str) -> None:
        """Write a line, behind those that were gathered, and flush it: a log that is behind is no help."""
        if self._gathered:
            line = "\n".join([*self._gathered, line])
            self._gathered.clear()
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # a full disk or a closed pipe must not end the service

    def close(self) -> None:
        """Close the file; a stream that the process was given stays."""
        self.settle()
        if self.path is not None:
            self._stream.close()

    def reopen(self) -> None:
        """Open the file anew, after it was moved away."""
        if self.path is not None:
            fresh = self._open()
            self.settle()
            old, self._stream = self._stream, fresh
            old.close()

    def _open(self) -> TextIO:
        if self.path is None:
            msg = "a stream cannot be opened by name"
            raise ValueError(msg)
        return io.open(self.path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: UP020


def json_line(event: LogEvent) -> str:
    """Return an event as a JSON object: time, level, message, and its fields."""
    level = event["log_level"].name if "log_level" in event else "info"
    failure = _failure(event)
    told = _told(event)
    if failure is not None:
        told["traceback"] = _traceback(failure)
    return json_of(event.get("log_time", 0.0), level, _message(event), told)


def json_of(time: float, level: str, message: str, told: Mapping[str, Any]) -> str:
    """
    Return a line of the log.

    @param time: seconds since the epoch.
    @param told: the fields, of which each says something.
    """
    line = {"time": stamped(time), "level": level, "message": message, **told}
    try:
        written = msgspec.json.encode(line, enc_hook=str).decode()
    except (OverflowError, UnicodeEncodeError):  # larger than 64 bits, or half a surrogate pair
        written = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)
    return printable(written)


def printable(written: str) -> str:
    """Return JSON with what some readers or terminals take for more than a character escaped."""
    if written.isprintable():
        return written
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def fields_of(line: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a line beside time, level and message, as far as they say something."""
    named: dict[str, Any] = msgspec.to_builtins(line)
    return {name: value for name, value in named.items() if name not in _FIRST}


def text_line(event: LogEvent) -> str:
    """
    Return an event as text: time, level, message, then C{name=value} for each field.

    A traceback follows in lines of its own, all of them indented: only an event begins at the margin.
    """
    level = event["log_level"].name if "log_level" in event else "info"
    parts = [_stamp(event), f"{level:5}", _printable(_message(event))]
    parts.extend(f"{name}={_shown(value)}" for name, value in _told(event).items())
    failure = _failure(event)
    traceback = [] if failure is None else _traceback(failure).splitlines()
    return "\n    ".join([" ".join(parts), *map(_printable, traceback)])


FORMATS: Final[Mapping[str, Callable[[LogEvent], str]]] = {"json": json_line, "text": text_line}


@implementer(ILogObserver)
class Output:
    """
    The observer that writes what is worth it; where to, how and how much can change while it is in use.

    @ivar file: where to.
    @ivar soon: calls something when this turn of the reactor is over; None: L{tell} writes at once.
    """

    soon: Callable[[Callable[[], None]], object] | None = None

    def __init__(self, file: LogFile, form: str, level: str) -> None:
        """See L{change}."""
        self.change(file, form, level)

    def change(self, file: LogFile, form: str, level: str) -> None:
        """
        Write like this from now on.

        @param form: C{json} or C{text}; C{level}: the least that is written.
        """
        self.file = file
        self._json = form == "json"
        self._told = frozenset(each for each in LEVELS.values() if each >= LEVELS[level])
        render = FORMATS[form]

        @provider(ILogObserver)
        def write(event: LogEvent) -> None:
            file.write(render(event))

        self._observer = FilteringLogObserver(write, [LogLevelFilterPredicate(LEVELS[level])])

    def __call__(self, event: LogEvent) -> None:
        """Take an event."""
        self._observer(event)

    def tell(self, level: NamedConstant, time: float, line: msgspec.Struct) -> None:
        """
        Take a line that comes with each request, straight from who tells it.

        Twisted's way to an observer, and its format, are 5 % of what a small request costs.  The lines of
        one turn of the reactor are written together, for another 3 %; a process that is killed loses those
        of that turn.

        @param time: seconds since the epoch.
        @param line: with C{time}, C{level} and C{message} first.
        """
        if level not in self._told:
            return
        if self._json:
            written = printable(msgspec.json.encode(line).decode())
        else:
            told = {"log_time": time, "log_level": level, "log_format": "request", FIELDS: fields_of(line)}
            written = text_line(told)
        if self.soon is None:
            self.file.write(written)
        elif self.file.gather(written):
            self.soon(self.file.settle)


def observer(file: LogFile, form: str, level: str) -> Output:
    """
    Return the observer that writes what is worth it.

    @param form: C{json} or C{text}; C{level}: the least that is written.
    """
    return Output(file, form, level)


def begin(file: LogFile, form: str, level: str) -> None:
    """Make this the log of the process, where nothing else does (C{twistd} does)."""
    globalLogBeginner.beginLoggingTo([observer(file, form, level)], redirectStandardIO=False)


def standard(output: str) -> LogFile:
    """Return a log file that may be the process's own standard output or error."""
    return LogFile(output, sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr)


def _told(event: LogEvent) -> dict[str, Any]:
    """Return the fields of an event that say something."""
    return _saying(event.get(FIELDS, {}))


def _saying(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value or value not in (None, "", (), [])}


def _stamp(event: LogEvent) -> str:
    return stamped(event.get("log_time", 0.0))


def stamped(time: float) -> str:
    """Return a time of day as the log has it; seconds since the epoch."""
    milliseconds = int(time * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _message(event: LogEvent) -> str:
    message = formatEvent(event) or str(event.get("log_text", ""))
    # Twisted's old way to log a failure has the traceback in the text.
    return message.partition("\n")[0] if event.get("isError") else message


def _failure(event: LogEvent) -> Failure | None:
    failure: Failure | None = event.get("log_failure")
    if failure is None and event.get("isError"):
        failure = event.get("failure")
    return failure


def _traceback(failure: Failure) -> str:
    # Brief: no local variables, where a secret could stand.
    return str(failure.getTraceback(detail="brief")).rstrip()


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return ";".join(f"{name}:{_shown(item)}" for name, item in value.items())
    text = str(value)
    if text.isprintable() and " " not in text and '"' not in text:
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_printable(quoted)}"'


def _printable(text: str) -> str:
    """Return a text of one line, with whatever is no visible character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

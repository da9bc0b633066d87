"""The log: one line for each event, as JSON or as text, with no secret in it."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
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
from zope.interface import provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

LEVELS: Final = {
    "debug": LogLevel.debug, "info": LogLevel.info, "warn": LogLevel.warn, "error": LogLevel.error,
}  # fmt: skip
FIELDS: Final = "ccrelay_fields"
"""The key of an event under which a mapping of plain values stands, to be shown as they are."""


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

    def write(self, line: str) -> None:
        """Write a line and flush it: a log that is behind is no help."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # a full disk or a closed pipe must not end the service

    def reopen(self) -> None:
        """Open the file anew, after it was moved away."""
        if self.path is not None:
            fresh = self._open()
            old, self._stream = self._stream, fresh
            old.close()

    def _open(self) -> TextIO:
        if self.path is None:
            msg = "a stream cannot be opened by name"
            raise ValueError(msg)
        return io.open(self.path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: UP020


def json_line(event: LogEvent) -> str:
    """Return an event as a JSON object: time, level, message, and its fields."""
    line: dict[str, Any] = {
        "time": _stamp(event),
        "level": event["log_level"].name if "log_level" in event else "info",
        "message": _message(event),
    }
    line.update(_told(event))
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = _traceback(failure)
    return msgspec.json.encode(line, enc_hook=str).decode("utf-8")


def text_line(event: LogEvent) -> str:
    """Return an event as text: time, level, message, then C{name=value} for each field."""
    level = event["log_level"].name if "log_level" in event else "info"
    parts = [_stamp(event), f"{level:5}", _message(event)]
    parts.extend(f"{name}={_shown(value)}" for name, value in _told(event).items())
    line = " ".join(parts)
    failure = event.get("log_failure")
    return line if failure is None else f"{line}\n{_traceback(failure)}"


FORMATS: Final[Mapping[str, Callable[[LogEvent], str]]] = {"json": json_line, "text": text_line}


def observer(file: LogFile, form: str, level: str) -> ILogObserver:
    """
    Return the observer that writes what is worth it.

    @param form: C{json} or C{text}; C{level}: the least that is written.
    """
    render = FORMATS[form]

    @provider(ILogObserver)
    def write(event: LogEvent) -> None:
        file.write(render(event))

    return FilteringLogObserver(write, [LogLevelFilterPredicate(LEVELS[level])])


def begin(file: LogFile, form: str, level: str) -> None:
    """Make this the log of the process, where nothing else does (C{twistd} does)."""
    globalLogBeginner.beginLoggingTo([observer(file, form, level)], redirectStandardIO=False)


def standard(output: str) -> LogFile:
    """Return a log file that may be the process's own standard output or error."""
    return LogFile(output, sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr)


def _told(event: LogEvent) -> dict[str, Any]:
    """Return the fields of an event that say something."""
    fields: Mapping[str, Any] = event.get(FIELDS, {})
    return {name: value for name, value in fields.items() if value not in (None, "", (), [])}


def _stamp(event: LogEvent) -> str:
    at = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _message(event: LogEvent) -> str:
    return formatEvent(event) or str(event.get("log_text", ""))


def _traceback(failure: Failure) -> str:
    # Brief: no local variables, where a secret could stand.
    return str(failure.getTraceback(detail="brief")).rstrip()


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return ";".join(f"{name}:{_shown(item)}" for name, item in value.items())
    text = str(value)
    plain = text.isprintable() and " " not in text and '"' not in text
    return text if plain else msgspec.json.encode(text).decode("utf-8")

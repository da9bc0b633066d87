"""Translators of streamed answers: the watcher of Anthropic's format, and what builds on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccrelay.providers.interfaces import Stage
from ccrelay.wire import usage
from ccrelay.wire.error_json import read_error
from ccrelay.wire.sse import EventReader, events

if TYPE_CHECKING:
    from ccrelay.wire.error_json import ErrorBody

_BLANK: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class PassThrough:
    """
    Hands on the very bytes of an Anthropic-format stream, whole events at a time, and watches them.

    Watching costs a search for a few words once content flows; only events
    that carry them are taken apart.
    """

    def __init__(self) -> None:
        self._reader = EventReader()
        self.stage = Stage.NOTHING
        self.error: ErrorBody | None = None
        self.error_first = False
        self.error_data = b""
        self.usage = usage.NOTHING_KNOWN

    @property
    def split(self) -> bool:
        """Whether a piece of an unfinished event was handed out."""
        return self._reader.split

    def feed(self, data: bytes) -> bytes:
        """Return the whole events among all bytes so far that were not returned before."""
        within = self._reader.split
        whole = self._reader.feed(data)
        if whole and (self.stage < Stage.CONTENT or b"message_" in whole or b"error" in whole):
            # The rest of an event whose beginning has gone out is not an event of its own.
            self._watch(_after_first_blank(whole) if within else whole)
        return whole

    def _watch(self, whole: bytes) -> None:
        for name, data in events(whole):
            if name == b"error":
                if self.error is None:
                    self.error = read_error(data)
                    self.error_data = data
                    self.error_first = self.stage < Stage.CONTENT
            elif name == b"message_start":
                self.stage = max(self.stage, Stage.STARTED)
                self.usage = self.usage.updated(usage.of_start(data))
            elif name == b"message_delta":
                self.stage = max(self.stage, Stage.CONTENT)
                self.usage = self.usage.updated(usage.of_message(data))
            elif name == b"message_stop":
                self.stage = Stage.STOPPED
            elif name != b"ping":
                self.stage = max(self.stage, Stage.CONTENT)


def _after_first_blank(whole: bytes) -> bytes:
    blank = _BLANK.search(whole)
    return whole[blank.end() :] if blank else b""

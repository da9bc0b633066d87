"""The watch over the files of the configuration: whether what stands under their names has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

INTERVAL_S: Final = 1.0

_Facts: TypeAlias = tuple[int, int, int, int]
_NOTHING: Final[_Facts] = (0, 0, 0, 0)


class FileWatchService(Service):
    """
    Looks at files by name once a second, and tells when they have changed and stayed so for a second.

    By name, and not by what was opened once: editors rename a new file over
    the old one, and Kubernetes swaps a symbolic link above it.  A file that is
    still being written changes again by the next look, and is waited for.
    """

    name = "configuration watch"

    def __init__(
        self,
        files: Callable[[], Iterable[Path]],
        changed: Callable[[], object],
        clock: Any,  # noqa: ANN401  a reactor or a Clock
    ) -> None:
        """
        @param files: returns those to look at, now.
        @param changed: called after a change.
        """
        self._files = files
        self._changed = changed
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._known: dict[Path, _Facts] = {}
        self._last: dict[Path, _Facts] = {}

    def startService(self) -> None:
        """Look from now on; what has changed since the files were last read is a change."""
        super().startService()
        if not self._known:
            self.reading()
        self._loop.start(INTERVAL_S, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def reading(self) -> None:
        """Take what is there now for known: somebody is about to read it."""
        self._known = self._last = self._seen()

    def _look(self) -> None:
        seen = self._seen()
        settled, self._last = seen == self._last, seen
        # Files not looked at before have just been named by what was read, and so were read with it.
        self._known = {path: self._known.get(path, facts) for path, facts in seen.items()}
        if settled and seen != self._known:
            self._known = seen
            self._changed()

    def _seen(self) -> dict[Path, _Facts]:
        return {path: _facts(path) for path in self._files()}


def _facts(path: Path) -> _Facts:
    """Return what changes with a file, its permissions included; zeros where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  one call to the system, and it follows links
    except (OSError, ValueError):  # a name that no file can have is one that a configuration may name
        return _NOTHING
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size

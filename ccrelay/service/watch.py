"""The watch over the files of the configuration: whether what stands under their names has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from twisted.internet.defer import Deferred

INTERVAL_S: Final = 1.0

_Look: TypeAlias = tuple[tuple[str, int, int, int, int], ...]


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
        self._known: _Look = ()
        self._last: _Look = ()

    def startService(self) -> None:
        """Take what is there now for known, and look from now on."""
        super().startService()
        self._known = self._last = self._seen()
        self._loop.start(INTERVAL_S, now=False)

    def stopService(self) -> Deferred[None] | None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        return None

    def read(self) -> None:
        """Take what is there now for known: somebody has just read it."""
        self._known = self._last = self._seen()

    def _look(self) -> None:
        seen = self._seen()
        settled, self._last = seen == self._last, seen
        if settled and seen != self._known:
            self._known = seen
            self._changed()

    def _seen(self) -> _Look:
        return tuple(_facts(path) for path in self._files())


def _facts(path: Path) -> tuple[str, int, int, int, int]:
    """Return what changes with a file; zeros where there is none, which is a change, too."""
    try:
        found = os.stat(path)  # noqa: PTH116  one call to the system, and it follows links
    except OSError:
        return str(path), 0, 0, 0, 0
    return str(path), found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

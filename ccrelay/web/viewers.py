"""Those who watch the status as it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from ccrelay.errors import Full
from ccrelay.wire.sse import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.web.response import ClientResponse

MOST: Final = 16
"""Viewers at once."""
INTERVAL_S: Final = 1.0
_HEAD: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx in front would hold events back
)


class _Viewer:
    """One of them; who reads slowly misses pictures, and nothing is kept for them."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.behind = False
        self.gone: Deferred[None] = Deferred(lambda _: None)

    def pauseProducing(self) -> None:
        """It reads slower than pictures come."""
        self.behind = True

    def resumeProducing(self) -> None:
        """It has caught up."""
        self.behind = False

    def stopProducing(self) -> None:
        """It has left; the cancellation that follows says so."""


class Viewers:
    """Draws the status up once a second while anybody looks, and sends all of them the same bytes."""

    def __init__(self, drawn_up: Callable[[], Any], clock: Any) -> None:  # noqa: ANN401  a reactor or a Clock
        """@param drawn_up: returns the status, for JSON."""
        self._drawn_up = drawn_up
        self._viewers: set[_Viewer] = set()
        self._loop = LoopingCall(self._send)
        self._loop.clock = clock

    def __len__(self) -> int:
        return len(self._viewers)

    async def show(self, response: ClientResponse) -> None:
        """
        Send pictures until the viewer leaves, or until L{close}.

        @raise Full: if too many look already.
        """
        if len(self._viewers) >= MOST:
            msg = f"{MOST} viewers look at the status already; close one of them."
            raise Full(msg)
        viewer = _Viewer(response)
        response.begin(200, _HEAD)
        response.register(viewer)
        self._viewers.add(viewer)
        try:
            response.write(self._picture())
            if not self._loop.running:
                self._loop.start(INTERVAL_S, now=False)
            await viewer.gone
            response.finish()
        finally:
            self._viewers.discard(viewer)
            if not self._viewers and self._loop.running:
                self._loop.stop()

    def close(self) -> None:
        """Let all of them go."""
        for viewer in tuple(self._viewers):
            viewer.gone.callback(None)

    def _send(self) -> None:
        picture = self._picture()
        for viewer in tuple(self._viewers):
            if not viewer.behind:
                viewer.response.write(picture)

    def _picture(self) -> bytes:
        return render(b"status", msgspec.json.encode(self._drawn_up()))

"""When something is."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """
    A moment on a clock that does not jump, and by the time of day.

    @ivar clock: seconds, for durations.
    @ivar wall: seconds since the epoch, for times that providers name.
    """

    clock: float
    wall: float

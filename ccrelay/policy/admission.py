"""A request's leave to go through breakers, and how it gives that back."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ending(enum.Enum):
    """What the end of a request says about who was asked."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOTHING = "nothing"


class Pass:
    """
    A request's leave to go through one breaker; the first of its ends counts, later ones do nothing.

    So a C{finally} with L{cancelled} makes sure that no place is ever lost.
    """

    __slots__ = ("_gated", "_report")

    def __init__(self, report: Callable[[Ending, float], None], *, gated: bool) -> None:
        """
        @param report: tells the breaker how and when it ended.
        @param gated: whether it holds one of the places of a breaker that is half open.
        """
        self._report: Callable[[Ending, float], None] | None = report
        self._gated = gated

    def answered(self, now: float) -> None:
        """
        Say that a real answer has begun, though not ended.

        Where the breaker was half open, that is the success it waited for, and the place is free: it would
        else be held as long as the stream lasts.  Elsewhere it says nothing yet, as the stream may break.
        """
        if self._gated:
            self.succeeded(now)

    def succeeded(self, now: float) -> None:
        """Say that the answer came."""
        self._end(Ending.SUCCESS, now)

    def failed(self, now: float) -> None:
        """Say that whoever was asked failed."""
        self._end(Ending.FAILURE, now)

    def cancelled(self) -> None:
        """Say that it ended and tells nothing about who was asked: the client's fault, or its leaving."""
        self._end(Ending.NOTHING, 0.0)

    def _end(self, ending: Ending, now: float) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(ending, now)


class Admission:
    """
    A request's leave to ask a provider for a model: a pass of the breaker of each.

    The first of its ends counts, later ones do nothing.
    """

    __slots__ = ("_model", "_provider")

    def __init__(self, provider: Pass, model: Pass) -> None:
        self._provider = provider
        self._model = model

    def answered(self, now: float) -> None:
        """Say that a real answer has begun; see L{Pass.answered}."""
        self._provider.answered(now)
        self._model.answered(now)

    def succeeded(self, now: float) -> None:
        """Say that the answer came."""
        self._provider.succeeded(now)
        self._model.succeeded(now)

    def failed(self, now: float) -> None:
        """Say that the provider failed, which tells nothing about the model."""
        self._provider.failed(now)
        self._model.cancelled()

    def overloaded(self, now: float) -> None:
        """Say that the provider has too much to do for this model, which tells nothing about the others."""
        self._model.failed(now)
        self._provider.cancelled()

    def cancelled(self) -> None:
        """Say that it ended without telling anything about either."""
        self._provider.cancelled()
        self._model.cancelled()

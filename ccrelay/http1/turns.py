"""The end of a turn of the reactor: when all that has come is heard, and nothing is waited for yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable


def at_end_of_turn(reactor: Any) -> Callable[[Callable[[], object]], object]:  # noqa: ANN401
    """
    Return what takes a function to be called once, at the end of this turn.

    A reactor that has C{soon} does that without a timer, which is 3 % of an
    event of a stream; with any other it is a timer that is due at once.
    """
    own = getattr(reactor, "soon", None)
    return cast("Callable[[Callable[[], object]], object]", own) if own else partial(reactor.callLater, 0)

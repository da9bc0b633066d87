"""Every fault in every topology: each test is a cell, with all its columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.matrix.cell import ONE_KEY, ONE_OPEN, OTHER_OPEN, TWO_KEYS, TWO_PROVIDERS, Cell, Topology
from tests.matrix.columns import COLUMNS
from tests.matrix.fault import Effect, Row, Scope
from tests.matrix.losses import LOSSES
from tests.matrix.refusals import REFUSALS
from tests.matrix.series import expected
from tests.matrix.zai import ZAI

ROWS: Final = (*REFUSALS, *LOSSES, *ZAI)


class Matrix:
    """A topology, streamed or not; a subclass statement makes a test of every row and scope."""

    topology: ClassVar[Topology]
    stream: ClassVar[bool]

    def __init_subclass__(cls, *, topology: Topology, stream: bool, **more: Any) -> None:
        """Make the tests."""
        super().__init_subclass__(**more)
        cls.topology, cls.stream = topology, stream
        for row in ROWS:
            for scope in row.scopes:
                effect = row.effect(stream=stream)
                alone = len(topology.places) == 1 and scope is Scope.THERE
                if effect is not None and not alone:  # alone, there is everywhere
                    test = _test(row, scope, effect)
                    assert test.__name__ not in vars(cls), test.__name__
                    setattr(cls, test.__name__, test)


def _test(row: Row, scope: Scope, effect: Effect) -> Callable[[Any], None]:
    def check(self: Any) -> None:
        cell = Cell(self, row, self.topology, scope, self.stream)
        series = expected(row, self.topology, scope, stream=self.stream)
        for column in COLUMNS:
            column(self, cell, series)

    name = f"test {row.name}, {scope.value}"
    check.__name__ = re.sub(r"\W+", "_", name.lower()).strip("_")
    check.__doc__ = f"Where a provider {row.name}, {scope.value}, {effect.blame.rule}."
    return check


class OneKeyTests(Matrix, SynchronousTestCase, topology=ONE_KEY, stream=False):
    """One provider with one key, answers that are not streamed."""


class OneKeyStreamTests(Matrix, SynchronousTestCase, topology=ONE_KEY, stream=True):
    """One provider with one key, streams."""


class TwoKeysTests(Matrix, SynchronousTestCase, topology=TWO_KEYS, stream=False):
    """One provider with two keys, answers that are not streamed."""


class TwoKeysStreamTests(Matrix, SynchronousTestCase, topology=TWO_KEYS, stream=True):
    """One provider with two keys, streams."""


class TwoProvidersTests(Matrix, SynchronousTestCase, topology=TWO_PROVIDERS, stream=False):
    """Two providers, answers that are not streamed."""


class TwoProvidersStreamTests(Matrix, SynchronousTestCase, topology=TWO_PROVIDERS, stream=True):
    """Two providers, streams."""


class OneOpenTests(Matrix, SynchronousTestCase, topology=ONE_OPEN, stream=False):
    """Three providers, the first one's circuit is open; answers that are not streamed."""


class OneOpenStreamTests(Matrix, SynchronousTestCase, topology=ONE_OPEN, stream=True):
    """Three providers, the first one's circuit is open; streams."""


class OtherOpenTests(Matrix, SynchronousTestCase, topology=OTHER_OPEN, stream=False):
    """Two providers, and the circuit of the only other one is open; answers that are not streamed."""


class OtherOpenStreamTests(Matrix, SynchronousTestCase, topology=OTHER_OPEN, stream=True):
    """Two providers, and the circuit of the only other one is open; streams."""

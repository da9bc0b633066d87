"""The ways that one request may go, each made when it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ccrelay.policy.backend import Way, those_with_the_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ccrelay.policy.ask import Ask
    from ccrelay.policy.backend import Backend


class Candidates(NamedTuple):
    """
    Who may be asked for a model by a client, which is the same for each of its requests.

    @ivar own: where the client's own bearer goes.
    @ivar pooled: whose keys may be used, by name, in the order of the file.
    """

    own: tuple[Backend, ...]
    pooled: Mapping[str, Backend]


def candidates(
    backends: Sequence[Backend], model: str, may_use: Callable[[str], bool], *, bearer: bool, pooled: bool
) -> Candidates:
    """
    Return who may be asked.

    @param may_use: tells of a provider's name whether the client may.
    @param bearer: whether the client brings its own; C{pooled}: whether it may use keys.
    """
    allowed = [backend for backend in backends if may_use(backend.name)]
    own = tuple(backend for backend in allowed if bearer and backend.passthrough)
    keyed = [Way(backend, model) for backend in allowed if pooled and backend.pool.keys]
    return Candidates(own, {way.name: way.backend for way in those_with_the_model(keyed)})


class Pooled:
    """
    The ways by pooled keys.

    A conversation that has a place looks at one of them, however many
    providers there are: to make all costs 1.3 µs for each.
    """

    def __init__(self, backends: Mapping[str, Backend], asked: str, ask: Callable[[Backend], Ask]) -> None:
        """
        @param asked: the model, as the client calls it.
        @param ask: returns what the request is expected to cost at a provider.
        """
        self._backends = backends
        self._asked = asked
        self._ask = ask
        self._made: dict[str, Way] = {}

    def __len__(self) -> int:
        return len(self._backends)

    def __iter__(self) -> Iterator[Way]:
        for name in self._backends:
            way = self.named(name)
            if way is not None:
                yield way

    def named(self, name: str) -> Way | None:
        """Return the way by a provider's keys, or None if there is none."""
        way = self._made.get(name)
        if way is None and name in self._backends:
            backend = self._backends[name]
            way = self._made[name] = Way(backend, self._asked, self._ask(backend))
        return way


class Ways:
    """
    All ways of a request, in the order of the file, the client's own bearer first.

    @ivar own: those of the client's own bearer.
    """

    def __init__(self, own: list[Way], pooled: Pooled | list[Way]) -> None:
        self.own = own
        self.pooled = pooled

    @classmethod
    def of(cls, ways: Sequence[Way]) -> Ways:
        """Return ways that are made already."""
        return cls([way for way in ways if way.own], [way for way in ways if not way.own])

    def __len__(self) -> int:
        return len(self.own) + len(self.pooled)

    def __iter__(self) -> Iterator[Way]:
        yield from self.own
        yield from self.pooled

    def named(self, name: str) -> Way | None:
        """Return the way by a provider's keys, or None if there is none."""
        if isinstance(self.pooled, Pooled):
            return self.pooled.named(name)
        return next((way for way in self.pooled if way.name == name), None)

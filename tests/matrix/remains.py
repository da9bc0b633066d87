"""The columns of what is remembered after a request: keys, circuits, and the conversation's place."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from ccrelay.policy.affinity import Move
from ccrelay.policy.ask import Ask
from ccrelay.policy.breaker import State
from tests.matrix.cell import MODEL, WALL, Cell, Met
from tests.matrix.fault import Blame, Effect, Hold
from tests.matrix.series import End, Series

_OPENS_AT: Final = 5
"""C{failure_threshold}: more failures in a row than one request can have."""


def keys(test: Any, cell: Cell, _series: Series) -> None:
    """What became of each key (3.1, 3.2, 5.4): only the one that was refused is held, as long as was said."""
    effect = cell.effect
    for provider, names in cell.topology.keys.items():
        pool = cell.stack.upstreams[provider].backend.pool
        for name in names:
            key = pool.named(name)
            mine = [met for met in cell.met if met.key == name]
            refused = [met for met in mine if met.faulty]
            state = key.state(cell.wall)
            if not refused or effect.hold is Hold.NONE:
                test.assertEqual((state.standing, state.waits), ("ready", ()), name)
                continue
            answered, again = not mine[-1].faulty, len(refused) > 1
            _held(test, cell, state, WALL + refused[-1].at, answered=answered, again=again)
            test.assertIs(key.valid, effect.hold is not Hold.INVALID)
            if effect.hold is Hold.MODEL:
                test.assertFalse(key.usable(cell.wall, Ask(MODEL)))
                test.assertTrue(key.usable(cell.wall, Ask("claude-haiku-4-5")))


def _held(test: Any, cell: Cell, state: Any, since: float, *, answered: bool, again: bool) -> None:
    """Assert how a key stands that was refused at a time, and may have answered after that."""
    effect, until = cell.effect, since + cell.effect.held
    if effect.hold is Hold.INVALID:
        test.assertEqual(state.standing, "invalid")
    elif effect.hold is Hold.MODEL:
        test.assertEqual(state.standing, "ready")
        ((model, when),) = [(wait.model, wait.until) for wait in state.waits]
        test.assertEqual(model, MODEL)
        test.assertApproximates(when, until, effect.slack)
    elif answered or until + effect.slack <= cell.wall:
        # A pause may have become longer by then: it doubles.
        allowed = {"ready", "cooling"} if effect.hold is Hold.COOLING and not answered else {"ready"}
        test.assertIn(state.standing, allowed)
    elif until - effect.slack <= cell.wall or (effect.hold is Hold.COOLING and again):
        # A refusal during a pause does not make it longer, and it may be over.
        test.assertIn(state.standing, {"ready", effect.hold.value})
    else:
        test.assertEqual(state.standing, effect.hold.value)
        if effect.hold is not Hold.COOLING:
            test.assertApproximates(state.until, until, effect.slack)


def breakers(test: Any, cell: Cell, series: Series) -> None:
    """What the circuits have counted (6.1, 6.2): failures of providers, and of a model under overload."""
    routing = cell.stack.upstreams.routing
    for provider in cell.topology.keys:
        if provider == cell.topology.open:
            # An answer through the gate, a refusal of the key too, shows that the provider is there.
            there = cell.effect.blame is not Blame.PROVIDER or cell.effect.status in range(400, 500)
            asked = [met for met in cell.met if met.provider == provider]
            there |= cell.stream or any(not met.faulty for met in asked)
            expected = {State.HALF_OPEN, State.OPEN} if asked and there else {State.OPEN}
            test.assertIn(routing.breakers.of(provider).state(cell.wall), expected)
            continue
        low, high = _failures(cell, provider)
        counted = routing.breakers.of(provider).failures
        test.assertTrue(low <= counted <= high < _OPENS_AT, (provider, low, counted, high))
        test.assertIs(routing.breakers.state(provider, _model(cell), cell.wall), State.CLOSED)
    models = {s.provider: s.failures for s in routing.breakers.snapshot(cell.wall) if s.model}
    overloads: Counter[str] = Counter()
    for met in cell.met:
        if cell.effect.blame is not Blame.OVERLOAD:
            break
        overloads[met.provider] = overloads[met.provider] + 1 if met.faulty else 0
    test.assertEqual(models, {name: count for name, count in overloads.items() if count})
    test.assertEqual({s.model for s in routing.breakers.snapshot(cell.wall)} - {"", _model(cell)}, set())


def _model(cell: Cell) -> str:
    return "their-own-name" if "model_mapping" in cell.row.fields else MODEL


def _failures(cell: Cell, provider: str) -> tuple[int, int]:
    """Return how many failures in a row a provider's circuit has counted, at least and at most."""
    effect, low, high = cell.effect, 0, 0
    for place, met in enumerate(cell.met):
        if met.provider != provider:
            continue
        if not met.faulty:
            low = high = 0
        elif effect.charged:
            low, high = low + 1, high + 1
        elif effect.status == 429 and effect.blame is Blame.KEY:
            others = [_limited(effect, cell.met[:place], key, met.at) for key in cell.topology.keys[provider]
                      if key != met.key]  # fmt: skip
            low += all(surely for surely, _ in others)
            high += all(perhaps for _, perhaps in others)
    return low, high


def _limited(effect: Effect, before: list[Met], key: str, at: float) -> tuple[bool, bool]:
    """Return whether a key is limited at a time: surely, and perhaps."""
    times = [met.at for met in before if met.key == key]
    if not times:
        return False, False
    until = max(times) + effect.held
    perhaps = until + effect.slack >= at or effect.hold is Hold.COOLING
    return until - effect.slack > at, perhaps


def place(test: Any, cell: Cell, series: Series) -> None:
    """Where the conversation is (4.4): where it is served; where nobody serves it, where it was placed."""
    affinity = cell.stack.upstreams.routing.affinity
    there = {(p, key) for p in cell.topology.keys for key in affinity.loads(p)}
    told = [(attempt.provider, attempt.key) for attempt in cell.stack.told.attempts]
    test.assertEqual(len(there), 1)
    first, last = told[0], told[-1]
    if series.end is End.SERVED:
        test.assertEqual(there, {last})
    elif cell.effect.began and series.end is End.REFUSED:
        test.assertTrue(there <= set(told))
        return
    else:
        test.assertEqual(there, {first})
    (now,) = there
    kind = Move.KEY if now[0] == first[0] else Move.PROVIDER
    preferred = next(iter(cell.topology.keys))
    if kind is Move.PROVIDER and now[0] == preferred:
        kind = Move.RETURN
    test.assertEqual(affinity.moves, Counter() if now == first else Counter({kind: 1}))

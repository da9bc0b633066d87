"""The order that is kept of a provider's keys, against one that is made from scratch."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits, Lease
from ccrelay.policy.ask import Ask
from ccrelay.policy.keys import Key
from ccrelay.policy.pool import KeyPool, Pooling
from ccrelay.wire.http import Pairs
from ccrelay.wire.usage import Usage

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
NEVER = float("inf")
ASKS = (Ask("opus"), Ask("opus", 1, 1), Ask("opus", 20, 40), Ask("haiku", 300, 5))
MOST_KEYS = 5

each = st.integers(0, MOST_KEYS - 1)
asks = st.sampled_from(ASKS)
models = st.sampled_from([None, "opus", "haiku"])
limits = st.builds(
    KeyLimits,
    rpm=st.sampled_from([0, 0, 2, 5]),
    itpm=st.sampled_from([0, 0, 20, 100]),
    otpm=st.sampled_from([0, 0, 50]),
    tpm=st.sampled_from([0, 0, 100]),
)
priorities = st.sampled_from([1, 1, 1, 2])
weights = st.sampled_from([0, 1, 1, 3])


def left(tokens: int) -> Pairs:
    """Return the header fields that tell how many tokens are left until a minute after C{NOW}."""
    return (
        (b"anthropic-ratelimit-tokens-remaining", b"%d" % tokens),
        (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:20Z"),
    )


class AgainstScratch(RuleBasedStateMachine):
    """Keys to which everything happens, and the order that they should have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.leases: list[Lease] = []
        self.last_turn: dict[int, float] = {}
        self.turns: dict[tuple[int, int], float] = {}

    @initialize(
        strategy=st.sampled_from(["least_loaded", "round_robin", "random", "weighted"]),
        keys=st.lists(st.tuples(priorities, weights, limits), min_size=1, max_size=MOST_KEYS),
    )
    def configure(self, strategy: Pooling, keys: list[tuple[int, int, KeyLimits]]) -> None:
        self.keys = [
            Key(str(place), None, priority, weight=weight, limits=limit)
            for place, (priority, weight, limit) in enumerate(keys)
        ]
        self.pool = KeyPool(self.keys, strategy)

    def key(self, which: int) -> Key:
        return self.keys[which % len(self.keys)]

    def weight(self, key: Key) -> int:
        return key.weight if self.pool.strategy == "weighted" else 1

    # What may happen.

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 7.0, 30.0, 60.0, 61.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([61.0, 3600.0]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule(which=each, ask=asks)
    def reserve(self, which: int, ask: Ask) -> None:
        key = self.key(which)
        self.leases.append(key.reserve(ask, self.now))
        place, weight = (key.priority, self.keys.index(key)), self.weight(key)
        if weight:
            begins = max(self.turns.get(place, 0.0), self.last_turn.get(key.priority, 0.0))
            self.last_turn[key.priority] = begins
            self.turns[place] = begins + 1 / weight

    @rule(which=each, usage=st.builds(Usage, st.integers(0, 50), st.integers(0, 50)), ask=asks)
    def reserve_the_best(self, which: int, usage: Usage, ask: Ask) -> None:
        best = self.pool.order(self.now, ask, lambda: 0.0, most=1)
        if best:
            self.reserve(self.keys.index(best[0]), ask)
            self.leases.pop().settle(usage)

    @rule(end=st.sampled_from([Lease.correct, Lease.settle]), usage=st.builds(Usage, st.integers(0, 99)))
    @precondition(lambda self: self.leases)
    def account(self, end: type[Lease.settle], usage: Usage) -> None:
        end(self.leases[0], usage)
        self.leases.append(self.leases.pop(0))

    @rule()
    @precondition(lambda self: self.leases)
    def release(self) -> None:
        self.leases.pop().release()

    @rule(which=each, model=models, wait=st.sampled_from([None, 0.0, 0.5, 20.0, 300.0]))
    def limited(self, which: int, model: str | None, wait: float | None) -> None:
        self.key(which).limited(self.now, wait, model)

    @rule(which=each, model=models)
    def exclude(self, which: int, model: str | None) -> None:
        self.key(which).exclude(model, self.now)

    @rule(which=each)
    def bar(self, which: int) -> None:
        self.key(which).bar(self.now + 45)

    @rule(which=each, what=st.sampled_from([Key.degrade, Key.succeeded, Key.validated]))
    def judge(self, which: int, what: type[Key.degrade]) -> None:
        what(self.key(which))

    @rule(which=each)
    def invalidate(self, which: int) -> None:
        self.key(which).invalidate(self.now)

    @rule(which=each, tokens=st.sampled_from([0, 30, 1000]), model=st.sampled_from(["opus", "haiku"]))
    def learn(self, which: int, tokens: int, model: str) -> None:
        self.key(which).learn(left(tokens), model, self.now)

    @rule(which=each, limit=limits, priority=priorities, weight=weights)
    def adapt(self, which: int, limit: KeyLimits, priority: int, weight: int) -> None:
        key = self.key(which)
        key.adapt(limit, priority=priority, weight=weight, count_cache_reads=False, name=key.name)

    # What must hold.

    def rank(self, key: Key, ask: Ask) -> tuple[object, ...]:
        """Return what sorts the keys that may be used: the rules, from what is shown of a key."""
        state, place = key.state(self.now), self.keys.index(key)
        pauses = state.standing in {"cooling", "degraded"}
        rank = (key.soft(self.now, ask), pauses, -key.priority)
        turn = self.turns.get((key.priority, place), 0.0) if self.weight(key) else NEVER
        if self.pool.strategy == "random":
            return rank
        if self.pool.strategy == "least_loaded":
            share = max((spent.used / spent.limit for spent in state.spent if spent.limit), default=0.0)
            rank = (*rank, share, state.spent[0].used + state.in_flight)
        return (*rank, turn, place)

    @invariant()
    def keeps_the_order_that_would_be_made(self) -> None:
        for ask in ASKS:
            kept = self.pool.order(self.now, ask, lambda: 0.0)
            usable = [key for key in self.keys if key.usable(self.now, ask)]
            assert set(kept) == set(usable)
            assert len(kept) == len(usable)
            ranks = [self.rank(key, ask) for key in kept]
            assert ranks == sorted(ranks), (ask, ranks)
            assert self.pool.order(self.now, ask, lambda: 0.0, most=2) == kept[:2]
            best = [rank[:3] for rank in ranks[:1]]
            assert {self.rank(key, ask)[:3] for key in self.pool.best(self.now, ask)} == set(best)

    @invariant()
    def knows_when_a_key_is_free(self) -> None:
        for ask in ASKS:
            frees_at = self.pool.frees_at(self.now, ask)
            if self.pool.order(self.now, ask, lambda: 0.0):
                assert frees_at == self.now
            else:
                assert frees_at is None or frees_at > self.now


class OrderTests(SynchronousTestCase):
    """The order as a whole."""

    def test_the_kept_order_is_the_one_that_would_be_made(self) -> None:
        """Whatever happens to keys, they are asked in the order that their facts give them at that time."""
        run_state_machine_as_test(
            AgainstScratch, settings=settings(max_examples=80, stateful_step_count=40, deadline=None)
        )

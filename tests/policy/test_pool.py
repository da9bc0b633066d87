"""The rules of sharing the work out among keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.allowance import KeyLimits, Lease
from ccrelay.policy.ask import Ask
from ccrelay.policy.keys import Key
from ccrelay.policy.pool import KeyPool, Pooling
from ccrelay.wire.http import Pairs
from ccrelay.wire.usage import Usage

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
ASK = Ask("opus", 10, 10)
STRATEGIES: Sequence[Pooling] = ("least_loaded", "round_robin", "random", "weighted")
TURNS: Sequence[Pooling] = ("least_loaded", "round_robin", "weighted")
LITTLE_LEFT: Pairs = (
    (b"anthropic-ratelimit-tokens-remaining", b"5"),
    (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:20Z"),
)


def lowest() -> float:
    """Return the chance that deals the first of the deck."""
    return 0.0


def keys(*names: str, **what: object) -> list[Key]:
    """Return equal keys."""
    return [Key(name, **what) for name in names]


def names(pool: KeyPool, now: float = NOW, ask: Ask = ASK) -> str:
    """Return the names of the keys in order."""
    return "".join(key.name for key in pool.order(now, ask, lowest))


def ask_one(pool: KeyPool, now: float, chance: Random | None = None) -> tuple[str, Lease]:
    """Return the name of the key that a request goes to, and what it holds."""
    key = pool.order(now, ASK, chance.random if chance else lowest, most=1)[0]
    return key.name, key.reserve(ASK, now)


class EvenTests(SynchronousTestCase):
    """Keys that are equal."""

    @given(
        st.sampled_from(TURNS),
        st.sampled_from(["settled", "running", "lost"]),
        st.lists(st.sampled_from([0.0, 0.01, 1.0, 25.0, 59.0, 61.0]), min_size=12, max_size=12),
    )
    def test_equal_keys_share_the_load_evenly(self, strategy: Pooling, end: str, steps: list[float]) -> None:
        """Of twelve requests, however fast they come, each of four equal keys gets three."""
        pool, now, asked = KeyPool(keys(*"abcd"), strategy), NOW, Counter()
        for step in steps:
            name, lease = ask_one(pool, now)
            asked[name] += 1
            if end == "settled":
                lease.settle(Usage(1, 1))
            elif end == "lost":
                lease.release()
            now += step
        self.assertEqual(asked, dict.fromkeys("abcd", 3))

    def test_chance_is_even_too(self) -> None:
        """Dealt at random, each of three equal keys gets about a third, and comes second as often."""
        pool, chance = KeyPool(keys(*"abc"), "random"), Random(7)
        orders = Counter("".join(k.name for k in pool.order(NOW, ASK, chance.random)) for _ in range(6000))
        self.assertEqual(len(orders), 6)
        self.assertTrue(all(900 < times < 1100 for times in orders.values()), orders)

    def test_a_busy_key_is_spared(self) -> None:
        """The key with requests under way is asked after the one whose requests have ended."""
        first, second = keys(*"ab")
        pool = KeyPool([first, second])
        first.reserve(ASK, NOW)
        second.reserve(ASK, NOW).settle(Usage(1, 1))
        self.assertEqual(names(pool), "ba")

    def test_a_larger_limit_takes_more(self) -> None:
        """Keys of unequal limits are used by the same share of them, up to the last request."""
        pool = KeyPool([Key("a", limits=KeyLimits(rpm=30)), Key("b", limits=KeyLimits(rpm=10))])
        self.assertEqual(Counter(ask_one(pool, NOW)[0] for _ in range(40)), {"a": 30, "b": 10})
        self.assertEqual(pool.order(NOW, ASK, lowest), ())

    def test_weights_are_shares(self) -> None:
        """A key of weight three gets three turns of four, at no time many more; one of weight 0 gets none."""
        some = [Key(name, weight=weight) for name, weight in (("a", 3), ("b", 1), ("c", 0))]
        pool = KeyPool(some, "weighted")
        asked: Counter[str] = Counter()
        for _ in range(100):
            asked.update(ask_one(pool, NOW)[0] for _ in range(4))
            self.assertTrue(abs(asked["a"] - 3 * asked["b"]) <= 4, asked)
        self.assertEqual(asked["c"], 0)
        self.assertEqual(names(pool)[-1], "c")

    def test_weights_hold_among_those_that_are_seldom_needed(self) -> None:
        """Keys of a lower priority share by their weights what little is left for them."""
        first, *rest = [Key("a", priority=2), Key("b", weight=3), Key("c", weight=1)]
        pool, asked = KeyPool([first, *rest], "weighted"), Counter()
        for at in range(40):
            for _ in range(10):
                ask_one(pool, NOW + at)
            first.limited(NOW + at, 0.5)
            asked[ask_one(pool, NOW + at)[0]] += 1
        self.assertEqual(asked, {"b": 30, "c": 10})

    def test_a_key_that_was_away_does_not_catch_up(self) -> None:
        """A key that could not be used for a while gets no more than its share when it is back."""
        for strategy in TURNS:
            first, second = keys(*"ab")
            pool = KeyPool([first, second], strategy)
            second.limited(NOW, 100.0)
            asked: Counter[str] = Counter()
            for at in (*range(30), *range(130, 150)):
                name, lease = ask_one(pool, NOW + at)
                lease.settle(Usage(1, 1))
                asked[name] += 1
            self.assertEqual(asked, {"a": 40, "b": 10}, strategy)

    def test_a_key_that_gets_its_weight_later_has_no_debts(self) -> None:
        """What a key was asked while it was of weight 0 does not count against it afterwards."""
        first, second = Key("a"), Key("b", weight=0)
        pool = KeyPool([first, second], "weighted")
        for _ in range(50):
            second.reserve(ASK, NOW)
            names(pool)
        second.adapt(KeyLimits(), priority=1, weight=1, count_cache_reads=False, name="b")
        self.assertEqual(Counter(ask_one(pool, NOW)[0] for _ in range(20)), {"a": 10, "b": 10})


class LimitTests(SynchronousTestCase):
    """Keys that are full."""

    def test_one_request_too_many_goes_to_another_key(self) -> None:
        """Request N+1 within a minute goes to another key, also when answers came in between."""
        for strategy in STRATEGIES:
            some = [Key("a", priority=2, limits=KeyLimits(rpm=3)), Key("b", limits=KeyLimits(rpm=2))]
            pool, asked = KeyPool(some, strategy), ""
            for at in range(5):
                name, lease = ask_one(pool, NOW + at)
                lease.settle(Usage(1, 1))
                some["ab".index(name)].succeeded(NOW + at)
                asked += name
            self.assertEqual(asked, "aaabb", strategy)
            self.assertEqual(names(pool, NOW + 59), "")
            self.assertEqual(pool.frees_at(NOW + 59, ASK), NOW + 60)
            self.assertEqual(names(pool, NOW + 60), "a")
            self.assertEqual(names(pool, NOW + 63), "ab")

    def test_a_request_of_the_right_size_still_fits(self) -> None:
        """A key that has too little room for a large request still gets the small ones."""
        pool = KeyPool([Key("a", priority=2, limits=KeyLimits(itpm=100)), Key("b")])
        pool.keys[0].reserve(Ask("m", 60, 1), NOW)
        self.assertEqual(names(pool, ask=Ask("m", 50, 1)), "b")
        self.assertEqual(names(pool, ask=Ask("m", 40, 1)), "ab")

    def test_a_clock_set_back_does_not_block_for_long(self) -> None:
        """A key that was full when the clock was set back by an hour is asked again after a minute."""
        for strategy in STRATEGIES:
            pool = KeyPool(keys("a", limits=KeyLimits(rpm=1)), strategy)
            ask_one(pool, NOW + 3600)
            self.assertEqual(
                [names(pool, NOW + at) for at in (3601, 0, 59.9, 60)], ["", "", "", "a"], strategy
            )

    def test_the_clock_may_be_set_back_little_by_little(self) -> None:
        """Many small steps back are one large one: after two minutes at most, a key is asked again."""
        pool = KeyPool(keys("a", limits=KeyLimits(rpm=1)))
        ask_one(pool, NOW)
        self.assertEqual({names(pool, NOW - 50 * step) for step in range(10)}, {""})
        self.assertEqual(names(pool, NOW - 450 + 120), "a")

    def test_the_soonest_key_tells_when(self) -> None:
        """When no key may be used, the time named is that of the one that is free first."""
        some = keys(*"abc")
        pool = KeyPool(some)
        some[0].limited(NOW, 50.0)
        some[1].limited(NOW, 20.0, "opus")
        some[2].invalidate(NOW)
        self.assertEqual(names(pool), "")
        self.assertEqual(pool.frees_at(NOW, ASK), NOW + 20)
        for key in some:
            key.invalidate(NOW)
        self.assertIsNone(pool.frees_at(NOW, ASK))
        self.assertIsNone(KeyPool([]).frees_at(NOW, ASK))
        self.assertEqual(KeyPool([]).order(NOW, ASK, lowest), ())


class SoftTests(SynchronousTestCase):
    """Keys that something speaks against."""

    def test_soft_facts_put_keys_last(self) -> None:
        """A key that is pausing, degraded or short comes after all others, whatever its priority."""
        for strategy in STRATEGIES:
            some = [
                Key(name, priority=priority) for name, priority in (("a", 9), ("b", 5), ("c", 5), ("d", 1))
            ]
            pool = KeyPool(some, strategy)
            self.assertEqual(names(pool)[::3], "ad")
            some[0].limited(NOW, None)
            some[1].learn(LITTLE_LEFT, "opus", NOW)
            self.assertEqual(names(pool), "cdba", strategy)
            self.assertEqual(names(pool, NOW + 1), "acdb", strategy)
            some[3].degrade()
            self.assertEqual(names(pool, NOW + 1), "acbd", strategy)
            some[3].succeeded()
            self.assertEqual(names(pool, NOW + 60)[::3], "ad", strategy)

    def test_soft_facts_refuse_nothing(self) -> None:
        """Where something speaks against every key, they are all asked nevertheless."""
        for strategy in STRATEGIES:
            some = keys(*"abc")
            pool = KeyPool(some, strategy)
            some[0].limited(NOW, None)
            some[1].learn(LITTLE_LEFT, "opus", NOW)
            some[2].degrade()
            self.assertEqual(set(names(pool)), set("abc"), strategy)
            self.assertEqual(names(pool)[0], "b", strategy)
            self.assertEqual(pool.frees_at(NOW, ASK), NOW)

    def test_those_to_choose_from_are_of_a_kind(self) -> None:
        """A conversation may be placed on the best keys, and on soft ones only where there are no others."""
        some = [Key(name, priority=priority) for name, priority in (("a", 9), ("b", 9), ("c", 5), ("d", 5))]
        pool = KeyPool(some)
        best = []
        for worse in (
            lambda: None,
            lambda: some[0].learn(LITTLE_LEFT, "opus", NOW),
            some[1].degrade,
            lambda: some[2].limited(NOW, None),
            lambda: some[3].learn(LITTLE_LEFT, "opus", NOW),
            lambda: some[0].invalidate(NOW),
            lambda: some[3].limited(NOW, 9.0),
        ):
            worse()
            best.append("".join(key.name for key in pool.best(NOW, ASK)))
        self.assertEqual(best, ["ab", "b", "cd", "d", "a", "d", "b"])

    def test_a_key_is_found_by_its_name(self) -> None:
        """A conversation finds its key again, unless the key is gone."""
        pool = KeyPool(keys(*"ab"))
        self.assertIs(pool.named("b"), pool.keys[1])
        self.assertIsNone(pool.named("c"))

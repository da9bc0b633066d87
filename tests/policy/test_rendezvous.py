"""The rules of choosing a key for a conversation."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.rendezvous import Rendezvous


def digests(count: int, seed: int) -> list[bytes]:
    """Return as many as there are conversations."""
    random = Random(seed)
    return [random.randbytes(16) for _ in range(count)]


def key_names(count: int, seed: int = 0) -> list[str]:
    """Return names as they are made of keys."""
    return [f"…{blake2b(f'{seed} {at}'.encode(), digest_size=2).hexdigest()}" for at in range(count)]


def placed(conversations: list[bytes], keys: list[str], loads: Counter[str] | None = None) -> list[str]:
    """Place conversations one after the other, and return each one's key."""
    rendezvous = Rendezvous()
    loads = Counter() if loads is None else loads
    chosen = []
    for digest in conversations:
        key = rendezvous.choose(digest, keys, loads)
        loads[key] += 1
        chosen.append(key)
    return chosen


class EvennessTests(SynchronousTestCase):
    """How evenly keys are used."""

    def test_a_hundred_conversations(self) -> None:
        """Of a hundred conversations each of two to ten keys gets its share, give or take a fifth."""
        for count in range(2, 11):
            mean = 100 / count
            for seed in range(60):
                keys = key_names(count, seed)
                loads = Counter(placed(digests(100, seed), keys))
                for key in keys:
                    self.assertTrue(0.8 * mean <= loads[key] <= 1.2 * mean, (count, seed, loads))

    @settings(max_examples=40)
    @given(st.integers(2, 12), st.integers(1, 150), st.integers(0, 10**6))
    def test_at_any_time(self, count: int, conversations: int, seed: int) -> None:
        """At no time is a key off its share by more than a fifth of it, or by one where that is more."""
        rendezvous, keys = Rendezvous(), key_names(count, seed)
        loads = Counter[str]()
        for number, digest in enumerate(digests(conversations, seed), 1):
            loads[rendezvous.choose(digest, keys, loads)] += 1
            mean = number / count
            spread = max(0.2 * mean, 1) + 1e-9
            for key in keys:
                self.assertLessEqual(abs(loads[key] - mean), spread, (number, loads))

    @given(
        st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000)), st.binary(min_size=16, max_size=16)
    )
    def test_whatever_the_loads(self, loads: dict[str, int], digest: bytes) -> None:
        """However unequal the loads are, one of the keys is chosen, and never the busiest of them."""
        keys = list("abcdef")
        chosen = Rendezvous().choose(digest, keys, loads)
        self.assertIn(chosen, keys)
        least, most = (limit(loads.get(key, 0) for key in keys) for limit in (min, max))
        if most > 2 + 2 * least:
            self.assertLess(loads.get(chosen, 0), most)

    def test_a_new_key_catches_up(self) -> None:
        """A key that is new gets conversations until it has its share, and no more than that."""
        loads = Counter({"a": 100, "b": 100})
        placed(digests(100, 1), ["a", "b", "new"], loads)
        self.assertTrue(80 <= loads["new"] <= 120, loads)


class StayingTests(SynchronousTestCase):
    """Where a conversation finds itself again."""

    def test_the_same_each_time(self) -> None:
        """A conversation gets the same key in every process, in whatever order the keys are listed."""
        for digest in digests(50, 2):
            chosen = {Rendezvous().choose(digest, keys, {}) for keys in (list("abcd"), list("dbca"))}
            self.assertEqual(len(chosen), 1)
        self.assertEqual(Rendezvous().choose(b"\x00" * 16, list("abcd"), {}), "d")
        self.assertEqual(Rendezvous().choose(b"\xff" * 16, list("abcd"), {}), "b")

    def test_all_keys_alike(self) -> None:
        """By the hash alone, each key is the choice of as many conversations as any other."""
        for count in (2, 5, 10):
            rendezvous, keys = Rendezvous(), key_names(count)
            chosen = Counter(rendezvous.choose(digest, keys, {}) for digest in digests(4000, 3))
            for key in keys:
                self.assertLess(abs(chosen[key] * count / 4000 - 1), 0.2)

    def test_a_key_that_goes(self) -> None:
        """Where a key goes and the others have room, only the conversations that it had move."""
        rendezvous, keys = Rendezvous(), key_names(6)
        for digest in digests(500, 4):
            before, after = (rendezvous.choose(digest, some, {}) for some in (keys, keys[1:]))
            self.assertTrue(after == before or before == keys[0])

    def test_a_key_that_comes(self) -> None:
        """Where a key comes and all have room, conversations move to it alone, and no more than its share."""
        rendezvous, keys = Rendezvous(), key_names(6)
        moved = Counter[str]()
        for digest in digests(2000, 5):
            before, after = (rendezvous.choose(digest, some, {}) for some in (keys[1:], keys))
            moved[after] += after != before
        self.assertEqual(moved.total(), moved[keys[0]])
        self.assertLess(abs(moved[keys[0]] / 2000 - 1 / 6), 0.04)

    def test_the_bound_moves_few(self) -> None:
        """Placed anew with a key less, most conversations of the other keys are where they were."""
        for count in (2, 3, 5, 8):
            stayed = others = 0
            for seed in range(20):
                keys, conversations = key_names(count, seed), digests(100, seed)
                for before, after in zip(
                    placed(conversations, keys), placed(conversations, keys[1:]), strict=True
                ):
                    others += before != keys[0]
                    stayed += before == after
            self.assertGreater(stayed / others, 0.65, count)


class CornerTests(SynchronousTestCase):
    """Few keys, strange keys."""

    def test_one_key(self) -> None:
        """The only key there is gets all, however much it has."""
        self.assertEqual(Rendezvous().choose(b"x" * 16, ["a"], {"a": 10**9}), "a")

    def test_load_of_keys_that_are_not_asked_about(self) -> None:
        """What other keys have to do is no matter."""
        self.assertEqual(
            Rendezvous().choose(b"x" * 16, ["a", "b"], {"c": 10**6}),
            Rendezvous().choose(b"x" * 16, ["a", "b"], {}),
        )

    def test_any_name_will_do(self) -> None:
        """Keys may be called anything, even what is no proper text."""
        keys = ["", "…1234", "ключ", "\udcff"]
        self.assertEqual(set(placed(digests(40, 6), keys)), set(keys))

"""How the keys of a provider share its requests: pooling.strategy, weight, priority, limits and names."""

from collections import Counter
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from tests.settings.sending import FINE, Chances, keys, keys_used, session
from tests.stack import RANDOM, Stack, body

WAIT = Refuses(429, headers=((b"retry-after", b"30"),))


class Pooled(SynchronousTestCase):
    """What the tests share."""

    def pool(
        self,
        *fields: dict[str, Any],
        strategy: str | None = None,
        affinity: bool = False,
        acts: Any = (FINE,),
        chance: Any = RANDOM.random,
        **more: Any,
    ) -> Stack:
        """Return a relay with one provider, whose keys have these fields."""
        if strategy is not None:
            more["pooling"] = {"strategy": strategy}
        settings = {"routing": {"affinity": {"enabled": affinity}}}
        return Stack(self, {"a": acts}, settings, chance=chance, keys=keys(*fields), **more)


class LeastLoadedTests(Pooled):
    """pooling.strategy: least_loaded."""

    def test_the_smallest_share_of_its_limits(self) -> None:
        """The key with the smallest share of its limits used is next, then the one with fewer requests."""
        for strategy in (None, "least_loaded", "least-loaded"):
            stack = self.pool({"rpm_limit": 2}, {"rpm_limit": 4}, strategy=strategy)
            self.assertEqual(keys_used(stack, 6), "011011")
        self.assertEqual(keys_used(self.pool({"rpm_limit": 50}, {"rpm_limit": 100}, {}), 5), "01222")
        self.assertEqual(keys_used(self.pool({}, {}, {}), 6), "012012")

    def test_new_conversations(self) -> None:
        """With affinity each new conversation gets its key by its name: the same again after a restart."""
        places = [keys_used(self.pool({}, {}, {}, affinity=True), 30) for _ in range(2)]
        self.assertEqual(places[0], places[1])
        self.assertNotEqual(places[0], "012" * 10)
        self.assertTrue(all(8 <= count <= 12 for count in Counter(places[0]).values()), places)


class OtherPoolingTests(Pooled):
    """The other three, for new conversations and without affinity alike."""

    def test_round_robin(self) -> None:
        """Each key in its turn, however much of its limits is used."""
        for affinity in (True, False):
            for strategy in ("round_robin", "round-robin"):
                fields = ({"rpm_limit": 9, "weight": 5}, {"rpm_limit": 50}, {})
                stack = self.pool(*fields, strategy=strategy, affinity=affinity)
                self.assertEqual(keys_used(stack, 7), "0120120")

    def test_random(self) -> None:
        """Chance alone says which key."""
        for affinity in (True, False):
            chance = Chances()
            stack = self.pool({}, {"weight": 9}, {}, strategy="random", affinity=affinity, chance=chance)
            went = ""
            for chance.always in (0.0, 0.0, 0.99, 0.99, 0.5, 0.5):
                went += keys_used(stack, 1)
            self.assertEqual(went, "002211")
            stack = self.pool({}, {}, strategy="random", affinity=affinity, chance=Random(2).random)
            self.assertTrue(12 <= keys_used(stack, 40).count("0") <= 28)

    def test_weighted(self) -> None:
        """Each key has as many turns as its weight says; none where that is 0."""
        for affinity in (True, False):
            fields = ({"weight": 0}, {"weight": 3}, {"weight": 1}, {})
            stack = self.pool(*fields, strategy="weighted", affinity=affinity)
            for _ in range(3):
                self.assertEqual(Counter(keys_used(stack, 5)), {"1": 3, "2": 1, "3": 1})

    def test_a_conversation_stays(self) -> None:
        """Whatever shares out new conversations, each stays on its key."""
        for strategy in ("least_loaded", "round_robin", "random", "weighted"):
            stack = self.pool({}, {}, {}, strategy=strategy, affinity=True)
            home = keys_used(stack, 1, "s")
            keys_used(stack, 4)
            self.assertEqual(keys_used(stack, 3, "s"), home * 3)

    def test_weight_under_others(self) -> None:
        """The weight of a key says nothing under the other strategies."""
        for strategy in ("least_loaded", "round_robin"):
            stack = self.pool({"weight": 1}, {"weight": 9}, strategy=strategy)
            self.assertEqual(keys_used(stack, 6), "010101")


class KeyTests(Pooled):
    """What is written of each key."""

    def test_priority(self) -> None:
        """Keys of higher priority go first, whatever the strategy; the others serve when those cannot."""
        for strategy in ("least_loaded", "round_robin", "random", "weighted"):
            for affinity in (True, False):
                fields = ({"priority": 2}, {"priority": 7, "rpm_limit": 3}, {"priority": 4, "rpm_limit": 2})
                stack = self.pool(*fields, strategy=strategy, affinity=affinity)
                self.assertEqual(keys_used(stack, 7), "1112200", strategy)

    def test_limits(self) -> None:
        """Each of the four limits holds by itself, and where all keys are full the client is told."""
        acts = [Says("x", usage={"input_tokens": 300, "output_tokens": 70})]
        limits = {"rpm_limit": (5, 5), "itpm_limit": (700, 2), "otpm_limit": (600, 8), "tpm_limit": (1200, 3)}
        for name, (limit, served) in limits.items():
            stack = self.pool({name: limit}, acts=acts)
            asked = [stack.ask(headers=session("s")).status for _ in range(10)]
            self.assertEqual(asked, [200] * served + [429] * (10 - served), name)

    def test_no_limit(self) -> None:
        """A limit of 0 is none."""
        acts = [Says("x", usage={"input_tokens": 300_000, "output_tokens": 70_000})]
        zero = dict.fromkeys(("rpm_limit", "itpm_limit", "otpm_limit", "tpm_limit"), 0)
        self.assertEqual(keys_used(self.pool(zero, acts=acts), 20), "0" * 20)

    def test_names(self) -> None:
        """A key is called by its name, else by its end; those called the same are told and kept apart."""
        ends = [{"key": f"sk-test-{n}-of-the-same-end", "name": None} for n in range(3)]
        for fields in (ends, [{"name": "same"}] * 3):
            stack = self.pool(*fields, affinity=True, strategy="round_robin")
            for _ in range(2):
                for n in range(6):
                    stack.ask(headers=session(n))
            shown = [asked.header("x-api-key") for asked in stack.asked("a")]
            self.assertEqual(shown[:6], shown[6:])
            self.assertEqual(len(set(shown)), 3)
            named = [attempt.key for attempt in stack.told.attempts]
            first = named[0]
            self.assertEqual(named, [first, f"{first}#2", f"{first}#3"] * 4)

    def test_keyless(self) -> None:
        """A kind that needs no key counts as one key, which may be limited like any other."""
        stack = self.pool(type="ollama", acts=[FINE, WAIT, FINE])
        self.assertEqual([stack.ask().status for _ in range(3)], [200, 429, 429])
        self.assertEqual({attempt.key for attempt in stack.told.attempts}, {"-"})
        self.assertEqual(len(stack.asked("a")), 2)
        stack.go(31)
        self.assertEqual(stack.ask().status, 200)


class CacheReadTests(Pooled):
    """providers[].count_cache_reads."""

    USAGE = {"input_tokens": 5, "cache_read_input_tokens": 700}  # noqa: RUF012

    def test_a_conversation(self) -> None:
        """Only if set is what was read used up, and expected to be read again: then there is less room."""
        for limit, expected in ((1500, "0011"), (1000, "01")):
            for counted in (None, False, True):
                more = {} if counted is None else {"count_cache_reads": counted}
                fields = ({"itpm_limit": limit}, {"itpm_limit": limit})
                stack = self.pool(*fields, affinity=True, acts=[Says("x", usage=self.USAGE)], **more)
                went = keys_used(stack, len(expected), "s")
                moved = "".join("01"[key != went[0]] for key in went)
                self.assertEqual(moved, expected if counted else "0" * len(expected))

    def test_the_turn_to_come(self) -> None:
        """What is expected of a turn that has grown is what the last one cost, and what was added."""
        acts = [Says("x", usage=self.USAGE | {"cache_read_input_tokens": 300})]
        stack = self.pool({"itpm_limit": 1000}, {"itpm_limit": 1000}, affinity=True, acts=acts)
        turns = [body(system="word " * words) for words in (3200, 3400, 3600)]
        went = "".join(keys_used(stack, 1, "s", turn) for turn in turns)
        self.assertEqual(went, went[0] * 3)
        self.assertNotEqual(keys_used(stack, 1, "s", body(system="word " * 4800)), went[0])

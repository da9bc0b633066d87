"""The strategies that prefer somebody: every request is tried in the order that each promises."""

from collections import Counter
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.sending import BROKEN, FINE, HAIKU, OPUS, SONNET, Chances, sent, tried
from tests.stack import Stack, body

ALL_BROKEN = {"a": [BROKEN], "b": [BROKEN], "c": [BROKEN], "d": [BROKEN]}
ALL_FINE = {"a": [FINE], "b": [FINE], "c": [FINE], "d": [FINE]}


def under(strategy: str, affinity: bool = True, /, **more: Any) -> dict[str, Any]:
    """Return the settings of a strategy, with more of the section, and fields of providers by name."""
    own = {name: more.pop(name) for name in tuple(more) if len(name) == 1}
    routing = {"strategy": strategy, "max_wait_ms": 0, "affinity": {"enabled": affinity}}
    return {"routing": routing | more, "providers": own}


class FailoverTests(SynchronousTestCase):
    """routing.strategy: failover."""

    def test_priority(self) -> None:
        """The highest priority is asked first, then the next; equals as in the file, whatever they weigh."""
        for affinity in (True, False):
            settings = under("failover", affinity, b={"priority": 2}, c={"priority": 3}, d={"weight": 9})
            self.assertEqual(tried(Stack(self, ALL_BROKEN, settings)), "cbad")
            self.assertEqual(sent(Stack(self, ALL_FINE, settings), 4), "cccc")

    def test_equals(self) -> None:
        """Without priorities the order of the file is all there is."""
        self.assertEqual(tried(Stack(self, ALL_BROKEN, under("failover"))), "abcd")

    def test_the_first_key_s_priority(self) -> None:
        """A provider without a priority of its own has that of its first key."""
        keys = [{"key": "sk-test-of-a-key-0123", "priority": 4}, {"key": "sk-test-2", "priority": 9}]
        settings = under("failover", b={"keys": keys}, c={"priority": 5})
        self.assertEqual(tried(Stack(self, ALL_BROKEN, settings))[0], "c")
        settings = under("failover", b={"keys": keys}, c={"priority": 3})
        self.assertEqual(tried(Stack(self, ALL_BROKEN, settings))[0], "b")


class WeightedFailoverTests(SynchronousTestCase):
    """routing.strategy: weighted_failover."""

    def test_drawn_by_weight(self) -> None:
        """Where chance is the same for all, weight alone decides."""
        for name in ("weighted_failover", "weighted-failover"):
            for affinity in (True, False):
                settings = under(name, affinity, a={"weight": 2}, b={"weight": 4}, c={"weight": 3})
                self.assertEqual(tried(Stack(self, ALL_BROKEN, settings, chance=Chances())), "bcad", name)

    def test_drawn_by_chance(self) -> None:
        """Where weights are the same, chance alone does: what is drawn lowest goes first."""
        stack = Stack(self, ALL_BROKEN, under("weighted_failover"), chance=Chances(0.4, 0.3, 0.8, 0.1))
        self.assertEqual(tried(stack), "dbac")

    def test_shares(self) -> None:
        """Who has three times the weight gets three times as many conversations; who has none, none."""
        weights = zip("abcd", (1, 3, 0, 0), strict=True)
        settings = under("weighted_failover", **{name: {"weight": weight} for name, weight in weights})
        stack = Stack(self, ALL_FINE, settings, chance=Random(11).random)
        counts = Counter(sent(stack, 80))
        self.assertEqual(counts["a"] + counts["b"], 80)
        self.assertTrue(13 <= counts["a"] <= 27, counts)

    def test_priority_goes_before(self) -> None:
        """Weights are drawn among equals of priority alone."""
        best = {"c": {"priority": 2}, "d": {"priority": 2, "weight": 9}}
        settings = under("weighted_failover", b={"weight": 50}, **best)
        self.assertEqual(tried(Stack(self, ALL_BROKEN, settings, chance=Chances())), "dcba")


class ModelBasedTests(SynchronousTestCase):
    """routing.strategy: model_based."""

    MAPPING = {"claude-opus": "b", "claude-opus-4-5": "c", "claude-": "d"}  # noqa: RUF012

    def where(self, stack: Stack, *models: str) -> str:
        """Return where a request for each model goes."""
        return "".join(sent(stack, content=body(model=model)) for model in models)

    def test_longest_prefix(self) -> None:
        """The provider of the longest prefix that fits is asked; that of no prefix otherwise."""
        for name in ("model_based", "model-based"):
            for affinity in (True, False):
                stack = Stack(self, ALL_FINE, under(name, affinity, model_mapping=self.MAPPING))
                went = self.where(stack, "claude-opus-4-1", "claude-opus-4-5", SONNET, "glm-4.7")
                self.assertEqual(went, "bcda", name)

    def test_default(self) -> None:
        """Models without a prefix go to default_provider, those with one do not."""
        mapping = {"claude-opus": "b"}
        stack = Stack(self, ALL_FINE, under("model_based", model_mapping=mapping, default_provider="c"))
        self.assertEqual(self.where(stack, OPUS, SONNET, HAIKU), "bcc")
        stack = Stack(self, ALL_FINE, under("model_based", default_provider="d", b={"priority": 5}))
        self.assertEqual(self.where(stack, OPUS, SONNET), "dd")

    def test_while_those_named_fail(self) -> None:
        """After the longest prefix come the shorter ones, then the default, then all others by priority."""
        mapping = {"claude-opus": "b", "claude-opus-4-5": "c"}
        acts = ALL_BROKEN | {"e": [BROKEN]}
        settings = under(
            "model_based", model_mapping=mapping, default_provider="d", max_attempts=9, e={"priority": 5}
        )
        self.assertEqual(tried(Stack(self, acts, settings), body(model=OPUS)), "cbdea")
        self.assertEqual(tried(Stack(self, acts, settings), body(model=HAIKU)), "deabc")

    def test_under_another_strategy(self) -> None:
        """Neither setting says anything to the other strategies."""
        stack = Stack(self, ALL_FINE, under("failover", model_mapping={"claude-": "b"}, default_provider="c"))
        self.assertEqual(self.where(stack, OPUS, "glm-4.7"), "aa")


class ModelTests(SynchronousTestCase):
    """A provider's models and model_mapping."""

    def test_listed(self) -> None:
        """A provider is passed over for a model that it does not list while another one lists it."""
        settings = under("failover", a={"models": [OPUS]}, b={"models": [OPUS, HAIKU]})
        stack = Stack(self, ALL_BROKEN, settings)
        self.assertEqual(tried(stack, body(model=HAIKU)), "bcd")
        self.assertEqual(tried(stack, body(model=SONNET)), "abcd")

    def test_mapped(self) -> None:
        """To map a model is as good as to list it, also where its name stays the same."""
        for name in (HAIKU, "glm-4.7"):
            mapping = {"model_mapping": {HAIKU: name}}
            settings = under("failover", a={"models": [OPUS]}, b={"models": [OPUS], **mapping})
            stack = Stack(self, ALL_BROKEN, settings)
            self.assertEqual(tried(stack, body(model=HAIKU)), "bcd")
            self.assertEqual(stack.asked("b")[0].json["model"], name)

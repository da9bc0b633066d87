"""The rules of what a request finds at a provider."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask
from ccrelay.policy.backend import Backend, Way, those_with_the_model
from ccrelay.policy.keys import Key
from ccrelay.policy.pool import KeyPool
from ccrelay.policy.prices import Price, Prices

MODELS = ["opus", "haiku", "sonnet"]
LISTS = st.lists(st.sets(st.sampled_from(MODELS)), max_size=5)


def backend(name: str = "a", models: tuple[str, ...] = (), **what: object) -> Backend:
    """Return a provider with a key."""
    return Backend(name, KeyPool([Key("1")]), models=models, **what)


def serving(model: str, *backends: Backend) -> str:
    """Return the names of those that a request for a model may go to."""
    return "".join(way.name for way in those_with_the_model([Way(one, model) for one in backends]))


class ModelTests(SynchronousTestCase):
    """Who has a model."""

    def test_who_lists_it(self) -> None:
        """If somebody lists a model, providers that list only others are left out."""
        self.assertEqual(serving("opus", backend("a", ("opus",)), backend("b", ("haiku",))), "a")

    def test_who_lists_nothing(self) -> None:
        """A provider without a list may have any model."""
        self.assertEqual(
            serving("opus", backend("a", ("opus",)), backend("b"), backend("c", ("haiku",))), "ab"
        )

    def test_nobody_lists_it(self) -> None:
        """A model that nobody lists may be anywhere: it may be newer than the lists."""
        self.assertEqual(
            serving("opus-6", backend("a", ("opus",)), backend("b", ("haiku",)), backend("c")), "abc"
        )

    def test_who_maps_it(self) -> None:
        """A provider that maps a model has it, whatever it lists, under its own name too."""
        mapping = {"opus": "glm-5"}
        mapped = backend("a", ("glm-5",), model_name=lambda asked: mapping.get(asked, asked))
        self.assertEqual(serving("opus", mapped, backend("b", ("haiku",))), "a")
        itself = backend("c", ("haiku",), mapped_names=("opus",))
        self.assertEqual(serving("opus", itself, backend("b", ("haiku",))), "c")

    def test_variants(self) -> None:
        """Who lists a model has its variants, such as `[1m]`, too."""
        self.assertEqual(serving("opus[1m]", backend("a", ("opus",)), backend("b", ("haiku",))), "a")
        self.assertEqual(serving("opus[1m]", backend("a", ("opus[1m]",)), backend("b", ("haiku",))), "a")

    @given(LISTS, st.sampled_from([*MODELS, "new"]))
    def test_somebody_is_left(self, lists: list[set[str]], model: str) -> None:
        """Whoever lists the model stays, in the order of the file; somebody always is left."""
        ways = [Way(backend(str(n), tuple(sorted(listed))), model) for n, listed in enumerate(lists)]
        left = those_with_the_model(ways)
        self.assertEqual(bool(left), bool(ways))
        self.assertEqual([way for way in ways if way in left], left)
        for way, listed in zip(ways, lists, strict=True):
            if model in listed or not listed:
                self.assertIn(way, left)


class WayTests(SynchronousTestCase):
    """A provider as one request may go to it."""

    def test_the_name_of_the_model_there(self) -> None:
        """A request asks for what the provider calls the model."""
        one = backend(model_name=lambda asked: "glm-5" if asked == "opus" else asked)
        self.assertEqual((Way(one, "opus").model, Way(one, "opus").mapped), ("glm-5", True))
        self.assertEqual((Way(one, "haiku").model, Way(one, "haiku").mapped), ("haiku", False))
        self.assertEqual(Way(one, "opus", Ask("glm-5", 10, 20)).ask.total, 30)

    def test_the_price(self) -> None:
        """A price is looked up by the provider's name for the model, then by the client's, then for all."""
        cheap, dear, other = Price(1.0), Price(15.0), Price(3.0)

        def price(table: dict[str, Price], asked: str) -> Price | None:
            one = backend(prices=Prices(table), model_name=lambda asked: asked.replace("opus", "glm"))
            return Way(one, asked).price

        self.assertEqual(price({"glm": cheap, "opus": dear, "*": other}, "opus"), cheap)
        self.assertEqual(price({"opus": dear, "*": other}, "opus[1m]"), dear)
        self.assertEqual(price({"opus": dear, "*": other}, "haiku"), other)
        self.assertIsNone(price({}, "opus"))

    def test_what_changes_is_seen(self) -> None:
        """How busy and how fast a provider is, is as of now."""
        one = backend()
        way = Way(one, "opus")
        self.assertEqual((way.in_flight, way.first_byte), (0, None))
        one.traffic.in_flight = 3
        one.traffic.first_byte.took(1.5)
        self.assertEqual((way.in_flight, way.first_byte), (3, 1.5))

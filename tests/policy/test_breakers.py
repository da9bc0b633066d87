"""The rules of all breakers together."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.admission import Admission
from ccrelay.policy.breaker import State, Thresholds
from ccrelay.policy.breakers import Breakers, Standing

NOW = 1_700_000_000.0
LIMITS = Thresholds(failures=1, half_open_probes=1)


def breakers(
    providers: Sequence[str] = ("a", "b"), thresholds: Thresholds = LIMITS, most: int = 1000
) -> Breakers:
    """Return breakers without jitter."""
    return Breakers(providers, thresholds, lambda: 0.0, most)


def entered(
    all_of_them: Breakers, provider: str, model: str, now: float, *, early: bool = False
) -> Admission:
    """Return an admission that there must be."""
    admission = all_of_them.enter(provider, model, now, early=early)
    assert admission is not None
    return admission


class AdmissionTests(SynchronousTestCase):
    """Who is let through."""

    def test_a_failure_closes_the_way_to_one_provider(self) -> None:
        """A provider that fails is passed over for every model, and no other provider is."""
        some = breakers()
        entered(some, "a", "opus", NOW).failed(NOW)
        self.assertFalse(some.admits("a", "opus", NOW))
        self.assertFalse(some.admits("a", "haiku", NOW))
        self.assertTrue(some.admits("b", "opus", NOW))

    def test_an_overload_closes_the_way_to_one_model(self) -> None:
        """An overloaded Opus does not close the way to Haiku, nor to Opus elsewhere."""
        some = breakers()
        entered(some, "a", "opus", NOW).overloaded(NOW)
        self.assertFalse(some.admits("a", "opus", NOW))
        self.assertIsNone(some.enter("a", "opus", NOW))
        self.assertTrue(some.admits("a", "haiku", NOW))
        self.assertTrue(some.admits("b", "opus", NOW))
        self.assertEqual(some.due("a", "opus", NOW), NOW + 30)
        self.assertEqual(some.due("a", "haiku", NOW), NOW)

    def test_the_later_of_both_is_when_it_is_due(self) -> None:
        """Where provider and model are both shut, the way is free when both are open."""
        some = breakers()
        entered(some, "a", "opus", NOW).overloaded(NOW)
        entered(some, "a", "haiku", NOW + 10).failed(NOW + 10)
        self.assertEqual(some.due("a", "opus", NOW + 10), NOW + 40)
        self.assertEqual(some.due("a", "sonnet", NOW + 10), NOW + 40)

    def test_who_is_refused_by_one_takes_no_place_of_the_other(self) -> None:
        """A request that the model's breaker refuses neither holds a place at the provider's nor moves it."""
        some = breakers()
        entered(some, "a", "opus", NOW).overloaded(NOW)
        entered(some, "a", "haiku", NOW).failed(NOW)
        held = some.of_model("a", "opus").enter(NOW, early=True)
        self.assertIsNotNone(held)
        for early in (False, True):
            self.assertIsNone(some.enter("a", "opus", NOW, early=early))
        self.assertIs(some.of("a").state(NOW), State.OPEN)
        entered(some, "a", "haiku", NOW, early=True)

    def test_as_a_last_resort_both_let_it_through(self) -> None:
        """Where nobody else is left, a request goes through both gates, one at a time."""
        some = breakers()
        entered(some, "a", "opus", NOW).overloaded(NOW)
        entered(some, "a", "haiku", NOW).failed(NOW)
        self.assertFalse(some.admits("a", "opus", NOW))
        self.assertTrue(some.admits("a", "opus", NOW, early=True))
        probing = entered(some, "a", "opus", NOW, early=True)
        self.assertFalse(some.admits("a", "opus", NOW, early=True))
        probing.succeeded(NOW)
        self.assertTrue(some.admits("a", "opus", NOW))

    @given(st.lists(st.sampled_from(["answered", "succeeded", "failed", "overloaded", "cancelled"])))
    def test_no_place_is_lost_in_whatever_way_it_ends(self, calls: list[str]) -> None:
        """However a request ends, the gates have room for the next as a last resort."""
        some = breakers()
        entered(some, "a", "m", NOW).overloaded(NOW)
        entered(some, "a", "other", NOW).failed(NOW)
        admission = entered(some, "a", "m", NOW, early=True)
        for call in calls:
            getattr(admission, call)(*(() if call == "cancelled" else (NOW,)))
        admission.cancelled()
        self.assertTrue(some.admits("a", "m", NOW, early=True))

    def test_an_unknown_provider_is_an_error(self) -> None:
        """There is no breaker for a provider that is not configured."""
        some = breakers()
        self.assertRaises(KeyError, some.of, "c")
        self.assertRaises(KeyError, some.enter, "c", "m", NOW)


class BoundTests(SynchronousTestCase):
    """How many there are."""

    def test_models_are_bounded(self) -> None:
        """Clients that make up names of models take no more room than is set aside for them."""
        some = breakers(most=10)
        for at in range(1000):
            entered(some, "a", f"made-up-{at}", NOW).overloaded(NOW)
        shown = some.snapshot(NOW)
        self.assertEqual([s.model for s in shown if s.model], [f"made-up-{at}" for at in range(990, 1000)])

    def test_the_least_recently_asked_are_forgotten(self) -> None:
        """A model that is still asked for stays shut, however many others come along."""
        some = breakers(most=10)
        entered(some, "a", "opus", NOW).overloaded(NOW)
        for at in range(1000):
            entered(some, "a", f"made-up-{at}", NOW).cancelled()
            self.assertFalse(some.admits("a", "opus", NOW))

    def test_looking_makes_no_breakers(self) -> None:
        """Models that nobody was asked for take no room."""
        some = breakers(most=1)
        entered(some, "a", "opus", NOW).overloaded(NOW)
        self.assertTrue(some.admits("a", "made-up", NOW))
        self.assertEqual(some.due("a", "made-up", NOW), NOW)
        self.assertFalse(some.admits("a", "opus", NOW))


class ReloadTests(SynchronousTestCase):
    """What a reload keeps."""

    def test_same_names_keep_their_state(self) -> None:
        """A provider that is shut stays shut over a reload, its models too."""
        old, new = breakers(("a", "b", "gone")), breakers(("a", "b", "new"))
        entered(old, "a", "m", NOW).failed(NOW)
        entered(old, "b", "opus", NOW).overloaded(NOW)
        entered(old, "gone", "opus", NOW).overloaded(NOW)
        new.adopt(old)
        self.assertFalse(new.admits("a", "m", NOW))
        self.assertFalse(new.admits("b", "opus", NOW))
        self.assertTrue(new.admits("new", "m", NOW))
        self.assertEqual(
            [(s.provider, s.model) for s in new.snapshot(NOW)],
            [("a", ""), ("b", ""), ("new", ""), ("b", "opus")],
        )

    def test_who_was_changed_begins_anew(self) -> None:
        """A provider whose address was put right is asked at once."""
        old, new = breakers(), breakers()
        for provider in "ab":
            entered(old, provider, "opus", NOW).overloaded(NOW)
            entered(old, provider, "haiku", NOW).failed(NOW)
        new.adopt(old, unchanged=["a", "c"])
        self.assertFalse(new.admits("a", "opus", NOW))
        self.assertTrue(new.admits("b", "haiku", NOW))
        self.assertTrue(new.admits("b", "opus", NOW))

    def test_requests_on_the_old_configuration_count(self) -> None:
        """A request that was running when the configuration was reloaded still tells how the provider is."""
        old, new = breakers(), breakers()
        running = entered(old, "a", "m", NOW)
        new.adopt(old)
        running.failed(NOW)
        self.assertFalse(new.admits("a", "m", NOW))

    def test_new_thresholds_hold(self) -> None:
        """What a reload says about thresholds holds for providers and models that keep their state."""
        old, new = breakers(), breakers(thresholds=Thresholds(failures=3))
        entered(old, "a", "m", NOW).succeeded(NOW)
        new.adopt(old)
        for fail in (Admission.failed, Admission.overloaded):
            for _ in range(2):
                fail(entered(new, "a", "m", NOW), NOW)
                self.assertTrue(new.admits("a", "m", NOW))

    def test_no_more_models_than_fit_are_kept(self) -> None:
        """Over a reload too, the models asked for last are the ones that are remembered."""
        old, new = breakers(), breakers(most=2)
        for model in "klm":
            entered(old, "a", model, NOW).overloaded(NOW)
        new.adopt(old)
        self.assertEqual([s.model for s in new.snapshot(NOW)], ["", "", "l", "m"])


class DisplayTests(SynchronousTestCase):
    """What is shown."""

    def test_all_providers_are_shown_and_the_models_in_trouble(self) -> None:
        """The status names every provider, and of the models those that failed lately."""
        some = breakers(thresholds=Thresholds(failures=2))
        entered(some, "a", "fine", NOW).succeeded(NOW)
        entered(some, "a", "opus", NOW).overloaded(NOW)
        some.of("b").probe_failed(NOW)
        for _ in range(2):
            entered(some, "b", "opus", NOW).failed(NOW)
        self.assertEqual(
            some.snapshot(NOW),
            (
                Standing("a", "", State.CLOSED, NOW, 0, degraded=False),
                Standing("b", "", State.OPEN, NOW + 30, 2, degraded=True),
                Standing("a", "opus", State.CLOSED, NOW, 1, degraded=False),
            ),
        )

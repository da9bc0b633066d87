"""The rules of giving back the leave to go through breakers."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.admission import Admission, Ending, Pass

CALLS: dict[str, Callable[[Pass | Admission], None]] = {
    "answered": lambda leave: leave.answered(1.0),
    "succeeded": lambda leave: leave.succeeded(2.0),
    "failed": lambda leave: leave.failed(3.0),
    "cancelled": lambda leave: leave.cancelled(),
}
SAYS = {"succeeded": Ending.SUCCESS, "failed": Ending.FAILURE, "cancelled": Ending.NOTHING}


class Ear:
    """Hears what passes report."""

    def __init__(self) -> None:
        self.heard: list[Ending] = []

    def __call__(self, ending: Ending, now: float) -> None:
        self.heard.append(ending)


class PassTests(SynchronousTestCase):
    """One pass."""

    @given(st.lists(st.sampled_from(sorted(CALLS))), st.booleans())
    def test_the_first_end_counts_and_no_other(self, calls: list[str], gated: bool) -> None:
        """However often a request is said to have ended, its breaker hears it once."""
        ear = Ear()
        leave = Pass(ear, gated=gated)
        for call in calls:
            CALLS[call](leave)
        says = SAYS | ({"answered": Ending.SUCCESS} if gated else {})
        self.assertEqual(ear.heard, [says[call] for call in calls if call in says][:1])


class AdmissionTests(SynchronousTestCase):
    """The passes of a provider's breaker and of its model's."""

    def heard(
        self, *calls: Callable[[Admission], None], gated: bool = False
    ) -> tuple[list[Ending], list[Ending]]:
        """Return what the breakers of provider and model hear."""
        provider, model = Ear(), Ear()
        admission = Admission(Pass(provider, gated=gated), Pass(model, gated=gated))
        for call in calls:
            call(admission)
        return provider.heard, model.heard

    def test_a_success_is_one_of_both(self) -> None:
        """A provider that answered for a model is well, and so is the model."""
        self.assertEqual(self.heard(CALLS["succeeded"]), ([Ending.SUCCESS], [Ending.SUCCESS]))

    def test_an_answer_that_begins_is_told_to_both(self) -> None:
        """Streams that begin free the places of both gates."""
        self.assertEqual(self.heard(CALLS["answered"]), ([], []))
        self.assertEqual(self.heard(CALLS["answered"], gated=True), ([Ending.SUCCESS], [Ending.SUCCESS]))

    def test_a_failure_is_the_provider_s(self) -> None:
        """A provider that fails says nothing about the model."""
        self.assertEqual(self.heard(CALLS["failed"]), ([Ending.FAILURE], [Ending.NOTHING]))

    def test_an_overload_is_the_model_s(self) -> None:
        """An overloaded Opus does not close the way to Haiku."""
        overloaded = self.heard(lambda admission: admission.overloaded(1.0))
        self.assertEqual(overloaded, ([Ending.NOTHING], [Ending.FAILURE]))

    def test_what_is_cancelled_says_nothing(self) -> None:
        """A client that leaves is nobody's failure."""
        self.assertEqual(self.heard(CALLS["cancelled"]), ([Ending.NOTHING], [Ending.NOTHING]))

    def test_giving_back_once_more_changes_nothing(self) -> None:
        """A `finally` may always give back what a request held."""
        self.assertEqual(
            self.heard(CALLS["failed"], CALLS["cancelled"], CALLS["succeeded"]),
            ([Ending.FAILURE], [Ending.NOTHING]),
        )

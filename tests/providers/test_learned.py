"""The rules of what is learned from rejections: which flag or field, for which model, and for how long."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.betas import NOTHING_LEARNED, Betas, Lesson
from ccrelay.providers.learned import LearnedBetas, Rejection, rejection
from ccrelay.wire.request import MessagesRequest

NOW = 1_795_521_600.0


class RejectionTests(SynchronousTestCase):
    """What a refusal names."""

    def test_flags_by_name(self) -> None:
        """The flags that Anthropic and Vertex name are told, each once."""
        message = (
            "Unexpected value(s) `context-1m-2025-08-07`, `claude-code-20250219` for the `anthropic-beta` "
            "header. Please consult our documentation at docs.anthropic.com or try again without the header."
        )
        self.assertEqual(
            rejection(400, message), Rejection(("context-1m-2025-08-07", "claude-code-20250219"))
        )

    def test_a_flag_without_a_name(self) -> None:
        """Bedrock says that a flag is invalid, and not which one."""
        for message in ("invalid beta flag", "anthropic_beta: invalid beta flag", "Bad beta header",
                        "invalid beta flag for claude-sonnet-4-5-20250929 (bedrock-2023-05-31)"):  # fmt: skip
            self.assertEqual(rejection(400, message), Rejection())

    def test_fields(self) -> None:
        """A field is told by its path, without places in lists, and with what may be a variant marked so."""
        for message, path in (
            ("context_management: Extra inputs are not permitted", "context_management"),
            ("output_config.effort: Extra inputs are not permitted", "output_config.effort"),
            ("tools.0.custom.eager_input_streaming: Extra inputs are not permitted",
             "tools[].?custom.eager_input_streaming"),
            ("messages.3.content.12.text.cache_control.scope: Extra inputs are not permitted",
             "messages[].content[].?text.cache_control.scope"),
            ("system.2.cache_control.ephemeral.scope: Extra inputs are not permitted",
             "system[].?cache_control.?ephemeral.scope"),
        ):  # fmt: skip
            self.assertEqual(rejection(400, message), Rejection(fields=(path,)))

    def test_several_fields(self) -> None:
        """Each field that is named counts."""
        message = "a: Extra inputs are not permitted; tools.1.custom.b: Extra inputs are not permitted"
        self.assertEqual(rejection(400, message), Rejection(fields=("a", "tools[].?custom.b")))

    def test_what_must_stay(self) -> None:
        """Without the model, the messages or what they are made of it would be another request."""
        for field in (
            "messages.0.content", "model", "tools.0.custom.input_schema", "messages.1.role", "thread",
            "messages.0.content.0", "thinking",
        ):  # fmt: skip
            self.assertIsNone(rejection(400, f"{field}: Extra inputs are not permitted"), field)

    def test_other_refusals(self) -> None:
        """A refusal about anything else teaches nothing, and neither does another status."""
        for message in ("", "prompt is too long", "max_tokens: 128000 > 64000", "credit balance is too low",
                        "messages.1.role: Input should be 'user' or 'assistant'"):  # fmt: skip
            self.assertIsNone(rejection(400, message), message)
        for status in (401, 403, 429, 500):
            self.assertIsNone(rejection(status, "invalid beta flag"))


class LearnedTests(SynchronousTestCase):
    """What is remembered."""

    def setUp(self) -> None:
        """Begin knowing nothing."""
        self.learned = LearnedBetas(ttl=100.0, most=3)

    def test_for_one_model_of_one_provider(self) -> None:
        """A lesson holds where it was learned, and nowhere else."""
        self.assertTrue(self.learned.learn("p", "m", Rejection(("a-2026-01-01",)), NOW))
        self.assertEqual(self.learned.lesson("p", "m", NOW), Lesson(frozenset({"a-2026-01-01"})))
        for provider, model in (("p", "n"), ("q", "m")):
            self.assertIs(self.learned.lesson(provider, model, NOW), NOTHING_LEARNED)

    def test_lessons_add_up(self) -> None:
        """One rejection after another is remembered; one that says the same again is not worth a repeat."""
        for said in (Rejection(("a-1",)), Rejection(fields=("f",)), Rejection()):
            self.assertTrue(self.learned.learn("p", "m", said, NOW))
            self.assertFalse(self.learned.learn("p", "m", said, NOW))
        expected = Lesson(frozenset({"a-1"}), frozenset({"f"}), unlisted=True)
        self.assertEqual(self.learned.lesson("p", "m", NOW), expected)

    def test_for_a_time(self) -> None:
        """After its time a lesson is forgotten, since providers learn, too."""
        self.learned.learn("p", "m", Rejection(("a-1",)), NOW)
        self.assertNotEqual(self.learned.lesson("p", "m", NOW + 99), NOTHING_LEARNED)
        self.assertIs(self.learned.lesson("p", "m", NOW + 100), NOTHING_LEARNED)
        self.assertTrue(self.learned.learn("p", "m", Rejection(("a-1",)), NOW + 100))

    def test_it_is_shown(self) -> None:
        """What is known can be looked at: of whom, what, and until when."""
        self.learned.learn("p", "m", Rejection(("a-1",)), NOW)
        self.learned.learn("q", "n", Rejection(), NOW + 50)
        shown = [(each.provider, each.model, each.until) for each in self.learned.shown(NOW + 60)]
        self.assertEqual(shown, [("p", "m", NOW + 100), ("q", "n", NOW + 150)])
        self.assertEqual([each.provider for each in self.learned.shown(NOW + 120)], ["q"])

    def test_it_is_bounded(self) -> None:
        """Whatever models clients make up, only so many are remembered."""
        for model in "abcd":
            self.learned.learn("p", model, Rejection(), NOW)
        self.assertEqual([each.model for each in self.learned.shown(NOW)], ["b", "c", "d"])

    def test_it_is_forgotten(self) -> None:
        """What was learned of one provider can be forgotten."""
        self.learned.learn("p", "m", Rejection(), NOW)
        self.learned.learn("q", "m", Rejection(), NOW)
        self.learned.forget("p")
        self.assertEqual([each.provider for each in self.learned.shown(NOW)], ["q"])

    def test_the_repeat(self) -> None:
        """A refused request goes up again without what it was refused for, and so does the next one."""
        said = {"tools": [{"name": "a", "eager_input_streaming": True}], "messages": []}
        request = MessagesRequest(json.dumps(said).encode(), "m", stream=False, session="")
        refused = rejection(400, "tools.0.custom.eager_input_streaming: Extra inputs are not permitted")
        self.assertIsNotNone(refused)
        self.assertTrue(self.learned.learn("p", "m", refused, NOW))
        again = Betas().fitted(request, (), self.learned.lesson("p", "m", NOW))
        self.assertEqual(json.loads(again.request.body), {"tools": [{"name": "a"}], "messages": []})
        self.assertEqual(again.dropped, ("tools[].eager_input_streaming",))

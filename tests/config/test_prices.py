"""The prices that come with ccrelay."""

from datetime import date

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import PriceSettings
from ccrelay.config.prices import ShippedPrice, shipped
from ccrelay.policy.prices import plain
from ccrelay.service.routing import _published
from ccrelay.wire.usage import Usage

NAMES = {
    "claude-haiku-4-5": (
        "claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-haiku-4-5-latest", "claude-haiku-4-5[1m]",
        "claude-haiku-4-5@20251001", "anthropic.claude-haiku-4-5-20251001-v1:0",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0", "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "us-gov.anthropic.claude-haiku-4-5-20251001-v1:0", "CLAUDE-HAIKU-4-5", "anthropic/claude-haiku-4-5",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-haiku-4-5", "claude-haiku-4-5@default",
    ),
    "claude-opus-4": ("claude-opus-4-20250514", "claude-opus-4-0", "claude-opus-4@20250514"),
    "claude-sonnet-3-7": ("claude-3-7-sonnet-20250219", "anthropic.claude-3-7-sonnet-20250219-v1:0"),
    "claude-haiku-3": ("claude-3-haiku-20240307",),
    "claude-opus-5": ("claude-opus-5", "anthropic.claude-opus-5"),
    "claude-opus-5-5": ("claude-opus-5-5",),
}  # fmt: skip


class ShippedTests(SynchronousTestCase):
    """What is in the table."""

    def test_where_from(self) -> None:
        """The table says when it was read, and each list from where."""
        self.assertLessEqual(date(2026, 1, 1), shipped().published)
        for one in shipped().lists.values():
            self.assertRegex(one.source, r"^https://[a-z.]+/")

    def test_plausible(self) -> None:
        """Reading from a cache costs less than input, writing as much or more, an hour more than minutes."""
        for name, one in shipped().lists.items():
            for model, price in one.models.items():
                tiers = [price] + ([price.then] if price.then else [])
                for tier in tiers:
                    rising = [tier.cache_read, tier.input, tier.cache_write, tier.cache_write_1h]
                    self.assertEqual(rising, sorted(rising), (name, model))
                    self.assertLessEqual(tier.input, tier.output)

    def test_whole(self) -> None:
        """Each price says everything: nothing is derived that is published."""
        for one in shipped().lists.values():
            for model, price in one.models.items():
                self.assertLessEqual(set(PriceSettings.model_fields), price.model_fields_set, model)
                self.assertIsInstance(price, ShippedPrice)

    def test_plain(self) -> None:
        """The names in the table are plain, so that they can be found."""
        for one in shipped().lists.values():
            self.assertEqual([plain(model) for model in one.models], list(one.models))

    def test_each_kind_once(self) -> None:
        """No kind of provider has two lists."""
        kinds = [kind for one in shipped().lists.values() for kind in one.kinds]
        self.assertEqual(len(kinds), len(set(kinds)))

    def test_those_who_set_their_own(self) -> None:
        """Of servers that can be anything no price is known."""
        self.assertEqual(dict(shipped().of("anthropic_compatible")), {})

    def test_long_prompts(self) -> None:
        """Where a long prompt has another price, all of the request does."""
        price = _published("anthropic")["claude-haiku-5-5"]
        short = price.cost(Usage(100_000, 1_000_000))
        self.assertAlmostEqual(short, 0.01 + 0.5)
        self.assertAlmostEqual(price.cost(Usage(50_001, 1_000_000, 50_000)), 0.0250005 + 2.5 + 0.0025)


class NameTests(SynchronousTestCase):
    """What clouds and dates make of a name."""

    def test_names(self) -> None:
        """However a model is called, its plain name is found."""
        for name, others in NAMES.items():
            for other in others:
                self.assertEqual(plain(other), name)
                self.assertIn(name, _published("bedrock"), other)

    def test_other_names(self) -> None:
        """Names that are nobody's stay what they are."""
        for name in ("gpt-5", "qwen3-coder:30b", "", "-", "claude", "glm-4.7", "my.model"):
            self.assertEqual(plain(name), name)

    def test_nothing_takes_long(self) -> None:
        """A name that is longer than any is not looked into."""
        for name in ("-0" * 50_000, "[" * 50_000, "anthropic." * 10_000, "-v1" * 50_000 + "x"):
            self.assertIs(plain(name), name)

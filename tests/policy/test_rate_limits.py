"""The rules of what answers tell about waits and limits."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask
from ccrelay.policy.rate_limits import Learned, LearnedLimits, learned, retry_after
from ccrelay.wire.http import Pairs

NOW = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
DAY = 86400.0


def said(value: bytes, milliseconds: bytes | None = None) -> float | None:
    """Return the wait that is read from a C{retry-after}."""
    also: Pairs = () if milliseconds is None else ((b"retry-after-ms", milliseconds),)
    return retry_after(((b"date", b"x"), (b"retry-after", value), *also), NOW)


def limits(**values: bytes) -> Pairs:
    """Return the header fields of a limit: C{tokens_reset} is C{anthropic-ratelimit-tokens-reset}."""
    return tuple(
        (b"anthropic-ratelimit-" + name.replace("_", "-").encode(), value) for name, value in values.items()
    )


IN_TEN_SECONDS = b"2023-11-14T22:13:30Z"
IN_A_MINUTE = b"2023-11-14T22:14:20Z"


class RetryAfterTests(SynchronousTestCase):
    """How long to wait."""

    def test_seconds(self) -> None:
        """Seconds are taken as they are, with a fraction too."""
        self.assertEqual([said(v) for v in (b"30", b"0", b" 7 ", b"1.5", b"2.")], [30, 0, 7, 1.5, 2])

    def test_three_days(self) -> None:
        """A quota that is free again in three days is waited for three days, in seconds or as a date."""
        self.assertEqual(said(b"259200"), 3 * DAY)
        self.assertEqual(said(formatdate(NOW + 3 * DAY, usegmt=True).encode()), 3 * DAY)

    def test_a_date(self) -> None:
        """Every form of date that HTTP knows is understood."""
        for date in (
            b"Tue, 14 Nov 2023 22:14:20 GMT",
            b"Tuesday, 14-Nov-23 22:14:20 GMT",
            b"Tue Nov 14 22:14:20 2023",
            b"Tue, 14 Nov 2023 22:14:20 -0000",
            b"Tue, 14 Nov 2023 23:14:20 +0100",
        ):
            self.assertEqual(said(date), 60.0, date)

    def test_a_date_that_has_passed(self) -> None:
        """A date in the past asks for no wait."""
        self.assertEqual(said(b"Tue, 14 Nov 2023 22:13:19 GMT"), 0.0)

    def test_milliseconds(self) -> None:
        """Milliseconds are the more exact, and go first."""
        self.assertEqual(retry_after(((b"retry-after-ms", b"1500"),), NOW), 1.5)
        self.assertEqual(said(b"2", milliseconds=b"1500.5"), 1.5005)

    def test_unreadable_milliseconds_hide_nothing(self) -> None:
        """Where the milliseconds make no sense, the seconds count."""
        for nonsense in (b"", b"soon", b"-1", b"1e3", b"99999999999999"):
            self.assertEqual(said(b"2", milliseconds=nonsense), 2.0, nonsense)

    def test_nonsense(self) -> None:
        """What is no wait was never said."""
        for nonsense in (
            b"",
            b"soon",
            b"-1",
            b"1e9",
            b"nan",
            b"inf",
            b"0x10",
            b"1,5",
            b"30 seconds",
            "٣".encode(),
            b"\xff",
            b"99999999999",
            b"9" * 5000,
            b"1700000030",
            b"Tue, 32 Nov 2023 22:14:20 GMT",
            b"Tue, 14 Nov 9999 22:14:20 GMT",
            b"2023-11-14",
        ):
            self.assertIsNone(said(nonsense), nonsense)
        self.assertIsNone(retry_after((), NOW))

    @given(st.binary(max_size=40) | st.text("0123456789 :,.-+GMTWedNovJan", max_size=40).map(str.encode))
    def test_anything_may_come(self, value: bytes) -> None:
        """Whatever a provider writes there, it is either a wait of at most a year or none."""
        wait = said(value, milliseconds=value)
        self.assertTrue(wait is None or 0 <= wait <= 366 * DAY)


class ReadingTests(SynchronousTestCase):
    """What is read from the header fields."""

    def test_all_of_a_limit(self) -> None:
        """Limit, remainder and the time of the reset are read, of every kind of limit."""
        headers = limits(
            input_tokens_limit=b"50000",
            input_tokens_remaining=b"0",
            input_tokens_reset=b"2023-11-14T22:14:20.5Z",
            requests_remaining=b" 7 ",
            requests_reset=b"2023-11-14T23:13:30+01:00",
        )
        self.assertEqual(
            learned((*headers, (b"content-type", b"text/event-stream"))),
            (Learned("input-tokens", 50000, 0, NOW + 60.5), Learned("requests", None, 7, NOW + 10)),
        )

    def test_without_a_reset_nothing_is_learned(self) -> None:
        """What nobody could say when to forget is not taken."""
        for reset in (b"", b"soon", b"60", b"2023-11-14T22:14:20", b"2023-13-14T22:14:20Z", b"\xff"):
            self.assertEqual(
                learned(limits(tokens_limit=b"9", tokens_remaining=b"1", tokens_reset=reset)), ()
            )
        self.assertEqual(learned(limits(tokens_limit=b"9", tokens_remaining=b"1")), ())

    def test_a_reset_alone_tells_nothing(self) -> None:
        """A time without a number, or with one that is none, is no limit."""
        for number in (b"", b"-1", b"many", b"1.5", b"9" * 5000):
            headers = limits(tokens_remaining=number, tokens_reset=IN_A_MINUTE)
            self.assertEqual(learned(headers), (), number)

    def test_other_fields_tell_nothing(self) -> None:
        """Limits of a kind nobody knows today are passed by."""
        headers = limits(
            unified_status=b"allowed", unified_reset=b"1700000060", reset=IN_A_MINUTE, new_limit=b"5"
        )
        self.assertEqual(learned(headers), ())


class LearnedTests(SynchronousTestCase):
    """What is known of a key's limits."""

    def setUp(self) -> None:
        """Nothing is known yet."""
        self.known = LearnedLimits()

    def short(self, ask: Ask, now: float = NOW) -> bool:
        """Return whether the key is short of what is asked."""
        return self.known.short(ask, now)

    def test_nothing_known_is_enough(self) -> None:
        """A key of which nothing is known is short of nothing."""
        self.assertFalse(self.short(Ask("opus", 10**9, 10**9)))

    def test_each_kind_is_held_against_its_own(self) -> None:
        """A request is held against what is left of requests, of input, of output and of both."""
        for kind, fits, over in (
            ("requests", None, Ask("m", 0, 0)),
            ("input-tokens", Ask("m", 100, 500), Ask("m", 101, 1)),
            ("output-tokens", Ask("m", 500, 100), Ask("m", 1, 101)),
            ("tokens", Ask("m", 50, 50), Ask("m", 50, 51)),
        ):
            self.known = LearnedLimits()
            left = b"0" if kind == "requests" else b"100"
            self.known.learn(limits(**{f"{kind}-remaining": left, f"{kind}-reset": IN_A_MINUTE}), "m", NOW)
            self.assertTrue(self.short(over), kind)
            if fits is not None:
                self.assertFalse(self.short(fits), kind)

    def test_it_is_forgotten_at_the_reset(self) -> None:
        """What was learned holds until its reset and not a moment longer, each limit for itself."""
        self.known.learn(
            limits(
                requests_remaining=b"0",
                requests_reset=IN_TEN_SECONDS,
                tokens_remaining=b"5",
                tokens_reset=IN_A_MINUTE,
            ),
            "m",
            NOW,
        )
        small, large = Ask("m", 1, 1), Ask("m", 10, 10)
        self.assertTrue(self.short(small, NOW + 9.9))
        self.assertFalse(self.short(small, NOW + 10))
        self.assertTrue(self.short(large, NOW + 10))
        self.assertEqual([limit.kind for _, limit in self.known.shown(NOW + 10)], ["tokens"])
        self.assertFalse(self.short(large, NOW + 60))
        self.assertEqual(self.known.shown(NOW + 60), ())

    def test_a_later_answer_replaces_what_it_tells(self) -> None:
        """Of the same limit the last answer counts; what it does not mention stays."""
        self.known.learn(limits(requests_remaining=b"0", requests_reset=IN_A_MINUTE), "m", NOW)
        self.known.learn(limits(tokens_remaining=b"5", tokens_reset=IN_A_MINUTE), "m", NOW)
        self.assertTrue(self.short(Ask("m", 1, 1)))
        self.known.learn(limits(requests_remaining=b"3", requests_reset=IN_A_MINUTE), "m", NOW)
        self.assertFalse(self.short(Ask("m", 1, 1)))
        self.assertTrue(self.short(Ask("m", 3, 3)))

    def test_classes_of_models_are_apart(self) -> None:
        """What is left for Opus is left for every Opus and says nothing of Haiku."""
        self.known.learn(limits(requests_remaining=b"0", requests_reset=IN_A_MINUTE), "claude-opus-4-1", NOW)
        self.assertTrue(self.short(Ask("claude-opus-4-8")))
        self.assertFalse(self.short(Ask("claude-haiku-4-5")))

    def test_a_request_over_the_whole_limit_needs_all_of_it(self) -> None:
        """For a request that is larger than the limit, a key with all of it left is as good as it gets."""
        for left, short in ((b"100", False), (b"99", True)):
            self.known.learn(
                limits(
                    input_tokens_limit=b"100", input_tokens_remaining=left, input_tokens_reset=IN_A_MINUTE
                ),
                "m",
                NOW,
            )
            self.assertEqual(self.short(Ask("m", 5000, 1)), short)

    def test_a_limit_without_a_remainder_is_shown_only(self) -> None:
        """Where an answer does not say what is left, no request is held against it."""
        self.known.learn(limits(tokens_limit=b"1", tokens_reset=IN_A_MINUTE), "m", NOW)
        self.assertFalse(self.short(Ask("m", 50, 50)))
        self.assertEqual(self.known.shown(NOW), (("m", Learned("tokens", 1, None, NOW + 60)),))

    def test_models_are_bounded(self) -> None:
        """Made-up names of models take no more room than is set aside, and what is over goes first."""
        self.known.learn(limits(tokens_remaining=b"1", tokens_reset=IN_A_MINUTE), "lasting", NOW)
        for at in range(99):
            self.known.learn(limits(tokens_remaining=b"1", tokens_reset=IN_TEN_SECONDS), f"over-{at}", NOW)
        for at in range(99):
            self.known.learn(limits(tokens_remaining=b"1", tokens_reset=IN_A_MINUTE), f"new-{at}", NOW + 20)
        self.assertEqual(
            [name for name, _ in self.known.shown(NOW + 20)], ["lasting", *(f"new-{at}" for at in range(99))]
        )
        self.known.learn(limits(tokens_remaining=b"1", tokens_reset=IN_A_MINUTE), "one more", NOW + 20)
        self.assertEqual(len(self.known._told), 100)

    @given(
        st.dictionaries(
            st.sampled_from(["requests", "tokens", "input-tokens", "output-tokens"]),
            st.tuples(st.integers(0, 50), st.integers(0, 50), st.sampled_from([IN_TEN_SECONDS, IN_A_MINUTE])),
        ),
        st.integers(0, 60),
        st.integers(0, 60),
        st.sampled_from([NOW, NOW + 10, NOW + 60]),
    )
    def test_short_is_short_of_any(
        self, told: dict[str, tuple[int, int, bytes]], size: int, output: int, now: float
    ) -> None:
        """A key is short if and only if one of its limits has less left than is needed of it."""
        known = LearnedLimits()
        expected = False
        needs = {"requests": 1, "tokens": size + output, "input-tokens": size, "output-tokens": output}
        for kind, (limit, left, reset) in told.items():
            fields = {"limit": limit, "remaining": left}
            headers = limits(**{f"{kind}-{name}": b"%d" % value for name, value in fields.items()})
            known.learn((*headers, *limits(**{f"{kind}-reset": reset})), "m", NOW)
            lasts = now < (NOW + 10 if reset == IN_TEN_SECONDS else NOW + 60)
            expected = expected or (lasts and left < min(needs[kind], limit))
        self.assertEqual(known.short(Ask("m", size, output), now), expected)

"""The rules of usage: what a provider reports is taken over, what it does not report stays unknown."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.usage import NOTHING_KNOWN, Usage, of_message, of_start

COUNTS = st.none() | st.integers(0, 10**7)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS)


def reported(usage: Usage) -> dict[str, int | None]:
    """Return usage as a provider words it."""
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
    }


class ReadingTests(SynchronousTestCase):
    """What is read."""

    @given(USAGES)
    def test_each_figure_has_its_place(self, usage: Usage) -> None:
        """Input, output, cache reads and cache writes are not mixed up, in a start, a delta or a message."""
        said = {"usage": {**reported(usage), "service_tier": "standard", "iterations": [{}]}}
        for whole in ({"type": "message", "content": []}, {"type": "message_delta", "delta": {}}):
            self.assertEqual(of_message(json.dumps({**whole, **said}).encode()), usage)
        self.assertEqual(of_start(json.dumps({"type": "message_start", "message": said}).encode()), usage)

    def test_nothing_said_is_nothing_known(self) -> None:
        """A message without usage, with an empty one, or that is none, tells no figure: not even 0."""
        for data in (
            b"{}", b'{"usage":null}', b'{"usage":{}}', b'{"usage":[]}', b'{"usage":{"input_tokens":"many"}}',
            b"[]", b"", b"<html>", b'{"model":"\xff","usage":{}}', b'{"x":%s}' % (b"[" * 9000 + b"]" * 9000),
        ):  # fmt: skip
            self.assertEqual(of_message(data), NOTHING_KNOWN)
            self.assertEqual(of_start(data), NOTHING_KNOWN)
            self.assertEqual(of_start(b'{"message":' + data + b"}"), NOTHING_KNOWN)


class UpdatedTests(SynchronousTestCase):
    """What is known after several reports."""

    @given(USAGES, USAGES)
    def test_a_later_figure_replaces_an_earlier_one(self, start: Usage, delta: Usage) -> None:
        """Figures are cumulative, so where the later report is silent the earlier holds."""
        known = start.updated(delta)
        for figure in Usage.__slots__:
            later = getattr(delta, figure)
            expected = getattr(start, figure) if later is None else later
            self.assertEqual(getattr(known, figure), expected)

    @given(USAGES)
    def test_silence_changes_nothing(self, usage: Usage) -> None:
        """A report that says nothing leaves what is known."""
        self.assertEqual(usage.updated(NOTHING_KNOWN), usage)
        self.assertEqual(NOTHING_KNOWN.updated(usage), usage)

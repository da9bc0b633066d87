"""The rules of the faults: how an answer goes wrong, and that what comes before is as it would have been."""

from __future__ import annotations

import json
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Refuses, Says, Sends
from ccrelay.simulator.faults import Breaks, Early, Errs, Gzips, Stalls
from ccrelay.simulator.steps import Chunk, Cut, End, Hang, Head, Reset, Step, Wait
from tests.network import sse
from tests.simulator.stage import MESSAGE, STREAM, asked

HELLO = Says("Hello, how do you do?")


def steps(act: Act, body: Any = STREAM) -> list[Step]:
    """Return the steps of an act."""
    return list(act.steps(asked(body)))


def until(found: list[Step], last: Step) -> list[Step]:
    """Return the steps that are taken: those up to one after which there is none."""
    return found[: found.index(last) + 1]


class StallsTests(SynchronousTestCase):
    """An answer that stops coming."""

    @given(st.integers(0, 20))
    def test_inside(self, events: int) -> None:
        """After that many events it is silent for ever, after all of them at the latest."""
        usual = steps(HELLO)
        *before, _ = until(steps(Stalls(after_events=events, act=HELLO)), Hang())
        self.assertEqual(before, usual[: min(1 + events, len(usual) - 1)])

    def test_ahead(self) -> None:
        """It may be silent ahead of its head."""
        self.assertEqual(steps(Stalls(before_head=True, act=HELLO))[0], Hang())

    def test_for_a_while(self) -> None:
        """A stall that has an end changes nothing else."""
        for act in (
            Stalls(after_events=3, seconds=20.0, act=HELLO),
            Stalls(before_head=True, seconds=20.0, act=HELLO),
        ):
            found = steps(act)
            self.assertIn(Wait(20.0), found)
            found.remove(Wait(20.0))
            self.assertEqual(found, steps(HELLO))

    def test_json(self) -> None:
        """JSON stalls half-way, or behind its head."""
        head, first, pause, second, end = steps(Stalls(seconds=1.0, act=HELLO), MESSAGE)
        _, whole, _ = steps(HELLO, MESSAGE)
        self.assertEqual((head.length, first.data + second.data), (len(whole.data), whole.data))
        self.assertEqual((pause, end), (Wait(1.0), End()))
        self.assertEqual(steps(Stalls(after_events=0, act=HELLO), MESSAGE)[1], Hang())


class BreaksTests(SynchronousTestCase):
    """An answer that breaks off."""

    def test_how(self) -> None:
        """It ends by a reset, by a cut, or as if it were whole, without its message_stop."""
        for how, last in (("reset", Reset()), ("cut", Cut()), ("end", End())):
            head, *chunks, end = until(steps(Breaks(after_events=4, how=how, act=HELLO)), last)
            self.assertEqual(([head, *chunks], end), (steps(HELLO)[:5], last))

    def test_before_the_head(self) -> None:
        """It may end ahead of the head."""
        self.assertEqual(steps(Breaks(after_events=None)), [Reset()])
        self.assertEqual(steps(Breaks(after_events=None, how="cut")), [Cut()])
        self.assertEqual(steps(Breaks(after_events=None, how="end")), [Cut()])

    def test_json(self) -> None:
        """JSON breaks off half-way, against its length, or with one that is true of the half."""
        _, whole, _ = steps(HELLO, MESSAGE)
        half = whole.data[: (len(whole.data) + 1) // 2]
        head, chunk, last = until(steps(Breaks(how="cut", act=HELLO), MESSAGE), Cut())
        self.assertEqual((head.length, chunk.data, last), (len(whole.data), half, Cut()))
        head, chunk, _ = until(steps(Breaks(how="end", act=HELLO), MESSAGE), End())
        self.assertEqual((head.length, chunk.data), (len(half), half))
        head, _ = until(steps(Breaks(after_events=0, how="end", act=HELLO), MESSAGE), End())
        self.assertEqual(head.length, 0)

    def test_other_answers(self) -> None:
        """Any answer can break off, an empty one too."""
        self.assertIn(Reset(), steps(Breaks(act=Sends(b""))))
        self.assertIn(Reset(), steps(Breaks(act=Refuses(500))))


class ErrsTests(SynchronousTestCase):
    """A stream that says C{error}."""

    @given(st.integers(0, 20))
    def test_after(self, events: int) -> None:
        """The error is the first event, or comes after some; then the stream ends cleanly."""
        usual = [step for step in steps(HELLO) if isinstance(step, Chunk)]
        found = until(steps(Errs(kind="api_error", message="no", after_events=events, act=HELLO)), End())
        head, *before, error, end = found
        self.assertEqual((type(head), before, end), (Head, usual[:events], End()))
        self.assertEqual(
            sse(error.data),
            [
                (
                    "error",
                    {
                        "type": "error",
                        "error": {"type": "api_error", "message": "no"},
                        "request_id": "req_sim_00000007",
                    },
                )
            ],
        )

    def test_json(self) -> None:
        """Without a stream it is a refusal of the fitting status."""
        for kind, status in (
            ("overloaded_error", 529),
            ("api_error", 500),
            ("rate_limit_error", 429),
            ("new", 500),
        ):
            head, chunk, _ = steps(Errs(kind=kind), MESSAGE)
            self.assertEqual((head.status, json.loads(chunk.data)["error"]["type"]), (status, kind))


class WrapperTests(SynchronousTestCase):
    """Acts that change how another one comes."""

    def test_gzip(self) -> None:
        """It is one gzip body, of which each event can be read when it comes."""
        for body in (STREAM, MESSAGE):
            usual = [step.data for step in steps(HELLO, body) if isinstance(step, Chunk)]
            head, *chunks, end = steps(Gzips(HELLO), body)
            self.assertIn((b"content-encoding", b"gzip"), head.headers)
            self.assertEqual((head.length, end), (None, End()))
            reader = zlib.decompressobj(wbits=31)
            self.assertEqual([reader.decompress(chunk.data) for chunk in chunks], [*usual, b""])
            self.assertTrue(reader.eof)

    def test_a_broken_gzip(self) -> None:
        """A gzip body that breaks off has no trailer."""
        *_, last = until(steps(Gzips(Breaks(how="cut", act=HELLO))), Cut())
        self.assertEqual(last, Cut())

    def test_early(self) -> None:
        """An early answer is no other answer."""
        self.assertEqual(steps(Early(HELLO)), steps(HELLO))

"""The columns: what is checked in every cell."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from tests.matrix.answers import answer
from tests.matrix.cell import Cell, secret
from tests.matrix.fault import Blame, Hold
from tests.matrix.remains import breakers, keys, place
from tests.matrix.series import MOST, End, Series, Step
from tests.network import GRACE, sse
from tests.stack import HEADERS

_CLIENTS_KEY: Final = dict(HEADERS)["x-api-key"]
_FLOOR: Final = 3
"""Repeats in place that the budget always allows in 10 s (3.3)."""
_WINDOW_S: Final = 10.0
_BRIEFLY: Final = (0.1, 0.3)
_PATIENTLY: Final = (1.0, 5.0)
_WITHIN_S: Final = 8.0
"""Seconds that a repeat waits under overload: where there is somebody else, and where not, in all."""


def attempts(test: Any, cell: Cell, series: Series) -> None:
    """Which attempts there were, where, with what verdict, and which were repeats (3.1, 3.1a, 3.3)."""
    numbers: dict[str, list[str]] = {}
    went = []
    for attempt in cell.stack.told.attempts:
        known = numbers.setdefault(attempt.provider, [])
        if attempt.key not in known:
            known.append(attempt.key)
        went.append((attempt.provider, known.index(attempt.key)))
    told = cell.stack.told.attempts
    test.assertEqual(len(went), len(series.steps), [went, [a.reason for a in told]])
    for here, step, attempt in zip(went, series.steps, told, strict=True):
        test.assertIn(here, step.places)
        test.assertEqual((attempt.repeat, attempt.verdict.value), (step.repeat, _verdict(cell, step)))
    test.assertLessEqual(len(told), MOST)
    test.assertEqual([m.faulty for m in cell.met], [step.faulty for step in series.steps])
    counted = Counter((a.provider, a.verdict.value) for a in told)
    expected = Counter(
        (m.provider, _verdict(cell, step)) for m, step in zip(cell.met, series.steps, strict=True)
    )
    test.assertEqual(counted, expected)


def _verdict(cell: Cell, step: Step) -> str:
    return cell.effect.blame.verdict if step.faulty else "ok"


def waits(test: Any, cell: Cell, series: Series) -> None:
    """How long is waited before a repeat: as asked for, else as overload and jitter have it (3.1a, 3.3)."""
    effect = cell.effect
    for number, (step, before, met) in enumerate(
        zip(series.steps[1:], cell.met, cell.met[1:], strict=False), start=1
    ):
        gap = met.at - before.at - effect.seconds
        if not step.repeat:
            test.assertAlmostEqual(gap, 0.0, places=6)
        elif effect.blame is Blame.OVERLOAD:
            tried = Counter(m.provider for m in cell.met[:number])
            elsewhere = cell.topology.keys.keys() - tried.keys()
            low, high = _BRIEFLY if elsewhere and tried[met.provider] == 1 else _PATIENTLY
            test.assertTrue(low <= gap <= high, gap)
        elif effect.wait is None:
            test.assertTrue(0.25 <= gap <= 5.0 + GRACE, gap)
        else:
            last = max(m.at for m in cell.met if m.at < met.at and m.key == met.key)
            test.assertGreaterEqual(met.at - last, effect.wait - effect.slack)
    if effect.blame is Blame.OVERLOAD and _alone(cell):
        test.assertLessEqual(cell.met[-1].at - cell.met[0].at, _WITHIN_S)


def _alone(cell: Cell) -> bool:
    return len({provider for provider, _ in cell.topology.places}) == 1


def budget(test: Any, cell: Cell, series: Series) -> None:
    """Only repeats in place take from the budget (3.3)."""
    starts = [met.at for met, step in zip(cell.met, series.steps, strict=True) if step.repeat]
    sure = sum(at - _WINDOW_S / 2 > cell.now - _WINDOW_S for at in starts)  # a pause is 5 s at most
    left = cell.stack.upstreams.routing.budget.left(cell.wall)
    test.assertTrue(_FLOOR - len(starts) <= left <= _FLOOR - sure, left)


def log(test: Any, cell: Cell, series: Series) -> None:
    """A line for each attempt that failed, and one for the request, whatever its end (10.3)."""
    told = cell.stack.told
    lines = cell.stack.logged
    failed = [line for line in lines if line["message"] == "attempt failed"]
    bad = [attempt for attempt in told.attempts if attempt.verdict.value != "ok"]
    test.assertEqual(
        [(line["provider"], line["key"], line["verdict"], line["reason"]) for line in failed],
        [(attempt.provider, attempt.key, attempt.verdict.value, attempt.reason) for attempt in bad],
    )
    (line,) = [line for line in lines if line["message"] == "request"]
    test.assertIs(lines[-1], line) if len(lines) == len(failed) + 1 else test.fail(lines)
    test.assertEqual({line["id"] for line in lines}, {cell.answer.headers["x-ccrelay-request-id"]})
    test.assertEqual((line["status"], line["attempts"]), (cell.answer.status, len(told.attempts)))
    tried = [f"{a.provider}/{a.key}" for a in told.attempts]
    test.assertEqual(line.get("tried", tried), tried)
    if series.end is End.SERVED:
        test.assertEqual(line["ended"], "complete")
    elif series.end is End.CUT:
        test.assertTrue(line["ended"].startswith("upstream"), line["ended"])
    else:
        words = "; ".join(f"{attempt.provider}: {attempt.reason}" for attempt in bad)
        test.assertEqual(line["ended"].rstrip("…")[:256], words[:256])


def never(test: Any, cell: Cell, _series: Series) -> None:
    """What must never be: two beginnings, an end that is silent, a key that is somebody else's."""
    answer = cell.answer
    names = [name for name, _ in sse(answer.body)] if cell.stream and answer.status == 200 else []
    test.assertLessEqual(names.count("message_start"), 1)
    if names:
        ends = (names[-1] in {"message_stop", "error"} and answer.complete) or (
            cell.closed and not answer.complete
        )
        test.assertTrue(ends, (names, answer.complete))
    else:
        test.assertTrue(answer.complete)
    for provider, own in cell.topology.keys.items():
        for asked in cell.stack.asked(provider):
            given = (asked.header("x-api-key") or asked.header("authorization") or "").removeprefix("Bearer ")
            test.assertIn(given, {secret(key) for key in own})
            test.assertNotIn(_CLIENTS_KEY, repr(asked.headers) + repr(asked.body))
            test.assertEqual(asked.header("cookie"), None)
    shown = cell.received.decode() + "".join(cell.stack.lines)
    for keys_ in cell.topology.keys.values():
        for key in keys_:
            test.assertNotIn(secret(key), shown)
    test.assertNotIn(_CLIENTS_KEY, shown)
    if cell.topology.open and any(met.provider == cell.topology.open for met in cell.met):
        others = {name for name in cell.topology.keys if name != cell.topology.open}
        before = [met.provider for met in cell.met]
        test.assertLessEqual(others, set(before[: before.index(cell.topology.open)]))
    if cell.effect.hold in {Hold.INVALID, Hold.MODEL, Hold.EXHAUSTED}:
        used = Counter(met.key for met in cell.met)
        test.assertEqual(set(used.values()), {1})


COLUMNS: Final = (attempts, waits, answer, keys, breakers, place, budget, log, never)

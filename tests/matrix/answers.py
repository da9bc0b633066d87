"""The column of what the client received: its status, the header fields that matter, and its exact bytes."""

from __future__ import annotations

import json
from math import ceil
from typing import Any, Final

from ccrelay.policy.rate_limits import retry_after
from ccrelay.simulator.acts import Says
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.steps import Chunk
from ccrelay.wire.sse import PING, without
from tests.matrix.cell import WALL, Cell, Met
from tests.matrix.fault import Blame, Words
from tests.matrix.losses import LOST
from tests.matrix.series import End, Series
from tests.network import sse

_EARLY_S: Final = 15.0
"""C{ping_interval_ms}: after that long a silence a stream's head goes out, whatever comes of it (2.5)."""
_STREAM: Final = "text/event-stream; charset=utf-8"
_WAITS: Final = ("retry-after", "retry-after-ms", "x-should-retry")


def answer(test: Any, cell: Cell, series: Series) -> None:
    """What the client received."""
    got = cell.answer
    test.assertTrue(got.headers["x-ccrelay-request-id"].startswith("req_ccrelay_"))
    if series.end is End.SERVED:
        _served(test, cell)
    elif cell.stream and (cell.lasted >= _EARLY_S or cell.effect.began):
        _ended_by_an_event(test, cell)
    else:
        _refused(test, cell)


def events(act: Says, asked: Asked) -> list[bytes]:
    """Return the events with which a provider answered."""
    return list(act.message(asked).events(act.pieces))


def _sent(cell: Cell) -> bytes:
    """Return the events that the client is to have: one beginning, and none twice (2.5a)."""
    sent = b""
    for met in cell.met:
        if met.asked is None:
            continue
        act = LOST if met.faulty else Says(f"from {met.provider}", pieces=2)
        of_it = events(act, met.asked)[: cell.effect.began if met.faulty else None]
        whole = b"".join(of_it)
        sent += without(whole, b"message_start") if sent else whole
    return sent


def _ids(test: Any, cell: Cell, met: Met | None) -> None:
    """Assert that C{request-id} is the provider's, where it gave one in time, else ccrelay's (1.5, 2.5)."""
    own = cell.answer.headers["x-ccrelay-request-id"]
    theirs = own if met is None or met.asked is None else met.asked.request_id
    test.assertEqual(cell.answer.headers["request-id"], theirs)


def _served(test: Any, cell: Cell) -> None:
    got, last = cell.answer, cell.met[-1]
    assert last.asked is not None
    test.assertEqual((got.status, got.complete), (200, True))
    test.assertEqual({name for name in got.headers if name in _WAITS}, set())
    if not cell.stream:
        test.assertEqual(got.headers["content-type"], "application/json")
        test.assertEqual(got.body, Says(f"from {last.provider}", pieces=2).message(last.asked).whole())
        _ids(test, cell, last)
        return
    test.assertEqual(got.headers["content-type"], _STREAM)
    test.assertEqual(got.body.replace(PING, b""), _sent(cell))
    test.assertEqual(got.body.startswith(PING), cell.met[-1].at - cell.began >= _EARLY_S)
    beginner = cell.met[0] if cell.effect.began else last
    _ids(test, cell, None if beginner.at - cell.began >= _EARLY_S else beginner)


def _ended_by_an_event(test: Any, cell: Cell) -> None:
    """Assert that a stream that had begun ends with an C{error} event, behind what was whole (2.4, 2.5)."""
    got, effect = cell.answer, cell.effect
    test.assertEqual((got.status, got.complete), (200, True))
    test.assertEqual(got.headers["content-type"], _STREAM)
    sent = _sent(cell)
    rest = got.body.replace(PING, b"")
    test.assertTrue(rest.startswith(sent))
    ((name, said),) = sse(rest[len(sent) :])
    test.assertEqual(name, "error")
    _error(test, cell, said)
    if effect.words is Words.THEIRS:
        last = cell.met[-1].asked
        assert last is not None
        theirs = b"event: error\ndata: " + _bytes_of(cell, last) + b"\n\n"
        test.assertEqual(rest[len(sent) :], theirs)
    _ids(test, cell, cell.met[0] if effect.began else None)


def _refused(test: Any, cell: Cell) -> None:
    """Assert that the answer is the most useful refusal, with its bytes and its fields (3.4, 1.4)."""
    got, effect = cell.answer, cell.effect
    test.assertEqual((got.status, got.headers["content-type"]), (effect.status, "application/json"))
    if effect.words is Words.THEIRS:
        last = cell.met[-1].asked
        assert last is not None
        theirs = _bytes_of(cell, last)
        test.assertEqual(got.body, theirs)
    _error(test, cell, json.loads(got.body))
    redirected = effect.status == 502 and effect.words is Words.PUT
    _ids(test, cell, None if effect.words is Words.OURS or redirected else cell.met[-1])
    _fields(test, cell)


def _bytes_of(cell: Cell, asked: Asked) -> bytes:
    """Return the body of the refusal that a request got, or the data of its C{error} event."""
    act: Any = cell.row.act
    sent = b"".join(step.data for step in act.steps(asked) if isinstance(step, Chunk))
    before, event, error = sent.partition(b"event: error\ndata: ")
    return error.partition(b"\n")[0] if event else before


def _error(test: Any, cell: Cell, said: Any) -> None:
    effect = cell.effect
    test.assertEqual((said["type"], said["error"]["type"]), ("error", effect.kind))
    test.assertIn(effect.says, said["error"]["message"])
    if effect.words is not Words.THEIRS:
        test.assertEqual(said["request_id"], cell.answer.headers["x-ccrelay-request-id"])
    if effect.words is Words.OURS and effect.blame is not Blame.CUT:
        for attempt in cell.stack.told.attempts:
            test.assertIn(f"{attempt.provider}: {attempt.reason}", said["error"]["message"])


def _fields(test: Any, cell: Cell) -> None:
    """Assert C{retry-after} and C{x-should-retry}: the provider's, unless another key frees sooner (3.4)."""
    effect, got = cell.effect, cell.answer.headers
    theirs = dict(effect.fields)
    if cell.row.act is not None and not theirs and effect.wait is not None:
        steps: Any = cell.row.act.steps(_with(cell))
        theirs = {n.decode(): v.decode() for n, v in next(iter(steps)).headers if n.decode() in _WAITS}
    ours = {name: value for name, value in got.items() if name in _WAITS}
    frees = _frees(cell)
    never = theirs.get("x-should-retry") == "false"
    pairs = tuple((name.encode(), value.encode()) for name, value in theirs.items())
    end = WALL + cell.began + cell.lasted
    said = retry_after(pairs, end)
    until = said if said is not None else float("inf") if never else 0.0
    limited = effect.blame is Blame.KEY and effect.status == 429
    if limited and frees is not None and frees - end < until - 1e-4:
        test.assertEqual(ours, {"retry-after": str(max(ceil(frees - end), 1))})
    else:
        test.assertEqual(ours, theirs)


def _with(cell: Cell) -> Asked:
    asked = cell.met[-1].asked
    assert asked is not None
    return asked


def _frees(cell: Cell) -> float | None:
    """
    Return when the soonest key frees that is not the refused one, or None if none ever does.

    A key that was not asked is free; one that refused is so after the time it named.  Of one that named
    none and is never to be asked again nobody knows.  None is before its provider's circuit lets it through.
    """
    effect, last = cell.effect, cell.met[-1]
    end = WALL + cell.began + cell.lasted
    times = []
    for provider, keys in cell.topology.keys.items():
        due = cell.stack.upstreams.routing.breakers.of(provider).due(end)
        for key in keys:
            mine = [met.at for met in cell.met if met.key == key]
            if key == last.key:
                continue
            if not mine:
                times.append(due)
            elif effect.wait is not None:
                times.append(max(WALL + max(mine) + effect.wait, due))
    return min(times, default=None)

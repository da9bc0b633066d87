"""The rows of losses: no connection, silence, answers that break off, and answers that are none."""

from __future__ import annotations

from typing import Any, Final

from ccrelay.simulator.acts import EVENT_STREAM, Says, Sends
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from tests.matrix.fault import Blame, Effect, Hold, Repeats, Row, Words, both
from tests.matrix.refusals import MORE, OVERLOAD_SCOPES

LOST: Final = Says("This answer was meant to go wrong on the way.", pieces=3)
STARTED, INTO_CONTENT = 1, 4
"""C{message_start} alone; and with it the beginning of a block, a ping and a piece of text."""


def _ours(says: str, blame: Blame = Blame.PROVIDER, **effect: Any) -> Effect:
    usual = {"status": 502, "kind": "api_error", "repeats": MORE, "words": Words.OURS, "says": says}
    return Effect(blame=blame, **usual | effect)


def _late(says: str, seconds: float, **effect: Any) -> Effect:
    late = {"status": 504, "kind": "timeout_error", "repeats": Repeats.NEVER, "seconds": seconds}
    return _ours(says, **late | effect)


def _connects(name: str, way: str, says: str, **effect: Any) -> Row:
    told = _ours(says, **effect)
    return Row(name=name, way=way, streamed=told, whole=told)


_CONNECTING: Final = (
    _connects("refuses connections", "refused", "connection refused"),
    _connects("lets connections hang", "hangs", "no connection within 10 s", seconds=10.0),
    _connects("has a name that nobody knows", "unknown", "the host name cannot be resolved"),
    _connects("fails at TLS", "tls", "TLS: ", repeats=Repeats.NEVER),
)

_WITHIN: Final = "the connection was lost in the middle of the answer"
_BEFORE: Final = "the connection was"
_UNFINISHED: Final = "the stream ended before message_stop"
_BROKEN_JSON: Final = _ours("answered 200 with a body that is application/json, not a message")


def _breaks(name: str, events: int | None, how: Any, streamed: Effect, whole: Effect) -> Row:
    return Row(
        name=name, act=Breaks(after_events=events, how=how, act=LOST), streamed=streamed, whole=whole
    )  # fmt: skip


_BREAKING: Final = (
    _breaks("resets the connection", None, "reset", _ours(_BEFORE), _ours(_BEFORE)),
    _breaks("closes the connection", None, "cut", _ours(_BEFORE), _ours(_BEFORE)),
    _breaks("is lost after its head", 0, "reset", _ours(_WITHIN), _ours(_WITHIN)),
    *(
        row
        for how, said in (("reset", _WITHIN), ("cut", _WITHIN), ("end", _UNFINISHED))
        for row in (
            _breaks(
                f"is lost after message_start ({how})", STARTED, how,
                _ours(said, began=STARTED), _BROKEN_JSON if how == "end" else _ours(said),
            ),
            _breaks(
                f"is lost after content ({how})", INTO_CONTENT, how,
                _ours(said, Blame.CUT, began=INTO_CONTENT), _BROKEN_JSON if how == "end" else _ours(said),
            ),
        )
    ),
)  # fmt: skip

_TOO_LATE: Final = _late("not whole within 600 s", 600.0)
_STALLED: Final = "nothing came for 300 s"
_SILENCE: Final = (
    Row(
        name="says nothing", act=Stalls(before_head=True),
        streamed=_late("no answer began within 120 s", 120.0),
        whole=_late("no answer began within 600 s", 600.0),
    ),
    Row(
        name="says nothing after its head", act=Stalls(after_events=0, act=LOST),
        streamed=_late(_STALLED, 300.0), whole=_TOO_LATE,
    ),
    Row(
        name="says nothing after message_start", act=Stalls(after_events=STARTED, act=LOST),
        streamed=_late(_STALLED, 300.0, began=STARTED), whole=_TOO_LATE,
    ),
    Row(
        name="says nothing after content", act=Stalls(after_events=INTO_CONTENT, act=LOST),
        streamed=_late(_STALLED, 300.0, began=INTO_CONTENT, blame=Blame.CUT), whole=_TOO_LATE,
    ),
)  # fmt: skip


def _errs(name: str, kind: str, status: int, blame: Blame, events: int, **effect: Any) -> Row:
    refused = Effect(blame=blame, status=status, kind=kind, says="Too busy", repeats=MORE, **effect)
    cut = Effect(blame=Blame.CUT, status=500, kind=kind, says="Too busy", began=events)
    first = Effect(
        blame=blame, status=status, kind=kind, says="Too busy", repeats=MORE, began=events, **effect
    )
    return Row(
        name=name, act=Errs(kind=kind, message="Too busy", after_events=events, act=LOST),
        streamed=cut if events > STARTED else first, whole=refused,
        **({"scopes": OVERLOAD_SCOPES} if blame is Blame.OVERLOAD else {}),
    )  # fmt: skip


_ERRORS: Final = tuple(
    _errs(f"says {kind} {when}", kind, status, blame, events, **effect)
    for kind, status, blame, effect in (
        ("overloaded_error", 529, Blame.OVERLOAD, {}),
        ("api_error", 500, Blame.PROVIDER, {}),
        ("rate_limit_error", 429, Blame.KEY, {"hold": Hold.COOLING, "held": 1.0}),
    )
    for when, events in (("first", 0), ("after message_start", STARTED), ("after content", INTO_CONTENT))
)

_ENVELOPE: Final = b'{"type":"error","error":{"type":"api_error","message":"Sorry"},"request_id":"req_x"}'
_OVERLOADED: Final = Effect(blame=Blame.PROVIDER, status=500, kind="api_error", says="Sorry", repeats=MORE)


def _not_asked_for(name: str, act: Sends, body: str) -> Row:
    return Row(
        name=name, act=act,
        streamed=_ours(f"answered 200 with a body that is {body}, not an event stream"),
        whole=_ours(f"answered 200 with a body that is {body}, not a message"),
    )  # fmt: skip


_STRANGE: Final = (
    _not_asked_for("answers 200 with a web page", Sends(b"<html>Welcome</html>"), "text/html"),
    _not_asked_for("answers 200 with nothing", Sends(b"", "application/json"), "empty"),
    Row(
        name="answers 200 with an empty stream", act=Sends(b"", EVENT_STREAM),
        streamed=_ours("the stream ended without an event"),
        whole=_ours("answered 200 with a body that is empty"),
    ),
    both("answers 200 with an error", Sends(_ENVELOPE, "application/json"), _OVERLOADED),
)  # fmt: skip

LOSSES: Final = (*_CONNECTING, *_BREAKING, *_SILENCE, *_ERRORS, *_STRANGE)

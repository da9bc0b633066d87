"""The rows of Z.AI: its codes, each in the three shapes it spells them in (docs/wire.md, Z.AI)."""

from __future__ import annotations

import json
from typing import Any, Final

from ccrelay.simulator.acts import Refuses
from tests.matrix.fault import Blame, Effect, Hold, Row, Words, both
from tests.matrix.refusals import MORE, OVERLOAD_SCOPES

FIELDS: Final = {"type": "zai"}
_RESET: Final = "2027-01-15 17:16:40"
"""An hour from the beginning of a cell, in Beijing."""


def shapes(code: str, message: str) -> dict[str, bytes]:
    """Return an error of Z.AI's in each of its shapes, by name."""
    wrapped = f"[{code}][{message}][20270115161640]"
    bodies: dict[str, dict[str, Any]] = {
        "error.code": {"error": {"code": code, "message": message}, "request_id": "z1"},
        "error.type": {"type": "error", "error": {"type": code, "message": message}, "request_id": "z2"},
        "wrapped": {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": code, "message": wrapped},
            "request_id": "z3",
        },
    }
    return {name: json.dumps(body).encode() for name, body in bodies.items()}


def _rows(code: str, message: str, effect: Effect, **more: Any) -> list[Row]:
    return [
        both(f"says {code} in {shape}", Refuses(429, body=body), effect, fields=FIELDS, **more)
        for shape, body in shapes(code, message).items()
    ]


_BUSY: Final = "High concurrency usage of this API"
_OVERLOADED: Final = "The model is overloaded"
_USED_UP: Final = f"Usage limit reached for 5 hour. Your limit will reset at {_RESET}"
_UNPAID: Final = "Insufficient balance or no resource package"

ZAI: Final = (
    *_rows("1302", _BUSY, Effect(
        blame=Blame.KEY, status=429, kind="rate_limit_error", says=_BUSY, words=Words.PUT, repeats=MORE,
        wait=2.0, hold=Hold.WAITING, held=2.0, fields={"retry-after": "2"},
    )),
    *_rows("1305", _OVERLOADED, Effect(
        blame=Blame.OVERLOAD, status=529, kind="overloaded_error", says=_OVERLOADED, words=Words.PUT,
        repeats=MORE,
    ), scopes=OVERLOAD_SCOPES),
    *_rows("1308", _USED_UP, Effect(
        blame=Blame.KEY, status=429, kind="rate_limit_error", says=_USED_UP, words=Words.PUT,
        wait=3600.0, hold=Hold.EXHAUSTED, held=3600.0, fields={"retry-after": "3600"},
    )),
    *_rows("1113", _UNPAID, Effect(
        blame=Blame.KEY, status=402, kind="billing_error", says=_UNPAID, words=Words.PUT,
        hold=Hold.EXHAUSTED, held=3600.0, fields={"x-should-retry": "false"},
    )),
)  # fmt: skip

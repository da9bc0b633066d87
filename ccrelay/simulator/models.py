"""The models of the simulator, as C{GET /v1/models} lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from ccrelay.simulator.acts import Act, Refuses, Sends
from ccrelay.simulator.default import FAULTS, MODEL

if TYPE_CHECKING:
    from ccrelay.simulator.asked import Asked

MODELS: Final = (MODEL, *FAULTS)

_USUAL: Final = 20  # entries of a page
_MOST: Final = 1000


def listed(asked: Asked) -> Act:
    """Return a page of the models: C{limit}, C{after_id} and C{before_id} as in Anthropic's API."""
    query = parse_qs(asked.query)
    wish = query.get("limit", [str(_USUAL)])[-1]
    if not wish.isascii() or not wish.isdigit() or not 1 <= int(wish) <= _MOST:
        return Refuses(400, f"limit: Input should be a number from 1 to {_MOST}")
    limit = int(wish)
    names, before = list(MODELS), "before_id" in query
    for key in ("after_id", "before_id"):
        cursor = query.get(key, [None])[-1]
        if cursor is not None and cursor not in names:
            return Refuses(400, f"{key}: there is no model {cursor!r}")
        if cursor is not None:
            place = names.index(cursor)
            names = names[place + 1 :] if key == "after_id" else names[:place]
    page = names[-limit:] if before else names[:limit]
    return _json(
        {
            "data": [described(name) for name in page],
            "has_more": len(names) > limit,
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }
    )


def one(name: str) -> Act:
    """Return the entry of a model; every name is one."""
    return _json(described(name))


def described(name: str) -> dict[str, Any]:
    """Return Anthropic's entry for a model, which says that it is simulated."""
    return {
        "type": "model",
        "id": name,
        "display_name": f"{name} (simulated)",
        "created_at": "2026-01-01T00:00:00Z",
    }


def _json(value: dict[str, Any]) -> Act:
    return Sends(msgspec.json.encode(value), "application/json")

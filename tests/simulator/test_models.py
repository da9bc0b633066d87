"""The rules of the list of models."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Sends
from ccrelay.simulator.models import MODELS, listed, one
from tests.simulator.stage import asked


def page(query: str = "") -> dict[str, Any]:
    """Return a page of the list."""
    act = listed(asked(target="/v1/models" + query))
    assert isinstance(act, Sends)
    return json.loads(act.body)


class ModelsTests(SynchronousTestCase):
    """C{GET /v1/models}."""

    def test_all(self) -> None:
        """The list has Anthropic's shape, and each entry says that it is simulated."""
        whole = page()
        self.assertEqual([entry["id"] for entry in whole["data"]], list(MODELS))
        self.assertEqual((whole["first_id"], whole["last_id"]), (MODELS[0], MODELS[-1]))
        self.assertFalse(whole["has_more"])
        for entry in whole["data"]:
            self.assertEqual(set(entry), {"type", "id", "display_name", "created_at"})
            self.assertIn("(simulated)", entry["display_name"])

    def test_pages(self) -> None:
        """Page by page the list is the same, forwards and backwards."""
        seen: list[str] = []
        query = "?limit=3"
        while query:
            found = page(query)
            seen += [entry["id"] for entry in found["data"]]
            query = f"?limit=3&after_id={found['last_id']}" if found["has_more"] else ""
        self.assertEqual(seen, list(MODELS))
        found = page(f"?limit=2&before_id={MODELS[5]}")
        self.assertEqual([entry["id"] for entry in found["data"]], list(MODELS[3:5]))
        self.assertTrue(found["has_more"])

    def test_beyond_the_end(self) -> None:
        """Behind the last there is an empty page."""
        self.assertEqual(
            page(f"?after_id={MODELS[-1]}"),
            {"data": [], "has_more": False, "first_id": None, "last_id": None},
        )

    def test_wrong_queries(self) -> None:
        """A limit that is none, or a cursor that nobody gave out, is refused by name."""
        for query, word in (
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=a", "limit"),
            ("after_id=x", "after_id"),
        ):
            act = listed(asked(target=f"/v1/models?{query}"))
            assert isinstance(act, Refuses)
            self.assertEqual(act.status, 400)
            self.assertTrue(act.message.startswith(word))

    def test_one(self) -> None:
        """Every name is a model."""
        self.assertEqual(json.loads(one("claude-opus-5-5").body)["id"], "claude-opus-5-5")

"""The list of models: merged over the providers, in pages, and never waited for long."""

from __future__ import annotations

import json
from typing import Any

from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.faults import Breaks, Stalls
from tests.stack import KEY, Stack
from tests.web.stage import HOST, DoorTestCase, scripted

EPOCH = "1970-01-01T00:00:00Z"
ANN = "sk-test-of-ann-00000000"


def listing(*ids: str, **fields: Any) -> Sends:
    """Return an act that lists models."""
    entries = [{"id": name, "display_name": name.title(), "type": "model", **fields} for name in ids]
    return Sends(json.dumps({"data": entries}).encode(), "application/json")


class ModelsTestCase(DoorTestCase):
    """A test of the list of models."""

    def ids(self, stack: Stack, query: str = "", **how: Any) -> list[str]:
        """Return the ids on a page."""
        answer = stack.get("/v1/models" + query, **how)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        return [entry["id"] for entry in json.loads(answer.body)["data"]]


class MergedTests(ModelsTestCase):
    """What stands on the list."""

    def test_of_all_providers(self) -> None:
        """It has the models of every enabled provider, each once, in the order of the file."""
        own = {"a": {"models": ["glm-5", "opus"]}, "c": {"enabled": False, "models": ["gone"]}}
        stack = Stack(self, {"a": [], "b": [], "c": []}, {"providers": own})
        scripted(
            stack, "b", {"/v1/models": [listing("claude-haiku", "glm-5", created_at="2026-01-01T00:00:00Z")]}
        )
        answer = stack.get("/v1/models?beta=true")
        self.assertEqual(
            json.loads(answer.body),
            {
                "data": [
                    {"type": "model", "id": "glm-5", "display_name": "glm-5", "created_at": EPOCH},
                    {"type": "model", "id": "opus", "display_name": "opus", "created_at": EPOCH},
                    {
                        "type": "model", "id": "claude-haiku", "display_name": "Claude-Haiku",
                        "created_at": "2026-01-01T00:00:00Z",
                    },
                ],
                "has_more": False,
                "first_id": "glm-5",
                "last_id": "claude-haiku",
            },
        )  # fmt: skip
        self.assertEqual(stack.asked("a") + stack.asked("c"), [])

    def test_mapped_names(self) -> None:
        """The names in a provider's model_mapping can be asked for, and so are listed; patterns are none."""
        mapping = {"claude-opus-4-5": "glm-5", "claude-haiku*": "glm-air"}
        stack = Stack(
            self, {"a": [], "b": []}, {"providers": {"b": {"models": ["own"]}}}, model_mapping=mapping
        )
        scripted(stack, "a", {"/v1/models": [listing("glm-5", "glm-air")]})
        self.assertEqual(self.ids(stack), ["claude-opus-4-5", "glm-5", "glm-air", "own"])

    def test_what_a_provider_is_asked(self) -> None:
        """A provider is asked with the relay's key, and learns nothing of the client."""
        stack = Stack(self, {"a": []}, headers={"x-team": "blue"})
        self.ids(stack)
        asked = stack.asked("a")[0]
        self.assertEqual(
            (asked.method, asked.target, asked.header("x-api-key")), ("GET", "/v1/models?limit=1000", KEY)
        )
        self.assertEqual((asked.header("anthropic-version"), asked.header("x-team")), ("2023-06-01", "blue"))
        self.assertNotIn("of-the-client", repr(asked.headers))

    def test_another_shape(self) -> None:
        """Lists in OpenAI's shape are understood; entries that are none are passed over."""
        shape = {
            "object": "list",
            "data": [{"id": "glm-5", "created": 1767225600}, {"name": "x"}, 7, {"id": None}],
        }
        stack = Stack(self, {"a": []}, type="zai")
        scripted(stack, "a", {"/v1/models": [Sends(json.dumps(shape).encode(), "application/json")]})
        entry = {"type": "model", "id": "glm-5", "display_name": "glm-5", "created_at": EPOCH}
        self.assertEqual(json.loads(stack.get("/v1/models").body)["data"], [entry])

    def test_nothing_there(self) -> None:
        """Where nothing is known the list is empty, not missing."""
        answer = Stack(self, {}).get("/v1/models")
        self.assertEqual(answer.body, b'{"data":[],"has_more":false,"first_id":null,"last_id":null}')


class PageTests(ModelsTestCase):
    """The list in pages."""

    def setUp(self) -> None:
        """List 25 models."""
        self.names = [f"m{number:02}" for number in range(25)]
        self.stack = Stack(self, {"a": []}, models=self.names)

    def page(self, query: str) -> tuple[Any, ...]:
        """Return first_id, last_id, has_more and the number of entries of a page."""
        told = json.loads(self.stack.get(f"/v1/models?{query}").body)
        ids = [entry["id"] for entry in told["data"]]
        self.assertEqual((told["first_id"], told["last_id"]), (ids[0], ids[-1]) if ids else (None, None))
        return told["first_id"], told["last_id"], told["has_more"], len(ids)

    def test_pages(self) -> None:
        """limit, after_id and before_id do what they do in Anthropic's API; 20 are usual."""
        for query, page in (
            ("", ("m00", "m19", True, 20)),
            ("limit=25", ("m00", "m24", False, 25)),
            ("limit=1000", ("m00", "m24", False, 25)),
            ("limit=2&after_id=m03", ("m04", "m05", True, 2)),
            ("after_id=m19", ("m20", "m24", False, 5)),
            ("after_id=m24", (None, None, False, 0)),
            ("limit=2&before_id=m03", ("m01", "m02", True, 2)),
            ("limit=9&before_id=m03", ("m00", "m02", False, 3)),
            ("before_id=m00", (None, None, False, 0)),
        ):
            self.assertEqual(self.page(query), page, query)

    def test_through_them_all(self) -> None:
        """Whoever goes on after the last id of each page meets every model once."""
        met: list[str] = []
        more = True
        while more:
            told = json.loads(self.stack.get(f"/v1/models?limit=4&after_id={met[-1] if met else ''}").body)
            met += [entry["id"] for entry in told["data"]]
            more = told["has_more"]
        self.assertEqual(met, self.names)

    def test_no_limit(self) -> None:
        """A limit that is no number from 1 to 1000 is a 400."""
        words = "limit: Input should be a number from 1 to 1000"
        for limit in ("0", "1001", "-1", "x", "1.5", "1e2", "%20", "9" * 5000):
            answer = self.stack.get(f"/v1/models?limit={limit}")
            self.assert_refused(self.stack, answer, 400, "invalid_request_error", words)


class OneTests(ModelsTestCase):
    """One model by its name."""

    def test_one(self) -> None:
        """A model is found by its name, whatever characters that has."""
        names = ["claude-opus", "org/model:1", "m[1m]", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
        stack = Stack(self, {"a": []}, models=names)
        for path, name in (
            ("claude-opus", 0),
            ("org/model:1", 1),
            ("org%2Fmodel%3A1", 1),
            ("m%5B1m%5D", 2),
            ("caf%C3%A9", 3),
        ):
            entry = {"type": "model", "id": names[name], "display_name": names[name], "created_at": EPOCH}
            self.assertEqual(json.loads(stack.get(f"/v1/models/{path}?x=1").body), entry)

    def test_none(self) -> None:
        """A model that nobody here has is a 404."""
        stack = Stack(self, {"a": []}, models=["claude-opus"])
        for path, name in (("claude", "claude"), ("claude-opus/x", "claude-opus/x"), ("%22x%09", '"x\t')):
            answer = stack.get(f"/v1/models/{path}")
            self.assertEqual(
                json.loads(answer.body)["error"], {"type": "not_found_error", "message": f"model: {name}"}
            )
            self.assertEqual((answer.status, stack.logged[-1]["status"]), (404, 404))


class ClientTests(ModelsTestCase):
    """What a client may see."""

    def test_only_what_it_may_ask_for(self) -> None:
        """A client sees the models that it may use, of the providers that it may use."""
        client = {"name": "ann", "key": ANN, "providers": ["b"], "models": ["claude-*"]}
        own = {"a": {"models": ["claude-opus"]}, "b": {"models": ["claude-haiku", "glm-5"]}}
        stack = Stack(self, {"a": [], "b": []}, {"server": {"auth": {"clients": [client]}}, "providers": own})
        head = (HOST, ("x-api-key", ANN))
        self.assertEqual(self.ids(stack, headers=head), ["claude-haiku"])
        for name, status in (("claude-haiku", 200), ("claude-opus", 404), ("glm-5", 404)):
            self.assertEqual(stack.get(f"/v1/models/{name}", headers=head).status, status)

    def test_credential_first(self) -> None:
        """The list needs the same credential as messages; without one no provider is asked."""
        stack = Stack(self, {"a": []}, {"server": {"auth": {"api_key": "sk-test-of-the-relay-0000"}}})
        for path in ("/v1/models", "/v1/models/claude"):
            self.assertEqual(stack.get(path).status, 401)
        self.assertEqual(stack.asked("a"), [])


class FreshTests(ModelsTestCase):
    """How providers are asked."""

    def test_kept_five_minutes(self) -> None:
        """A provider's list is kept for five minutes, and asked for anew after that."""
        stack = Stack(self, {"a": []})
        scripted(stack, "a", {"/v1/models": [listing("old"), listing("new")]})
        for seconds, ids, count in ((0, ["old"], 1), (299, ["old"], 1), (1, ["new"], 2)):
            stack.go(seconds)
            self.assertEqual((self.ids(stack), len(stack.asked("a"))), (ids, count))

    def test_a_slow_one(self) -> None:
        """A provider that takes longer than 2.5 s in all is left out and let go; the others are there."""
        slow = listing("slow")
        for act in (
            Stalls(before_head=True),
            Stalls(after_events=1, act=slow),
            Stalls(before_head=True, seconds=2.4, act=Stalls(after_events=1, act=slow)),
        ):
            stack = Stack(self, {"a": [], "b": []}, {"providers": {"b": {"models": ["quick"]}}})
            scripted(stack, "a", {"/v1/models": [act]})
            peer = stack.send(b"", "GET", "/v1/models")
            stack.go(2.4)
            self.assertEqual(peer.received, b"")
            stack.go(0.2)
            self.assertEqual(
                [entry["id"] for entry in json.loads(stack.answer(peer).body)["data"]], ["quick"]
            )
            self.assertFalse(stack.asked("a")[0].open)

    def test_a_broken_one(self) -> None:
        """A provider that fails in any way is left out."""
        for act in (
            Refuses(500), Refuses(401), Refuses(404), Breaks(after_events=None), Breaks(after_events=0),
            Sends(b"<html>"), Sends(b""), Sends(b"[]", "application/json"),
            Sends(b"\xff", "application/json"), Sends(b'{"data":7}', "application/json"),
            Sends(b"", status=302, headers=((b"location", b"http://b/"),)),
        ):  # fmt: skip
            stack = Stack(self, {"a": [], "b": []}, {"providers": {"b": {"models": ["well"]}}})
            scripted(stack, "a", {"/v1/models": [act]})
            self.assertEqual(self.ids(stack), ["well"])
            self.assertEqual(stack.asked("b"), [])

    def test_one_that_cannot_be_reached(self) -> None:
        """Nor is one waited for that cannot be connected to."""
        for obstacle in ("refuse", "unresolvable", "blackhole"):
            stack = Stack(self, {"a": [], "b": []}, {"providers": {"b": {"models": ["well"]}}})
            getattr(stack.network, obstacle)("a")
            peer = stack.send(b"", "GET", "/v1/models")
            stack.go(2.6)
            self.assertEqual([entry["id"] for entry in json.loads(stack.answer(peer).body)["data"]], ["well"])

    def test_what_was_known(self) -> None:
        """A provider that fails after it has told its models keeps them, however it fails."""
        for act in (Refuses(500), Sends(b"<html>"), Breaks(after_events=None), Stalls(before_head=True)):
            stack = Stack(self, {"a": []})
            scripted(stack, "a", {"/v1/models": [listing("known"), act, listing("again")]})
            self.assertEqual(self.ids(stack), ["known"])
            stack.go(300)
            peer = stack.send(b"", "GET", "/v1/models")
            stack.go(2.6)
            self.assertIn(b'"known"', stack.answer(peer).body)
            self.assertEqual(self.ids(stack), ["again"])

    def test_a_client_that_leaves(self) -> None:
        """A client that does not wait takes its question back."""
        stack = Stack(self, {"a": [Says("x")]})
        scripted(stack, "a", {"/v1/models": [Stalls(before_head=True)]})
        peer = stack.send(b"", "GET", "/v1/models")
        peer.reset()
        stack.go()
        self.assertEqual((stack.asked("a")[0].gone, stack.why), (True, "client left"))

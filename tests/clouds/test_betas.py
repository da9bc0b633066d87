"""Beta flags and their fields through the whole relay: the table, and the operator's own rows."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.script import Script
from tests.clouds.rooms import KEY, Clouds, flags, vertex
from tests.relay.test_failover import text
from tests.stack import body

BEDROCK = {"type": "bedrock", "base_url": "http://bedrock", "keys": (), "aws_bearer_token": KEY}
BEDROCK_PATH = "/model/*/invoke"
EVERY = (
    "context-management-2025-06-27", "context-1m-2025-08-07", "interleaved-thinking-2025-05-14",
    "claude-code-20250219", "oauth-2025-04-20", "effort-2025-11-24", "advanced-tool-use-2025-11-20",
    "fine-grained-tool-streaming-2025-05-14", "structured-outputs-2025-11-13", "web-search-2025-03-05",
    "prompt-caching-scope-2026-01-05", "files-api-2025-04-14", "never-heard-of-2027-01-01",
)  # fmt: skip
TOOL_SEARCH = "tool-search-tool-2025-10-19"
GO_UP = {
    "anthropic": EVERY,
    "zai": EVERY,
    "azure": (*EVERY[:4], *EVERY[5:7], *EVERY[8:]),
    "bedrock": (*EVERY[:3], EVERY[5], TOOL_SEARCH, EVERY[7], EVERY[12]),
    "vertex": (*EVERY[:3], TOOL_SEARCH, EVERY[9], EVERY[12]),
}
"""For Sonnet 4.5."""
FIELDS: dict[str, Any] = {
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "output_config": {"effort": "low", "format": {"type": "json_schema"}},
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}],
    "service_tier": "auto",
}


def providers(*acts: Any, names: Any = GO_UP) -> dict[str, Any]:
    """Return a script for each provider, all of the same acts."""
    made: dict[str, Any] = dict.fromkeys(names, acts)
    if "bedrock" in made:
        made["bedrock"] = Script(paths={BEDROCK_PATH: acts})
    if "vertex" in made:
        made["vertex"] = vertex(acts)
    return made


def sent_flags(asked: Any) -> tuple[str, ...]:
    """Return the flags that a provider got, in the header field or in the body."""
    shown = asked.header("anthropic-beta")
    within = asked.json.get("anthropic_beta", [])
    assert not (shown and within)
    return tuple(shown.split(",") if shown else within)


class Room(Clouds):
    """A relay of several providers, of the kinds that their names say; without failing over unless asked."""

    def __init__(self, test: SynchronousTestCase, scripts: dict[str, Any], **fields: Any) -> None:
        kinds = {"bedrock": BEDROCK, "zai": {"type": "zai"}}
        own = {name: kinds.get(name, {}) | fields.pop(name, {}) for name in scripts}
        super().__init__(test, scripts, **own, **fields)


class TableTests(SynchronousTestCase):
    """What each kind of provider is sent."""

    def one(self, name: str, content: bytes, sent: tuple[str, ...] = (), **fields: Any) -> tuple[Room, Any]:
        """Return a relay with one provider, and what that was asked."""
        room = Room(self, providers(Says("x"), names=[name]), **{name: fields})
        self.assertEqual(room.ask(content, headers=flags(*sent)).status, 200)
        return room, room.asked(name)[0]

    def test_flags(self) -> None:
        """Each gets the flags that it knows and those that nobody knows, by its own table."""
        for name, expected in GO_UP.items():
            _, asked = self.one(name, body(), EVERY)
            self.assertEqual(sent_flags(asked), expected, name)

    def test_no_flags(self) -> None:
        """Where all go, the field goes."""
        _, asked = self.one("vertex", body(), ("oauth-2025-04-20",))
        self.assertIsNone(asked.header("anthropic-beta"))
        _, asked = self.one("bedrock", body(), ("oauth-2025-04-20",))
        self.assertNotIn("anthropic_beta", asked.json)

    def test_fields_go_with_their_flags(self) -> None:
        """A field goes where its flag does, and never more than that field."""
        content = body(**FIELDS)
        left = {
            "bedrock": {"output_config": {"effort": "low", "format": {"type": "json_schema"}}},
            "vertex": {"output_config": {"format": {"type": "json_schema"}}},
            "azure": FIELDS,
            "anthropic": FIELDS,
        }
        for name, expected in left.items():
            room, asked = self.one(name, content, EVERY)
            self.assertEqual(asked.json["context_management"], FIELDS["context_management"])
            self.assertEqual(asked.json["output_config"], (FIELDS | expected)["output_config"], name)
            scoped = name in {"azure", "anthropic"}
            kept = {"type": "ephemeral"} | ({"scope": "global"} if scoped else {})
            self.assertEqual(asked.json["system"][0]["cache_control"], kept)
            self.assertEqual("service_tier" in asked.json, scoped)
            dropped = room.told.attempts[0].dropped
            self.assertEqual("service_tier" in dropped, not scoped)

    def test_without_flags_too(self) -> None:
        """What a cloud refuses in any case goes although no flag came with it."""
        for name in ("bedrock", "vertex"):
            room, asked = self.one(name, body(**FIELDS))
            self.assertNotIn("service_tier", asked.json)
            self.assertEqual(
                set(room.told.attempts[0].dropped), {"service_tier", "system[].cache_control.scope"}
            )

    def test_every_other_byte(self) -> None:
        """What goes leaves all other bytes as they were; where nothing must, all of them are the client's."""
        content = (
            b'{\n  "model": "claude-sonnet-4-5", "n":12345678901234567890,"speed" : "fast",\t"max_tokens":9,'
            b'"messages":[ {"role":"user","content":"h\\u00e4 \xf0\x9f\x98\x80"} ], "e":1e400 }'
        )
        _, asked = self.one("azure", content, EVERY)
        self.assertEqual(asked.body, content)
        _, asked = self.one("vertex", content, EVERY)
        expected = content.replace(b',"speed" : "fast"', b"").replace(b'"model": "claude-sonnet-4-5", ', b"")
        self.assertEqual(asked.body.replace(b'"anthropic_version":"vertex-2023-10-16",', b""), expected)

    def test_each_provider_anew(self) -> None:
        """A request that fails over is fitted to each provider for itself."""
        room = Room(self, providers(Refuses(500), names=["bedrock"]) | {"anthropic": [Says("hi")]})
        self.assertEqual(text(room.ask(body(**FIELDS), headers=flags(*EVERY))), "hi")
        (asked,) = room.asked("anthropic")
        self.assertEqual((sent_flags(asked), asked.body), (EVERY, body(**FIELDS)))
        self.assertEqual(room.told.attempts[1].dropped, ())

    def test_the_model_there(self) -> None:
        """The table looks at the name that the model has at the provider, not at the client's."""
        mapped = {"model_mapping": {"*": "us.anthropic.claude-opus-4-8"}}
        _, asked = self.one("bedrock", body(**FIELDS), ("effort-2025-11-24",), **mapped)
        self.assertEqual(sent_flags(asked), ())  # 4.8 takes the field without the flag
        self.assertEqual(asked.json["output_config"]["effort"], "low")

    def test_a_model_whose_name_says_nothing(self) -> None:
        """Behind an ARN, it is taken for what the client calls it."""
        arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12"
        for model in ("claude-sonnet-4-5", "claude-opus-4-8"):
            sent = [
                self.one("bedrock", body(model=model, **FIELDS), EVERY, model_mapping={"*": to})[1]
                for to in (arn, f"us.anthropic.{model}")
            ]
            self.assertEqual(sent_flags(sent[0]), sent_flags(sent[1]))
            self.assertEqual(sent[0].json, sent[1].json)
        self.assertIn("application-inference-profile", sent[0].path)


class OwnRowsTests(SynchronousTestCase):
    """C{betas} of a provider."""

    def sent(self, name: str, betas: dict[str, str], *sent: str, **asked: Any) -> Any:
        """Return what a provider was asked."""
        room = Room(self, providers(Says("x"), names=[name]), **{name: {"betas": betas}})
        room.ask(body(**asked), headers=flags(*sent))
        return room.asked(name)[0]

    def test_drop(self) -> None:
        """A flag is dropped with its fields, also at providers that are sent everything else."""
        for name in ("anthropic", "zai", "azure", "bedrock", "vertex"):
            asked = self.sent(name, {"context-management-2025-06-27": "drop"}, *EVERY[:2], **FIELDS)
            self.assertEqual(sent_flags(asked), EVERY[1:2])
            self.assertNotIn("context_management", asked.json)

    def test_allow(self) -> None:
        """A flag that the table would drop goes up where the operator knows better."""
        for name in ("bedrock", "vertex"):
            asked = self.sent(name, {"web-fetch-2025-09-10": "allow"}, "web-fetch-2025-09-10")
            self.assertEqual(sent_flags(asked), ("web-fetch-2025-09-10",))

    def test_another_name(self) -> None:
        """A flag goes up under the name that it has there, once."""
        for name in ("zai", "vertex"):
            betas = {"context-1m-2025-08-07": "context-2m-2027-01-01"}
            asked = self.sent(name, betas, "context-1m-2025-08-07", "context-2m-2027-01-01")
            self.assertEqual(sent_flags(asked), ("context-2m-2027-01-01",))

    def test_many_at_once(self) -> None:
        """A name with a star is for all flags that begin so."""
        asked = self.sent("zai", {"context-*": "drop"}, *EVERY[:3])
        self.assertEqual(sent_flags(asked), EVERY[2:3])


class LogTests(SynchronousTestCase):
    """What the operator sees of it."""

    def test_at_debug(self) -> None:
        """One line for each attempt that was sent less, with the names of what went and without content."""
        room = Room(self, providers(Says("x"), names=["vertex"]))
        room.ask(body(**FIELDS), headers=flags("oauth-2025-04-20"))
        lines = [line for line in map(json.loads, room.lines) if line["message"] == "request adapted"]
        (line,) = lines
        self.assertEqual(line["level"], "debug")
        dropped = ["oauth-2025-04-20", "service_tier", "system[].cache_control.scope"]
        self.assertEqual((line["provider"], sorted(line["dropped"])), ("vertex", sorted(dropped)))
        self.assertEqual(line["id"], room.told.requests[0].id)

    def test_nothing_went(self) -> None:
        """A request that went up as it came has no such line."""
        room = Room(self, providers(Says("x"), names=["anthropic"]))
        room.ask(body(**FIELDS), headers=flags(*EVERY))
        self.assertNotIn("request adapted", "".join(room.lines))

"""The rules of requests made to fit: a flag and the fields that need it travel or are dropped together."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.beta_table import AZURE, BEDROCK, PAIRS, VERTEX, Row, fields_of, generation
from ccrelay.providers.betas import Betas, Fitted, Lesson
from ccrelay.providers.registry import KINDS
from ccrelay.wire.request import MessagesRequest
from tests.providers.contract import made

OLD, NEW = "anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-opus-4-8"
SCOPED = {"type": "ephemeral", "scope": "global"}

FULL: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": [
        {"type": "text", "text": "hi", "cache_control": SCOPED},
        {"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "text", "text": "x", "cache_control": SCOPED},
        ]},
    ]}],
    "system": [{"type": "text", "text": "s", "cache_control": SCOPED}],
    "tools": [{"name": "a", "input_schema": {"properties": {"scope": {}}}, "defer_loading": True,
               "strict": True, "eager_input_streaming": True, "cache_control": SCOPED}],
    "output_config": {"effort": "high", "format": {"type": "json_schema"}},
    "context_management": {"edits": [{"type": "compact_20260112"}, {"type": "clear_thinking_20251015"}]},
    "thinking": {"type": "adaptive", "display": "updates"},
    "service_tier": "auto", "inference_geo": "us", "container": "c", "mcp_servers": [], "speed": "fast",
    "fallbacks": [], "fallback_credit_token": "f", "cache_control": SCOPED, "of_tomorrow": 1.10,
}  # fmt: skip


def fitted(betas: Betas, *flags: str, model: str = NEW, counting: bool = False, lesson: Lesson | None = None):
    """Return a request with every field there is, made to fit."""
    request = MessagesRequest(json.dumps(FULL).encode(), model, stream=True, session="")
    headers = ((b"x-app", b"cli"), (b"anthropic-beta", ",".join(flags).encode())) if flags else ()
    if lesson is not None:
        return betas.fitted(request, headers, lesson, counting=counting)
    return betas.fitted(request, headers, counting=counting)


def flags(of: Fitted) -> list[str]:
    """Return the flags that go up."""
    return [f for name, value in of.headers if name == b"anthropic-beta" for f in value.decode().split(",")]


def body(of: Fitted) -> Any:
    return json.loads(of.request.body)


class TableTests(SynchronousTestCase):
    """What each cloud takes."""

    def test_flags(self) -> None:
        """Each flag is allowed, renamed or dropped as the provider and the model want it."""
        for kind, model, flag, goes_up in (
            ("bedrock", NEW, "context-management-2025-06-27", "context-management-2025-06-27"),
            ("bedrock", NEW, "context-1m-2025-08-07", "context-1m-2025-08-07"),
            ("bedrock", NEW, "interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
            ("bedrock", NEW, "advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
            ("bedrock", OLD, "effort-2025-11-24", "effort-2025-11-24"),
            ("bedrock", NEW, "effort-2025-11-24", ""),
            ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/x", "effort-2025-11-24", ""),
            ("bedrock", NEW, "structured-outputs-2025-11-13", ""),
            ("bedrock", NEW, "web-search-2025-03-05", ""),
            ("bedrock", NEW, "claude-code-20250219", ""),
            ("bedrock", NEW, "oauth-2025-04-20", ""),
            ("bedrock", NEW, "mcp-client-2025-11-20", ""),
            ("bedrock", NEW, "of-tomorrow-2027-01-01", "of-tomorrow-2027-01-01"),
            ("vertex", NEW, "advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
            ("vertex", NEW, "effort-2025-11-24", ""),
            ("vertex", NEW, "web-search-2025-03-05", "web-search-2025-03-05"),
            ("vertex", NEW, "prompt-caching-scope-2026-01-05", ""),
            ("vertex", NEW, "adaptive-thinking-2026-01-28", ""),
            ("vertex", NEW, "oauth-2025-04-20", ""),
            ("azure", NEW, "advanced-tool-use-2025-11-20", "advanced-tool-use-2025-11-20"),
            ("azure", NEW, "effort-2025-11-24", "effort-2025-11-24"),
            ("azure", NEW, "compact-2026-01-12", ""),
            ("azure", NEW, "fine-grained-tool-streaming-2025-05-14", ""),
            ("azure", NEW, "advisor-tool-2026-03-01", ""),
            ("zai", NEW, "oauth-2025-04-20", "oauth-2025-04-20"),
        ):
            found = fitted(made(kind, "https://x").betas, flag, model=model)
            self.assertEqual(flags(found), [goes_up] if goes_up else [], (kind, flag, model))
            self.assertEqual(flag in found.dropped, not goes_up, (kind, flag))

    def test_fields_that_are_refused_in_any_case(self) -> None:
        """What a cloud refuses is taken out for it alone, wherever in the body it is, and told."""
        for kind in KINDS:
            found = fitted(made(kind, "https://x").betas)
            gone = {
                "bedrock": {"service_tier", "inference_geo", "container", "mcp_servers", "speed", "fallbacks",
                            "fallback_credit_token"},
                "vertex": {"service_tier", "inference_geo", "container", "mcp_servers", "speed", "fallbacks",
                           "fallback_credit_token"},
                "azure": {"fallbacks", "fallback_credit_token"},
            }.get(kind, set())  # fmt: skip
            self.assertEqual(set(FULL) - set(body(found)), gone, kind)
            scoped = json.dumps(body(found)).count('"global"')
            self.assertEqual(scoped, 0 if kind in ("bedrock", "vertex") else 5, kind)
            self.assertEqual("eager_input_streaming" in body(found)["tools"][0], kind != "bedrock")
            self.assertTrue(gone <= set(found.dropped))
            self.assertEqual(body(found)["tools"][0]["input_schema"], {"properties": {"scope": {}}})

    def test_automatic_caching_on_older_models(self) -> None:
        """A cache_control of the whole request is refused by Bedrock for models before 4.7."""
        betas = made("bedrock").betas
        older = fitted(betas, model=OLD)
        self.assertNotIn("cache_control", body(older))
        self.assertEqual(json.dumps(body(older)).count('"ephemeral"'), 4)
        self.assertEqual(body(fitted(betas, model=NEW))["cache_control"], {"type": "ephemeral"})

    def test_counting(self) -> None:
        """Vertex refuses a flag of web search where tokens are counted, and takes it elsewhere."""
        betas = made("vertex").betas
        self.assertEqual(flags(fitted(betas, "web-search-2025-03-05", counting=True)), [])
        self.assertEqual(flags(fitted(betas, "web-search-2025-03-05")), ["web-search-2025-03-05"])

    def test_generations(self) -> None:
        """Models are told apart by the generation in their names, on any provider."""
        for model, expected in (
            (OLD, (4, 5)), (NEW, (4, 8)), ("claude-sonnet-5", (5, 0)), ("claude-opus-5-5", (5, 5)),
            ("claude-opus-4@20250514", (4, 0)), ("claude-3-5-haiku@20241022", (3, 5)),
            ("anthropic.claude-3-opus-20240229-v1:0", (3, 0)), ("claude-haiku-4-5@20251001", (4, 5)),
            ("global.anthropic.claude-opus-4-6-v1", (4, 6)), ("claude-sonnet-4-20250514", (4, 0)),
            ("glm-4.7", None), ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", None),
        ):  # fmt: skip
            self.assertEqual(generation(model), expected, model)


class PairTests(SynchronousTestCase):
    """Flags and their fields."""

    def test_dropped_together(self) -> None:
        """Where a flag is dropped, each field that needs it goes as well."""
        for prefix, paths in PAIRS.items():
            flag = f"{prefix}2026-01-01"
            found = fitted(Betas((Row(flag, "drop"),)), flag, "other-2026-01-01")
            self.assertEqual(flags(found), ["other-2026-01-01"])
            there = [path for path in paths if path in found.dropped]
            self.assertTrue(there or not self.in_full(paths), flag)
            self.assertEqual(set(found.dropped), {flag, *there})

    @staticmethod
    def in_full(paths: tuple[str, ...]) -> bool:
        """Return whether the example has one of the fields."""
        return any(path.replace("[", ".").split(".")[-1].rstrip("]") in json.dumps(FULL) for path in paths)

    def test_kept_together(self) -> None:
        """Where a flag is allowed, not a byte of the body changes, and the headers are the client's own."""
        named = [f"{prefix}2026-01-01" for prefix in PAIRS]
        request = MessagesRequest(json.dumps(FULL).encode(), NEW, stream=False, session="")
        headers = ((b"anthropic-beta", ", ".join(named).encode()), (b"anthropic-beta", b"x,,y "))
        found = Betas((Row("*", "allow"),)).fitted(request, headers)
        self.assertIs(found.request, request)
        self.assertIs(found.headers, headers)
        self.assertEqual(found.dropped, ())

    def test_a_field_that_another_flag_needs(self) -> None:
        """A field stays as long as one flag that needs it does, be it under another name."""
        rows = (Row("tool-search-tool-2025-10-19", "drop"), Row("advanced-tool-use-1", "tool-search-tool-9"))
        both = fitted(Betas(rows), "tool-search-tool-2025-10-19", "advanced-tool-use-1")
        self.assertTrue(body(both)["tools"][0]["defer_loading"])
        self.assertEqual(flags(both), ["tool-search-tool-9"])
        alone = fitted(Betas(rows), "tool-search-tool-2025-10-19")
        self.assertNotIn("defer_loading", body(alone)["tools"][0])

    def test_a_flag_of_another_name(self) -> None:
        """Fields that a flag has and the one in its place has not are dropped, the others stay."""
        tool = {"name": "t", "defer_loading": True, "input_examples": [{}], "allowed_callers": ["x"]}
        content = json.dumps({"model": "m", "tools": [tool]}).encode()
        request = MessagesRequest(content, "m", stream=False, session="")
        found = made("bedrock").betas.fitted(request, ((b"anthropic-beta", b"advanced-tool-use-2025-11-20"),))
        self.assertEqual(flags(found), ["tool-search-tool-2025-10-19"])
        self.assertEqual(body(found)["tools"], [{"name": "t", "defer_loading": True}])

    def test_a_flag_that_is_needed_no_more(self) -> None:
        """Where a provider has come to take a field without its flag, the flag alone goes."""
        found = fitted(made("bedrock").betas, "effort-2025-11-24")
        self.assertEqual((flags(found), body(found)["output_config"]["effort"]), ([], "high"))

    def test_a_part_of_a_field(self) -> None:
        """Without compaction its edits go, and the other edits of the context stay."""
        found = fitted(made("azure").betas, "compact-2026-01-12", "context-management-2025-06-27")
        self.assertEqual(body(found)["context_management"], {"edits": [{"type": "clear_thinking_20251015"}]})

    def test_names_that_become_one(self) -> None:
        """Where a flag is renamed to one that is there, it goes up once, and the others keep their order."""
        found = fitted(
            made("vertex").betas, "tool-search-tool-2025-10-19", "a-1", "advanced-tool-use-2025-11-20"
        )
        self.assertEqual(found.headers, (
            (b"x-app", b"cli"), (b"anthropic-beta", b"tool-search-tool-2025-10-19,a-1"),
        ))  # fmt: skip

    @given(
        st.lists(st.sampled_from([*(f"{prefix}2026-01-01" for prefix in PAIRS), "x", "claude-code-2"])),
        st.sampled_from([BEDROCK, VERTEX, AZURE]),
    )
    def test_never_one_half(self, asked: list[str], rows: tuple[Row, ...]) -> None:
        """Whatever flags come together, no flag stays whose field was taken out, and none is made up."""
        found = fitted(Betas(rows), *asked)
        taken = set(found.dropped) - set(asked)
        for flag in flags(found):
            self.assertFalse(taken & set(fields_of(flag)) - {"context_management.edits[compact_]"}, flag)
        self.assertLessEqual(set(flags(found)), {*asked, "tool-search-tool-2025-10-19"})
        self.assertEqual(body(found)["of_tomorrow"], 1.10)


class LessonTests(SynchronousTestCase):
    """What a provider's own rejections add."""

    def test_a_flag(self) -> None:
        """A flag that was refused goes with its fields, though the table allows it."""
        lesson = Lesson(flags=frozenset({"context-management-2025-06-27"}))
        found = fitted(made("bedrock").betas, "context-management-2025-06-27", "a-1", lesson=lesson)
        self.assertEqual(flags(found), ["a-1"])
        self.assertNotIn("context_management", body(found))

    def test_a_renamed_flag(self) -> None:
        """It is the name that went up which was refused."""
        lesson = Lesson(flags=frozenset({"tool-search-tool-2025-10-19"}))
        found = fitted(made("bedrock").betas, "advanced-tool-use-2025-11-20", lesson=lesson)
        self.assertEqual(flags(found), [])
        self.assertNotIn("defer_loading", body(found)["tools"][0])

    def test_a_field(self) -> None:
        """A field that was refused goes, and so do the flags that are there for it or for a part of it."""
        for path, flag in (
            ("context_management", "context-management-2025-06-27"), ("output_config", "effort-2025-11-24"),
            ("tools[].?custom.defer_loading", "tool-search-tool-2025-10-19"),
            ("context_management", "compact-2026-01-12"),
        ):  # fmt: skip
            lesson = Lesson(fields=frozenset({path}))
            found = fitted(Betas(), flag, "a-1", lesson=lesson)
            self.assertEqual(flags(found), ["a-1"], path)
            self.assertNotIn(path.rpartition(".")[2], {**body(found), **body(found)["tools"][0]}, path)

    def test_a_flag_that_was_not_named(self) -> None:
        """Where a provider does not say which flag it refused, all go that its table does not know."""
        lesson = Lesson(unlisted=True)
        found = fitted(made("bedrock").betas, "new-1", "context-1m-2025-08-07", "newer-2", lesson=lesson)
        self.assertEqual(flags(found), ["context-1m-2025-08-07"])
        self.assertEqual(set(found.dropped) & {"new-1", "newer-2"}, {"new-1", "newer-2"})

    def test_the_operators_word_counts(self) -> None:
        """A flag that the operator allows is one that the table knows."""
        betas = made("bedrock").betas.extended({"new-1": "allow"})
        self.assertEqual(flags(fitted(betas, "new-1", "newer-2", lesson=Lesson(unlisted=True))), ["new-1"])

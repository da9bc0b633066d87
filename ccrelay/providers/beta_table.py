"""What each kind of provider makes of beta flags, and which fields of a body go with which flag."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ALLOW: Final = "allow"
DROP: Final = "drop"
"""The flag goes, and the fields of the body that need it."""
NEEDLESS: Final = "needless"
"""The flag goes; its fields stay, since the provider takes them without it."""

Generation = tuple[int, int]

# claude-sonnet-4-5-20250929, us.anthropic.claude-opus-4-8, claude-sonnet-5, claude-3-5-haiku@20241022
_GENERATION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


@lru_cache(maxsize=1024)
def generation(model: str) -> Generation | None:
    """Return the generation in the name of a Claude model: C{(4, 5)}; None for any other name."""
    found = _GENERATION.search(model.lower())
    return (int(found[1]), int(found[2] or 0)) if found else None


@dataclass(frozen=True, slots=True)
class Row:
    """
    What happens to a flag.

    @ivar flag: its name, or what its name begins with and C{*}.
    @ivar to: L{ALLOW}, L{DROP}, L{NEEDLESS}, or the flag that goes up instead.
    @ivar since, before: the generations of models for which the row holds; a model
        whose name tells none counts as newer than all.
    @ivar counting: whether it holds only where tokens are counted.
    """

    flag: str
    to: str
    since: Generation = (0, 0)
    before: Generation | None = None
    counting: bool = False

    def fits(self, flag: str, model: Generation | None, *, counting: bool) -> bool:
        """Return whether the row speaks of a flag for a model of this generation."""
        named = flag.startswith(self.flag[:-1]) if self.flag.endswith("*") else flag == self.flag
        if not named or (self.counting and not counting):
            return False
        if model is None:
            return self.before is None
        return self.since <= model and (self.before is None or model < self.before)


@dataclass(frozen=True, slots=True)
class Field:
    """
    A field of the body that a kind of provider refuses in any case.

    @ivar path: see L{ccrelay.wire.body_fields}.
    @ivar before: the generation of models from which on it is taken; None if it is by none.
    """

    path: str
    before: Generation | None = None


_SCOPES: Final = tuple(
    f"{place}cache_control.scope"
    for place in ("", "system[].", "tools[].", "messages[].content[].", "messages[].content[].content[].")
)

PAIRS: Final[dict[str, tuple[str, ...]]] = {
    "context-management-": ("context_management",),
    "compact-": ("context_management.edits[compact_]", "compaction"),
    "effort-": ("output_config.effort",),
    "task-budgets-": ("output_config.task_budget",),
    "structured-outputs-": ("output_config.format", "output_format", "tools[].strict"),
    "advanced-tool-use-": ("tools[].defer_loading", "tools[].input_examples", "tools[].allowed_callers"),
    "tool-search-tool-": ("tools[].defer_loading",),
    "fine-grained-tool-streaming-": ("tools[].eager_input_streaming",),
    "prompt-caching-scope-": _SCOPES,
    "thinking-display-updates-": ("thinking.display",),
    "mcp-client-": ("mcp_servers",),
    "fast-mode-": ("speed",),
    "skills-": ("container",),
    "code-execution-": ("container",),
    "server-side-fallback-": ("fallbacks",),
    "fallback-credit-": ("fallback_credit_token",),
    "cache-diagnosis-": ("diagnostics",),
}
"""Fields that need a flag, by what the flag's name begins with (docs/wire.md, Betas)."""


def fields_of(flag: str) -> tuple[str, ...]:
    """Return the fields that need a flag."""
    return next((paths for prefix, paths in PAIRS.items() if flag.startswith(prefix)), ())


def _rows(to: str, *flags: str) -> tuple[Row, ...]:
    return tuple(Row(flag, to) for flag in flags)


# Flags that mean something to Anthropic's own service alone.
_FIRST_PARTY: Final = _rows(
    DROP, "oauth-*", "files-api-*", "skills-*", "mcp-client-*", "code-execution-*", "web-fetch-*",
    "advisor-tool-*", "fast-mode-*", "server-side-fallback-*", "fallback-credit-*", "cache-diagnosis-*",
    "message-batches-*",
)  # fmt: skip
_EVERYWHERE: Final = _rows(
    ALLOW, "context-management-2025-06-27", "context-1m-2025-08-07", "interleaved-thinking-2025-05-14",
    "computer-use-2025-01-24", "computer-use-2025-11-24", "thinking-display-updates-2026-08-18",
    "tool-search-tool-2025-10-19", "thinking-token-count-2026-05-13",
)  # fmt: skip
_MARKER: Final = Row("claude-code-*", NEEDLESS)

BEDROCK: Final = (
    *_EVERYWHERE,
    *_FIRST_PARTY,
    *_rows(ALLOW, "compact-2026-01-12", "fine-grained-tool-streaming-2025-05-14",
           "thinking-binding-controls-2026-08-01"),
    Row("advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
    Row("effort-2025-11-24", ALLOW, before=(4, 7)),
    Row("effort-*", NEEDLESS),
    Row("structured-outputs-*", NEEDLESS, since=(4, 5), before=(4, 7)),
    *_rows(DROP, "structured-outputs-*", "web-search-*", "prompt-caching-scope-*", "token-counting-*"),
    _MARKER,
)  # fmt: skip
VERTEX: Final = (
    Row("web-search-*", DROP, counting=True),
    *_EVERYWHERE,
    *_FIRST_PARTY,
    *_rows(ALLOW, "compact-2026-01-12", "web-search-2025-03-05", "thinking-binding-controls-2026-08-01",
           "token-counting-2024-11-01"),
    Row("advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
    Row("effort-*", DROP, before=(4, 6)),
    *_rows(NEEDLESS, "effort-*", "structured-outputs-*", "adaptive-thinking-*",
           "fine-grained-tool-streaming-*"),
    *_rows(DROP, "prompt-caching-scope-*"),
    _MARKER,
)  # fmt: skip
AZURE: Final = (
    *_EVERYWHERE,
    *_rows(DROP, "oauth-*", "compact-2026-01-12", "advisor-tool-*", "server-side-fallback-*",
           "fallback-credit-*", "thinking-binding-controls-2026-08-01"),
    Row("fine-grained-tool-streaming-*", NEEDLESS),
)  # fmt: skip

_ELSEWHERE: Final = tuple(map(Field, (
    "service_tier", "inference_geo", "container", "mcp_servers", "speed", "fallbacks",
    "fallback_credit_token", *_SCOPES,
)))  # fmt: skip
BEDROCK_REFUSES: Final = (
    *_ELSEWHERE,
    Field("tools[].eager_input_streaming"),
    Field("cache_control", before=(4, 7)),
)
VERTEX_REFUSES: Final = _ELSEWHERE
AZURE_REFUSES: Final = (Field("fallbacks"), Field("fallback_credit_token"))

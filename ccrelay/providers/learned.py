"""What a provider's rejections teach about beta flags and fields of the body, for a while."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ccrelay.providers.beta_table import generation
from ccrelay.providers.betas import NOTHING_LEARNED, Lesson

if TYPE_CHECKING:
    from collections.abc import Iterator

TTL_S: Final = 6 * 3600.0
"""Seconds after which what was learned is tried again."""
MOST: Final = 1000
"""Pairs of provider and model that are remembered."""

# As in: Unexpected value(s) `x` for the `anthropic-beta` header; or: invalid beta flag.
_ABOUT_FLAGS: Final = re.compile(
    r"anthropic[-_]beta|\bbetas?\b[^.]{0,20}\b(?:flag|header|feature)|beta flag", re.IGNORECASE
)
_FLAG: Final = re.compile(r"\b[a-z0-9]+(?:-[a-z0-9]+)*-(?:20\d\d-\d\d-\d\d|20\d{6})\b")
# As in: tools.0.custom.eager_input_streaming: Extra inputs are not permitted.
_EXTRA: Final = re.compile(r"([A-Za-z_][\w.-]*)['`\"]?: Extra inputs are not permitted")
_REFUSALS: Final = (400, 422)

# A model's answer would not be the same one without these: never taken out because of a refusal.
_ESSENTIAL: Final = frozenset({
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "stream", "stop_sequences", "role",
    "content", "type", "text", "source", "data", "id", "name", "input", "input_schema", "tool_use_id",
    "thinking", "signature", "thread", "anthropic_version",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    What a refusal names as the reason.

    @ivar flags: beta flags; C{fields}: paths (L{ccrelay.wire.body_fields}); if
        there are none of both, it was a flag that was not named.
    """

    flags: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def lesson(self) -> Lesson:
        """What it teaches."""
        return Lesson(frozenset(self.flags), frozenset(self.fields), not (self.flags or self.fields))


def rejection(status: int, message: str) -> Rejection | None:
    """Return what a refusal of a flag or field names, or None where it is about something else."""
    if status not in _REFUSALS:
        return None
    extra = _EXTRA.findall(message)
    paths = (_path(spelled) for spelled in extra)
    fields = tuple(dict.fromkeys(path for path in paths if path is not None))
    about = _ABOUT_FLAGS.search(message)
    dated = (found for found in _FLAG.findall(message) if about and not _is_other(found))
    flags = tuple(dict.fromkeys(dated))
    if flags or fields or (about and not extra):
        return Rejection(flags, fields)
    return None


def _is_other(dated: str) -> bool:
    """Return whether a name with a date is that of a model or of a version, and none of a flag."""
    return generation(dated) is not None or dated.startswith(("bedrock-", "vertex-"))


def _path(spelled: str) -> str | None:
    """
    Return the path of a field as an error spells it, or None for one that must stay.

    Behind the number of an element, and in C{cache_control}, stands the name of
    a variant at times, which is no key: C{tools.0.custom.strict}.
    """
    steps = spelled.split(".")
    if steps[-1] in _ESSENTIAL or steps[-1].isdecimal():
        return None
    path = ""
    for at, step in enumerate(steps):
        if step.isdecimal():
            path += "[]"
            continue
        after, before = steps[at - 1] if at else "", "".join(steps[at + 1 : at + 2])
        unsure = (after.isdecimal() or after == "cache_control") and before and not before.isdecimal()
        path += ("." if path else "") + ("?" if unsure else "") + step
    return path


@dataclass(frozen=True, slots=True)
class Learned:
    """
    What was learned, as it is shown.

    @ivar until: when it is forgotten, seconds since the epoch.
    @ivar counting: whether it holds only where tokens are counted.
    """

    provider: str
    model: str
    lesson: Lesson
    until: float
    counting: bool = False


class LearnedBetas:
    """
    The lessons of all providers, each by provider and model, and each for a time.

    What is refused where tokens are counted may be welcome in messages, so
    that holds for counting alone; what messages have taught holds for both.
    """

    def __init__(self, ttl: float = TTL_S, most: int = MOST) -> None:
        self._ttl = ttl
        self._most = most
        self._learned: OrderedDict[tuple[str, str, bool], Learned] = OrderedDict()

    def learn(
        self, provider: str, model: str, said: Rejection, now: float, *, counting: bool = False
    ) -> bool:
        """Remember a rejection, and return whether it taught anything new."""
        known = self.lesson(provider, model, now, counting=counting)
        if known.joined(said.lesson) == known:
            return False
        key = (provider, model, counting)
        lesson = self._held(key, now).joined(said.lesson)
        self._learned[key] = Learned(provider, model, lesson, now + self._ttl, counting)
        self._learned.move_to_end(key)
        while len(self._learned) > self._most:
            self._learned.popitem(last=False)
        return True

    def lesson(self, provider: str, model: str, now: float, *, counting: bool = False) -> Lesson:
        """Return what is known of a provider and model, for L{Betas.fitted}."""
        lesson = self._held((provider, model, False), now)
        return lesson.joined(self._held((provider, model, True), now)) if counting else lesson

    def shown(self, now: float) -> Iterator[Learned]:
        """Yield what is known now, the latest last."""
        yield from [learned for learned in self._learned.values() if learned.until > now]

    def forget(self, provider: str) -> None:
        """Forget what was learned of a provider; its configuration has changed."""
        for key in [key for key in self._learned if key[0] == provider]:
            del self._learned[key]

    def _held(self, key: tuple[str, str, bool], now: float) -> Lesson:
        learned = self._learned.get(key)
        if learned is None:
            return NOTHING_LEARNED
        if learned.until <= now:
            del self._learned[key]
            return NOTHING_LEARNED
        return learned.lesson

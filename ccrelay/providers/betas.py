"""A request made to fit a provider: beta flags it knows, and none of the fields it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from ccrelay.providers.beta_table import ALLOW, DROP, NEEDLESS, Row, fields_of, generation
from ccrelay.wire.body_fields import without_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ccrelay.providers.beta_table import Field
    from ccrelay.wire.http import Pairs
    from ccrelay.wire.request import MessagesRequest

_BETA: Final = b"anthropic-beta"


@dataclass(frozen=True, slots=True)
class Lesson:
    """
    What a provider's own rejections taught for one model.

    @ivar flags: beta flags that it refused.
    @ivar fields: paths of fields that it refused.
    @ivar unlisted: whether it refused a flag without naming it, so that all
        flags go that are not in its table.
    """

    flags: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    unlisted: bool = False

    def joined(self, other: Lesson) -> Lesson:
        """Return both; the same object where one of them teaches nothing."""
        if other == NOTHING_LEARNED:
            return self
        if self == NOTHING_LEARNED:
            return other
        return Lesson(self.flags | other.flags, self.fields | other.fields, self.unlisted or other.unlisted)


NOTHING_LEARNED: Final = Lesson()


class Fitted(msgspec.Struct, frozen=True):
    """
    A request as it may go to a provider.

    @ivar dropped: the names of flags and the paths of fields that went, for the log and for counting.
    """

    request: MessagesRequest
    headers: Pairs
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Betas:
    """
    What one provider takes; empty for those that are sent everything.

    @ivar rows: what happens to flags; the first row that fits holds, and a flag without one passes.
    @ivar refused: fields that go in any case.
    """

    rows: tuple[Row, ...] = ()
    refused: tuple[Field, ...] = ()

    def extended(self, own: Mapping[str, str]) -> Betas:
        """Return this with the operator's rows before it: flag to C{allow}, C{drop} or another flag."""
        if not own:
            return self
        return replace(self, rows=(*(Row(flag, to) for flag, to in own.items()), *self.rows))

    def fitted(
        self,
        request: MessagesRequest,
        headers: Pairs,
        lesson: Lesson = NOTHING_LEARNED,
        *,
        counting: bool = False,
        asked: str = "",
    ) -> Fitted:
        """
        Return the request without what this provider would refuse it for.

        A flag and the fields that need it go together.  Where nothing has to
        go, the very same request and headers are returned.

        @param request: with the model's name at this provider.
        @param asked: the client's name of it, which tells the generation where the other says nothing,
            as an ARN does.
        @raise Malformed: if something must go from a body in which a key stands twice.
        """
        flags = flags_in(headers) if self.rows or lesson is not NOTHING_LEARNED else ()
        if not flags and not self.refused and not lesson.fields:
            return Fitted(request, headers, ())
        model = generation(request.model) or generation(asked)
        fate = {flag: self._fate(flag, model, lesson, counting=counting) for flag in flags}
        gone = [flag for flag, to in fate.items() if to in (DROP, NEEDLESS)]
        # A flag of another name stands for what that name is there for, and for no more.
        paths = dict.fromkeys(
            path for flag, to in fate.items() if to not in (ALLOW, NEEDLESS) for path in fields_of(flag)
        )
        for flag, to in fate.items():
            for path in fields_of(flag if to == ALLOW else to) if to not in (DROP, NEEDLESS) else ():
                paths.pop(path, None)  # another flag that stays needs it, too
        paths |= dict.fromkeys(
            each.path for each in self.refused if each.before is None or (model and model < each.before)
        )
        paths |= dict.fromkeys(sorted(lesson.fields))
        body, taken = without_fields(request.body, paths)
        return Fitted(
            request if body is request.body else structs.replace(request, body=body),
            headers if all(to == ALLOW for to in fate.values()) else _renamed(headers, fate),
            (*gone, *taken),
        )

    def _fate(self, flag: str, model: tuple[int, int] | None, lesson: Lesson, *, counting: bool) -> str:
        """Return C{allow}, C{drop}, C{needless} or another flag."""
        row = next((row for row in self.rows if row.fits(flag, model, counting=counting)), None)
        to = ALLOW if row is None else row.to
        if to in (DROP, NEEDLESS):
            return to
        named = flag if to == ALLOW else to
        if named in lesson.flags or flag in lesson.flags or (lesson.unlisted and row is None):
            return DROP
        return DROP if _needs(named, lesson.fields) else to


EVERYTHING: Final = Betas()
"""For providers that are sent every flag and field."""


def _needs(flag: str, refused: Collection[str]) -> bool:
    """Return whether a flag is there for a field that was refused."""
    return any(_within(path, other) for path in fields_of(flag) for other in refused)


def _within(path: str, refused: str) -> bool:
    """Return whether a path is one that was refused, with or without names of variants, or inside it."""
    steps = re.sub(r"\\\?(\w+)\\\.", r"(?:\1\\.)?", re.escape(refused))
    return re.fullmatch(rf"{steps}(?:[.\[].*)?", path) is not None


def flags_in(headers: Pairs) -> tuple[str, ...]:
    """Return the beta flags in the header fields, each once."""
    return tuple(dict.fromkeys(flag for name, value in headers if name == _BETA for flag in split(value)))


def split(value: bytes) -> list[str]:
    """Return the flags in a value of C{anthropic-beta}."""
    return [flag for flag in (part.strip() for part in value.decode("latin-1").split(",")) if flag]


def _renamed(headers: Pairs, fate: Mapping[str, str]) -> Pairs:
    """Return the header fields with the flags that stay; a field with none of them goes."""
    kept: list[tuple[bytes, bytes]] = []
    seen: set[str] = set()
    for name, value in headers:
        if name != _BETA:
            kept.append((name, value))
            continue
        staying: list[str] = []
        for flag in split(value):
            to = flag if fate[flag] == ALLOW else fate[flag]
            if to not in (DROP, NEEDLESS) and to not in seen:
                seen.add(to)
                staying.append(to)
        if staying:
            kept.append((name, ",".join(staying).encode("latin-1")))
    return tuple(kept)

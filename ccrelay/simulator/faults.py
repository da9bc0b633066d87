"""Faults: acts that let another act begin and then spoil it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ccrelay.simulator.acts import SIMULATED, Act, Refuses, Says
from ccrelay.simulator.steps import Chunk, Cut, End, Hang, Head, Reset, Step, Wait
from ccrelay.wire.error_json import KIND_OF_STATUS, error_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ccrelay.simulator.asked import Asked

How: TypeAlias = Literal["reset", "cut", "end"]

_BREAKS: Final[Mapping[How, Step]] = {"reset": Reset(), "cut": Cut(), "end": End()}
_GZIP: Final = 31  # zlib's window bits for a gzip header and trailer


def _answer() -> Act:
    return Says(SIMULATED + "This answer was meant to go wrong on the way.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """
    An answer that stops coming.

    @ivar before_head: nothing comes at all, else it stops inside the body.
    @ivar after_events: how many events of a stream come first (0: the head alone); JSON stops half-way.
    @ivar seconds: how long; None for ever. Then it goes on as if nothing had been.
    @ivar act: the answer.
    """

    before_head: bool = False
    after_events: int = 1
    seconds: float | None = None
    act: Act = field(default_factory=_answer)

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the answer's steps with a pause among them."""
        pause = Hang() if self.seconds is None else Wait(self.seconds)
        steps = self.act.steps(asked)
        if self.before_head:
            yield pause
            yield from steps
        else:
            yield from _interrupted(steps, self.after_events, (pause,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaks:
    """
    An answer that breaks off.

    @ivar after_events: how many events of a stream come first (0: the head alone); None for not even
        the head. JSON breaks off half-way.
    @ivar how: C{reset} is a RST, C{cut} a FIN against the framing, C{end} a clean end of what is
        incomplete (before the head it is a C{cut}).
    @ivar act: the answer.
    """

    after_events: int | None = 1
    how: How = "reset"
    act: Act = field(default_factory=_answer)

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the answer's first steps and the break."""
        if self.after_events is None:
            yield Reset() if self.how == "reset" else Cut()
        else:
            yield from _interrupted(self.act.steps(asked), self.after_events, (_BREAKS[self.how],))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errs:
    """
    A stream that says C{error}: as its first event, or after others.

    A request without C{stream} is refused with the status of that error.

    @ivar kind: C{error.type}.
    @ivar after_events: how many events come first.
    @ivar act: the answer.
    """

    kind: str = "overloaded_error"
    message: str = SIMULATED + "Overloaded"
    after_events: int = 0
    act: Act = field(default_factory=_answer)

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the answer's first events, the error, and a clean end."""
        if asked.stream:
            event = Chunk(error_event(self.kind, self.message, asked.request_id))
            yield from _interrupted(self.act.steps(asked), self.after_events, (event, End()))
        else:
            status = next((status for status, kind in KIND_OF_STATUS.items() if kind == self.kind), 500)
            yield from Refuses(status, self.message, self.kind).steps(asked)


@dataclass(frozen=True, slots=True)
class Gzips:
    """An answer in gzip, asked for or not; each event can be read as it comes."""

    act: Act

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the answer's steps with its body compressed, in chunks."""
        squeeze = zlib.compressobj(wbits=_GZIP)
        for step in self.act.steps(asked):
            if isinstance(step, Head):
                yield replace(step, headers=(*step.headers, (b"content-encoding", b"gzip")), length=None)
            elif isinstance(step, Chunk):
                yield Chunk(squeeze.compress(step.data) + squeeze.flush(zlib.Z_SYNC_FLUSH))
            else:
                if isinstance(step, End):
                    yield Chunk(squeeze.flush())
                yield step


@dataclass(frozen=True, slots=True)
class Early:
    """
    An answer that begins as soon as the head of the request is there, without its body.

    What comes of the body afterwards is read and dropped by the network's rules: the connection can be used
    again. A L{Script<ccrelay.simulator.script.Script>} made of acts may hold it, not one made of a function.
    """

    act: Act

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the answer's steps."""
        yield from self.act.steps(asked)


def _interrupted(steps: Iterable[Step], events: int, by: tuple[Step, ...]) -> Iterator[Step]:
    """
    Yield an answer with something in the middle.

    @param events: how many chunks go first. An answer of known length has one; it is cut in two.
    @param by: what comes between; an L{End} in it makes a known length true.
    """
    seen, whole, done = 0, False, False
    for step in steps:
        if isinstance(step, Head):
            whole = step.length is not None
            shorter = whole and End() in by
            yield replace(step, length=_half(step.length or 0) if events else 0) if shorter else step
        elif done or not isinstance(step, Chunk | End):
            yield step
        elif isinstance(step, Chunk) and whole and events:
            middle = _half(len(step.data))
            yield Chunk(step.data[:middle])
            yield from by
            yield Chunk(step.data[middle:])
            done = True
        elif isinstance(step, End) or seen == events:
            yield from by
            yield step
            done = True
        else:
            seen += 1
            yield step


def _half(length: int) -> int:
    return (length + 1) // 2

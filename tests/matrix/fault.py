"""What can go wrong with an attempt, and what the product says must follow: the vocabulary of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ccrelay.simulator.acts import Act


class Blame(Enum):
    """Whose fault it is, which says who is asked next (3.1, 3.1a)."""

    CLIENT = "client"
    """The request's own: nobody else is asked."""
    KEY = "key"
    """The key's: the provider's other keys, then other providers."""
    PROVIDER = "broken"
    """The provider's: other providers."""
    OVERLOAD = "busy"
    """Nobody's for long: once more, then other providers."""
    CUT = "broken "
    """Content has reached the client: nobody else may be asked."""

    @property
    def verdict(self) -> str:
        """What the attempt is called in the log."""
        return self.value.strip()

    @property
    def rule(self) -> str:
        """What follows, in the operator's words."""
        return _RULES[self]


_RULES = {
    Blame.CLIENT: "nobody else is asked, and nobody is held to blame",
    Blame.KEY: "the provider's other keys are asked, then other providers; the key alone is held to blame",
    Blame.PROVIDER: "other providers are asked, then it once more; its circuit counts what is no 4xx",
    Blame.OVERLOAD: "it is asked once more, then other providers; its circuit for that model counts it",
    Blame.CUT: "nobody else is asked, and the client is told that the answer is not whole",
}


class Words(Enum):
    """Who says it, where it is the answer (1.4, 3.4)."""

    THEIRS = "theirs"
    """The provider, byte for byte."""
    PUT = "put"
    """The provider, put into Anthropic's envelope."""
    OURS = "ours"
    """ccrelay, which lists every attempt with its reason."""


class Hold(Enum):
    """What becomes of the key (3.1, 3.2, 5.4)."""

    NONE = "ready"
    INVALID = "invalid"
    MODEL = "for the model"
    WAITING = "waiting"
    EXHAUSTED = "exhausted"
    COOLING = "cooling"


class Repeats(Enum):
    """Whether the same provider and key may be asked again for the request, where nobody else is left."""

    NEVER = 0
    ONCE = 1
    WITHIN_BOUNDS = 3
    """As often as C{max_attempts} and the budget allow."""


class Scope(Enum):
    """How far the fault goes."""

    ONCE = "the first time"
    TWICE = "twice"
    THERE = "each time, there alone"
    EVERYWHERE = "each time, and everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    What the product says of a fault.

    @ivar status: of the answer where nobody does better; C{kind}: its C{error.type}.
    @ivar says: what its message has in it.
    @ivar fields: header fields of the answer that matter, as they are where no other key frees sooner.
    @ivar wait: seconds that the provider asks to wait; C{held}: seconds for which the key is held,
        C{slack} of which may be missing, as HTTP dates have no fractions.
    @ivar seconds: until the fault is noticed.
    @ivar began: events of an answer that reached the client before.
    """

    blame: Blame
    status: int
    kind: str
    says: str = ""
    words: Words = Words.THEIRS
    repeats: Repeats = Repeats.NEVER
    fields: Mapping[str, str] = field(default_factory=dict)
    wait: float | None = None
    hold: Hold = Hold.NONE
    held: float = 0.0
    slack: float = 0.01
    seconds: float = 0.0
    began: int = 0

    @property
    def charged(self) -> bool:
        """Whether the provider's breaker counts it, whatever its keys are (6.2): 4xx do not."""
        return self.blame in {Blame.PROVIDER, Blame.CUT} and not 400 <= self.status < 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A fault.

    @ivar name: in a few words, after "A provider ...".
    @ivar act: what the provider does; None where it is the connection that fails, C{way} says how.
    @ivar streamed: what follows where a stream was asked for; C{whole}: where it was not. None: no such case.
    @ivar fields: of every provider's configuration.
    """

    name: str
    act: Act | None = None
    way: str = ""
    streamed: Effect | None
    whole: Effect | None
    scopes: tuple[Scope, ...] = (Scope.ONCE, Scope.THERE, Scope.EVERYWHERE)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def effect(self, *, stream: bool) -> Effect | None:
        """Return what follows."""
        return self.streamed if stream else self.whole


def both(name: str, act: Act, effect: Effect, **more: Any) -> Row:
    """Return a fault that is the same whether a stream was asked for or not."""
    return Row(name=name, act=act, streamed=effect, whole=effect, **more)

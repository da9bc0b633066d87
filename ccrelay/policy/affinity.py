"""Where each conversation's prompt cache is held, and when a conversation moves."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict
from dataclasses import dataclass
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from ccrelay.policy.rendezvous import Rendezvous

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccrelay.policy.conversation import Conversation

# So that forgetting many at once, after a quiet night or with a new limit, holds up no request.
_FORGOTTEN_AT_ONCE: Final = 16


class Move(enum.Enum):
    """How a conversation changed its place."""

    KEY = "key"
    """To another key of the same provider."""
    PROVIDER = "provider"
    """To another provider."""
    RETURN = "return"
    """Back to the provider that it had to leave."""


class Place(msgspec.Struct, frozen=True):
    """
    A provider, and the name of one of its keys.

    @ivar key: empty where no key of the provider was used for the conversation yet.
    """

    provider: str
    key: str


@dataclass(slots=True)
class _Stay:
    """
    Where a conversation is, all times in seconds since the epoch.

    @ivar home: its place at the provider it prefers; C{place} if it is there.
    @ivar moved: when it last changed its place.
    @ivar waiting: since when it is waited for the return.
    @ivar seen: when it last had a request.
    """

    home: Place
    place: Place
    moved: float
    waiting: float
    seen: float


class Affinity:
    """
    The places of all conversations that are going on.

    A conversation stays until its place cannot serve.  Another key of the same
    provider is then its place for good, and so is another provider, unless
    C{returning}: then it goes back once it was away, and the provider it left was
    without failure, for C{return_after}.  A return that did not come to
    pass is tried again after another C{return_after}, so nobody returns more often than
    that, however often providers fail and recover.

    The cost of each call is the same for any number of conversations.

    @ivar idle: seconds without a request after which a conversation is forgotten; C{inf} for never.
    @ivar return_after: seconds.
    @ivar limit: how many conversations are remembered; beyond it the one unused for longest is forgotten.
    @ivar returning: L{Strategy.returning} of the strategy in use.
    @ivar moves: how many there were of each kind.
    """

    def __init__(self, idle: float, return_after: float, limit: int = 100_000, *, returning: bool) -> None:
        self.idle = idle
        self.return_after = return_after
        self.limit = limit
        self.returning = returning
        self.moves: Counter[Move] = Counter()
        self._stays: OrderedDict[bytes, _Stay] = OrderedDict()
        self._failed: dict[str, float] = {}
        self._loads: dict[str, Counter[str]] = {}
        self._rendezvous = Rendezvous()

    def __len__(self) -> int:
        return len(self._stays)

    def place(self, conversation: Conversation, now: float) -> Place | None:
        """Return where a conversation is, even where it is time to return; None if it has no place."""
        return next(reversed(self.places(conversation, now)), None)

    def places(self, conversation: Conversation, now: float) -> tuple[Place, ...]:
        """
        Return where a request of a conversation goes before all others, in order.

        Nowhere for a new one; one place as a rule; two where it is time to
        return: the one it comes from, and the one it is at in case that
        still cannot serve.
        """
        self._forget_idle(now)
        stay = self._stays.get(conversation.digest)
        if stay is None or now - stay.seen > self.idle:
            return ()
        self._seen(conversation.digest, stay, now)
        return (stay.home, stay.place) if self._return_is_due(stay, now) else (stay.place,)

    def peek(self, conversation: Conversation, now: float) -> tuple[Place, ...]:
        """Return what L{places} would, without taking that for a request."""
        stay = self._stays.get(conversation.digest)
        if stay is None or now - stay.seen > self.idle:
            return ()
        return (stay.home, stay.place) if self._return_is_due(stay, now) else (stay.place,)

    def settle(
        self,
        conversation: Conversation,
        provider: str,
        key: str,
        now: float,
        *,
        asked: float | None = None,
        preferred: str | None = None,
    ) -> Move | None:
        """
        Take note of who serves a conversation, and return how that moved it.

        To be called as soon as a new conversation has been given its place, so
        that the next one sees it there, and whenever a request was answered.

        @param asked: when L{places} was asked for this request; None for C{now}.  Had the
            conversation moved by the time its answer came, then where this request went is
            no news: of requests side by side the first decides.
        @param preferred: for a new conversation, the provider that the strategy would have placed it
            on, were all well; None where that is C{provider}.  It goes there later if C{returning}.
        """
        asked = now if asked is None else asked
        place = Place(provider, key)
        stay = self._stays.get(conversation.digest)
        if stay is not None and now - stay.seen > self.idle:
            self._forget(conversation.digest)
            stay = None
        if stay is None:
            self._forget_idle(now)
            elsewhere = preferred if self.returning and preferred != provider else None
            home = place if elsewhere is None else Place(elsewhere, "")
            # As of when it was asked: where this very request goes on to is news.
            self._stays[conversation.digest] = _Stay(home, place, asked, now, now)
            self._count(place, 1)
            self._forget_beyond_limit()
            return None
        self._seen(conversation.digest, stay, now)
        if asked < stay.moved:
            return None
        if provider == stay.place.provider and self._return_is_due(stay, asked):
            stay.waiting = now  # it was time to return, and it could not
        return None if place == stay.place else self._move(stay, place, now)

    def failed(self, provider: str, now: float) -> None:
        """Take note that a provider failed: nobody returns to it for C{return_after}."""
        self._failed[provider] = now

    def loads(self, provider: str) -> Mapping[str, int]:
        """Return how many conversations have their place on each key of a provider, by the key's name."""
        return self._loads.get(provider, {})

    def choose_key(self, conversation: Conversation, keys: Sequence[str], loads: Mapping[str, int]) -> str:
        """
        Return the key of a provider that a conversation is to be placed on: see L{Rendezvous.choose}.

        @param keys: names of keys of equal priority, one at least.
        @param loads: how much each has to do; L{loads} as a rule.
        """
        return self._rendezvous.choose(conversation.digest, keys, loads)

    def _return_is_due(self, stay: _Stay, now: float) -> bool:
        home = stay.home.provider
        if not self.returning or home == stay.place.provider:
            return False
        failed = self._failed.get(home, -inf)
        # What failed later than C{now} was not known then; or else the clock was put back.
        since = stay.waiting if failed > now else max(stay.waiting, failed)
        return now - since >= self.return_after

    def _move(self, stay: _Stay, place: Place, now: float) -> Move:
        if place.provider == stay.place.provider:
            move = Move.KEY
        else:
            move = Move.RETURN if place.provider == stay.home.provider else Move.PROVIDER
            stay.waiting = now
        self._count(stay.place, -1)
        self._count(place, 1)
        stay.place = place
        stay.moved = now
        if not self.returning or place.provider == stay.home.provider:
            stay.home = place
        self.moves[move] += 1
        return move

    def _seen(self, digest: bytes, stay: _Stay, now: float) -> None:
        if now < stay.seen:  # the clock was put back, and what happened since then happened by now
            stay.moved = min(stay.moved, now)
            stay.waiting = min(stay.waiting, now)
        stay.seen = now
        self._stays.move_to_end(digest)

    def _count(self, place: Place, change: int) -> None:
        counts = self._loads.setdefault(place.provider, Counter())
        counts[place.key] += change
        if not counts[place.key]:
            del counts[place.key]

    def _forget(self, digest: bytes) -> None:
        self._count(self._stays.pop(digest).place, -1)

    def _forget_beyond_limit(self) -> None:
        for _ in repeat(None, min(_FORGOTTEN_AT_ONCE, len(self._stays) - self.limit)):
            self._forget(next(iter(self._stays)))

    def _forget_idle(self, now: float) -> None:
        for _ in repeat(None, _FORGOTTEN_AT_ONCE):
            oldest = next(iter(self._stays), None)
            if oldest is None or now - self._stays[oldest].seen <= self.idle:
                return
            self._forget(oldest)

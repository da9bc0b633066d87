"""The keys of a provider, in the order in which they should be asked."""

from __future__ import annotations

from bisect import bisect_left, insort
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ccrelay.policy.ask import Ask
    from ccrelay.policy.keys import Key

Pooling: TypeAlias = Literal["least_loaded", "round_robin", "random", "weighted"]

_Rank: TypeAlias = tuple[bool, bool, int, float, int, float, int]
"""Out of use, soft, priority (negative), share, load, turn, place among the keys: smaller goes first."""

_NEVER: Final = float("inf")
_BACK_S: Final = 60.0


class KeyPool:
    """
    A provider's keys, shared by one of four strategies.

    C{least_loaded} prefers the key with the smallest share of its limits used,
    then the one with the fewest requests, then the one whose turn it is.
    C{round_robin} gives nothing but turns, and C{weighted} as many as a key's
    weight says, none to a key of weight 0 while there is another, by start-time
    fair queueing: a key that was out of use gets no more than its share
    afterwards.  C{random} deals.

    The order is kept, not made: keys tell the pool when something is done to
    them, a heap tells when time does, and only those are ranked anew.
    """

    def __init__(self, keys: Sequence[Key], strategy: Pooling = "least_loaded") -> None:
        """@param keys: in the order of the file; each tells the pool that was made last with it."""
        self.keys = tuple(keys)
        self.strategy = strategy
        self._by_name = {key.name: key for key in keys}
        self._touched = set(range(len(keys)))
        for place, key in enumerate(self.keys):
            key.watch = partial(self._touched.add, place)
        self._ranks: list[_Rank] = []
        self._rank_of: list[_Rank | None] = [None] * len(keys)
        self._due: list[tuple[float, int]] = []
        self._due_of = [_NEVER] * len(keys)
        self._seen = 0.0
        self._turn: dict[int, float] = {}
        self._turns: dict[tuple[int, int], float] = {}
        self._taken = [key.taken for key in keys]

    def adopt(self, old: KeyPool) -> None:
        """
        Go on with the turns of the pool whose place this one takes, for the keys that are in both.

        Only where all turns are alike: what a weight has earned says nothing under another.
        """
        if not old.strategy == self.strategy == "round_robin":
            return
        places = {key: place for place, key in enumerate(old.keys)}
        self._turn = dict(old._turn)
        for place, key in enumerate(self.keys):
            before = places.get(key)
            if before is not None:
                self._taken[place] = old._taken[before]
                turns = {at: turn for (at, of), turn in old._turns.items() if of == before}
                self._turns.update({(at, place): turn for at, turn in turns.items()})

    def order(
        self, now: float, ask: Ask, chance: Callable[[], float], most: int | None = None
    ) -> tuple[Key, ...]:
        """
        Return the keys that a request may use now, the best first.

        Those that soft facts speak against come last, the ones that are pausing
        or degraded after those that are only short of what is asked.  Else
        higher priority goes first, and within one it is as the strategy has it.

        @param now: seconds since the epoch.
        @param chance: returns a random number, at least 0 and less than 1.
        @param most: no more than so many are wanted; the fewer, the quicker.
        """
        self._catch_up(now)
        wanted = len(self.keys) if most is None else most
        found: list[Key] = []
        behind: list[Key] = []
        for key in self._ranked(chance):
            if len(found) >= wanted:
                break
            if key.usable(now, ask):
                (behind if key.soft(now, ask) else found).append(key)
        return tuple((found + behind)[:wanted])

    def best(self, now: float, ask: Ask) -> list[Key]:
        """
        Return the keys that a request may use now and that nothing tells apart but their load.

        Those of the highest priority that has any that soft facts do not speak
        against; where these are all there are, those that L{order} has first.
        """
        self._catch_up(now)
        found: list[Key] = []
        behind: list[Key] = []
        tier = behind_tier = None
        for rank in self._ranks:
            if rank[0] or (found and rank[1:3] != tier):
                break
            tier = rank[1:3]
            key = self.keys[rank[-1]]
            if not key.usable(now, ask):
                continue
            if not key.soft(now, ask):
                found.append(key)
            elif behind_tier in {None, tier}:
                behind_tier = tier
                behind.append(key)
        return found or behind

    def named(self, name: str) -> Key | None:
        """Return the key of that name, or None."""
        return self._by_name.get(name)

    def frees_at(self, now: float, ask: Ask) -> float | None:
        """Return when the soonest key may be asked; None if none ever may by itself."""
        times = [at for key in self.keys if (at := key.frees_at(now, ask)) is not None]
        return min(times, default=None)

    def _ranked(self, chance: Callable[[], float]) -> Iterator[Key]:
        """Yield the keys that are in use, in the order of their ranks."""
        keys = self.keys
        if self.strategy == "random":
            yield from self._dealt(chance)
            return
        for rank in self._ranks:
            if rank[0]:
                return
            yield keys[rank[-1]]

    def _dealt(self, chance: Callable[[], float]) -> Iterator[Key]:
        """Yield the keys that are in use, those of equal softness and priority in random order."""
        ranks, start = self._ranks, 0
        while start < len(ranks) and not ranks[start][0]:
            out, soft, priority, *_ = ranks[start]
            end = bisect_left(ranks, (out, soft, priority, _NEVER, 0, 0.0, 0), start)
            deck = ranks[start:end]
            while deck:
                drawn = int(chance() * len(deck))
                deck[drawn], deck[-1] = deck[-1], deck[drawn]
                yield self.keys[deck.pop()[-1]]
            start = end

    def _catch_up(self, now: float) -> None:
        """Rank anew what something was done to, and what time has changed."""
        touched, due = self._touched, self._due
        if now < self._seen - _BACK_S:
            touched.update(range(len(self.keys)))  # the clock was put back, and no time set before is right
            self._seen = now
        self._seen = max(self._seen, now)
        while due and due[0][0] <= now:
            at, place = heappop(due)
            if at == self._due_of[place]:
                self._due_of[place] = _NEVER
                touched.add(place)
        while touched:
            self._place(touched.pop(), now)

    def _place(self, place: int, now: float) -> None:
        key, old = self.keys[place], self._rank_of[place]
        opens, soft, share, busy, changes = key.standing(now)
        if self.strategy != "least_loaded":
            share, busy = 0.0, 0
        turn = 0.0 if self.strategy == "random" else self._turn_of(place)
        rank = (opens > now, soft, -key.priority, share, busy, turn, place)
        if rank != old:
            if old is not None:
                del self._ranks[bisect_left(self._ranks, old)]
            insort(self._ranks, rank)
            self._rank_of[place] = rank
        if changes < self._due_of[place]:
            self._due_of[place] = changes
            heappush(self._due, (changes, place))

    def _turn_of(self, place: int) -> float:
        """Return when a key's next turn is, in turns of a key of weight 1, after those it has taken."""
        key = self.keys[place]
        weight = key.weight if self.strategy == "weighted" else 1
        taken = key.taken - self._taken[place]
        self._taken[place] += taken
        if not weight:
            return _NEVER
        # Each priority for itself: keys that are seldom needed would lose their order to those that go first.
        priority = key.priority
        turn = self._turns.get((priority, place), 0.0)
        if taken:
            # A key that was out of use does not catch up: its turn begins no earlier than the last one did.
            begins = self._turn[priority] = max(turn, self._turn.get(priority, 0.0))
            turn = self._turns[priority, place] = begins + taken / weight
        return turn

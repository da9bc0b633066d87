"""The choice of a key for a conversation: the same each time, and even all the same."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A key's load may be off the mean by a fifth of it, and by 1 where that is more.  The hash alone is off
# by the square root of the mean: by 4 of 20, so of 100 conversations on 5 keys one often gets 12 or 28.
_FIFTHS: Final = 5
_SCALE: Final = 1 << 53  # of a float's mantissa


class Rendezvous:
    """
    Rendezvous hashing with bounded load.

    Each key gives each conversation a score, and the highest wins: so a
    conversation finds its key again after a restart, and where a key comes or
    goes only its own share of the conversations moves.  A key that has as much as
    it may have is passed over; where keys would fall short of what they are
    to have at least, one of those is taken.
    """

    __slots__ = ("_factors",)

    def __init__(self) -> None:
        self._factors: dict[str, float] = {}

    def choose(self, digest: bytes, keys: Sequence[str], loads: Mapping[str, int]) -> str:
        """
        Return one of the keys.

        @param digest: of what is to be placed, evenly distributed bytes.
        @param keys: names, one at least, in any order.
        @param loads: how much each key has to do; a key that is absent has nothing.
        """
        if len(keys) == 1:
            return keys[0]
        load = [loads.get(key, 0) for key in keys]
        total, lowest = sum(load) + 1, min(load)
        # Only one gets this conversation: the last of those that have the fewest is served so much later.
        least = _least(total + load.count(lowest) - 1, len(keys))
        most = _most(total, len(keys))
        if lowest < least:
            keys = [key for key, has in zip(keys, load, strict=True) if has < least]
        elif max(load) >= most:
            keys = [key for key, has in zip(keys, load, strict=True) if has < most]
        return self._highest(digest, keys)

    def _highest(self, digest: bytes, keys: Sequence[str]) -> str:
        # The fractional part of a product: as good as a hash of both here, and a tenth of its time.
        number = float(int.from_bytes(digest[:3], "big") + 1)
        factors = self._factors
        try:
            scores = [number * factors[key] % 1.0 for key in keys]
        except KeyError:
            for key in keys:
                factors[key] = _factor(key)
            return self._highest(digest, keys)
        return keys[scores.index(max(scores))]


def _least(total: int, keys: int) -> int:
    """Return how much each of the keys has at least when all have C{total} together."""
    spread = _FIFTHS * keys
    return -(-(_FIFTHS - 1) * total // spread) if total >= spread else -(-total // keys) - 1


def _most(total: int, keys: int) -> int:
    """Return how much each of the keys has at most when all have C{total} together."""
    return max((_FIFTHS + 1) * total // (_FIFTHS * keys), total // keys + 1)


def _factor(key: str) -> float:
    """Return a number of at least 0 and less than 1 that is a key's own."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / _SCALE

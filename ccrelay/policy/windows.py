"""A limit on what may be taken in any minute, wherever that minute begins."""

from __future__ import annotations

from collections import deque
from typing import Final

_SLOTS: Final = 1024
_NEVER: Final = float("inf")


class _Slot:
    """What was taken within one grain of time; all of it counts until the end of the latest of it."""

    __slots__ = ("amount", "begun", "counted", "ends")

    def __init__(self, begun: float, ends: float) -> None:
        self.begun = begun
        self.ends = ends
        self.amount = 0
        self.counted = True


class SlidingWindow:
    """
    What was taken within the last C{length} seconds, held below a limit.

    An amount taken at C{t} counts up to C{t + length}, and not at that very
    time any more.  Amounts taken within C{length / 1024} of each other may
    count that little longer, so that memory is bounded whatever the rate.

    @ivar limit: of the sum of all amounts in the window; 0 for none.
    @ivar length: of the window, in seconds.
    """

    __slots__ = ("_grain", "_slots", "_total", "length", "limit")

    def __init__(self, limit: int, length: float = 60.0) -> None:
        self.limit = limit
        self.length = length
        self._grain = length / _SLOTS
        self._slots: deque[_Slot] = deque()
        self._total = 0

    def used(self, now: float) -> int:
        """Return the sum of what counts at C{now}, in seconds since the epoch as everywhere here."""
        self._forget(now)
        return self._total

    def fits(self, amount: int, now: float) -> bool:
        """Return whether an amount may be taken; one that is over the limit may when nothing else counts."""
        if not self.limit or self._total + amount <= self.limit:
            return True  # what counts can but have become less
        self._forget(now)
        return self._total + amount <= self.limit or not self._total

    def fits_at(self, amount: int, now: float) -> float:
        """Return when an amount may be taken if nothing more is taken before; C{now} if it may already."""
        if self.fits(amount, now):
            return now
        left = self._total
        at = now
        for slot in self._slots:
            at = slot.ends
            left -= slot.amount
            if left + amount <= self.limit or not left:
                break
        return at

    def look(self, now: float) -> tuple[int, float]:
        """Return what is used, and when it will be less if nothing is done; infinity if never."""
        self._forget(now)
        return self._total, self._slots[0].ends if self._slots else _NEVER

    def take(self, amount: int, now: float) -> Reservation:
        """Count an amount from now on, whether it fits or not."""
        self._forget(now)
        slots = self._slots
        ends = now + self.length
        if slots and now - slots[-1].begun <= self._grain:
            slot = slots[-1]
            slot.ends = max(slot.ends, ends)  # a caller's time may be a little old
        else:
            slot = _Slot(now, ends)
            slots.append(slot)
        slot.amount += amount
        self._total += amount
        return Reservation(self, slot, amount)

    def _correct(self, slot: _Slot, difference: int) -> None:
        if slot.counted:
            slot.amount += difference
            self._total += difference

    def _forget(self, now: float) -> None:
        slots = self._slots
        if not slots:
            return
        if slots[-1].begun - now > self.length:
            # The clock was put back: what was taken would count until it has caught up.
            for slot in slots:
                slot.begun, slot.ends = now, now + self.length
        while slots and slots[0].ends <= now:
            slot = slots.popleft()
            slot.counted = False
            self._total -= slot.amount


class Reservation:
    """An amount taken from a window, to be corrected when the truth is known."""

    __slots__ = ("_amount", "_slot", "_window")

    def __init__(self, window: SlidingWindow, slot: _Slot, amount: int) -> None:
        self._window = window
        self._slot = slot
        self._amount = amount

    def settle(self, amount: int) -> None:
        """
        Correct what was taken; it counts from the time at which it was taken, as before.

        @param amount: less than nothing is nothing.
        """
        amount = max(amount, 0)
        self._window._correct(self._slot, amount - self._amount)  # noqa: SLF001  it is the window's own
        self._amount = amount

    def give_back(self) -> None:
        """Count nothing."""
        self.settle(0)

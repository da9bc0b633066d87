"""What choosing provider and key costs: with 100 keys, and with more and more conversations remembered."""

from __future__ import annotations

import sys
from random import Random
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from bench.rig import verdict
from ccrelay.policy.affinity import Affinity
from ccrelay.policy.allowance import KeyLimits
from ccrelay.policy.ask import Ask
from ccrelay.policy.backend import Backend, Way
from ccrelay.policy.breaker import Thresholds
from ccrelay.policy.breakers import Breakers
from ccrelay.policy.budget import RetryBudget
from ccrelay.policy.conversation import Conversation
from ccrelay.policy.estimates import Estimates
from ccrelay.policy.keys import Key
from ccrelay.policy.pool import KeyPool
from ccrelay.policy.prices import Demand
from ccrelay.policy.routing import Routing
from ccrelay.policy.selection import Selection
from ccrelay.policy.strategy import strategy_of
from ccrelay.wire.secret import Secret
from ccrelay.wire.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "claude-sonnet-4-5"
ASK, DEMAND, NO_LIMITS = Ask(MODEL, 1000, 500), Demand(MODEL, 1000, 500), KeyLimits()


def routing(keys: int, sessions: int, *, limits: KeyLimits) -> tuple[Routing, Backend, list[Conversation]]:
    """Return what decides for one provider, with conversations placed on its keys."""
    chance = Random(7).random
    made = [Key(f"key{n}", Secret(f"sk-test-{n:012}"), limits=limits) for n in range(keys)]
    backend = Backend("one", KeyPool(made))
    affinity = Affinity(3600.0, 60.0, 200_000, returning=True)
    found = Routing(
        "failover", strategy_of("failover", chance, {}, None), Breakers(["one"], Thresholds(), chance),
        affinity, RetryBudget(), Estimates(), chance,
    )  # fmt: skip
    conversations = [Conversation("", f"session-{n}", MODEL) for n in range(sessions)]
    for n, conversation in enumerate(conversations):
        affinity.settle(conversation, "one", f"key{n % keys}", 1000.0)
    return found, backend, conversations


def choose(decides: Routing, backend: Backend, conversation: Conversation, now: float) -> None:
    """Choose provider and key."""
    way = Way(backend, MODEL, ASK)
    if Selection(decides, [way], DEMAND, conversation, now).lead(now) is None:
        raise AssertionError


def take(decides: Routing, backend: Backend, conversation: Conversation, now: float) -> None:
    """Choose, enter the breakers, reserve of the key's limits, and give all of it back."""
    way = Way(backend, MODEL, ASK)
    trying = Selection(decides, [way], DEMAND, conversation, now).next(now)
    if trying is None:
        raise AssertionError
    trying.end(None, Usage(10, 10, 0, 0), now)


def cost(
    what: Callable[..., None],
    keys: int,
    sessions: int,
    times: int = 20_000,
    *,
    limits: KeyLimits = NO_LIMITS,
    new: bool = False,
) -> float:
    """Return the microseconds of CPU that something costs, the least of five runs."""
    decides, backend, conversations = routing(keys, sessions, limits=limits)
    pick, now, runs = Random(3), 1001.0, []
    for run in range(5):
        chosen = [pick.choice(conversations) for _ in range(times // 5)]
        if new:
            chosen = [Conversation("", f"new-{run}-{n}", MODEL) for n in range(times // 5)]
        begun = process_time()
        for conversation in chosen:
            now += 0.001
            what(decides, backend, conversation, now)
        runs.append((process_time() - begun) / len(chosen) * 1e6)
    return min(runs)


def main() -> int:
    """Measure."""
    begun = perf_counter()
    one, hundred = cost(choose, 1, 1000), cost(choose, 100, 1000)
    many = cost(choose, 100, 100_000)
    met = verdict("choosing among 100 keys", f"{hundred:.1f} us", "<= 10 us", met=hundred <= 10)
    flat = many / hundred
    met &= verdict("100,000 conversations against 1,000", f"{flat:.2f} x", "flat (<= 2 x)", met=flat <= 2)
    fresh = cost(choose, 100, 1000, 3000, new=True)
    print(f"among 1 key {one:.1f} us; a place for a new conversation among 100 keys {fresh:.1f} us")
    limited = cost(take, 100, 1000, limits=KeyLimits(100_000, 10**9, 10**9))
    print(
        f"with breakers entered and windows reserved and settled: {cost(take, 100, 1000):.1f} us, "
        f"with limits on all 100 keys {limited:.1f} us ({perf_counter() - begun:.0f} s)"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

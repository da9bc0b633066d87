"""What being seen costs: a scrape, the status, and CPU with everything on against everything off."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.testing import MemoryReactorClock

from bench.rig import Client, Provider, Relay, body, free_port, run, verdict
from ccrelay.config.model import Settings
from ccrelay.config.read import Loaded
from ccrelay.policy.verdict import Verdict
from ccrelay.relay.events import AttemptEnded, RequestEnded
from ccrelay.service.root import Ccrelay
from ccrelay.simulator.acts import Says
from ccrelay.wire.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS, MODELS, PAIRS, ROUNDS, REQUESTS, AT_ONCE = 100, 200, 5, 5, 1000, 8
CONFIG = """
server: {{listen: "127.0.0.1:{{port}}"}}
metrics: {metrics}
health: {{health_check: {{enabled: false}}}}
logging: {{format: json, output: "{{log}}"}}
providers:
- {{name: one, type: anthropic, base_url: "{one}", keys: [{{key: sk-test-0123456789, rpm_limit: 1000000}}]}}
"""
_TICK = os.sysconf("SC_CLK_TCK")


def ended(number: int) -> RequestEnded:
    """Return a request that has ended."""
    model, stream = f"model-{number % MODELS}", number >= 0
    attempt = AttemptEnded(
        "req_1", "one", "key", model, Verdict.OK, 200, "req_2", "", 0.2, 1.0, first_body=0.2
    )
    return RequestEnded(
        "req_1", "POST", "/v1/messages", "", f"session-{number}", model, stream, 200, 1000,
        Usage(10, 20, 30, 40), (attempt,), 0.2, 1.0, "complete", not stream,
    )  # fmt: skip


def took(work: Callable[[], Any], times: int) -> float:
    """Return the milliseconds of CPU that something takes, the median of some times."""
    each = []
    for _ in range(times):
        before = time.process_time()
        work()
        each.append(time.process_time() - before)
    return median(each) * 1000


def standing() -> bool:
    """Measure a scrape and the status of a relay with many keys."""
    keys = [
        {"key": f"sk-test-{n:012}", "rpm_limit": 50, "itpm_limit": 9, "otpm_limit": 9, "tpm_limit": 9}
        for n in range(KEYS)
    ]
    settings = Settings.model_validate({"providers": [{"name": "one", "type": "anthropic", "keys": keys}]})
    operations = Ccrelay(Loaded(settings, (), "a file"), MemoryReactorClock())._operations  # noqa: SLF001
    seen = operations._operations.seen  # noqa: SLF001
    for number in range(1000):
        operations.ledger.request_ended(ended(number))
    scrape = took(seen.exposition.text, 30)
    met = verdict(f"a scrape with {KEYS} keys, CPU", f"{scrape:.1f} ms", "≤ 20 ms", met=scrape <= 20)
    status = took(lambda: msgspec.json.encode(seen.status.drawn_up()), 30)
    met &= verdict("the status, CPU", f"{status:.1f} ms", "≤ 20 ms", met=status <= 20)
    one = ended(1)

    def count() -> None:
        for _ in range(1000):
            operations.ledger.attempt_ended(one.attempts[0])
            operations.ledger.request_ended(one)

    each = took(count, 10)
    return met & verdict("adding up a request, CPU", f"{each:.1f} µs", "≤ 20 µs", met=each <= 20)


def cpu(relay: Relay) -> float:
    """Return the seconds of CPU that a relay has used."""
    with open(f"/proc/{relay.process.pid}/stat") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


async def spent(relay: Relay, client: Client, *, stream: bool) -> float:
    """Return the milliseconds of CPU that a relay uses for a request."""
    before = cpu(relay)

    async def some() -> None:
        for _ in range(REQUESTS // AT_ONCE):
            await client.ask(body(stream=stream), x_claude_code_session_id="one")

    await DeferredList([Deferred.fromCoroutine(some()) for _ in range(AT_ONCE)], fireOnOneErrback=True)
    return (cpu(relay) - before) / REQUESTS * 1000


async def compared(provider: Provider, *, stream: bool) -> tuple[float, float]:
    """Return what a fresh relay uses for a request with everything off, and another with everything on."""
    on = CONFIG.format(one=provider.url, metrics=f'{{listen: "127.0.0.1:{free_port()}"}}')
    relays = [Relay(CONFIG.format(one=provider.url, metrics="{enabled: false}")), Relay(on)]
    clients = [Client(relay.url) for relay in relays]
    used: list[list[float]] = [[], []]
    for turn in range(ROUNDS):
        # In turns: the machine is not the same from one second to the next.
        for which in (0, 1) if turn % 2 else (1, 0):
            used[which].append(await spent(relays[which], clients[which], stream=stream))
    for relay in relays:
        relay.stop()
    return median(used[0][1:]), median(used[1][1:])


async def measure() -> bool:
    """Measure."""
    met = standing()
    provider = Provider(lambda asked: Says("word " * 20 if asked.stream else "Hello"))
    for stream in (False, True):
        # Two processes differ by some percent for no reason at all, so there are some pairs of them.
        pairs = [await compared(provider, stream=stream) for _ in range(PAIRS)]
        more = median(on / off for off, on in pairs) - 1
        what = "a stream" if stream else "a small request"
        print(f"{what}: " + ", ".join(f"{off:.3f} ms off and {on:.3f} on" for off, on in pairs))
        met &= verdict(f"{what}, everything on", f"{more:+.1%}", "≤ +5 %", met=more <= 0.05)
    return met


if __name__ == "__main__":
    run(measure)

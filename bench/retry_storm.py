"""
A retry storm: the provider is down, and 200 requests a second come for 10 s.

Repeats in place must stay a small part of the requests, and after the circuit
has opened there are none but its probes.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from bench.rig import Client, Relay, body, free_port, pause, reactor, run, verdict

RATE, SECONDS = 200, 10

CONFIG = """
server: {{listen: "127.0.0.1:{{port}}"}}
metrics: {{enabled: false}}
logging: {{format: json, output: "{{log}}"}}
health: {{health_check: {{enabled: false}}, circuit_breaker: {{failure_threshold: {threshold}}}}}
providers:
- {{name: down, type: anthropic, base_url: "http://127.0.0.1:{down}", keys: [{{key: sk-test-0123456789}}]}}
"""


def at(line: dict[str, Any]) -> float:
    """Return when a line was logged, in seconds since the epoch."""
    return datetime.fromisoformat(line["time"]).timestamp()


async def storm(threshold: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the lines of requests, of failed attempts and of opened circuits, of one storm."""
    relay = Relay(CONFIG.format(down=free_port(), threshold=threshold))
    client, waiting = Client(relay.url), []
    content = body()
    begun = reactor.seconds()
    for number in range(RATE * SECONDS):
        late = begun + number / RATE - reactor.seconds()
        if late > 0:
            await pause(late)
        waiting.append(Deferred.fromCoroutine(client.ask(content)))
    await DeferredList(waiting, consumeErrors=True)
    relay.stop()
    return relay.lines("request"), relay.lines("attempt failed"), relay.lines("circuit open")


async def measure() -> bool:
    """Measure with a circuit that never opens, then with the usual one."""
    met = True
    requests, attempts, _ = await storm(1_000_000)
    came = {line["id"]: at(line) - line["duration_ms"] / 1000 for line in requests}
    second = min(came.values()) + 1
    late = [request for request, when in came.items() if when >= second]
    repeats = [line for line in attempts if line.get("repeat") and came[line["id"]] >= second]
    share = len(repeats) / len(late)
    print(f"without a circuit: {len(requests)} requests, {len(attempts)} attempts")
    met &= verdict(
        "repeats in place of the requests after the first second", f"{share:.1%}", "<= 20 %", met=share <= 0.2
    )
    requests, attempts, opened = await storm(5)
    when = min(at(line) for line in opened)
    after = [line for line in attempts if line.get("repeat") and at(line) > when]
    statuses = Counter(line["status"] for line in requests)
    print(f"with a circuit: {len(requests)} requests, {len(attempts)} attempts, answered {dict(statuses)}")
    met &= verdict("repeats in place after the circuit opened", str(len(after)), "0", met=not after)
    return met


if __name__ == "__main__":
    run(measure)

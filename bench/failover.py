"""What failing over adds to a request: from a refused connection, and from a provider that is overloaded."""

from __future__ import annotations

from statistics import median

from bench.rig import Client, Provider, Relay, body, free_port, reactor, run, verdict
from ccrelay.simulator.acts import Refuses, Says

TIMES = 40

CONFIG = """
server: {{listen: "127.0.0.1:{{port}}"}}
metrics: {{enabled: false}}
logging: {{format: json, output: "{{log}}"}}
health: {{health_check: {{enabled: false}}, circuit_breaker: {{failure_threshold: 1000000}}}}
routing: {{affinity: {{enabled: false}}}}
providers:
- {{name: first, type: anthropic, base_url: "{first}", keys: [{{key: sk-test-0123456789}}]}}
- {{name: second, type: anthropic, base_url: "{second}", keys: [{{key: sk-test-9876543210}}]}}
"""


async def times(first: str, second: str) -> list[float]:
    """Return the seconds that each of some requests took, one after the other."""
    relay = Relay(CONFIG.format(first=first, second=second))
    client, content, took = Client(relay.url), body(), []
    for _ in range(TIMES):
        begun = reactor.seconds()
        status, answer = await client.ask(content)
        took.append(reactor.seconds() - begun)
        if status != 200:
            msg = f"answered {status}: {answer!r}"
            raise RuntimeError(msg)
    relay.stop()
    return took[5:]


async def measure() -> bool:
    """Measure without a failure, then with each of them."""
    well = Provider([Says("Hello")])
    busy = Provider([Refuses(529)])
    usual = median(await times(well.url, well.url))
    refused = await times(f"http://127.0.0.1:{free_port()}", well.url)
    overloaded = await times(busy.url, well.url)
    print(f"a request without a failure takes {usual * 1000:.1f} ms (median of {TIMES - 5})")
    added = median(refused) - usual
    shown = f"{added * 1000:.1f} ms"
    met = verdict("added by a refused connection (median)", shown, "<= 20 ms", met=added <= 0.02)
    added = median(overloaded) - usual
    met &= verdict("added by a 529 (median)", f"{added * 1000:.0f} ms", "<= 500 ms", met=added <= 0.5)
    added = max(overloaded) - usual
    return met & verdict("added by a 529 (longest)", f"{added * 1000:.0f} ms", "<= 500 ms", met=added <= 0.5)


if __name__ == "__main__":
    run(measure)

"""Reloads every 100 ms while 1,000 requests and 50 streams are served: none of them may fail."""

from __future__ import annotations

from twisted.internet.defer import Deferred, DeferredList

from bench.rig import Client, Provider, Relay, body, pause, run, verdict
from ccrelay.simulator.acts import Says

REQUESTS, STREAMS, AT_ONCE = 1000, 50, 10

CONFIG = """
server: {{listen: "127.0.0.1:{{port}}", max_concurrent: {at_most}}}
metrics: {{enabled: false}}
logging: {{format: json, output: "{{log}}"}}
providers:
- {{name: one, type: anthropic, base_url: "{one}", keys: [{{key: sk-test-0123456789, rpm_limit: {rpm}}}]}}
- {{name: two, type: anthropic, base_url: "{two}", priority: {priority}, keys: [{{key: sk-test-9876543210}}]}}
"""


async def measure() -> bool:
    """Measure."""
    words = "word " * 100
    one, two = (Provider(lambda asked: Says(words if asked.stream else "Hello", pace=0.1)) for _ in range(2))

    def config(turn: int) -> str:
        # Every reload changes something: limits, priorities, and every third one a provider's address.
        swapped = (one.url, two.url) if turn % 3 else (two.url, one.url)
        return CONFIG.format(
            one=swapped[0], two=swapped[1], rpm=100_000 + turn, priority=turn % 2 + 1, at_most=900 + turn
        )

    relay = Relay(config(0))
    client, over = Client(relay.url), False
    turns = 0

    async def reload() -> None:
        nonlocal turns
        while not over:
            turns += 1
            relay.write(config(turns))
            relay.hang_up()
            await pause(0.1)

    async def stream(number: int) -> bool:
        status, answer = await client.ask(body(stream=True), x_claude_code_session_id=f"stream-{number}")
        return status == 200 and answer.count(b"event: message_stop") == 1

    async def some(number: int) -> int:
        failed = 0
        for turn in range(REQUESTS // AT_ONCE):
            status, answer = await client.ask(body(), x_claude_code_session_id=f"{number}-{turn % 7}")
            failed += status != 200 or b'"type":"message"' not in answer
        return failed

    reloading = Deferred.fromCoroutine(reload())
    streams = DeferredList([Deferred.fromCoroutine(stream(n)) for n in range(STREAMS)])
    requests = DeferredList([Deferred.fromCoroutine(some(n)) for n in range(AT_ONCE)])
    ended = await streams
    failed = sum(count if ok else REQUESTS for ok, count in await requests)
    over = True
    await reloading
    relay.stop()
    told = [line for line in relay.log.read_text().splitlines() if "configuration reloaded" in line]
    broken = sum(not (ok and whole) for ok, whole in ended)
    print(f"{turns} reloads asked for, {len(told)} done")
    met = verdict("failed requests of 1,000", str(failed), "0", met=not failed)
    met &= verdict("streams of 50 that were not whole", str(broken), "0", met=not broken)
    return met & verdict("reloads done", str(len(told)), "> 20", met=len(told) > 20)


if __name__ == "__main__":
    run(measure)

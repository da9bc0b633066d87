"""
Conversations on two keys: whether they stay, move once when their key is limited, and share the keys evenly.

The provider tells which key each turn came with, and limits one of them, once, for a minute.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredList

from bench.rig import Client, Provider, Relay, body, run, verdict
from ccrelay.simulator.acts import Refuses, Says

if TYPE_CHECKING:
    from ccrelay.simulator.acts import Act
    from ccrelay.simulator.asked import Asked

CONVERSATIONS, TURNS, LIMITED_AT = 100, 200, 100
LONG = 10
"""So many of the conversations have all turns; the others have two, for the load."""

CONFIG = """
server: {{listen: "127.0.0.1:{{port}}"}}
metrics: {{enabled: false}}
logging: {{format: json, output: "{{log}}", level: warn}}
providers:
- name: one
  type: anthropic
  base_url: "{url}"
  keys: [{{name: first, key: sk-test-of-the-first-key}}, {{name: second, key: sk-test-of-the-second-key}}]
"""


async def measure() -> bool:
    """Measure."""
    keys_of: defaultdict[str, list[str]] = defaultdict(list)
    limited: set[str] = set()

    def act(asked: Asked) -> Act:
        key, session = asked.header("x-api-key") or "", asked.header("x-claude-code-session-id") or ""
        if key in limited:
            limited.discard(key)
            return Refuses(429, headers=((b"retry-after", b"60"),))
        keys_of[session].append(key)
        return Says("Hello")

    provider = Provider(act)
    relay = Relay(CONFIG.format(url=provider.url))
    client = Client(relay.url)

    async def converse(number: int, turns: int) -> None:
        for turn in range(turns):
            text = "Hello " * (turn + 1)
            await client.ask(body(text=text), x_claude_code_session_id=f"conversation-{number}")

    await DeferredList([Deferred.fromCoroutine(converse(n, 2)) for n in range(CONVERSATIONS)])
    load = Counter(keys[0] for keys in keys_of.values())
    most = max(load.values()) / (CONVERSATIONS / len(load)) - 1
    print(f"{CONVERSATIONS} conversations on two keys: {dict(load)}")
    met = verdict("a key's load over its even share", f"{most:.0%}", "<= 20 %", met=most <= 0.2)

    keys_of.clear()
    await DeferredList([Deferred.fromCoroutine(converse(n, LIMITED_AT)) for n in range(LONG)])
    stayed = sum(keys.count(keys[0]) for keys in keys_of.values()) / sum(map(len, keys_of.values()))
    met &= verdict("turns that stayed on their key", f"{stayed:.2%}", ">= 99 %", met=stayed >= 0.99)

    limited.add(keys_of["conversation-0"][0])
    await DeferredList([Deferred.fromCoroutine(converse(n, TURNS - LIMITED_AT)) for n in range(LONG)])
    moves = {name: sum(a != b for a, b in pairwise(keys)) for name, keys in keys_of.items()}
    relay.stop()
    print(f"moves of the {LONG} conversations after one key was limited: {sorted(moves.values())}")
    most_moves = max(moves.values())
    return met & verdict("most moves of a conversation", str(most_moves), "1", met=most_moves == 1)


if __name__ == "__main__":
    run(measure)

"""Requests, each of a conversation of its own, and where they went."""

from collections.abc import Sequence
from typing import Any

from ccrelay.simulator.acts import Refuses, Says
from tests.network import Answer
from tests.service.machine import Running
from tests.stack import HEADERS, Stack, body

FINE = Says("x")
BROKEN = Refuses(500, "no")
NO_AFFINITY = {"enabled": False}
OPUS, SONNET, HAIKU = "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"


class Chances:
    """
    Chance as a test wants it.

    @ivar given: what comes next.
    @ivar always: what comes when that has come.
    """

    def __init__(self, *given: float, always: float = 0.5) -> None:
        self.given = list(given)
        self.always = always

    def __call__(self) -> float:
        return self.given.pop(0) if self.given else self.always


def session(name: object) -> tuple[tuple[str, str], ...]:
    """Return the headers of a session's requests."""
    return (*HEADERS, ("x-claude-code-session-id", f"session-{name}"))


def sent(
    relay: Stack | Running,
    count: int = 1,
    seconds: float = 0,
    content: bytes | None = None,
    name: object = None,
) -> str:
    """
    Send requests one after the other, and return the names of the providers that got them, in order.

    @param seconds: what each is given before the next one.
    @param name: of the session; None for another one each time.
    """
    names = ""
    for _ in range(count):
        before = {each: len(relay.asked(each)) for each in relay.simulators}
        headers = session(len(relay.peers) if name is None else name)
        relay.send(body() if content is None else content, headers=headers)
        relay.go(seconds)
        names += "".join(each for each, known in before.items() if len(relay.asked(each)) > known)
    return names


def measure(relay: Stack | Running, chance: Chances) -> None:
    """Let every provider be asked for a stream, by chance, until the time to first byte of all is known."""
    for place in (0.0, 0.99) * 3:
        chance.given[:] = [0.0, place]
        sent(relay, 1, 5, body(stream=True))
    chance.given.clear()


def tried(stack: Stack, content: bytes | None = None, **how: Any) -> str:
    """Send a request of a new conversation, and return the names of all providers that it was tried with."""
    before = len(stack.told.attempts)
    stack.ask(content, headers=session(len(stack.peers)), **how)
    return "".join(attempt.provider for attempt in stack.told.attempts[before:])


def keys_used(stack: Stack, count: int, name: object = None, content: bytes | None = None) -> str:
    """Send requests one after the other, and return the numbers of the keys that served them, in order."""
    before = len(stack.told.attempts)
    for _ in range(count):
        stack.ask(content, headers=session(len(stack.peers) if name is None else name))
    return "".join(attempt.key.removeprefix("k") for attempt in stack.told.attempts[before:])


def keys(*fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return keys with these fields."""
    return [{"key": f"sk-test-of-key-{n}-0123456789", "name": f"k{n}"} | own for n, own in enumerate(fields)]


def statuses(answers: Sequence[Answer]) -> list[int]:
    """Return the statuses of some answers."""
    return [answer.status for answer in answers]

"""What a reload keeps of who shares with whom: load, turns of keys, keys written twice; and prices."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses
from ccrelay.simulator.faults import Stalls
from tests.service.machine import Running
from tests.settings.sending import FINE, HEADERS, NO_AFFINITY, sent
from tests.stack import Stack, body

LOGIN = ("authorization", "Bearer sk-ant-oat01-test-of-a-subscription")
OURS = "sk-test-of-the-relay-itself"


class SharesTests(SynchronousTestCase):
    """A provider whose settings change is the same one."""

    def test_load(self) -> None:
        """Requests that are under way there still count as its load."""
        slow = [Stalls(before_head=True, seconds=20)]
        routing = {"strategy": "least_loaded", "affinity": NO_AFFINITY}
        running = Running(self, {"a": slow, "b": slow}, routing=routing)
        went = sent(running, 1)
        running.providers["a"] |= {"headers": {"x-note": "new"}}
        running.reload()
        self.assertEqual(went + sent(running, 1), "ab")

    def test_turns_of_keys(self) -> None:
        """Whose turn it is among its keys is remembered."""
        keys = [{"key": f"sk-test-of-key-{n}-0123456789"} for n in range(3)]
        pooling = {"keys": keys, "pooling": {"strategy": "round_robin"}}
        running = Running(self, {"a": [FINE]}, {"a": pooling}, routing={"affinity": NO_AFFINITY})
        for number in range(4):
            sent(running)
            running.providers["a"] |= {"headers": {"x-note": str(number)}}
            running.reload()
        shown = [asked.header("x-api-key") for asked in running.asked("a")]
        self.assertEqual(shown, [keys[n]["key"] for n in (0, 1, 2, 0)])

    def test_a_key_written_twice(self) -> None:
        """Each of two keys that are the same keeps what it has used."""
        twice = {"keys": [{"key": "sk-test-of-a-0123456789", "rpm_limit": 3}] * 2}
        running = Running(
            self, {"a": [FINE], "b": [FINE]}, {"a": twice}, routing={"affinity": NO_AFFINITY}
        )
        went = sent(running, 2)
        running.providers["a"] |= {"headers": {"x-note": "new"}}
        running.reload()
        self.assertEqual(went + sent(running, 6), "aaaaaabb")


class PriceTests(SynchronousTestCase):
    """What a request is expected to cost."""

    def test_behind_an_own_login(self) -> None:
        """The pool is ordered by price also where the client's own login was asked first."""
        auth = {"auth": {"allow_subscription": True, "api_key": OURS}}
        costs = {"a": 9, "b": 1}
        prices = {name: {"price": {"*": {"input": cost, "output": cost}}} for name, cost in costs.items()}
        settings = {
            "server": auth,
            "routing": {"strategy": "cost_based", "max_wait_ms": 0},
            "providers": {"o": {"passthrough": True, "keys": []}, **prices},
        }
        stack = Stack(self, {"o": [Refuses(429)], "a": [FINE], "b": [FINE]}, settings)
        stack.ask(headers=(*HEADERS[:3], LOGIN, ("x-api-key", OURS)))
        self.assertEqual([attempt.provider for attempt in stack.told.attempts], ["o", "b"])

    def test_written_to_the_cache(self) -> None:
        """A request that marks what to cache is expected to write it there."""
        prices = {
            "a": {"price": {"*": {"input": 1, "cache_write": 9}}},
            "b": {"price": {"*": {"input": 9, "cache_write": 1}}},
        }
        settings = {"routing": {"strategy": "cost_based"}, "providers": prices}
        system = [{"type": "text", "text": "word " * 100, "cache_control": {"type": "ephemeral"}}]
        for asked, expected in ((body(system="word " * 100), "a"), (body(system=system), "b")):
            stack = Stack(self, {"a": [FINE], "b": [FINE]}, settings)
            stack.ask(asked)
            self.assertEqual([attempt.provider for attempt in stack.told.attempts], [expected])

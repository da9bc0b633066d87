"""What a reload keeps of keys, and what of them can be written anew, as the next requests show."""

from typing import Any

from ccrelay.simulator.acts import Refuses, Says
from tests.service.machine import Running
from tests.settings.sending import FINE, NO_AFFINITY, sent
from tests.settings.test_reload_kept import LENIENT, Reloaded


class KeyTests(Reloaded):
    """What is known of keys, and what is written of them."""

    SECRETS = ("sk-test-of-key-0-0123456789", "sk-test-of-key-1-0123456789")

    def keys(self, *fields: dict[str, Any]) -> list[dict[str, Any]]:
        """Return keys with these fields."""
        return [{"key": secret} | own for secret, own in zip(self.SECRETS, fields, strict=True)]

    def used(self, running: Running, count: int, name: object = None) -> str:
        """Send requests, and return the numbers of the keys that they went with."""
        before = len(running.asked("a"))
        sent(running, count, name=name)
        shown = [asked.header("x-api-key") for asked in running.asked("a")[before:]]
        return "".join(str(self.SECRETS.index(key)) for key in shown)

    def test_priority_and_weight(self) -> None:
        """Another priority or weight of a key that stays holds for the next request."""
        running = self.running({"a": [FINE]})
        self.change(running, "a", keys=self.keys({"priority": 2}, {}), pooling={"strategy": "weighted"})
        went = self.used(running, 3)
        self.change(running, "a", keys=self.keys({"priority": 2}, {"priority": 5}))
        went += self.used(running, 3)
        self.change(running, "a", keys=self.keys({"weight": 4}, {"weight": 1}))
        self.assertEqual(went, "000111")
        self.assertEqual(sorted(self.used(running, 5)), list("00001"))

    def test_pooling(self) -> None:
        """So does another way to share them out."""
        running = self.running({"a": [FINE]})
        self.change(running, "a", keys=self.keys({"rpm_limit": 2}, {"rpm_limit": 90}))
        went = self.used(running, 4)
        self.change(running, "a", pooling={"strategy": "round_robin"})
        self.assertEqual(went + self.used(running, 2)[:1], "0111" + "0")

    def test_cache_reads(self) -> None:
        """Whether reads count can be changed for a key that stays."""
        read = Says("x", usage={"input_tokens": 10, "cache_read_input_tokens": 2000})
        running = self.running({"a": [read], "b": [FINE]})
        self.change(running, "a", keys=[{"key": self.SECRETS[0], "itpm_limit": 1500}])
        self.assertEqual(sent(running, 3), "aaa")
        self.change(running, "a", count_cache_reads=True)
        self.assertEqual(sent(running, 3), "abb")

    def test_a_conversation_s_key(self) -> None:
        """A conversation stays on its key, though the keys have other fields now."""
        running = self.running({"a": [FINE]}, affinity={"enabled": True})
        self.change(running, "a", keys=self.keys({"name": "x"}, {"name": "y"}))
        homes = [self.used(running, 1, name) for name in range(6)]
        self.change(running, "a", keys=self.keys({"name": "x", "rpm_limit": 90}, {"name": "y", "weight": 7}))
        self.assertEqual([self.used(running, 1, name) for name in range(6)], homes)
        self.assertEqual(len(set(homes)), 2)

    def test_limits(self) -> None:
        """Other limits hold for what was used before, too."""
        running = self.running({"a": [FINE], "b": [FINE]})
        went = ""
        for limit in (9, 5, 7, 0):
            self.change(running, "a", keys=[{"key": self.SECRETS[0], "rpm_limit": limit}])
            went += sent(running, 3)
        self.assertEqual(went, "aaa" + "aab" + "aab" + "aaa")

    def test_name(self) -> None:
        """A key that has another name is called by it, and has used what it has used."""
        running = self.running({"a": [FINE], "b": [FINE]}, debug=True)
        told = []
        for name in ("old", "new", "newer"):
            self.change(running, "a", keys=[{"key": self.SECRETS[0], "name": name, "rpm_limit": 2}])
            answer = running.ask()
            told.append((answer.headers["x-ccrelay-provider"], answer.headers["x-ccrelay-key"]))
        self.assertEqual(told[:2], [("a", "old"), ("a", "new")])
        self.assertEqual(told[2][0], "b")

    def test_written_twice(self) -> None:
        """A key that is written twice is two, after a reload as before."""
        running = self.running({"a": [FINE], "b": [FINE]})
        twice = [{"key": self.SECRETS[0], "rpm_limit": 3}] * 2
        self.change(running, "a", keys=twice)
        self.change(running, "a")
        self.assertEqual(sent(running, 7), "aaaaaab")

    def test_keyless(self) -> None:
        """What is held against a provider without keys is held against it still."""
        limited = Refuses(429, headers=((b"retry-after", b"600"),))
        running = Running(
            self, {"a": [limited, FINE], "b": [FINE]}, {"a": {"type": "ollama", "keys": []}},
            routing={"affinity": NO_AFFINITY}, health=LENIENT,
        )  # fmt: skip
        self.assertEqual(sent(running), "ab")
        self.change(running, "a")
        self.assertEqual(sent(running, 2), "bb")

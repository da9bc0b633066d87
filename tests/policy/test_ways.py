"""The rules of ways: who may be asked, in which order, and that nobody is looked at in vain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.ask import Ask
from ccrelay.policy.backend import Backend
from ccrelay.policy.keys import Key
from ccrelay.policy.pool import KeyPool
from ccrelay.policy.ways import Pooled, Ways, candidates


def backend(name: str, *, keys: int = 1, **fields: object) -> Backend:
    """Return a provider."""
    return Backend(name, KeyPool([Key(f"k{n}") for n in range(keys)]), **fields)  # type: ignore[arg-type]


class CandidateTests(SynchronousTestCase):
    """Who may be asked."""

    def names(self, *backends: Backend, allowed: str = "abcd", **how: bool) -> tuple[list[str], list[str]]:
        """Return who may be asked with the client's bearer, and with keys."""
        how = {"bearer": False, "pooled": True} | how
        found = candidates(backends, "m", lambda name: name in allowed, **how)
        return [own.name for own in found.own], list(found.pooled)

    def test_order(self) -> None:
        """All that have keys and that the client may use, in the order of the file."""
        self.assertEqual(self.names(backend("b"), backend("a"), backend("c", keys=0)), ([], ["b", "a"]))
        self.assertEqual(self.names(backend("b"), backend("a"), allowed="a"), ([], ["a"]))

    def test_the_clients_own(self) -> None:
        """A bearer goes to passthrough providers alone; keys are for those who may use them."""
        both = (backend("a", passthrough=True), backend("b"))
        self.assertEqual(self.names(*both, bearer=True), (["a"], ["a", "b"]))
        self.assertEqual(self.names(*both, bearer=True, pooled=False), (["a"], []))

    def test_the_model(self) -> None:
        """Who lists models and not this one is left out while another has it."""
        for listed, names in ((("m",), ["b"]), (("y",), ["a", "b"])):
            found = self.names(backend("a", models=("x",)), backend("b", models=listed))
            self.assertEqual(found, ([], names))


class PooledTests(SynchronousTestCase):
    """Ways that are made when they are looked at."""

    def setUp(self) -> None:
        """Note whose cost is asked for."""
        self.asked: list[str] = []
        backends = {name: backend(name) for name in "abc"}
        self.pooled = Pooled(backends, "m", self.ask)

    def ask(self, of: Backend) -> Ask:
        self.asked.append(of.name)
        return Ask("m", 1, 2)

    def test_one(self) -> None:
        """Who needs one way makes no other, and that one once."""
        way = self.pooled.named("b")
        self.assertIs(self.pooled.named("b"), way)
        self.assertEqual((self.asked, len(self.pooled), self.pooled.named("x")), (["b"], 3, None))

    def test_all(self) -> None:
        """All of them come in their order, and are the same ones each time."""
        ways = Ways([], self.pooled)
        first = ways.named("c")
        self.assertEqual([way.name for way in ways], ["a", "b", "c"])
        self.assertIs(list(ways)[2], first)
        self.assertEqual(self.asked, ["c", "a", "b"])

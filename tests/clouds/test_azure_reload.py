"""What a reload keeps of a cloud: what belongs to the place where it is, and to no other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import State
from ccrelay.simulator.acts import Refuses, Says
from tests.clouds.rooms import AZURE, front
from tests.relay.test_failover import text
from tests.service.machine import Running


class PlaceTests(SynchronousTestCase):
    """Where a provider is."""

    def running(self, *acts: object) -> Running:
        """Return a relay with Azure at a resource called one, and another called two that is well."""
        fields = AZURE | {"base_url": None, "azure_resource_name": "one"}
        running = Running(self, {"azure": acts}, {"azure": fields})
        running.network.listen("one.services.ai.azure.com", running.simulators["azure"].site)
        running.provide("two", [Says("from two")])
        del running.providers["two"]
        running.network.listen("two.services.ai.azure.com", running.simulators["two"].site)
        return running

    def test_another_resource(self) -> None:
        """Another resource begins anew: with a closed circuit, a good key, and connections of its own."""
        for act in (Refuses(500), front(401, "401", "no such key")):
            running = self.running(act)
            for _ in range(6):
                running.ask()
            running.providers["azure"]["azure_resource_name"] = "two"
            running.reload()
            self.assertIs(running.breaker("azure").state(running.wall()), State.CLOSED)
            self.assertEqual(text(running.ask()), "from two")

    def test_the_same(self) -> None:
        """At the same resource everything goes on: its circuit stays open."""
        running = self.running(Refuses(500))
        for _ in range(6):
            running.ask()
        running.providers["azure"]["weight"] = 3
        running.reload()
        self.assertIs(running.breaker("azure").state(running.wall()), State.OPEN)

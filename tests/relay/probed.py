"""A provider that a test probes, one probe after the other."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import State
from ccrelay.relay.probe import ProbeEnded, Prober
from ccrelay.simulator.acts import Says, Sends
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from tests.stack import KEY, Stack

SECOND = "sk-test-second-0000000001"
FINE = Sends(b'{"data":[]}', "application/json")
TWO_KEYS = [{"key": KEY, "name": "one"}, {"key": SECOND, "name": "two"}]
WITHIN = 5.0


class Probed:
    """A provider whose probes are answered by these acts, one after the other."""

    def __init__(
        self,
        test: SynchronousTestCase,
        *acts: Any,
        path: str = "/v1/models",
        requests: Any = (),
        **field: Any,
    ) -> None:
        """@param requests: the acts that answer messages."""
        self.test = test
        stack = Stack(test, {"a": ()}, **field)
        self.stack = stack
        self.simulator = Simulator(
            stack.clock, script=Script(requests or [Says("x")], {path: acts or [FINE]})
        )
        stack.network.ports["a"].stopListening()
        stack.network.listen("a", self.simulator.site)
        self.upstream = stack.upstreams["a"]
        self.breaker = stack.upstreams.routing.breakers.of("a")
        self.prober = Prober(self.upstream, lambda: self.breaker, stack.clock, stack.wall, WITHIN)

    def begin(self) -> Deferred[ProbeEnded]:
        """Begin a probe."""
        probing = Deferred.fromCoroutine(self.prober.probe())
        self.stack.go()
        return probing

    def probe(self, seconds: float = 0) -> ProbeEnded:
        """Return how a probe went."""
        probing = self.begin()
        self.stack.go(seconds)
        return self.test.successResultOf(probing)

    @property
    def asked(self) -> list[Any]:
        """What the provider was asked by probes."""
        return [asked for asked in self.simulator.asked if asked.path != "/v1/messages"]

    @property
    def shown(self) -> list[str | None]:
        """The keys that probes have shown."""
        return [asked.header("x-api-key") for asked in self.asked]

    @property
    def keys(self) -> dict[str, str]:
        """How each key stands."""
        now = self.stack.wall()
        return {key.name: key.state(now).standing for key in self.upstream.backend.pool.keys}

    @property
    def state(self) -> State:
        """Where the breaker is."""
        return self.breaker.state(self.stack.wall())

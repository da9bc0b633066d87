"""The rules of a health probe: what it asks, and what the answer says of the provider."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import State
from ccrelay.relay.probe import ProbeEnded
from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.faults import Breaks, Stalls
from tests.relay.probed import FINE, SECOND, TWO_KEYS, WITHIN, Probed
from tests.stack import KEY, body


class AskingTests(SynchronousTestCase):
    """What is asked."""

    def test_the_cheapest(self) -> None:
        """A probe asks for a page of one model, with a key: it costs no tokens."""
        probed = Probed(self)
        self.assertEqual(probed.probe(), ProbeEnded("a", "…cdef", True, 200, "", 0.0))
        (asked,) = probed.asked
        self.assertEqual((asked.method, asked.target, asked.body), ("GET", "/v1/models?limit=1", b""))
        self.assertEqual((asked.header("x-api-key"), asked.header("anthropic-version")), (KEY, "2023-06-01"))
        self.assertEqual(probed.simulator.count, 1)

    def test_health_path(self) -> None:
        """The operator may name another path below the base_url."""
        probed = Probed(self, path="/up/healthz", health_path="/healthz", base_url="http://a/up")
        self.assertTrue(probed.probe().healthy)
        (asked,) = probed.asked
        self.assertEqual((asked.method, asked.target, asked.header("x-api-key")), ("GET", "/up/healthz", KEY))

    def test_headers(self) -> None:
        """A probe carries the headers that the operator adds to every request."""
        probed = Probed(self, headers={"X-Team": "blue"})
        probed.probe()
        self.assertEqual(probed.asked[0].header("x-team"), "blue")

    def test_keys_in_turn(self) -> None:
        """Each round shows one key, in turn."""
        probed = Probed(self, keys=TWO_KEYS)
        names = [probed.probe().key for _ in range(4)]
        self.assertEqual(names, ["one", "two", "one", "two"])
        self.assertEqual(probed.shown, [KEY, SECOND] * 2)

    def test_without_a_key(self) -> None:
        """A provider that wants no key, or has none of ours, is asked without one."""
        for provider, path in (
            ({"type": "ollama", "keys": []}, "/api/version"),
            ({"type": "simulator", "keys": []}, "/v1/models"),
            ({"type": "anthropic", "keys": [], "passthrough": True}, "/v1/models"),
            ({"type": "anthropic_compatible", "auth": "none", "keys": []}, "/v1/models"),
        ):
            probed = Probed(self, path=path, **provider)
            self.assertEqual(probed.probe(), ProbeEnded("a", "-", True, 200, "", 0.0))
            (asked,) = probed.asked
            self.assertEqual((asked.header("x-api-key"), asked.header("authorization")), (None, None))

    def test_no_slot(self) -> None:
        """A probe waits for no free connection, and takes none from the requests."""
        probed = Probed(self, requests=[Stalls(before_head=True)], max_connections=1)
        probed.stack.send(body(stream=True))
        self.assertEqual(probed.upstream.client.free, 0)
        self.assertTrue(probed.probe().healthy)
        self.assertEqual(probed.upstream.client.free, 0)

    def test_one_connection(self) -> None:
        """Probes use the kept connections, whatever they were answered."""
        probed = Probed(self, FINE, Refuses(404, "nothing here"), Refuses(500, "no"), FINE)
        for _ in range(4):
            probed.probe()
        self.assertEqual(len([c for c in probed.stack.network.connections if c.name == "a"]), 1)


class ProviderTests(SynchronousTestCase):
    """What the answer says of the provider."""

    def test_there(self) -> None:
        """Any answer below 500 shows that it is there, also that there is nothing at the path."""
        statuses = (200, 204, 301, 400, 404, 405, 429)
        probed = Probed(self, *(Sends(b"", status=status) for status in statuses))
        for status in statuses:
            ended = probed.probe()
            self.assertEqual((ended.healthy, ended.status, ended.reason), (True, status, ""))
            self.assertFalse(probed.breaker.degraded)

    def test_not_there(self) -> None:
        """An answer of 500 and above, one that breaks off, and none at all show that it is not."""
        broken = Breaks(after_events=None)  # twice, as a kept connection may have been dead
        probed = Probed(self, Refuses(500, "no"), Refuses(529, "no"), broken, broken, FINE)
        found = [probed.probe() for _ in range(3)]
        self.assertEqual([ended.healthy for ended in found], [False] * 3)
        self.assertEqual([ended.status for ended in found], [500, 529, 0])
        self.assertEqual([ended.reason for ended in found[:2]], ["answered 500", "answered 529"])
        self.assertTrue(found[2].reason)
        for hinder in (probed.stack.network.refuse, probed.stack.network.unresolvable):
            hinder("a")
            probed.stack.go(60)
            self.assertFalse(probed.probe().healthy)

    def test_no_answer(self) -> None:
        """A probe that is not answered in time has failed, whether no connection, no head or no end came."""
        for acts, blackhole in (
            ([FINE], True),
            ([Stalls(before_head=True)], False),
            ([Stalls(act=Says("x" * 100))], False),
        ):
            probed = Probed(self, *acts)
            if blackhole:
                probed.stack.network.blackhole("a")
            probing = probed.begin()
            probed.stack.go(WITHIN - 0.1)
            self.assertNoResult(probing)
            probed.stack.go(0.1)
            ended = self.successResultOf(probing)
            self.assertEqual((ended.healthy, ended.status, ended.duration), (False, 0, WITHIN))
            self.assertIn("within 5 s", ended.reason)
            self.assertEqual(probed.stack.network.connections, [])

    def test_failures_in_a_row(self) -> None:
        """One failure makes it degraded, unhealthy_after of them in a row open its circuit."""
        probed = Probed(self, Refuses(500, "no"), Refuses(500, "no"), FINE, Refuses(500, "no"))
        degraded = []
        for _ in range(5):
            probed.probe()
            degraded.append(probed.breaker.degraded)
        self.assertEqual(degraded, [True, True, False, True, True])
        self.assertIs(probed.state, State.CLOSED)
        probed.probe()
        self.assertIs(probed.state, State.OPEN)

    def test_well_again(self) -> None:
        """A success half-opens a circuit that is open, before its time."""
        probed = Probed(self, *[Refuses(500, "no")] * 3, FINE)
        for _ in range(3):
            probed.probe()
        self.assertIs(probed.state, State.OPEN)
        probed.probe()
        self.assertIs(probed.state, State.HALF_OPEN)

    def test_a_refused_key_says_nothing(self) -> None:
        """A key that is refused neither opens nor half-opens a circuit: that is about the key."""
        for status in (401, 403):
            probed = Probed(self, *[Refuses(500, "no")] * 3, Refuses(status, "no"))
            for _ in range(4):
                probed.probe()
            self.assertIs(probed.state, State.OPEN)
            probed = Probed(self, Refuses(status, "no"))
            for _ in range(6):
                probed.probe()
            self.assertEqual((probed.state, probed.breaker.degraded), (State.CLOSED, False))

    def test_refused_without_a_key(self) -> None:
        """Where no key was shown, being asked for one shows that the provider is there."""
        passing = {"type": "anthropic", "keys": [], "passthrough": True}
        probed = Probed(self, *[Refuses(500, "no")] * 3, Refuses(401, "no"), **passing)
        for _ in range(4):
            ended = probed.probe()
        self.assertEqual((ended.healthy, ended.reason, probed.state), (True, "", State.HALF_OPEN))
        probed = Probed(self, Refuses(401, "no"), path="/api/version", type="ollama", keys=[])
        self.assertEqual((probed.probe().reason, probed.keys), ("", {"-": "ready"}))

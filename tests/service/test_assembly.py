"""From a configuration to the rooms: which providers, keys, limits and clients a relay gets."""

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI

from ccrelay.config.model import Settings
from ccrelay.relay.upstreams import Limits, Upstreams
from ccrelay.service.assembly import auth_of, new_request_id, upstreams_of
from ccrelay.service.endpoints import OneEndpoint, network_endpoints
from ccrelay.simulator.pair import SocketPairEndpoint
from ccrelay.upstream.agent import Endpoints
from tests.network import Network

KEY = "sk-test-0123456789abcdef"
OWN = {"name": "own", "type": "anthropic", "keys": [{"key": KEY}]}
OTHER = {"name": "other", "type": "anthropic", "base_url": "https://gateway.example", "keys": [{"key": KEY}]}


def settings(*providers: dict[str, Any], **sections: Any) -> Settings:
    """Return a configuration."""
    return Settings.model_validate({"providers": providers, **sections})


def upstreams(*providers: dict[str, Any], **sections: Any) -> Upstreams:
    """Return the providers that a configuration makes."""
    clock = Clock()
    return upstreams_of(settings(*providers, **sections), clock, lambda _: Network(clock))


class UpstreamsTests(SynchronousTestCase):
    """Providers."""

    def test_enabled_ones(self) -> None:
        """Every enabled provider is there, in the order of the file; the others are not."""
        made = upstreams(OWN, OTHER | {"enabled": False}, OTHER | {"name": "last"})
        self.assertEqual([upstream.name for upstream in made.listed], ["own", "last"])

    def test_keys(self) -> None:
        """A key is called what the operator calls it, else by its last four characters."""
        keys = [{"key": KEY, "name": "work", "priority": 3}, {"key": "sk-test-another-0000"}]
        (made,) = upstreams(OWN | {"keys": keys}).listed
        made_keys = made.backend.pool.keys
        self.assertEqual([(key.name, key.priority) for key in made_keys], [("work", 3), ("…0000", 1)])
        self.assertEqual([key.secret.reveal() for key in made_keys], [KEY, "sk-test-another-0000"])
        self.assertNotIn(KEY, repr(made))

    def test_without_keys(self) -> None:
        """A provider that wants none counts as one key; one that only passes tokens on has none."""
        (ollama,) = upstreams({"name": "o", "type": "ollama"}).listed
        self.assertEqual([(key.name, key.secret) for key in ollama.backend.pool.keys], [("-", None)])
        (passing,) = upstreams({"name": "p", "type": "anthropic", "passthrough": True}).listed
        self.assertEqual((passing.backend.pool.keys, passing.backend.passthrough), ((), True))

    def test_priority(self) -> None:
        """A provider's priority is its own, else that of its first key, else 1."""
        keys = [{"key": KEY, "priority": 4}, {"key": "sk-test-another-0000", "priority": 9}]
        made = upstreams(
            OWN, OTHER | {"keys": keys}, OTHER | {"name": "third", "priority": 2, "keys": keys},
            {"name": "keyless", "type": "ollama"},
        )  # fmt: skip
        self.assertEqual([upstream.backend.priority for upstream in made.listed], [1, 4, 2, 1])

    def test_limits(self) -> None:
        """Milliseconds of the configuration are seconds of the relay; every provider has its own."""
        (made,) = upstreams(
            OWN | {"first_byte_timeout_ms": 1500, "idle_timeout_ms": 2500, "max_connections": 7},
            server={"timeout_ms": 3500},
        ).listed
        self.assertEqual(made.limits, Limits(1.5, 2.5, 3.5))
        self.assertEqual(made.client.free, 7)

    def test_names_of_models(self) -> None:
        """Models are mapped as the provider's table says, and those it names are listed."""
        table = {"claude-x": "their-x", "claude-*": "their-other"}
        (made,) = upstreams(OWN | {"model_mapping": table, "models": ["m"]}).listed
        named = [made.backend.model_name(name) for name in ("claude-x", "claude-y", "z")]
        self.assertEqual(named, ["their-x", "their-other", "z"])
        self.assertEqual((made.backend.models, made.backend.mapped_names), (("m",), ("claude-x",)))

    def test_headers(self) -> None:
        """Configured header fields are added as the wire has them."""
        (made,) = upstreams(OWN | {"headers": {"X-Team": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}}).listed
        self.assertEqual(made.headers, ((b"x-team", b"caf\xc3\xa9"),))

    def test_counting(self) -> None:
        """count_tokens tells whether tokens are estimated."""
        made = upstreams(OWN, OTHER | {"count_tokens": "404"})
        self.assertEqual([upstream.estimates for upstream in made.listed], [True, False])

    def test_subscriptions(self) -> None:
        """A subscription goes where passthrough says, else to the first provider on Anthropic's own host."""
        auth = {"auth": {"allow_subscription": True}}
        marked = OTHER | {"passthrough": True}
        spelled = OWN | {"name": "spelled", "base_url": "https://api.anthropic.com"}
        for providers, server, expected in (
            ((OTHER, OWN, spelled), auth, ["own"]),
            ((OTHER, spelled, OWN), auth, ["spelled"]),
            ((OWN, marked), auth, ["other"]),
            ((OTHER,), auth, []),
            ((OWN | {"enabled": False}, spelled), auth, ["spelled"]),
            ((OWN, OTHER), {}, []),
        ):
            made = upstreams(*providers, server=server)
            self.assertEqual([u.name for u in made.listed if u.backend.passthrough], expected)

    def test_account(self) -> None:
        """Batches and files go to the provider named for them, else to the first of type anthropic."""
        first = {"name": "o", "type": "ollama"}
        self.assertEqual(upstreams(first, OWN, OTHER).account.name, "own")
        self.assertEqual(upstreams(OWN, OTHER, routing={"account_provider": "other"}).account.name, "other")
        self.assertIsNone(upstreams(first).account)


class EndpointsTests(SynchronousTestCase):
    """How providers are reached for real."""

    def test_over_the_network(self) -> None:
        """A provider is reached where its URL says."""
        (provider,) = settings(OWN).providers
        self.assertIsInstance(network_endpoints(MemoryReactorClock())(provider), Endpoints)

    def test_the_simulator(self) -> None:
        """The simulator is reached inside the process, whatever the URL; with one of its own, over there."""
        inside, outside = settings(
            {"name": "s", "type": "simulator"},
            {"name": "t", "type": "simulator", "base_url": "http://127.0.0.1:9"},
        ).providers
        of = network_endpoints(MemoryReactorClock())
        within = of(inside)
        self.assertIsInstance(within, OneEndpoint)
        found = {within.endpointForURI(URI.fromBytes(url)) for url in (b"http://a/", b"https://b:1/")}
        self.assertEqual([type(endpoint) for endpoint in found], [SocketPairEndpoint])
        self.assertIsInstance(of(outside), Endpoints)


class AuthTests(SynchronousTestCase):
    """Who may use the relay."""

    def test_nobody_is_asked(self) -> None:
        """Without a credential configured none is asked for."""
        self.assertFalse(auth_of(settings(OWN)).asks)

    def test_clients(self) -> None:
        """Each client has its own key, providers and models; without a list it may use all."""
        clients = [
            {"name": "alice", "key": "sk-test-alice-0000", "providers": ["own"], "models": ["claude-*"]},
            {"name": "bob", "key": "sk-test-bob-000000"},
        ]
        auth = auth_of(settings(OWN, OTHER, server={"auth": {"clients": clients}}))
        self.assertTrue(auth.asks)
        alice, bob = (
            auth.admit(((b"x-api-key", client["key"].encode()),), 0.0) for client in clients
        )  # fmt: skip
        self.assertEqual((alice.name, alice.may_use("own"), alice.may_use("other")), ("alice", True, False))
        self.assertEqual((alice.may_ask("claude-x"), alice.may_ask("other")), (True, False))
        self.assertEqual((bob.name, bob.may_use("other"), bob.may_ask("other")), ("bob", True, True))


class IdTests(SynchronousTestCase):
    """Ids of requests."""

    def test_ids(self) -> None:
        """No two requests have the same id, and an id says whose it is."""
        made = {new_request_id() for _ in range(1000)}
        self.assertEqual(len(made), 1000)
        for one in made:
            self.assertRegex(one, r"\Areq_ccrelay_[0-9a-f]{20}\Z")

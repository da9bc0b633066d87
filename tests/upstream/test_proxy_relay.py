"""The rules of the way to a provider, through the whole relay: proxies, authorities, certificates of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor as _reactor
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from ccrelay.config.model import ProviderSettings
from ccrelay.errors import ConfigError
from ccrelay.service.endpoints import network_endpoints
from ccrelay.simulator.acts import Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from tests.credentials.standins import environment
from tests.live.relay import KEY, LiveRelay, Provider
from tests.network import sse
from tests.stack import body
from tests.upstream.authority import Authority, written
from tests.upstream.connect_proxy import ConnectProxy

reactor: Any = _reactor
NAME = "api.provider.test"


class WayTests(TestCase):
    """A relay, a provider on TLS with an authority of its own, and a proxy between them."""

    timeout = 30

    def setUp(self) -> None:
        """Have an authority that only a file knows."""
        self.authority = Authority()
        self.folder = environment(self)
        self.ca_file = written(self.folder, self.authority.pem)

    def upstream(self, *names: str, asking: Authority | None = None) -> tuple[Simulator, int]:
        """Return a provider with a certificate for these names, and its port."""
        simulator = Simulator(reactor, script=Script([Says("hello")]))
        options = self.authority.server(*names, asking=asking)
        serving = TLSMemoryBIOFactory(options, False, simulator.site)
        port = reactor.listenTCP(0, serving, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(simulator.disconnect)
        return simulator, port.getHost().port

    def relay(self, *providers: dict[str, Any]) -> LiveRelay:
        """Return a relay with these providers, each with what they all have."""
        usual = {"type": "anthropic", "base_url": f"https://{NAME}", "keys": [{"key": KEY}],
                 "ca_file": self.ca_file}  # fmt: skip
        listed = [{"name": f"p{at}"} | usual | provider for at, provider in enumerate(providers)]
        routing = {"max_wait_ms": 0}
        return LiveRelay(self, Provider(self), {"providers": listed, "routing": routing})

    async def ask(self, relay: LiveRelay, *, stream: bool = False) -> Any:
        """Return status and body of an answer."""
        headers = {"x-api-key": "k", "content-type": "application/json"}
        answer = await treq.post(
            f"{relay.url}/v1/messages", body(stream=stream), headers=headers, persistent=False
        )
        return answer.code, await answer.content()

    def proxied(self, number: int, *answer: bytes) -> ConnectProxy:
        """Return a proxy that connects every host to a port."""
        return ConnectProxy(self, number, *answer)

    async def test_a_provider_s_proxy(self) -> None:
        """A provider with a proxy is reached through it, streamed or not, with the proxy's password."""
        simulator, number = self.upstream(NAME)
        proxy = self.proxied(number)
        relay = self.relay({"proxy": proxy.url.replace("//", "//user:pass@")})
        status, said = await self.ask(relay)
        self.assertEqual((status, json.loads(said)["content"][0]["text"]), (200, "hello"))
        status, said = await self.ask(relay, stream=True)
        self.assertEqual((status, sse(said)[-1][0]), (200, "message_stop"))
        self.assertEqual(set(proxy.targets), {f"{NAME}:443"})
        self.assertIn("Proxy-Authorization: Basic dXNlcjpwYXNz", proxy.heads[0])
        self.assertEqual(simulator.asked[0].header("x-api-key"), KEY)

    async def test_the_environment_s_proxy(self) -> None:
        """HTTPS_PROXY is used where a provider names none, but not for what NO_PROXY excepts."""
        _, number = self.upstream(NAME)
        proxy, own = self.proxied(number), self.proxied(number)
        environment(self, HTTPS_PROXY=proxy.url, NO_PROXY="localhost,.elsewhere.test")
        self.assertEqual((await self.ask(self.relay({})))[0], 200)
        self.assertEqual(len(proxy.heads), 1)
        self.assertEqual((await self.ask(self.relay({"proxy": own.url})))[0], 200)
        self.assertEqual((len(proxy.heads), len(own.heads)), (1, 1))
        environment(self, HTTPS_PROXY=proxy.url, NO_PROXY=".provider.test")
        relay = self.relay({})
        self.assertEqual((await self.ask(relay))[0], 502)
        self.assertEqual(relay.told.attempts[0].reason, "the host name cannot be resolved")
        self.assertEqual(len(proxy.heads), 1)

    async def test_a_proxy_that_refuses(self) -> None:
        """Another provider answers; the list of attempts says what the proxy said."""
        _, number = self.upstream(NAME, "localhost")
        refusing = self.proxied(number, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        direct = {"base_url": f"https://localhost:{number}"}
        relay = self.relay({"proxy": refusing.url, "priority": 2}, direct)
        self.assertEqual((await self.ask(relay))[0], 200)
        words = "cannot connect: the proxy refused to connect: 407 Proxy Authentication Required"
        self.assertEqual([attempt.reason for attempt in relay.told.attempts], [words, ""])
        alone = self.relay({"proxy": refusing.url})
        status, said = await self.ask(alone)
        self.assertEqual(status, 502)
        self.assertIn(words, json.loads(said)["error"]["message"])

    async def test_an_authority_of_its_own(self) -> None:
        """C{ca_file} is trusted in place of the system's authorities; without it nobody is sent a key."""
        simulator, number = self.upstream("localhost")
        where = {"base_url": f"https://localhost:{number}"}
        self.assertEqual((await self.ask(self.relay(where)))[0], 200)
        relay = self.relay(where | {"ca_file": None})
        self.assertEqual((await self.ask(relay))[0], 502)
        self.assertIn("TLS: certificate verify failed", relay.told.attempts[0].reason)
        self.assertEqual(simulator.count, 1)

    async def test_a_certificate_of_ours(self) -> None:
        """C{client_certificate} is shown to a provider that asks for one; without it the provider refuses."""
        ours = Authority("ours")
        simulator, number = self.upstream("localhost", asking=ours)
        (Path(self.folder) / "own.pem").write_bytes(ours.certified("relay.test"))
        where = {"base_url": f"https://localhost:{number}"}
        shown = where | {"client_certificate": str(Path(self.folder) / "own.pem")}
        self.assertEqual((await self.ask(self.relay(shown)))[0], 200)
        relay = self.relay(where)
        self.assertEqual((await self.ask(relay))[0], 502)
        self.assertTrue(relay.told.attempts[0].reason.startswith("TLS: "), relay.told.attempts[0].reason)
        self.assertEqual(simulator.count, 1)

    async def test_all_of_them(self) -> None:
        """A certificate of ours is shown through a proxy as well: the proxy sees neither it nor the key."""
        ours = Authority("ours")
        simulator, number = self.upstream(NAME, asking=ours)
        proxy = self.proxied(number)
        (Path(self.folder) / "own.pem").write_bytes(ours.certified("relay.test"))
        own = {"proxy": proxy.url, "client_certificate": str(Path(self.folder) / "own.pem")}
        self.assertEqual((await self.ask(self.relay(own)))[0], 200)
        self.assertNotIn(KEY, str(proxy.heads))
        self.assertEqual(simulator.count, 1)


class WrongTests(SynchronousTestCase):
    """A proxy that cannot be one."""

    def test_of_the_environment(self) -> None:
        """It is told when the relay starts or reloads, by the name of the variable and without a password."""
        provider = ProviderSettings.model_validate({"name": "a", "type": "anthropic", "keys": [{"key": KEY}]})
        endpoints = network_endpoints(reactor, {"HTTPS_PROXY": "socks5://user:secret@proxy.test:1080"})
        (problem,) = self.assertRaises(ConfigError, endpoints, provider).problems
        self.assertEqual(
            problem,
            "HTTPS_PROXY in the environment: found something else; "
            "allowed: an address such as http://proxy.example:8080",
        )

"""The rules of fetched tokens on the real reactor: google-auth and azure-identity themselves fetch them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import treq
from twisted.trial.unittest import TestCase

from ccrelay.simulator.acts import Says
from tests.clouds.rooms import AZURE, COUNTED, MODELS, VERTEX, front, platform, vertex
from tests.credentials import standins_entra, standins_google
from tests.credentials.standins import Answer, Asked, environment, page, standin
from tests.live.relay import LiveRelay, Provider, until
from tests.network import sse
from tests.stack import body

EXPIRED = platform("UNAUTHENTICATED", 401, "Request had invalid authentication credentials.")
REFUSED = front(401, "401", "Access denied due to an expired token.")


def numbered(answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """Return how a token endpoint answers that gives another token each time."""
    given: list[str] = []

    def anew(asked: Asked) -> Answer:
        first = answer(asked)
        said = json.loads(first.body)
        if "access_token" not in said:
            return first
        given.append(asked.path)
        return replace(first, body=json.dumps(said | {"access_token": f"token-{len(given)}"}).encode())

    return anew


class FetchedTestCase(TestCase):
    """A relay with one provider, whose tokens come from a stand-in."""

    timeout = 60

    def relay(self, *providers: dict[str, Any]) -> LiveRelay:
        """Return a relay with providers, whose health is not probed."""
        return LiveRelay(self, Provider(self), {"providers": list(providers)})

    async def ask(self, relay: LiveRelay, *, stream: bool = False, path: str = "/v1/messages") -> Any:
        """Return status and body of an answer."""
        headers = {"x-api-key": "k", "content-type": "application/json"}
        answer = await treq.post(relay.url + path, body(stream=stream), headers=headers, persistent=False)
        return answer.code, await answer.content()

    def shown(self, provider: Provider) -> list[str]:
        """Return the credentials that a provider was shown."""
        return [asked.header("authorization") for asked in provider.asked]


class GoogleTests(FetchedTestCase):
    """Vertex with a service account."""

    def account(self, answer: Callable[[Asked], Answer], acts: Any) -> tuple[Provider, dict[str, Any], Any]:
        """Return a provider, its settings, and what gives out its tokens."""
        folder: Path = environment(self)
        google = standin(self, answer)
        (folder / "key.json").write_text(
            json.dumps(standins_google.an_account().info(google.url + "/token"))
        )
        provider = Provider(self, vertex(acts))
        settings = {"base_url": f"{provider.url}/v1", "gcp_credentials_file": str(folder / "key.json")}
        return provider, VERTEX | {"name": "vertex"} | settings, google

    async def test_fetched_ahead(self) -> None:
        """The token is fetched when the relay starts; requests, streamed or not, and counts show it."""
        answer = standins_google.an_account().tokens()
        provider, settings, google = self.account(answer, [Says("hello")])
        relay = self.relay(settings)
        await until(lambda: relay.upstreams["vertex"].fetched.cache.held)
        self.assertEqual(provider.asked, [])
        status, said = await self.ask(relay)
        self.assertEqual((status, json.loads(said)["content"][0]["text"]), (200, "hello"))
        status, said = await self.ask(relay, stream=True)
        self.assertEqual((status, sse(said)[-1][0]), (200, "message_stop"))
        self.assertEqual(await self.ask(relay, path="/v1/messages/count_tokens"), (200, COUNTED.body))
        self.assertEqual(self.shown(provider), [f"Bearer {standins_google.TOKEN}"] * 3)
        self.assertEqual(provider.asked[1].path, f"{MODELS}/claude-sonnet-4-5:streamRawPredict")
        self.assertEqual(len(google.asked), 1)

    async def test_renewed(self) -> None:
        """A token that Vertex refuses is fetched anew, with an assertion of its own, and shown once more."""
        answer = numbered(standins_google.an_account().tokens())
        provider, settings, google = self.account(answer, [EXPIRED, Says("hello")])
        status, _ = await self.ask(self.relay(settings), stream=True)
        self.assertEqual((status, self.shown(provider)), (200, ["Bearer token-1", "Bearer token-2"]))
        self.assertEqual(len(google.asked), 2)

    async def test_a_page_for_a_token(self) -> None:
        """Where a web page comes for a token, another provider answers, and the log says what to look at."""
        provider, settings, _ = self.account(page, [Says("x")])
        other = Provider(self, [Says("from b")])
        second = {"name": "b", "type": "anthropic", "base_url": other.url, "keys": [{"key": "sk-b-01234"}]}
        relay = self.relay(settings, second)
        status, said = await self.ask(relay)
        self.assertEqual((status, json.loads(said)["content"][0]["text"]), (200, "from b"))
        reason = relay.told.attempts[0].reason
        self.assertIn("the Google credentials of vertex could not be had", reason)
        self.assertNotIn("<html", reason)
        self.assertEqual(provider.asked, [])


class EntraTests(FetchedTestCase):
    """Azure with a client's secret, which an authority on TLS is shown."""

    def relay_with(
        self, answer: Callable[[Asked], Answer], acts: Any, **fields: Any
    ) -> tuple[Provider, LiveRelay, Any]:
        """Return a provider, a relay for it, and the authority."""
        folder = environment(self)
        server, trusted = standins_entra.certificates(folder)
        authority = standin(self, answer, certificate=server)
        environment(self, AZURE_AUTHORITY_HOST=authority.url, REQUESTS_CA_BUNDLE=str(trusted))
        provider = Provider(self, acts)
        settings = AZURE | {
            "name": "azure", "base_url": f"{provider.url}/anthropic", "keys": (), "azure_auth": "entra",
            "azure_tenant_id": standins_entra.TENANT, "azure_client_id": standins_entra.CLIENT,
            "azure_client_secret": standins_entra.SECRET, **fields,
        }  # fmt: skip
        return provider, self.relay(settings), authority

    async def test_the_token(self) -> None:
        """Requests, streamed or not, show the token that the authority gave for the secret."""
        provider, relay, authority = self.relay_with(standins_entra.authority(), [Says("hello")])
        status, said = await self.ask(relay)
        self.assertEqual((status, json.loads(said)["content"][0]["text"]), (200, "hello"))
        status, said = await self.ask(relay, stream=True)
        self.assertEqual((status, sse(said)[-1][0]), (200, "message_stop"))
        self.assertEqual(self.shown(provider), [f"Bearer {standins_entra.TOKEN}"] * 2)
        self.assertEqual(sum(asked.path.endswith("/token") for asked in authority.asked), 1)

    async def test_the_scope(self) -> None:
        """The authority is asked for the scope that is configured, if one is."""
        for scope, status in ((None, 200), (standins_entra.SCOPE, 200), ("https://other/.default", 502)):
            _, relay, authority = self.relay_with(standins_entra.authority(), [Says("x")], azure_scope=scope)
            self.assertEqual((await self.ask(relay))[0], status)
            tokens = [asked for asked in authority.asked if asked.path.endswith("/token")]
            shown = [asked.form["scope"].split()[0] for asked in tokens]
            self.assertEqual(shown, [scope or standins_entra.SCOPE])

    async def test_renewed(self) -> None:
        """A token that Azure refuses is fetched anew, from the authority and from no cache, and shown."""
        provider, relay, _ = self.relay_with(numbered(standins_entra.authority()), [REFUSED, Says("hello")])
        status, _ = await self.ask(relay)
        self.assertEqual((status, self.shown(provider)), (200, ["Bearer token-1", "Bearer token-2"]))
        (attempt,) = relay.told.attempts
        self.assertEqual(attempt.mended, ("credential",))

    async def test_refused_by_the_authority(self) -> None:
        """A secret that the authority refuses is told with what to correct, and appears nowhere."""

        def no(asked: Asked) -> Answer:
            if asked.method == "GET":
                return standins_entra.authority()(asked)
            return standins_entra.refusal(
                f"AADSTS7000215: Invalid secret for app {standins_entra.CLIENT} of {standins_entra.TENANT}."
            )

        provider, relay, _ = self.relay_with(no, [Says("x")])
        status, said = await self.ask(relay)
        self.assertEqual(status, 502)
        words = json.loads(said)["error"]["message"]
        (attempt,) = relay.told.attempts
        self.assertIn("AADSTS7000215", attempt.reason)
        self.assertIn("correct azure_tenant_id, azure_client_id and azure_client_secret", words)
        for private in (standins_entra.SECRET, standins_entra.TENANT, standins_entra.CLIENT):
            self.assertNotIn(private, words)
        self.assertEqual(provider.asked, [])

"""The probes of Vertex and Azure: one word is counted, which costs nothing and shows the credential."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.wording import Unavailable
from ccrelay.policy.breaker import State
from ccrelay.relay.probe import ProbeEnded, Prober
from ccrelay.simulator.acts import Says
from ccrelay.simulator.script import Script
from tests.clouds.rooms import COUNTED, KEY, MODELS, Clouds, front, platform, vertex
from tests.relay.test_failover import text


class ProbeTests(SynchronousTestCase):
    """What a probe asks, and what its answer says."""

    def probe(self, stack: Clouds, name: str) -> ProbeEnded:
        """Return how a probe of a provider went."""
        breaker = stack.upstreams.routing.breakers.of(name)
        prober = Prober(stack.upstreams[name], lambda: breaker, stack.clock, stack.wall, 5.0)
        probing = Deferred.fromCoroutine(prober.probe())
        stack.go()
        return self.successResultOf(probing)

    def state(self, stack: Clouds, name: str) -> State:
        """Return where a provider's breaker is."""
        return stack.upstreams.routing.breakers.of(name).state(stack.wall())

    def test_what_vertex_is_asked(self) -> None:
        """A count of one word, with the token, for a model that the operator has named there, if any."""
        named = {"model_mapping": {"claude-*": "claude-opus-4-8"}}
        for fields, model in (({}, "claude-haiku-4-5@20251001"), (named, "claude-opus-4-8")):
            stack = Clouds(self, {"vertex": vertex([Says("x")])}, vertex=fields)
            ended = self.probe(stack, "vertex")
            self.assertEqual((ended.healthy, ended.status, ended.reason), (True, 200, ""))
            (asked,) = stack.asked("vertex")
            self.assertEqual((asked.method, asked.path), ("POST", f"{MODELS}/count-tokens:rawPredict"))
            self.assertEqual(asked.header("authorization"), "Bearer token-number-1")
            word = [{"role": "user", "content": "hi"}]
            self.assertEqual(
                asked.json, {"model": model, "messages": word, "anthropic_version": "vertex-2023-10-16"}
            )

    def test_what_azure_is_asked(self) -> None:
        """The same of Azure, with the key, or with the token of Entra ID."""
        for name, header, value in (
            ("azure", "x-api-key", KEY), ("entra", "authorization", "Bearer token-number-1"),
        ):  # fmt: skip
            stack = Clouds(self, {name: Script([Says("x")], {"*/count_tokens": [COUNTED]})},
                           **{name: {"models": ["ours"]}})  # fmt: skip
            self.assertTrue(self.probe(stack, name).healthy)
            (asked,) = stack.asked(name)
            self.assertEqual(asked.path, "/anthropic/v1/messages/count_tokens")
            self.assertEqual((asked.header(header), asked.json["model"]), (value, "ours"))
            self.assertEqual(asked.header("anthropic-version"), "2023-06-01")

    def test_it_is_there(self) -> None:
        """Whatever is below 500 shows that it is there: no counting in this region, no such deployment."""
        for act in (platform("NOT_FOUND", 404, "x"), platform("PERMISSION_DENIED", 403, "x")):
            stack = Clouds(self, {"vertex": vertex([Says("hello")], [act])})
            self.assertTrue(self.probe(stack, "vertex").healthy)
            self.assertEqual(text(stack.ask()), "hello")

    def test_a_refused_credential(self) -> None:
        """
        A refusal of a token that was fetched is told, and where it is not known another is fetched.

        Who may not count may still ask for messages: that holds nothing against the credential.
        """
        for status, code, shown in (("UNAUTHENTICATED", 401, 2), ("PERMISSION_DENIED", 403, 1)):
            stack = Clouds(self, {"vertex": vertex([Says("x")], [platform(status, code, "x"), COUNTED])})
            ended = self.probe(stack, "vertex")
            self.assertEqual((ended.healthy, ended.reason), (True, f"the credential was refused ({code})"))
            self.assertEqual(stack.upstreams["vertex"].backend.pool.keys[0].degraded, code == 401)
            self.assertEqual(self.probe(stack, "vertex").reason, "")
            self.assertEqual(stack.upstreams["vertex"].backend.pool.keys[0].degraded, False)
            self.assertEqual(list(stack.bearers)[-1], f"Bearer token-number-{shown}")

    def test_it_is_not_there(self) -> None:
        """Failures in a row open its circuit, as those of requests do."""
        act = platform("INTERNAL", 500, "x")
        stack = Clouds(self, {"vertex": vertex([Says("x")], [act])})
        ended = [self.probe(stack, "vertex") for _ in range(3)][-1]
        self.assertEqual((ended.healthy, ended.reason), (False, "answered 500"))
        self.assertIs(self.state(stack, "vertex"), State.OPEN)

    def test_no_credential(self) -> None:
        """Without a credential it cannot serve, so nobody is sent there until there is one."""
        stack = Clouds(self, {"vertex": vertex([Says("x")]), "a": [Says("from a")]})
        stack.tokens.missing = Unavailable("no key.json", "write one")
        ended = self.probe(stack, "vertex")
        for _ in range(2):
            stack.go(31)
            ended = self.probe(stack, "vertex")
        self.assertFalse(ended.healthy)
        self.assertIn("the Google credentials of vertex could not be had: no key.json", ended.reason)
        self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual([attempt.provider for attempt in stack.told.attempts], ["a"])
        stack.tokens.missing = None
        stack.go(31)
        self.assertTrue(self.probe(stack, "vertex").healthy)

    def test_a_refused_key(self) -> None:
        """Azure's refusal of a key is about that key."""
        act = front(401, "401", "Access denied due to invalid subscription key.")
        stack = Clouds(self, {"azure": Script([Says("x")], {"*/count_tokens": [act]})})
        ended = self.probe(stack, "azure")
        self.assertEqual((ended.healthy, ended.reason), (True, "the key was refused (401)"))
        self.assertEqual(json.loads(stack.ask().body)["error"]["type"], "api_error")
        self.assertEqual([asked.path[-12:] for asked in stack.asked("azure")], ["count_tokens"])

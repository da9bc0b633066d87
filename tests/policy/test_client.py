"""The rules of what a client may do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.client import Client
from ccrelay.wire.secret import Secret


class ClientTests(SynchronousTestCase):
    """Who may ask whom for what."""

    def test_a_client_without_lists_may_do_all(self) -> None:
        """Where the operator sets no bounds, every provider and every model is allowed."""
        client = Client()
        self.assertTrue(client.may_use("anthropic"))
        self.assertTrue(client.may_ask("anything-at-all"))
        self.assertTrue(client.pooled)

    def test_only_the_providers_named(self) -> None:
        """A client with a list of providers uses those alone; an empty list is none, not all."""
        client = Client(providers=frozenset({"zai"}))
        self.assertTrue(client.may_use("zai"))
        self.assertFalse(client.may_use("anthropic"))
        self.assertFalse(Client(providers=frozenset()).may_use("zai"))

    def test_only_the_models_named(self) -> None:
        """A list of models holds names and patterns; the whole name must fit, in its own case."""
        client = Client(models=("claude-haiku-4-5", "glm-*"))
        for model in ("claude-haiku-4-5", "glm-5.3", "glm-"):
            self.assertTrue(client.may_ask(model), model)
        for model in ("claude-haiku-4-5-20251001", "my-glm-5.3", "GLM-5.3", ""):
            self.assertFalse(client.may_ask(model), model)

    def test_its_own_bearer_is_not_shown(self) -> None:
        """A client that is printed shows nothing of its token."""
        client = Client(bearer=Secret("sk-ant-oat01-test-0123456789"))
        self.assertNotIn("6789", repr(client))

"""Who may use the relay: keys, bearers, named clients with limits, and what a refusal says."""

from __future__ import annotations

import json

from ccrelay.errors import TooMany, Unauthorized
from ccrelay.policy.client import Client
from ccrelay.simulator.acts import Says
from ccrelay.web.client_auth import ClientAuth, KnownClient
from ccrelay.wire.secret import Secret
from tests.stack import Stack, body
from tests.web.stage import HOST, JSON, VERSION, DoorTestCase

RELAY_KEY = "sk-test-of-the-relay-0000"
BEARER = "test-bearer-secret-0000"
ANN, BOB = "sk-test-of-ann-00000000", "sk-test-of-bob-00000000"
WRONG = "sk-test-of-nobody-1111"
NONE = "No credential: show your ccrelay key in x-api-key or as Authorization: Bearer."
NOT_KNOWN = "The credential in {} is not one that ccrelay knows; check your ccrelay key."


def shown(key: str | None = None, bearer: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the head of a request that shows these."""
    head = [HOST, JSON, VERSION]
    if key is not None:
        head.append(("x-api-key", key))
    if bearer is not None:
        head.append(("authorization", bearer))
    return tuple(head)


class AuthTestCase(DoorTestCase):
    """A test of credentials."""

    def stack_with(self, **auth: object) -> Stack:
        """Return a relay that asks for a credential."""
        return Stack(self, {"a": [Says("x")], "b": [Says("y")]}, {"server": {"auth": auth}})

    def assert_unauthorized(self, stack: Stack, headers: tuple[tuple[str, str], ...], words: str) -> None:
        """Assert a 401 that is never worth a retry, from which no provider and no log learns a credential."""
        before = len(stack.asked("a"))
        for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/files"):
            answer = stack.ask(path=path, headers=headers)
            self.assert_refused(stack, answer, 401, "authentication_error", words)
            self.assertEqual(answer.headers["x-should-retry"], "false")
        for path in ("/v1/models", "/v1/models/claude"):
            answer = stack.get(path, headers=headers)
            self.assert_refused(stack, answer, 401, "authentication_error", words)
        self.assertEqual(len(stack.asked("a")), before)
        self.assertNotIn(WRONG, "".join(stack.lines))

    def assert_admitted(self, stack: Stack, headers: tuple[tuple[str, str], ...], name: str) -> None:
        """Assert that a request is served, and that its credential stays here."""
        self.assertEqual(stack.ask(headers=headers).status, 200)
        self.assertEqual(stack.logged[-1].get("client", ""), name)
        self.assertEqual(stack.asked("a")[-1].header("authorization"), None)
        for secret in (RELAY_KEY, BEARER, ANN, BOB):
            self.assertNotIn(secret.encode(), repr(stack.asked("a")[-1].headers).encode())
            self.assertNotIn(secret, "".join(stack.lines))


class KeyTests(AuthTestCase):
    """One key for all."""

    def test_in_either_place(self) -> None:
        """The relay's key is taken from x-api-key and as a bearer, in any case of that word."""
        stack = self.stack_with(api_key=RELAY_KEY)
        self.assert_admitted(stack, shown(RELAY_KEY), "relay key")
        for scheme in ("Bearer", "bearer", "BEARER "):
            self.assert_admitted(stack, shown(bearer=f"{scheme} {RELAY_KEY}"), "relay key")

    def test_one_valid_is_enough(self) -> None:
        """Where both places hold something, one that is valid is enough."""
        stack = self.stack_with(api_key=RELAY_KEY)
        self.assert_admitted(stack, shown(RELAY_KEY, f"Bearer {WRONG}"), "relay key")
        self.assert_admitted(stack, shown(WRONG, f"Bearer {RELAY_KEY}"), "relay key")

    def test_wrong(self) -> None:
        """A 401 tells which place held the wrong one, and never what it was."""
        stack = self.stack_with(api_key=RELAY_KEY)
        for headers, words in (
            (shown(), NONE),
            (shown(""), NONE),
            (shown(bearer="Bearer "), NONE),
            (shown(bearer=f"Basic {RELAY_KEY}"), NONE),
            (shown(bearer=RELAY_KEY), NONE),
            (shown(WRONG), NOT_KNOWN.format("x-api-key")),
            (shown(bearer=f"Bearer {WRONG}"), NOT_KNOWN.format("Authorization: Bearer")),
            (shown(WRONG, f"Bearer {WRONG}"), NOT_KNOWN.format("x-api-key and Authorization: Bearer")),
            (shown(RELAY_KEY[:-1]), NOT_KNOWN.format("x-api-key")),
            (shown(RELAY_KEY + "0"), NOT_KNOWN.format("x-api-key")),
            (shown(RELAY_KEY.upper()), NOT_KNOWN.format("x-api-key")),
            (shown("\xe9\xff"), NOT_KNOWN.format("x-api-key")),
        ):
            self.assert_unauthorized(stack, headers, words)

    def test_before_the_body(self) -> None:
        """A credential is judged with the head, before a byte of the body has come."""
        stack = self.stack_with(api_key=RELAY_KEY)
        peer = stack.send(headers=(*shown(WRONG), ("content-length", "1000000")))
        words = NOT_KNOWN.format("x-api-key")
        self.assert_refused(stack, stack.answer(peer), 401, "authentication_error", words)

    def test_nothing_asked_for(self) -> None:
        """Where no credential is configured none is needed, and one that is shown stays here."""
        stack = self.stack_with()
        for headers in (shown(), shown(RELAY_KEY), shown(bearer=f"Bearer {BEARER}")):
            self.assert_admitted(stack, headers, "")


class BearerTests(AuthTestCase):
    """Bearers that are not the relay's key."""

    def test_a_secret(self) -> None:
        """The bearer secret is taken as a bearer, and nowhere else."""
        stack = self.stack_with(bearer_secret=BEARER)
        self.assert_admitted(stack, shown(bearer=f"Bearer {BEARER}"), "bearer")
        self.assert_unauthorized(stack, shown(BEARER), NOT_KNOWN.format("x-api-key"))
        self.assert_unauthorized(stack, shown(), NONE)

    def test_any(self) -> None:
        """With allow_bearer any bearer will do, but none at all will not."""
        stack = self.stack_with(allow_bearer=True)
        self.assert_admitted(stack, shown(bearer="Bearer whatever"), "bearer")
        self.assert_unauthorized(stack, shown(), NONE)
        self.assert_unauthorized(stack, shown(WRONG), NOT_KNOWN.format("x-api-key"))

    def test_any_but_for_a_secret(self) -> None:
        """Where there is a bearer secret, allow_bearer opens the door to nobody else."""
        stack = self.stack_with(allow_bearer=True, bearer_secret=BEARER)
        self.assert_admitted(stack, shown(bearer=f"Bearer {BEARER}"), "bearer")
        words = NOT_KNOWN.format("Authorization: Bearer")
        self.assert_unauthorized(stack, shown(bearer=f"Bearer {WRONG}"), words)


class ClientTests(AuthTestCase):
    """Clients with a name and a key of their own."""

    def test_by_name(self) -> None:
        """The log tells who asked, wherever the key was shown; the relay's own key works beside them."""
        clients = [{"name": "ann", "key": ANN}, {"name": "bob", "key": BOB}]
        stack = self.stack_with(api_key=RELAY_KEY, clients=clients)
        self.assert_admitted(stack, shown(ANN), "ann")
        self.assert_admitted(stack, shown(bearer=f"Bearer {BOB}"), "bob")
        self.assert_admitted(stack, shown(RELAY_KEY), "relay key")
        self.assert_unauthorized(stack, shown(WRONG), NOT_KNOWN.format("x-api-key"))

    def test_own_providers(self) -> None:
        """A client with a list of providers is served by those alone, for resources too."""
        stack = self.stack_with(clients=[{"name": "ann", "key": ANN, "providers": ["b"]}])
        self.assertIn(b'"y"', stack.ask(headers=shown(ANN)).body)
        answer = stack.get("/v1/files", headers=shown(ANN))
        self.assertEqual((answer.status, json.loads(answer.body)["error"]["type"]), (404, "not_found_error"))
        self.assertEqual(stack.asked("a"), [])

    def test_own_models(self) -> None:
        """A client with a list of models gets a 403 for another one, that tells which there are."""
        stack = self.stack_with(clients=[{"name": "ann", "key": ANN, "models": ["claude-haiku-*", "glm-5"]}])
        for model, status in (("claude-haiku-4-5", 200), ("glm-5", 200), ("claude-opus-4-5", 403)):
            for path in ("/v1/messages", "/v1/messages/count_tokens"):
                answer = stack.ask(body(model=model), path=path, headers=shown(ANN))
                self.assertEqual(answer.status, status)
        words = "This client may not ask for the model claude-opus-4-5, only for: claude-haiku-*, glm-5."
        self.assert_refused(stack, answer, 403, "permission_error", words)

    def test_own_limit(self) -> None:
        """Request N+1 within a minute is a 429 whose Retry-After is the truth; others are not concerned."""
        clients = [{"name": "ann", "key": ANN, "rpm_limit": 2}, {"name": "bob", "key": BOB}]
        stack = self.stack_with(clients=clients)
        for _ in range(2):
            self.assert_admitted(stack, shown(ANN), "ann")
            stack.go(20)
        words = "This client may make 2 requests a minute, and has."
        for wait in ("20", "1"):
            answer = stack.ask(headers=shown(ANN))
            self.assert_refused(stack, answer, 429, "rate_limit_error", words)
            self.assertEqual(answer.headers["retry-after"], wait)
            self.assert_admitted(stack, shown(BOB), "bob")
            stack.go(19)
        self.assert_admitted(stack, shown(ANN), "ann")
        self.assertEqual(stack.ask(headers=shown(ANN)).status, 429)

    def test_what_does_not_count(self) -> None:
        """Counting tokens and listing models are not charged to a client's limit."""
        stack = self.stack_with(clients=[{"name": "ann", "key": ANN, "rpm_limit": 1}])
        for _ in range(3):
            self.assertEqual(stack.ask(path="/v1/messages/count_tokens", headers=shown(ANN)).status, 200)
            self.assertEqual(stack.get("/v1/models", headers=shown(ANN)).status, 200)
        self.assertEqual([stack.ask(headers=shown(ANN)).status for _ in range(2)], [200, 429])


class ClientAuthTests(DoorTestCase):
    """The rules by themselves."""

    def test_the_first_of_equals(self) -> None:
        """Where a key is known twice, the first client of the list it is."""
        ann, bob = (KnownClient(Client(name), Secret(ANN)) for name in ("ann", "bob"))
        admitted = ClientAuth(clients=(ann, bob)).admit(((b"x-api-key", ANN.encode()),), 0.0)
        self.assertEqual(admitted.name, "ann")

    def test_whether_it_asks(self) -> None:
        """A claude.ai login alone is no credential that strangers would lack."""
        self.assertFalse(ClientAuth().asks)
        self.assertFalse(ClientAuth(subscription=True).asks)
        for asking in (
            ClientAuth(api_key=Secret(ANN)),
            ClientAuth(bearer_secret=Secret(BEARER)),
            ClientAuth(any_bearer=True),
            ClientAuth(clients=(KnownClient(Client("ann"), Secret(ANN)),)),
        ):
            self.assertTrue(asking.asks)
            self.assertRaises(Unauthorized, asking.admit, (), 0.0)

    def test_a_sliding_minute(self) -> None:
        """A limit holds in any minute, not in those of the clock; what was refused does not count."""
        known = KnownClient(Client("ann"), Secret(ANN), rpm_limit=3)
        for now in (0.0, 50.0, 59.0):
            known.charge(now)
        for now, wait in ((59.5, 0.5), (59.9, 0.1)):
            self.assertAlmostEqual(self.assertRaises(TooMany, known.charge, now).retry_after or 0, wait)
        known.charge(60.0)
        self.assertAlmostEqual(self.assertRaises(TooMany, known.charge, 60.0).retry_after or 0, 50.0)

    def test_nothing_to_see(self) -> None:
        """Whoever prints it sees no key."""
        auth = ClientAuth(Secret(ANN), Secret(BEARER), clients=(KnownClient(Client("bob"), Secret(BOB)),))
        for secret in (ANN, BEARER, BOB):
            self.assertNotIn(secret, repr(auth))

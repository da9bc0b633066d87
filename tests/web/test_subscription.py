"""Claude.ai logins: a client's own bearer goes where the operator lets it, unchanged, and nowhere else."""

from __future__ import annotations

from typing import Any

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks
from tests.network import sse
from tests.stack import KEY, Plain, Stack, body
from tests.web.stage import HOST, JSON, VERSION, DoorTestCase

OWN = "sk-ant-oat01-test-of-a-user-0000"
RELAY_KEY = "sk-test-of-the-relay-0000"
BETAS = "claude-code-20250219,oauth-2025-04-20,interleaved-thinking-2025-05-14"
LOGIN = (HOST, JSON, VERSION, ("authorization", f"Bearer {OWN}"), ("anthropic-beta", BETAS))
BOTH = (*LOGIN, ("x-api-key", RELAY_KEY))
HOME = "api.anthropic.com"
NOWHERE = "No provider here takes a claude.ai login; mark one `passthrough: true`, or use a relay key."
NOT_KNOWN = "The credential in Authorization: Bearer is not one that ccrelay knows; check your ccrelay key."


class SubscriptionTestCase(DoorTestCase):
    """A test of logins."""

    def stack_with(self, acts: dict[str, Any], auth: dict[str, Any] | None = None, **providers: Any) -> Stack:
        """Return a relay that admits logins; nothing of one may stand in its log."""
        settings = {
            "server": {"auth": {"api_key": RELAY_KEY, "allow_subscription": True} | (auth or {})},
            "providers": providers,
        }
        stack = Plain(self, acts, settings)
        self.addCleanup(lambda: self.assertNotIn(OWN, "".join(stack.lines)))
        return stack

    def assert_own(self, asked: Any) -> None:
        """Assert that a provider got the login as it is, with its beta, and no key of the relay's."""
        self.assertEqual(asked.header("authorization"), f"Bearer {OWN}")
        self.assertEqual((asked.header("x-api-key"), asked.header("anthropic-beta")), (None, BETAS))

    def assert_pooled(self, asked: Any) -> None:
        """Assert that a provider got a key of the relay's, and nothing of the login."""
        self.assertEqual((asked.header("x-api-key"), asked.header("authorization")), (KEY, None))
        rest = "claude-code-20250219,interleaved-thinking-2025-05-14"
        self.assertEqual(asked.header("anthropic-beta"), rest)
        self.assertNotIn(OWN, repr(asked.headers))


class WhereTests(SubscriptionTestCase):
    """Which provider gets a login."""

    def test_the_one_marked(self) -> None:
        """A login goes to a provider marked passthrough, unchanged, and to no other, preferred or not."""
        stack = self.stack_with(
            {"a": [Says("x")], "b": [Says("y")]}, a={"priority": 9}, b={"passthrough": True}
        )
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            self.assertEqual(stack.ask(path=path, headers=LOGIN).status, 200)
            self.assert_own(stack.asked("b")[-1])
        self.assertEqual((stack.logged[-1]["client"], stack.logged[-1]["key"]), ("subscription", "client"))
        self.assertEqual(stack.asked("a"), [])

    def test_home(self) -> None:
        """Where none is marked it goes to the first anthropic on Anthropic's own host."""
        home = {"base_url": None}
        other = "https://api.anthropic.com.evil.example"
        stack = self.stack_with(
            {"a": [Says("x")], HOME: [Says("y")], "z": [Says("z")]}, a={"base_url": other}, **{HOME: home}
        )
        self.assertEqual(stack.ask(headers=LOGIN).status, 200)
        self.assert_own(stack.asked(HOME)[0])
        self.assertEqual(stack.asked("a") + stack.asked("z"), [])

    def test_not_home_where_one_is_marked(self) -> None:
        """A mark elsewhere is meant: Anthropic's own host does not get it then."""
        stack = self.stack_with(
            {HOME: [Says("x")], "b": [Says("y")]}, **{HOME: {"base_url": None}, "b": {"passthrough": True}}
        )
        stack.ask(headers=LOGIN)
        self.assertEqual((len(stack.asked(HOME)), len(stack.asked("b"))), (0, 1))

    def test_nowhere(self) -> None:
        """Where no provider may have it it is a 403 that says what to do, and pooled keys stay unused."""
        stack = self.stack_with({"a": [Says("x")], "b": [Says("y")]}, b={"type": "zai"})
        self.assert_refused(stack, stack.ask(headers=LOGIN), 403, "permission_error", NOWHERE)
        self.assertEqual(stack.asked("a") + stack.asked("b"), [])

    def test_resources(self) -> None:
        """Files and batches of a login live in the login's account, not in that of a key."""
        stack = self.stack_with({"a": []}, a={"passthrough": True})
        stack.get("/v1/files", headers=LOGIN)
        self.assert_own(stack.asked("a")[0])

    def test_resources_of_the_pool(self) -> None:
        """Where the account is not the login's, a relay key opens it, and the login is left out there."""
        stack = self.stack_with({"a": [], "b": [Says("y")]}, b={"passthrough": True})
        self.assertEqual(stack.get("/v1/files", headers=LOGIN).status, 404)
        stack.get("/v1/files", headers=BOTH)
        self.assert_pooled(stack.asked("a")[0])
        self.assertEqual((len(stack.asked("a")), stack.asked("b")), (1, []))


class WhoTests(SubscriptionTestCase):
    """Which bearers are logins."""

    def test_only_logins(self) -> None:
        """Nothing but sk-ant-oat… is admitted this way; an API key or half a login is a 401."""
        stack = self.stack_with({"a": [Says("x")]}, a={"passthrough": True})
        for bearer in ("sk-ant-api03-test-0000", "sk-ant-oa", "x" + OWN, "SK-ANT-OAT01-test", f"{OWN}\xe9"):
            answer = stack.ask(headers=(HOST, JSON, ("authorization", f"Bearer {bearer}")))
            self.assert_refused(stack, answer, 401, "authentication_error", NOT_KNOWN)
        self.assertEqual(stack.ask(headers=(HOST, JSON, ("x-api-key", OWN))).status, 401)
        self.assertEqual(stack.asked("a"), [])

    def test_only_where_it_is_allowed(self) -> None:
        """Without allow_subscription a login is a bearer that nobody knows."""
        stack = self.stack_with({"a": [Says("x")]}, {"allow_subscription": False}, a={"passthrough": True})
        self.assert_refused(stack, stack.ask(headers=LOGIN), 401, "authentication_error", NOT_KNOWN)

    def test_no_key_to_the_house(self) -> None:
        """Where any bearer is taken a login is a login all the same: the keys are not for it."""
        stack = self.stack_with({"a": [Says("x")]}, {"allow_bearer": True})
        self.assert_refused(stack, stack.ask(headers=LOGIN), 403, "permission_error", NOWHERE)

    def test_where_nothing_is_asked_for(self) -> None:
        """A relay that asks for no credential serves strangers from the pool, and a login as a login."""
        stack = self.stack_with({"a": [Says("x")]}, {"api_key": None}, a={"passthrough": True})
        self.assertEqual(stack.ask(headers=LOGIN).status, 200)
        self.assert_own(stack.asked("a")[0])
        self.assertEqual(stack.ask(headers=(HOST, JSON, ("anthropic-beta", BETAS))).status, 200)
        self.assertEqual(
            (stack.asked("a")[1].header("x-api-key"), stack.asked("a")[1].header("anthropic-beta")),
            (KEY, BETAS),
        )


class FailoverTests(SubscriptionTestCase):
    """What follows when a login is refused."""

    def test_not_to_the_pool(self) -> None:
        """A login alone is never served with a key of the relay's, whatever its provider says."""
        for act, status in (
            (Refuses(401), 401),
            (Refuses(429), 429),
            (Refuses(529), 529),
            (Breaks(after_events=None), 502),
        ):
            stack = self.stack_with({"a": [act], "b": [Says("y")]}, a={"passthrough": True})
            self.assertEqual(stack.ask(headers=LOGIN, seconds=1).status, status)
            self.assertEqual(stack.asked("b"), [])
            for asked in stack.asked("a"):
                self.assert_own(asked)

    def test_to_another_marked_one(self) -> None:
        """It goes on to another provider that is marked as well."""
        stack = self.stack_with(
            {"a": [Refuses(429)], "b": [Says("y")]}, a={"passthrough": True}, b={"passthrough": True}
        )
        self.assertEqual(stack.ask(headers=LOGIN, seconds=1).status, 200)
        self.assert_own(stack.asked("b")[0])

    def test_to_the_pool_with_a_key(self) -> None:
        """A client that shows a relay key too goes on to the pool, without login and oauth beta there."""
        for content in (body(), body(stream=True)):
            stack = self.stack_with(
                {"a": [Refuses(429), Says("x")], "b": [Says("y")]}, a={"passthrough": True}, b={"priority": 9}
            )
            answer = stack.ask(content, headers=BOTH, seconds=1)
            self.assertEqual(answer.status, 200)
            self.assert_own(stack.asked("a")[0])
            self.assert_pooled(stack.asked("b")[0])
            self.assertEqual(stack.logged[-1]["client"], "relay key")

    def test_a_named_client_with_a_login(self) -> None:
        """A named client's own limits hold for its login too."""
        client = {"name": "ann", "key": "sk-test-of-ann-00000000", "providers": ["b"], "rpm_limit": 1}
        stack = self.stack_with(
            {"a": [Says("x")], "b": [Says("y")]}, {"clients": [client]}, a={"passthrough": True}
        )
        headers = (*LOGIN, ("x-api-key", "sk-test-of-ann-00000000"))
        self.assertEqual(stack.ask(headers=headers).status, 200)
        self.assert_pooled(stack.asked("b")[0])
        self.assertEqual(stack.ask(headers=headers).status, 429)
        self.assertEqual(stack.asked("a"), [])

    def test_only_the_oauth_beta(self) -> None:
        """A request whose only beta was that of the login goes to the pool without the field."""
        stack = self.stack_with({"a": [Refuses(429)], "b": [Says("y")]}, a={"passthrough": True})
        headers = (
            *(pair for pair in BOTH if pair[0] != "anthropic-beta"),
            ("anthropic-beta", "oauth-2025-04-20"),
        )
        self.assertEqual(stack.ask(headers=headers, seconds=1).status, 200)
        self.assertIsNone(stack.asked("b")[0].header("anthropic-beta"))

    def test_never_judged(self) -> None:
        """A refused login bars nothing: neither the next login nor the keys of the same provider."""
        stack = self.stack_with(
            {"a": [Refuses(402), Refuses(401), Says("x"), Says("x")]}, a={"passthrough": True}
        )
        self.assertEqual(stack.ask(headers=LOGIN).status, 402)
        self.assertEqual(stack.ask(headers=LOGIN).status, 401)
        self.assertEqual(stack.ask(headers=LOGIN).status, 200)
        self.assertEqual(stack.ask(headers=(HOST, JSON, ("x-api-key", RELAY_KEY))).status, 200)

    def test_in_a_stream(self) -> None:
        """A login's stream is relayed like any other."""
        stack = self.stack_with({"a": [Says("x y z", pace=1)]}, a={"passthrough": True})
        peer = stack.send(body(stream=True), headers=LOGIN)
        stack.go(20)
        self.assertEqual(sse(stack.answer(peer).body)[-1][0], "message_stop")

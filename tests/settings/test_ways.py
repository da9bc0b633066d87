"""Where a request may go at all: by its client, its own login, its thread, and what only counts tokens."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.sending import BROKEN, FINE, NO_AFFINITY, sent, session, tried
from tests.stack import HEADERS, Stack, body

RELAY_KEY = "sk-relay-0123456789abcdef"
LOGIN = ("authorization", "Bearer sk-ant-oat01-of-a-client-0123")
COUNT = "/v1/messages/count_tokens"


def went(stack: Stack, *headers: tuple[str, str], **how: Any) -> str:
    """Send a request with these fields, and return the providers that it was tried with."""
    before = len(stack.told.attempts)
    stack.ask(headers=(*HEADERS[:3], *headers), **how)
    return "".join(attempt.provider for attempt in stack.told.attempts[before:])


class ClientTests(SynchronousTestCase):
    """server.auth, as far as it says where requests go."""

    def test_providers(self) -> None:
        """A client goes to the providers that it may use, and to no other, whatever fails."""
        clients = [
            {"name": "x", "key": "sk-test-of-x-0123", "providers": ["c", "b"]},
            {"name": "y", "key": "sk-test-of-y-0123"},
        ]
        acts = {"a": [BROKEN], "b": [BROKEN], "c": [BROKEN], "d": [BROKEN]}
        settings = {"server": {"auth": {"clients": clients}}, "routing": {"max_wait_ms": 0}}
        stack = Stack(self, acts, settings)
        self.assertEqual(went(stack, ("x-api-key", "sk-test-of-x-0123")), "bc")
        self.assertEqual(went(stack, ("x-api-key", "sk-test-of-y-0123")), "abcd")

    def test_sessions_of_clients(self) -> None:
        """A session of one client is none of another's, and each model has a place of its own."""
        clients = [{"name": name, "key": f"sk-test-of-{name}-0123"} for name in "xyz"]
        settings = {"server": {"auth": {"clients": clients}}, "routing": {"strategy": "round_robin"}}
        stack = Stack(self, {"a": [FINE], "b": [FINE], "c": [FINE]}, settings)
        name = ("x-claude-code-session-id", "s")
        keys = [("x-api-key", f"sk-test-of-{client}-0123") for client in "xyz"]
        self.assertEqual("".join(went(stack, key, name) for key in keys * 2), "abcabc")
        other = body(model="claude-haiku-4-5")
        self.assertEqual("".join(went(stack, keys[1], name, content=other) for _ in range(2)), "aa")

    def test_without_a_name(self) -> None:
        """Without a session's name a conversation is what it began with."""
        stack = Stack(self, {"a": [FINE], "b": [FINE]}, {"routing": {"strategy": "round_robin"}})
        talks = [body(system=text) for text in ("one", "two", "three")]
        self.assertEqual("".join(went(stack, content=talk) for talk in talks * 2), "abaaba")

    def test_own_login(self) -> None:
        """Own logins go where passthrough says, first and without our keys; other clients do not go there."""
        auth = {"allow_subscription": True, "api_key": RELAY_KEY}
        for act, both, priority in ((FINE, "o", 1), (BROKEN, "oa", 1), (FINE, "o", 9), (BROKEN, "oa", 9)):
            own = {"o": {"passthrough": True, "keys": [], "priority": priority}, "a": {"priority": 5}}
            settings = {"server": {"auth": auth}, "providers": own, "routing": {"max_wait_ms": 0}}
            stack = Stack(self, {"a": [FINE], "o": [act]}, settings)
            self.assertEqual(went(stack, ("x-api-key", RELAY_KEY)), "a")
            self.assertEqual(went(stack, LOGIN), "o")
            self.assertEqual(went(stack, LOGIN, ("x-api-key", RELAY_KEY)), both)
            self.assertEqual({asked.header("authorization") for asked in stack.asked("o")}, {LOGIN[1]})

    def test_another_passthrough(self) -> None:
        """A provider that is not marked sees no client's login."""
        auth = {"allow_subscription": True, "api_key": RELAY_KEY}
        own = {"b": {"passthrough": True}}
        stack = Stack(self, {"a": [FINE], "b": [BROKEN]}, {"server": {"auth": auth}, "providers": own})
        self.assertEqual(went(stack, LOGIN)[0], "b")
        self.assertEqual(stack.asked("a"), [])


class ThreadTests(SynchronousTestCase):
    """Threads, which live at one provider."""

    THREAD = body(thread={"id": "thread_1"})

    def test_known(self) -> None:
        """A thread goes on where its conversation is and nowhere else, whoever's turn it is."""
        routing = {"strategy": "round_robin", "account_provider": "c", "max_wait_ms": 0}
        stack = Stack(self, {"a": [FINE], "b": [FINE, BROKEN], "c": [FINE]}, {"routing": routing})
        self.assertEqual(sent(stack, 1) + sent(stack, 1, name="s"), "ab")
        self.assertEqual(sent(stack, content=self.THREAD, name="s"), "b")
        self.assertEqual(stack.told.requests[-1].status, 500)

    def test_unknown(self) -> None:
        """One that is not known goes where files live, and nowhere else."""
        for affinity in ({"enabled": True}, NO_AFFINITY):
            routing = {"strategy": "round_robin", "account_provider": "b", "affinity": affinity}
            acts = {"a": [FINE], "b": [FINE, BROKEN], "c": [FINE]}
            stack = Stack(self, acts, {"routing": routing | {"max_wait_ms": 0}})
            self.assertEqual([tried(stack, self.THREAD) for _ in range(2)], ["b", "b"])

    def test_its_key(self) -> None:
        """It goes with the key of its conversation, and with no other where that may not be used."""
        keys = [{"key": f"sk-test-of-key-{n}", "name": f"k{n}", "rpm_limit": 3} for n in range(4)]
        stack = Stack(self, {"a": [FINE]}, keys=keys)
        answers = [stack.ask(self.THREAD, headers=session("s")).status for _ in range(5)]
        self.assertEqual(answers, [200, 200, 200, 429, 429])
        self.assertEqual(stack.ask(body(system="another"), headers=session("s")).status, 200)


class CountingTests(SynchronousTestCase):
    """Requests that only count tokens."""

    CANNOT = {"type": "ollama"}  # noqa: RUF012

    def test_those_that_can(self) -> None:
        """Where the first choice can count, only those that can are asked."""
        settings = {"providers": {"b": self.CANNOT}, "routing": {"max_wait_ms": 0}}
        stack = Stack(self, {"a": [], "b": [], "c": []}, settings)
        stack.network.refuse("a")
        answer = stack.ask(path=COUNT)
        self.assertEqual((answer.status, answer.headers.get("x-ccrelay-estimate")), (200, None))
        self.assertEqual([attempt.provider for attempt in stack.told.attempts], ["a", "c"])

    def test_one_that_cannot(self) -> None:
        """Where it cannot, its estimate is the answer, and nobody else is asked."""
        stack = Stack(self, {"a": [], "b": []}, {"providers": {"a": self.CANNOT}})
        self.assertEqual(stack.ask(path=COUNT).headers["x-ccrelay-estimate"], "true")
        self.assertEqual(stack.told.attempts, [])

    def test_it_changes_nothing(self) -> None:
        """It takes nobody's turn, has no place, and however it fails no circuit opens."""
        settings = {
            "routing": {"strategy": "round_robin", "max_wait_ms": 0},
            "health": {"circuit_breaker": {"failure_threshold": 1}},
        }
        stack = Stack(self, {"a": [FINE], "b": [FINE]}, settings)
        self.assertEqual(sent(stack), "a")
        stack.network.refuse("b")
        for _ in range(3):
            stack.ask(path=COUNT, headers=session("s"))
        self.assertEqual("".join(attempt.provider for attempt in stack.told.attempts[1:]), "bababa")
        stack.network.restore("b")
        self.assertEqual(sent(stack, 3), "bab")

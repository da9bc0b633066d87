"""Conversations keep their provider and key: whatever names them, and whatever happens there (4.4, 4.6)."""

import json
from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.affinity import Move
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.asked import Asked
from tests.stack import HEADERS, Stack, body

UUID = "0c1d2e3f-0000-4000-8000-{:012d}"
TURNS = 6


def keys(number: int) -> list[dict[str, str]]:
    """Return so many keys."""
    return [{"key": f"sk-test-of-key-{n}-0123456789", "name": f"k{n}"} for n in range(number)]


def session(name: object, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return header fields that name a session as Claude Code does."""
    return (*HEADERS, ("x-claude-code-session-id", str(name)), *more)


def said(turn: int) -> bytes:
    """Return the body of a turn of a conversation, which has grown by those before."""
    messages = [
        {"role": ("user", "assistant")[n % 2], "content": f"Message {n}"} for n in range(2 * turn + 1)
    ]
    return body(messages=messages)


def went(stack: Stack, content: bytes, **how: Any) -> str:
    """Send a request, and return where it was served."""
    answer = stack.ask(content, **how)
    assert answer.status == 200, answer.body
    last = stack.told.attempts[-1]
    return f"{last.provider}/{last.key}"


class NameTests(SynchronousTestCase):
    """What makes requests one conversation; six keys would betray each that is taken for another one."""

    def setUp(self) -> None:
        """Six keys of one provider, none better than another."""
        self.stack = Stack(self, {"a": [Says("x")]}, keys=keys(6))

    def assert_together(self, requests: list[dict[str, Any]]) -> None:
        """Assert that requests go to one place, while others come between them."""
        places = set()
        for number, request in enumerate(requests):
            places.add(went(self.stack, **request))
            went(self.stack, body(), headers=session(f"another-{number}"))
        self.assertEqual(len(places), 1, places)
        self.assertEqual(sum(self.stack.upstreams.routing.affinity.moves.values()), 0)

    def assert_apart(self, requests: list[dict[str, Any]]) -> None:
        """Assert that requests are as many conversations, which are spread over all keys."""
        places = {went(self.stack, **request) for request in requests}
        self.assertEqual(len(self.stack.upstreams.routing.affinity), len(requests))
        self.assertGreater(len(places), 1)

    def test_session_header(self) -> None:
        """A session by Claude Code's header is one conversation, whatever its requests say."""
        self.assert_together([{"content": said(n + 3), "headers": session("s")} for n in range(TURNS)])
        others = [body(system=f"Other {n}", tools=[{"name": str(n)}]) for n in range(TURNS)]
        self.assert_together([{"content": other, "headers": session("s")} for other in others])

    def test_other_sessions(self) -> None:
        """Each session is a conversation of its own."""
        self.assert_apart([{"content": said(1), "headers": session(n)} for n in range(12)])

    def test_user_id(self) -> None:
        """The session in metadata.user_id is as good, in JSON or behind _session_; else it counts whole."""
        for user in (
            json.dumps({"device_id": "d{}", "account_uuid": "", "session_id": UUID.format(1)}),
            "user_{}_account__session_" + UUID.format(2),
        ):
            # The device may be another one, and the session is the same.
            many = [{"user_id": user.replace("{}", str(n))} for n in range(TURNS)]
            self.assert_together([{"content": body(metadata=meta, system=f"{meta}")} for meta in many])
        self.assert_together(
            [{"content": body(metadata={"user_id": "u-1"}, system=f"{n}")} for n in range(TURNS)]
        )

    def test_other_user_ids(self) -> None:
        """Other sessions of one user, and other users, are other conversations."""
        users = [json.dumps({"session_id": UUID.format(n)}) for n in range(TURNS)]
        users += [f"user_x_account__session_{n}" for n in range(TURNS)] + [f"u-{n}" for n in range(TURNS)]
        self.assert_apart([{"content": body(metadata={"user_id": user})} for user in users])

    def test_the_header_goes_before(self) -> None:
        """Where both name a session, the header does."""
        metas = [{"user_id": f"u-{n}"} for n in range(TURNS)]
        self.assert_together([{"content": body(metadata=meta), "headers": session("s")} for meta in metas])

    def test_opening(self) -> None:
        """Without a name it is what a conversation began with: system, tools, the user's first message."""
        self.assert_together([{"content": said(n)} for n in range(TURNS)])

    def test_other_openings(self) -> None:
        """Who begins otherwise is another conversation."""
        self.assert_apart(
            [{"content": body(system=f"S{n}")} for n in range(5)]
            + [{"content": body(tools=[{"name": f"t{n}"}])} for n in range(5)]
            + [{"content": body(messages=[{"role": "user", "content": f"Hello {n}"}])} for n in range(5)]
        )

    def test_marks_of_what_to_cache(self) -> None:
        """Clients move their cache marks along: that makes no other conversation."""
        plain = {"role": "user", "content": "Hello"}
        marked = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
        later = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And now?"}]
        first = body(messages=[{"role": "user", "content": [marked]}])
        self.assert_together([{"content": first}, {"content": body(messages=[plain, *later])}])

    def test_subagents(self) -> None:
        """Subagents send their session's name, and share its place and its cache."""
        agents = [session("s"), *(session("s", ("x-claude-code-agent-id", f"agent-{n}")) for n in range(5))]
        self.assert_together([{"content": said(n), "headers": agent} for n, agent in enumerate(agents)])

    def test_each_model_by_itself(self) -> None:
        """A session asks several models, and each of these has a cache, and a place, of its own."""
        models = [f"claude-model-{n}" for n in range(12)]
        self.assert_apart([{"content": body(model=model), "headers": session("s")} for model in models])

    def test_streamed_or_not(self) -> None:
        """A turn that is sent again without stream goes where the stream went."""
        self.assert_together(
            [
                {"content": body(stream=n % 2 == 0), "headers": session("s"), "seconds": 1}
                for n in range(TURNS)
            ]
        )

    def test_each_client_by_itself(self) -> None:
        """What one client calls its session says nothing about another's."""
        clients = [{"name": f"c{n}", "key": f"sk-test-client-{n}"} for n in range(12)]
        auth = {"server": {"auth": {"clients": clients}}}
        self.stack = Stack(self, {"a": [Says("x")]}, auth, keys=keys(6))
        who = [(*HEADERS[:3], ("x-api-key", c["key"]), ("x-claude-code-session-id", "s")) for c in clients]
        self.assert_apart([{"content": body(), "headers": headers} for headers in who])


class EvenTests(SynchronousTestCase):
    """New conversations are shared out evenly."""

    def test_keys(self) -> None:
        """A hundred conversations over two and three equal keys are even within a fifth."""
        for number in (2, 3):
            for named in (True, False):
                stack = Stack(self, {"a": [Says("x")]}, keys=keys(number))
                for n in range(100):
                    content = body(messages=[{"role": "user", "content": f"Conversation {n}"}])
                    headers = session(UUID.format(n)) if named else HEADERS
                    first = went(stack, content, headers=headers)
                    self.assertEqual(went(stack, content, headers=headers), first)
                counts = Counter(attempt.key for attempt in stack.told.attempts)
                self.assertEqual(len(counts), number)
                for count in counts.values():
                    self.assertTrue(0.8 <= count / (200 / number) <= 1.2, counts)

    def test_not_those_that_rest(self) -> None:
        """New conversations avoid a key that may not be asked, and come to it again afterwards."""
        limited = Refuses(429, headers=((b"retry-after", b"30"),))
        acts = [limited, Says("x")]
        stack = Stack(self, {"a": acts}, keys=keys(2))
        went(stack, body(), headers=session(0))
        rests, serves = (attempt.key for attempt in stack.told.attempts)
        for n in range(1, 20):
            self.assertEqual(went(stack, body(), headers=session(n)), f"a/{serves}")
        stack.go(31)
        places = Counter(went(stack, body(), headers=session(n)) for n in range(20, 60))
        self.assertEqual(sum(places.values()), 40)
        self.assertGreaterEqual(places[f"a/{rests}"], 20)


class ThreadTests(SynchronousTestCase):
    """A thread that a provider keeps is nowhere else."""

    THREAD = body(thread={"id": "thread_1"})

    def test_where_it_lives(self) -> None:
        """Requests of a thread go to the place of their conversation, and nowhere else whatever happens."""
        for failure in (Refuses(500), Refuses(529), Refuses(429), Refuses(401), Refuses(403)):
            acts: list[Any] = [Says("x"), failure]
            stack = Stack(self, {"a": acts, "b": [Says("no")]}, {"routing": {"max_wait_ms": 0}}, keys=keys(3))
            home = went(stack, self.THREAD, headers=session("t"))
            answer = stack.ask(self.THREAD, headers=session("t"))
            self.assertEqual(answer.status, failure.status)
            self.assertEqual({f"{a.provider}/{a.key}" for a in stack.told.attempts}, {home})
            self.assertEqual(stack.asked("b"), [])

    def test_it_lives_at_the_account_s_provider(self) -> None:
        """A thread that is not known yet is asked for where files and batches live."""
        own = {"routing": {"account_provider": "b", "max_wait_ms": 0}}
        stack = Stack(self, {"a": [Says("no")], "b": [Refuses(500)]}, own)
        self.assertEqual(stack.ask(self.THREAD).status, 500)
        self.assertEqual((stack.asked("a"), len(stack.asked("b"))), ([], 1))

    def test_its_key_is_limited(self) -> None:
        """While its key may not be asked the client is told until when, and no other key is tried."""
        limited = Refuses(429, headers=((b"retry-after", b"40"),))
        stack = Stack(self, {"a": [Says("x"), limited, Says("y")]}, keys=keys(3))
        home = went(stack, self.THREAD, headers=session("t"))
        self.assertEqual(stack.ask(self.THREAD, headers=session("t")).headers["retry-after"], "40")
        stack.go(10)
        answer = stack.ask(self.THREAD, headers=session("t"))
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "30"))
        stack.go(31)
        self.assertEqual(went(stack, self.THREAD, headers=session("t")), home)

    def test_no_thread(self) -> None:
        """A thread that is null is none: the request may go on."""
        stack = Stack(self, {"a": [Refuses(500)], "b": [Says("x")]})
        self.assertEqual(went(stack, body(thread=None))[:2], "b/")


class MemoryTests(SynchronousTestCase):
    """What is remembered, and for how long."""

    def test_forgotten_after_an_hour(self) -> None:
        """A conversation that falls silent for an hour may begin anew anywhere."""
        stack = Stack(self, {"a": [Says("x")]}, keys=keys(2))
        went(stack, body(), headers=session("s"))
        stack.go(3601)
        went(stack, body(), headers=session("t"))
        self.assertEqual(len(stack.upstreams.routing.affinity), 1)

    def test_switched_off(self) -> None:
        """With affinity off nothing is remembered, and keys take turns."""
        off = {"routing": {"affinity": {"enabled": False}}}
        stack = Stack(self, {"a": [Says("x")]}, off, keys=keys(2))
        self.assertEqual(len({went(stack, body(), headers=session("s")) for _ in range(2)}), 2)
        self.assertIsNone(stack.upstreams.routing.affinity)

    def test_counting_moves_nothing(self) -> None:
        """Counting tokens neither places a conversation nor moves it."""
        stack = Stack(self, {"a": [Says("x")]}, keys=keys(2))
        stack.ask(body(), path="/v1/messages/count_tokens", headers=session("s"))
        self.assertEqual(len(stack.upstreams.routing.affinity), 0)

    def test_a_client_s_fault_moves_nothing(self) -> None:
        """A request that is refused for its own fault leaves its conversation where it is."""

        def acts(asked: Asked) -> Any:
            return Refuses(400) if asked.number == 2 else Says("x")

        stack = Stack(self, {"a": acts, "b": [Says("no")]}, keys=keys(3))
        home = went(stack, body(), headers=session("s"))
        self.assertEqual(stack.ask(body(), headers=session("s")).status, 400)
        self.assertEqual(went(stack, body(), headers=session("s")), home)
        self.assertEqual(stack.upstreams.routing.affinity.moves[Move.KEY], 0)

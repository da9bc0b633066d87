"""The tokens of Vertex through the whole relay: fetched once, waited for, renewed once, never passed on."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.wording import Unavailable
from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Refuses, Says, Sends, Streams
from ccrelay.wire.error_json import error_event
from tests.clouds.rooms import Clouds, platform, said, vertex
from tests.clouds.test_vertex import EXPIRED
from tests.relay.test_failover import text
from tests.stack import body


class TokenTests(SynchronousTestCase):
    """The credential: fetched once, renewed once where it is refused."""

    def test_one_fetch(self) -> None:
        """All requests show the same token, which is fetched when the first needs it."""
        stack = Clouds(self, {"vertex": vertex([Says("x")])})
        self.assertEqual(stack.tokens.fetched, 0)
        for stream in (False, True, False):
            self.assertEqual(stack.ask(body(stream=stream)).status, 200)
        self.assertEqual(list(stack.bearers), ["Bearer token-number-1"] * 3)

    def test_renewed_once(self) -> None:
        """A refused token is fetched anew and the request repeated at once; the client sees one answer."""
        for stream in (False, True):
            stack = Clouds(self, {"vertex": vertex([EXPIRED, Says("hello")])})
            answer = stack.ask(body(stream=stream))
            self.assertEqual((answer.status, text(answer)), (200, "hello"))
            self.assertEqual(list(stack.bearers), ["Bearer token-number-1", "Bearer token-number-2"])
            (attempt,) = stack.told.attempts
            self.assertEqual((attempt.verdict, attempt.mended), (Verdict.OK, ("credential",)))

    def test_refused_again(self) -> None:
        """A second refusal is not the token's age: another provider answers, and for a minute it is kept."""
        stack = Clouds(self, {"vertex": vertex([EXPIRED]), "a": [Says("from a")]})
        for _ in range(3):
            self.assertEqual(text(stack.ask()), "from a")
        shown = [1, 2, 2, 2]
        self.assertEqual(list(stack.bearers), [f"Bearer token-number-{number}" for number in shown])
        self.assertEqual([attempt.provider for attempt in stack.told.attempts], ["vertex", "a"] * 3)
        stack.go(60)
        self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(stack.tokens.fetched, 3)

    def test_nobody_else(self) -> None:
        """Without another provider the client reads the refusal, in Anthropic's terms."""
        stack = Clouds(self, {"vertex": vertex([EXPIRED])})
        self.assertEqual(
            said(stack.ask()),
            (401, "authentication_error", "Request had invalid authentication credentials."),
        )

    def test_no_credential(self) -> None:
        """A credential that cannot be had is the provider's failure, told with its remedy."""
        problem = Unavailable("key.json of projects/123456789 cannot be read", "let the relay read it")
        stack = Clouds(self, {"vertex": vertex([Says("x")]), "a": [Says("from a")]})
        stack.tokens.missing = problem
        self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(
            stack.told.attempts[0].reason,
            f"the Google credentials of vertex could not be had: {problem.what}; let the relay read it",
        )
        stack = Clouds(self, {"vertex": vertex([Says("x")])})
        stack.tokens.missing = problem
        status, _, words = said(stack.ask())
        self.assertEqual(status, 502)
        self.assertIn("of vertex could not be had, ccrelay's log says why; let the relay read it", words)
        for private in ("key.json", "123456789"):
            self.assertNotIn(private, words)
        self.assertEqual(stack.asked("vertex"), [])


class WaitingTests(SynchronousTestCase):
    """Requests that come before there is a token."""

    def room(self, **scripts: Any) -> Clouds:
        """Return a relay whose tokens are slow."""
        stack = Clouds(self, {"vertex": vertex([Says("hello")])} | scripts)
        stack.tokens.slow = []
        return stack

    def test_one_fetch_for_all(self) -> None:
        """All wait for the same fetch, with pings where they stream, and go up together."""
        stack = self.room()
        peers = [stack.send(body(stream=stream)) for stream in (False, True, True)]
        stack.go(16)
        self.assertEqual(stack.events(peers[1]), ["ping"])
        self.assertEqual((stack.asked("vertex"), stack.tokens.fetched), ([], 1))
        stack.tokens.slow[0].callback(stack.tokens.token())
        stack.go()
        self.assertEqual([stack.answer(peer).status for peer in peers], [200] * 3)
        self.assertEqual(list(stack.bearers), ["Bearer token-number-1"] * 3)

    def test_a_client_that_leaves(self) -> None:
        """Whoever leaves takes nothing from the others, and nothing is sent for him."""
        stack = self.room()
        leaving, staying = stack.send(body()), stack.send(body())
        leaving.reset()
        stack.go()
        stack.tokens.slow[0].callback(stack.tokens.token())
        stack.go()
        self.assertEqual(stack.answer(staying).status, 200)
        self.assertEqual(len(stack.asked("vertex")), 1)
        verdicts = {attempt.verdict for attempt in stack.told.attempts}
        self.assertEqual(verdicts, {Verdict.CANCELLED, Verdict.OK})

    def test_a_fetch_that_hangs(self) -> None:
        """After half a minute another provider answers; from then on at once, until the token is there."""
        stack = self.room(a=[Says("from a")])
        peer = stack.send(body())
        stack.go(29)
        self.assertEqual(stack.asked("a"), [])
        stack.go(1)
        self.assertEqual(text(stack.answer(peer)), "from a")
        self.assertIn("fetching takes longer than 30 s", stack.told.attempts[0].reason)
        self.assertEqual(text(stack.ask()), "from a")
        self.assertEqual(stack.tokens.fetched, 1)
        stack.tokens.slow[0].callback(stack.tokens.token())
        self.assertEqual(text(stack.ask()), "hello")

    def test_others_do_not_wait(self) -> None:
        """Requests for another provider are served meanwhile."""
        stack = Clouds(
            self, {"vertex": vertex([Says("x")]), "a": [Says("from a")]},
            routing={"strategy": "model_based", "default_provider": "vertex", "model_mapping": {"glm": "a"}},
        )  # fmt: skip
        stack.tokens.slow = []
        waiting = stack.send(body())
        self.assertEqual(text(stack.ask(body(model="glm-5"))), "from a")
        stack.tokens.slow[0].callback(stack.tokens.token())
        stack.go()
        self.assertEqual(text(stack.answer(waiting)), "x")


class RepeatedTokenTests(SynchronousTestCase):
    """A token that Google repeats in what it says."""

    def test_not_passed_on(self) -> None:
        """Neither client nor log get to see it, whatever kind of refusal it is in."""
        words = "Token token-number-1 is not good."
        event = error_event("api_error", words, "r")
        for act in (
            platform("INVALID_ARGUMENT", 400, words), Refuses(400, words), Refuses(500, words),
            Sends(words.encode()), Streams((event,)),
        ):  # fmt: skip
            for stream in (False, True):
                stack = Clouds(self, {"vertex": vertex([act])})
                answer = stack.ask(body(stream=stream))
                self.assertNotIn("token-number-1", answer.body.decode() + "".join(stack.lines))

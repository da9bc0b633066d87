"""The rules of credentials that cannot be had, or not yet: another serves, or the client is told why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.credentials.cache import Fetched
from ccrelay.credentials.sigv4 import AwsKeys
from ccrelay.credentials.wording import Unavailable
from ccrelay.policy.breaker import State
from ccrelay.policy.verdict import Verdict
from ccrelay.simulator.acts import Says
from ccrelay.wire.secret import Secret
from tests.clouds.stage import SAID, STREAMED, Bedrock, Runtime, said
from tests.clouds.test_bedrock_signing import CHAIN, session
from tests.credentials.hands import Hands
from tests.credentials.standins import environment, nobody, page, standin
from tests.credentials.standins_aws import KEY_ID, OWN_KEY_ID, OWN_SECRET, ROLE, SECRET, TOKEN, refusal
from tests.network import sse
from tests.stack import WALL, body

STREAM = body(stream=True)
KEYS = AwsKeys(KEY_ID, Secret(SECRET), Secret(TOKEN))
DENIED = refusal("AccessDenied", f"User is not authorized to perform: sts:AssumeRole on {ROLE}", 403)


def known(*acts: Any) -> Runtime:
    """Return a Bedrock that knows the keys of a session."""
    runtime = Runtime(*acts)
    runtime.keys = {KEY_ID: (SECRET, TOKEN)}
    return runtime


class UnavailableTests(SynchronousTestCase):
    """Credentials that boto3 itself does not find, or cannot get."""

    def wrong(self) -> Iterator[tuple[str, str, str]]:
        """Have one thing wrong after the other; yield the profile, what is said of it, and the remedy."""
        yield "", "none were found in the environment", "set aws_access_key_id and aws_secret_access_key"
        yield "of-nobody", "could not be found", "correct aws_profile"
        config = Path(os.environ["AWS_CONFIG_FILE"])
        config.write_text(
            f"[profile role]\nrole_arn={ROLE}\nsource_profile=own\n"
            f"[profile own]\naws_access_key_id={OWN_KEY_ID}\naws_secret_access_key={OWN_SECRET}\n"
            "[profile process]\ncredential_process=false\n"
            "[profile output]\ncredential_process=echo <html>\n"
            "[profile half]\naws_access_key_id=AKIAHALF\n"
        )
        yield "half", "Partial credentials", "set both halves of the key"
        yield "process", "Error when retrieving credentials", "run credential_process by hand"
        yield "output", "", "make credential_process print JSON"
        for url, what, remedy in (
            (standin(self, lambda _: DENIED).url, "AccessDenied", "correct the role and its trust policy"),
            (standin(self, page).url, "", "it is not AWS"),
            (nobody(self), "Could not connect", "look at the network, the proxy (HTTPS_PROXY) and"),
        ):
            os.environ["AWS_ENDPOINT_URL_STS"] = url
            yield "role", what, remedy

    def test_alone(self) -> None:
        """The client is told which provider lacks what, and what to do, and nothing private."""
        environment(self)
        for profile, what, remedy in self.wrong():
            where = dict(os.environ)
            stack = Bedrock(self, {"b": Runtime(SAID)}, **CHAIN, aws_profile=profile or None)
            os.environ.update(where)
            for content in (body(), STREAM):
                status, kind, words = said(stack.ask(content))
                self.assertEqual((status, kind), (502, "api_error"))
                self.assertIn("b: the AWS credentials of b could not be had, ccrelay's log says why", words)
                self.assertIn(remedy, words)
                self.assertLess(len(words), 600)
                self.assertIn(what, stack.told.attempts[-1].reason)
            self.assertEqual(stack.asked("b"), [])
            self.assertEqual(stack.upstreams["b"].fetched.cache.state(stack.wall()).failures, 1)

    def test_with_another(self) -> None:
        """Another provider serves, for the time that it takes to see that there are no keys."""
        stack = Bedrock(self, {"b": Runtime(SAID), "a": [Says("x")]}, **CHAIN)
        for content in (body(), STREAM):
            self.assertEqual(stack.ask(content).status, 200)
        self.assertEqual([a.verdict for a in stack.told.attempts], [Verdict.BROKEN, Verdict.OK] * 2)
        self.assertEqual(stack.asked("b"), [])

    def test_counting(self) -> None:
        """Counting goes on to another provider likewise, or says why it cannot."""
        stack = Bedrock(self, {"b": Runtime(SAID), "a": [Says("x")]}, **CHAIN)
        self.assertEqual(stack.count(body()).status, 200)
        stack = Bedrock(self, {"b": Runtime(SAID)}, **CHAIN)
        self.assertIn("could not be had", said(stack.count(body()))[2])

    def test_the_circuit(self) -> None:
        """A provider without a credential is asked for no more after a while, and again when there is one."""
        stack = Bedrock(self, {"b": Runtime(SAID), "a": [Says("x")]}, **CHAIN)
        breaker = stack.upstreams.routing.breakers.of("b")
        while breaker.state(stack.wall()) is State.CLOSED:
            self.assertEqual(stack.ask().status, 200)
            self.assertLess(len(stack.told.attempts), 40)
        before = len(stack.told.attempts)
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual(len(stack.told.attempts), before + 1)
        session(OWN_KEY_ID, OWN_SECRET, "")
        stack.go(120)
        for _ in range(3):
            self.assertEqual(stack.ask().status, 200)
        self.assertEqual(breaker.state(stack.wall()), State.CLOSED)
        self.assertEqual(stack.told.attempts[-1].provider, "b")

    def test_found_later(self) -> None:
        """Keys that appear are used without a restart, a second after the last fetch has failed."""
        stack = Bedrock(self, {"b": Runtime(SAID)}, **CHAIN)
        self.assertEqual(stack.ask().status, 502)
        session(OWN_KEY_ID, OWN_SECRET, "")
        self.assertEqual(stack.ask().status, 502)
        stack.go(1)
        self.assertEqual(stack.ask().status, 200)


class WaitingTests(SynchronousTestCase):
    """Credentials that take their time."""

    def setUp(self) -> None:
        """Have threads in which nothing ends by itself."""
        self.hands = Hands()

    def stack(self, *acts: Any, **more: Any) -> Bedrock:
        """Return a relay that has to fetch its keys."""
        return Bedrock(self, {"b": known(*acts), **more}, None, self.hands.run, **CHAIN)

    def bring(self, stack: Bedrock, result: Any) -> None:
        """End a fetch."""
        self.hands.bring(result)
        stack.go()

    def test_one_fetch_for_all(self) -> None:
        """Requests that come while a credential is fetched wait for it together; all others go on."""
        stack = self.stack(SAID, a=[Says("x")])
        peers = [stack.send(body()) for _ in range(20)]
        stack.go(5)
        self.assertEqual(self.hands.begun, 1)
        self.assertEqual({stack.answer(peer).status for peer in peers}, {0})
        self.bring(stack, Fetched(KEYS, WALL + stack.clock.seconds() + 3600))
        self.assertEqual({stack.answer(peer).status for peer in peers}, {200})
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual(self.hands.begun, 1)

    def test_pings(self) -> None:
        """Clients of streams hear pings while they wait; the stream then is as if it had come at once."""
        stack = self.stack(STREAMED)
        peer = stack.send(STREAM)
        stack.go(20)
        self.assertEqual(stack.events(peer), ["ping"])
        self.bring(stack, Fetched(KEYS))
        names = stack.events(peer)
        self.assertEqual((names[1], names[-1]), ("message_start", "message_stop"))

    def test_a_failure_after_pings(self) -> None:
        """Where the client has got pings, it is told in the stream, without what is private."""
        stack = self.stack(STREAMED)
        peer = stack.send(STREAM)
        stack.go(20)
        self.bring(stack, Unavailable(f"the role {ROLE} may not be assumed", "correct the role"))
        (_, error) = sse(stack.answer(peer).body)[-1]
        self.assertIn("ccrelay's log says why; correct the role", error["error"]["message"])
        self.assertNotIn("arn:", error["error"]["message"])
        self.assertTrue(stack.answer(peer).complete)

    def test_a_client_that_leaves(self) -> None:
        """Whoever leaves takes nothing from the others that wait."""
        stack = self.stack(SAID)
        gone, stays = stack.send(body()), stack.send(body())
        gone.reset()
        stack.go(1)
        self.bring(stack, Fetched(KEYS))
        self.assertEqual(stack.answer(stays).status, 200)
        self.assertEqual(len(stack.asked("b")), 1)

    def test_a_fetch_that_hangs(self) -> None:
        """A fetch that hangs holds its requests for half a minute; then, at once, another provider serves."""
        stack = self.stack(SAID, a=[Says("x")])
        peer = stack.send(body())
        stack.go(29)
        self.assertEqual(stack.answer(peer).status, 0)
        stack.go(2)
        self.assertEqual(stack.answer(peer).status, 200)
        self.assertIn("fetching takes longer than 30 s", stack.told.attempts[0].reason)
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual((self.hands.begun, len(stack.asked("a"))), (1, 2))
        self.bring(stack, Fetched(KEYS))
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual(len(stack.asked("b")), 1)

    def test_renewed_ahead(self) -> None:
        """Keys are renewed minutes before they expire, while requests go on with the old ones."""
        stack = self.stack(SAID)
        peer = stack.send(body())
        self.bring(stack, Fetched(KEYS, stack.wall() + 3600))
        stack.go(3600 - 500)
        self.assertEqual(stack.answer(peer).status, 200)
        for _ in range(3):
            self.assertEqual(stack.ask().status, 200)
        self.assertEqual(self.hands.begun, 2)
        self.bring(stack, Fetched(KEYS, stack.wall() + 3600))
        stack.go(600)
        self.assertEqual(stack.ask().status, 200)
        self.assertEqual(self.hands.begun, 2)

    def test_expired(self) -> None:
        """Keys that have expired are used no more: the request waits for new ones."""
        stack = self.stack(SAID)
        stack.send(body())
        self.bring(stack, Fetched(KEYS, stack.wall() + 3600))
        stack.go(3600)
        peer = stack.send(body())
        self.assertEqual(stack.answer(peer).status, 0)
        self.bring(stack, Fetched(KEYS, stack.wall() + 3600))
        self.assertEqual(stack.answer(peer).status, 200)

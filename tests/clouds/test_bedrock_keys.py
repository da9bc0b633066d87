"""The rules of API keys of Bedrock's, and of probes, which judge neither these nor what signs."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.breaker import State
from ccrelay.relay.probe import ProbeEnded, Prober
from ccrelay.simulator.acts import Plays, Says
from ccrelay.simulator.script import Script
from ccrelay.simulator.steps import Hang
from tests.clouds.stage import SAID, Bedrock, Runtime, refused
from tests.clouds.test_bedrock_signing import CHAIN, session
from tests.credentials.standins_aws import OWN_KEY_ID, OWN_SECRET

TOKEN_OF_BEDROCK = "bedrock-api-key-0123456789abcdef"


class BearerTests(SynchronousTestCase):
    """API keys of Bedrock's."""

    def stack(self, *acts: Any, **fields: Any) -> Bedrock:
        """Return a relay with such a key, before something that looks at nothing."""
        runtime = Runtime()
        runtime.script = Script((), {"*": acts})
        return Bedrock(self, {"b": runtime, "a": [Says("x")]}, **CHAIN, **fields)

    def test_shown(self) -> None:
        """A key is shown as a bearer, and nothing is signed; both ways to write it down do."""
        for fields in (
            {"aws_bearer_token": TOKEN_OF_BEDROCK}, {"keys": ({"key": TOKEN_OF_BEDROCK},)},
        ):  # fmt: skip
            stack = self.stack(SAID, **fields)
            self.assertEqual(stack.ask().status, 200)
            (asked,) = stack.asked("b")
            self.assertEqual(asked.header("authorization"), f"Bearer {TOKEN_OF_BEDROCK}")
            self.assertIsNone(asked.header("x-amz-date"))
            self.assertNotIn(TOKEN_OF_BEDROCK, "".join(stack.lines))

    def test_several(self) -> None:
        """Several keys are a pool: one that is throttled or refused gives way to the next."""
        for refusal in (
            refused(429, "ThrottlingException", "slow"),
            refused(403, "AccessDeniedException", "Bearer token is invalid"),
        ):
            keys = ({"key": "key-one-0123456789"}, {"key": "key-two-0123456789"})
            stack = self.stack(refusal, SAID, keys=keys)
            self.assertEqual(stack.ask().status, 200)
            shown = [asked.header("authorization") for asked in stack.asked("b")]
            self.assertEqual(shown, ["Bearer key-one-0123456789", "Bearer key-two-0123456789"])

    def test_refused(self) -> None:
        """A refused key is not renewed, as it cannot be; another provider serves, and it is left alone."""
        refusal = refused(403, "AccessDeniedException", "Bearer token is invalid")
        stack = self.stack(refusal, aws_bearer_token=TOKEN_OF_BEDROCK)
        for _ in range(3):
            self.assertEqual(stack.ask().status, 200)
        self.assertEqual(len(stack.asked("b")), 1)


class ProbeTests(SynchronousTestCase):
    """Probes of Bedrock."""

    def probe(self, stack: Bedrock, seconds: float = 0) -> ProbeEnded:
        """Return how a probe went."""
        self.breaker = stack.upstreams.routing.breakers.of("b")
        prober = Prober(stack.upstreams["b"], lambda: self.breaker, stack.clock, stack.wall, 5.0)
        probing: Deferred[ProbeEnded] = Deferred.fromCoroutine(prober.probe())
        stack.go(seconds)
        return self.successResultOf(probing)

    def test_there(self) -> None:
        """Any answer shows that the front is there; its 403 judges neither key nor provider."""
        stack = Bedrock(self, {"b": Runtime(SAID)})
        for _ in range(5):
            self.assertEqual(self.probe(stack).reason, "")
        (*_, asked) = stack.asked("b")
        self.assertEqual((asked.method, asked.target, asked.body), ("GET", "/", b""))
        self.assertIn(f"Credential={OWN_KEY_ID}/", asked.header("authorization") or "")
        self.assertEqual(self.breaker.state(stack.wall()), State.CLOSED)
        self.assertEqual(stack.ask().status, 200)

    def test_bearer(self) -> None:
        """A 403 for the front is none for a key."""
        runtime = Runtime()
        runtime.script = Script((), {"/": [refused(403, "AccessDeniedException", "no")], "*": [SAID]})
        stack = Bedrock(self, {"b": runtime}, **CHAIN, aws_bearer_token=TOKEN_OF_BEDROCK)
        ended = self.probe(stack)
        self.assertEqual((ended.healthy, ended.reason, ended.key), (True, "", "bearer"))
        self.assertEqual(stack.ask().status, 200)

    def test_gone(self) -> None:
        """Nobody there, an answer of 500, or none in time is a failed probe."""
        for act, reason in (
            (refused(500, "InternalServerException", "x"), "answered 500"),
            (Plays((Hang(),)), "no answer began within 5 s"),
        ):
            runtime = Runtime()
            runtime.script = Script((), {"/": [act]})
            ended = self.probe(Bedrock(self, {"b": runtime}), 10)
            self.assertEqual((ended.healthy, ended.reason), (False, reason))
        stack = Bedrock(self, {"b": Runtime(SAID)})
        stack.network.refuse("b")
        self.assertFalse(self.probe(stack).healthy)

    def test_no_credential(self) -> None:
        """Where there are no keys a probe says so, and opens the circuit in the end; keys close it again."""
        stack = Bedrock(self, {"b": Runtime(SAID)}, **CHAIN)
        for _ in range(6):
            ended = self.probe(stack)
            self.assertIn("the AWS credentials of b could not be had: none were found", ended.reason)
            stack.go(2)
        self.assertEqual(self.breaker.state(stack.wall()), State.OPEN)
        stack.go(31)
        session(OWN_KEY_ID, OWN_SECRET, "")
        self.assertEqual(self.probe(stack).reason, "")
        self.assertEqual(stack.ask().status, 200)

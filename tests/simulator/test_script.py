"""The rules of a script: which act answers which request."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Early
from ccrelay.simulator.script import Script
from tests.simulator.stage import asked

ONE, TWO, THREE = Says("one"), Says("two"), Says("three")


class ScriptTests(SynchronousTestCase):
    """Acts in their order."""

    def test_order(self) -> None:
        """Successive requests are answered by successive acts; the last one repeats."""
        script = Script([ONE, TWO])
        self.assertEqual([script.act(asked()) for _ in range(4)], [ONE, TWO, TWO, TWO])

    def test_prefixes(self) -> None:
        """The acts are for messages under any prefix, and for nothing else."""
        script = Script([ONE])
        for target in ("/v1/messages", "/v1/messages?beta=true", "/api/anthropic/v1/messages"):
            self.assertIs(script.act(asked(target=target)), ONE)
        for target in ("/v1/messages/count_tokens", "/v1/models", "/", "/?a=/v1/messages"):
            self.assertIsNone(script.act(asked(target=target)))

    def test_paths(self) -> None:
        """Other paths have acts of their own, and take none from the messages."""
        script = Script([ONE, TWO], {"/v1/models": [Refuses(401), THREE], "/model/*": [THREE]})
        self.assertEqual(script.act(asked(target="/v1/models?limit=1")), Refuses(401))
        self.assertIs(script.act(asked()), ONE)
        self.assertIs(script.act(asked(target="/model/a.b-v1%3A0/invoke")), THREE)
        self.assertIs(script.act(asked()), TWO)
        self.assertIs(script.act(asked(target="/v1/models")), THREE)

    def test_the_first_pattern_that_fits(self) -> None:
        """Of several patterns that fit the first counts; those without acts do not."""
        script = Script([ONE], {"/x/*": [], "*": [TWO], "/x/v1/messages": [THREE]})
        self.assertIs(script.act(asked(target="/x/v1/messages")), TWO)

    def test_a_function(self) -> None:
        """A function may choose the act by the request."""
        script = Script(lambda request: Refuses(429) if request.model.startswith("claude-opus") else ONE)
        self.assertEqual(script.act(asked()), Refuses(429))
        self.assertIs(script.act(asked({"model": "claude-haiku-4-5"})), ONE)
        self.assertFalse(script.early("/v1/messages"))

    def test_nothing(self) -> None:
        """A script without acts leaves everything to the simulator."""
        self.assertIsNone(Script().act(asked()))
        self.assertFalse(Script().early("/v1/messages"))

    def test_early(self) -> None:
        """It is known of the next act, without playing it, whether it waits for the body."""
        early = Early(Refuses(413))
        script = Script([ONE, early])
        self.assertEqual([script.early("/v1/messages"), script.act(asked())], [False, ONE])
        self.assertFalse(script.early("/v1/models"))
        self.assertEqual([script.early("/v1/messages") for _ in range(2)], [True, True])
        self.assertIs(script.act(asked()), early)
        self.assertTrue(script.early("/v1/messages"))

"""The rules of a health probe: what the answer says of the key that was shown."""

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses
from ccrelay.simulator.faults import Stalls
from tests.relay.probed import FINE, SECOND, TWO_KEYS, Probed
from tests.stack import KEY, body


class KeyTests(SynchronousTestCase):
    """What the answer says of the key that was shown."""

    def test_refused(self) -> None:
        """A 401 makes that key invalid, and no other."""
        probed = Probed(self, FINE, Refuses(401, "no"), FINE, keys=TWO_KEYS)
        self.assertEqual([probed.probe().reason for _ in range(2)], ["", "the key was refused (401)"])
        self.assertEqual(probed.keys, {"one": "ready", "two": "invalid"})
        probed.stack.ask()
        self.assertEqual(probed.simulator.asked[-1].header("x-api-key"), KEY)

    def test_shown_again(self) -> None:
        """It is shown again after five minutes, not before, and is valid if it is accepted then."""
        probed = Probed(self, Refuses(401, "no"), FINE, keys=TWO_KEYS)
        for _ in range(6):
            probed.probe()
            probed.stack.go(49.9)
        self.assertEqual(probed.shown, [KEY, *[SECOND] * 5])
        probed.stack.go(1)
        probed.probe()
        self.assertEqual((probed.shown[-1], probed.keys["one"]), (KEY, "ready"))

    def test_refused_again(self) -> None:
        """If it is refused again, with either status, it waits for another five minutes."""
        for status in (401, 403):
            probed = Probed(self, Refuses(401, "no"), Refuses(status, "no"), keys=TWO_KEYS[:1])
            for _ in range(3):
                probed.probe()
                probed.stack.go(299)
                probed.probe()
                probed.stack.go(1)
                self.assertEqual(probed.keys["one"], "invalid")
            self.assertEqual(probed.shown, [KEY] * 3)

    def test_a_failure_in_between(self) -> None:
        """A provider that is not there says nothing of an invalid key, which stays so."""
        probed = Probed(self, Refuses(401, "no"), Refuses(503, "no"), keys=TWO_KEYS[:1])
        probed.probe()
        probed.stack.go(300)
        probed.probe()
        self.assertEqual(probed.keys["one"], "invalid")

    def test_all_are_invalid(self) -> None:
        """While every key is invalid and none is due to be shown, nobody is asked: no key, no news."""
        probed = Probed(self, Refuses(401, "no"), keys=TWO_KEYS)
        ended = [probed.probe() for _ in range(4)]
        self.assertEqual(probed.shown, [KEY, SECOND])
        self.assertEqual([end and end.key for end in ended], ["one", "two", None, None])

    def test_trusted(self) -> None:
        """A key with which a request succeeded within five minutes is put last at most, not taken out."""
        probed = Probed(self, Refuses(401, "no"), keys=TWO_KEYS[:1])
        probed.stack.ask()
        probed.stack.go(300)
        self.assertEqual(
            probed.probe().reason, "the key was refused here (401), though not for messages"
        )
        self.assertEqual(probed.keys["one"], "degraded")
        self.assertEqual(probed.stack.ask().status, 200)
        self.assertEqual(probed.keys["one"], "ready")
        probed.stack.go(301)
        probed.probe()
        self.assertEqual(probed.keys["one"], "invalid")

    def test_not_permitted(self) -> None:
        """A 403 puts the key behind the others, until it is accepted."""
        probed = Probed(self, Refuses(403, "no"), FINE, keys=TWO_KEYS)
        self.assertEqual(probed.probe().reason, "the key was refused here (403)")
        self.assertEqual(probed.keys, {"one": "degraded", "two": "ready"})
        probed.stack.ask(body(metadata={"user_id": "u1"}))
        self.assertEqual(probed.simulator.asked[-1].header("x-api-key"), SECOND)
        probed.probe()
        probed.probe()
        self.assertEqual(probed.keys, {"one": "ready", "two": "ready"})

    def test_well_again_is_seen(self) -> None:
        """A key that is accepted again is used with the others at once."""
        probed = Probed(
            self, Refuses(403, "no"), FINE, keys=[TWO_KEYS[0] | {"priority": 5}, TWO_KEYS[1]],
        )  # fmt: skip
        probed.probe()
        probed.stack.ask(body(metadata={"user_id": "u1"}))
        probed.probe()
        probed.probe()
        probed.stack.ask(body(metadata={"user_id": "u2"}))
        shown = [a.header("x-api-key") for a in probed.simulator.asked if a.path == "/v1/messages"]
        self.assertEqual(shown, [SECOND, KEY])

    def test_hung_up(self) -> None:
        """A probe that is cancelled hangs up, and judges nothing."""
        probed = Probed(self, Stalls(before_head=True))
        probing = probed.begin()
        probing.cancel()
        probed.stack.go()
        self.failureResultOf(probing)
        self.assertEqual(probed.stack.network.connections, [])
        self.assertFalse(probed.breaker.degraded)

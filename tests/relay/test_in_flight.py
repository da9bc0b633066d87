"""Slots: how many requests are served at once, and that none is ever lost."""

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import Draining, Full
from ccrelay.relay.exchange import Exchange
from ccrelay.relay.in_flight import InFlight
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks, Stalls
from tests.stack import Plain, body


def exchange(name: str = "req_test") -> Exchange:
    """Return an account that nobody observes."""
    return Exchange(name, "POST", "/v1/messages", 0.0, [])


class SlotTests(SynchronousTestCase):
    """Slots, by themselves."""

    def test_as_many_as_there_are(self) -> None:
        """One request more than the limit is refused; it is told what the limit is, and when to ask again."""
        slots = InFlight(2)
        with slots.holding(exchange()), slots.holding(exchange()):
            with self.assertRaises(Full) as caught, slots.holding(exchange()):
                self.fail("a third one was let in")
            self.assertIn("2 requests (server.max_concurrent)", caught.exception.message)
            self.assertEqual((caught.exception.status, caught.exception.retry_after), (503, 2.0))
            self.assertEqual(len(slots), 2)
        with slots.holding(exchange()):
            self.assertEqual(len(slots), 1)

    def test_no_limit(self) -> None:
        """0 is no limit."""
        slots = InFlight()
        held = [slots.holding(exchange()) for _ in range(1000)]
        for one in held:
            one.__enter__()
        self.assertEqual(len(slots), 1000)
        for one in held:
            one.__exit__(None, None, None)
        self.assertEqual(len(slots), 0)

    def test_given_back_on_an_error(self) -> None:
        """A slot is given back whatever happened to its request."""
        slots = InFlight(1)
        for problem in (RuntimeError("x"), GeneratorExit(), KeyboardInterrupt()):
            with self.assertRaises(type(problem)), slots.holding(exchange()):
                raise problem
            self.assertEqual(len(slots), 0)

    def test_none_while_draining(self) -> None:
        """From the beginning of a drain on nobody gets one, and those that are held are kept."""
        clock, slots = Clock(), InFlight(5)
        with slots.holding(exchange()):
            draining = Deferred.fromCoroutine(slots.drain(clock, 10))
            with self.assertRaises(Draining) as caught, slots.holding(exchange()):
                self.fail("one was let in")
            self.assertEqual((caught.exception.status, caught.exception.retry_after), (503, 2.0))
            self.assertNoResult(draining)
        self.successResultOf(draining)
        self.assertEqual(clock.getDelayedCalls(), [])
        with self.assertRaises(Draining), slots.holding(exchange()):
            self.fail("one was let in after the drain")

    def test_work_that_cannot_be_ended(self) -> None:
        """What does not end when told to is waited for two seconds more, and no longer."""
        clock, slots = Clock(), InFlight()
        with slots.holding(exchange()):
            draining = Deferred.fromCoroutine(slots.drain(clock, 10))
            clock.pump([10, 1.9])
            self.assertNoResult(draining)
            clock.advance(0.1)
            self.successResultOf(draining)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_work_that_ends_when_told(self) -> None:
        """What ends in that time ends the drain; each request is told the reason."""
        clock, slots = Clock(), InFlight()
        served = [exchange(), exchange()]
        works = []
        for one in served:
            holding = slots.holding(one)
            holding.__enter__()
            work: Deferred[None] = Deferred()
            working = Deferred.fromCoroutine(one.working(work))
            working.addBoth(lambda result, holding=holding: (holding.__exit__(None, None, None), result)[1])
            works.append(working)
        draining = Deferred.fromCoroutine(slots.drain(clock, 10))
        clock.advance(10)
        self.successResultOf(draining)
        for one, working in zip(served, works, strict=True):
            self.assertIs(self.failureResultOf(working, Draining).value, one.interrupted)


class FullTests(SynchronousTestCase):
    """Slots, as clients see them."""

    ONE = {"server": {"max_concurrent": 1}}  # noqa: RUF012

    def test_full(self) -> None:
        """The request that is one too many gets 503 and a time at once; those being served notice nothing."""
        stack = Plain(self, {"a": [Says("one two three", pace=1)]}, self.ONE)
        running = stack.send(body(stream=True))
        for content in (body(), body(stream=True)):
            answer = stack.ask(content)
            error = json.loads(answer.body)["error"]
            self.assertEqual(
                (answer.status, answer.headers["retry-after"], error["type"]), (503, "2", "api_error")
            )
            self.assertIn("server.max_concurrent", error["message"])
            self.assertEqual((stack.logged[-1]["status"], stack.why), (503, error["message"]))
        stack.go(30)
        self.assertEqual(stack.events(running)[-1], "message_stop")
        self.assertEqual(len(stack.asked("a")), 1)

    def test_given_back_on_every_way_out(self) -> None:
        """Whatever became of a request, the next one is served."""
        acts = [
            Says("x"), Refuses(400), Refuses(500), Breaks(after_events=None), Breaks(after_events=4),
            Stalls(after_events=4, seconds=400), Says("x"),
        ]  # fmt: skip
        stack = Plain(self, {"a": acts}, self.ONE)
        for content in [b"{", b"[]", *[body(stream=True)] * len(acts)]:
            self.assertNotIn(b"max_concurrent", stack.ask(content, 500).body)
            self.assertEqual(len(stack.in_flight), 0)
        self.assertEqual(stack.why, "complete")
        self.assertEqual(len(stack.asked("a")), len(acts))

    def test_given_back_by_clients_that_leave(self) -> None:
        """A client that leaves gives its slot back at once."""
        stack = Plain(self, {"a": [Stalls(before_head=True), Stalls(after_events=2), Says("x")]}, self.ONE)
        for leave in ("hang_up", "reset"):
            peer = stack.send(body(stream=True))
            self.assertEqual(len(stack.in_flight), 1)
            getattr(peer, leave)()
            stack.go()
            self.assertEqual(len(stack.in_flight), 0)
        self.assertEqual(stack.ask().status, 200)

"""The rules of the threads that credentials are fetched in."""

from __future__ import annotations

from threading import Event, current_thread, main_thread

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from ccrelay.credentials.threads import SPARE, Threads

TEN = 10


class ThreadsTests(TestCase):
    """Threads of our own."""

    timeout = 30

    def setUp(self) -> None:
        """Have threads for ten credentials."""
        self.threads = Threads(reactor, credentials=TEN)
        self.addCleanup(self.threads.stop)
        self.go_on = Event()
        self.addCleanup(self.go_on.set)

    async def test_results_come_to_the_reactor(self) -> None:
        """What a thread returns or raises arrives in the reactor's thread."""
        self.assertIsNot(await self.threads.run(current_thread), main_thread())
        with self.assertRaises(ZeroDivisionError):
            await self.threads.run(lambda: 1 / 0)
        self.assertIs(current_thread(), main_thread())

    async def test_none_before_it_is_needed(self) -> None:
        """A relay without such credentials has no threads; one with them has as many as it needs at once."""
        self.assertEqual(self.threads._pool.threads, [])
        for _ in range(TEN):
            await self.threads.run(int)
        self.assertLessEqual(len(self.threads._pool.threads), 2)

    async def test_slow_ones_hold_up_nobody(self) -> None:
        """While every credential is being fetched and hangs, there are threads left to sign in."""
        hanging = [self.threads.run(self.go_on.wait) for _ in range(TEN)]
        self.assertEqual(await gatherResults([self.threads.run(int) for _ in range(SPARE)]), [0] * SPARE)
        self.assertEqual([d.called for d in hanging], [False] * TEN)
        self.go_on.set()
        await gatherResults(hanging)

    async def test_more_after_a_reload(self) -> None:
        """A configuration with more credentials gets more threads."""
        hanging = [self.threads.run(self.go_on.wait) for _ in range(TEN + SPARE)]
        self.threads.resize(TEN + 1)
        self.assertEqual(await self.threads.run(int), 0)
        self.go_on.set()
        await gatherResults(hanging)

    async def test_those_that_hang_are_no_more_counted(self) -> None:
        """Fetches that hang, of however many configurations, take no thread from those of a later one."""
        hanging = []
        for _ in range(3):
            hanging += [self.threads.run(self.go_on.wait) for _ in range(TEN + SPARE)]
            self.threads.resize(TEN)
            self.assertEqual(await self.threads.run(int), 0)
        self.go_on.set()
        await gatherResults(hanging)

    async def test_apart_from_the_reactors(self) -> None:
        """The reactor's own threads, which resolve host names, are not used."""
        seen = await gatherResults([self.threads.run(current_thread) for _ in range(5)])
        self.assertEqual({t.name.rpartition("-")[0] for t in seen}, {"PoolThread-ccrelay-credentials"})

    async def test_stopping_waits_for_none(self) -> None:
        """The relay stops though a fetch hangs, and a thread that hangs does not keep the process alive."""
        hanging: Deferred[bool] = self.threads.run(self.go_on.wait)
        seen: Deferred[object] = self.threads.run(current_thread)
        self.assertTrue((await seen).daemon)  # type: ignore[attr-defined]
        self.threads.stop()
        self.threads.stop()
        self.assertFalse(hanging.called)
        with self.assertRaises(RuntimeError):
            await self.threads.run(int)

    def test_stopped_before_it_began(self) -> None:
        """A relay that never fetched stops as well."""
        self.threads.stop()

"""What the doctor finds at a provider, and that it asks no more than it says."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.relay.doctor import BETAS, Doctor, Finding
from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.faults import Breaks, Stalls
from ccrelay.simulator.script import Script
from tests.stack import KEY, Stack

FINE = Says("x")


class DoctorTests(SynchronousTestCase):
    """One provider, and what is found."""

    def found(
        self, acts: Any, models: Sequence[str] = (), *, each_beta: bool = False, **fields: Any
    ) -> list[Finding]:
        """Return what is found at a provider that answers so."""
        self.stack = Stack(self, {"a": acts}, **fields)
        self.doctor = Doctor(
            self.stack.upstreams["a"], self.stack.network, self.stack.clock, self.stack.wall, 20.0, models,
            each_beta=each_beta,
        )  # fmt: skip
        found: list[Finding] = []

        async def examine() -> None:
            found.extend([finding async for finding in self.doctor.examine()])

        examining = Deferred.fromCoroutine(examine())
        self.stack.go(100)
        self.successResultOf(examining)
        asked = [one for one in self.stack.asked("a") if one.path != "/v1/models"]
        self.assertLessEqual(len(asked), self.doctor.most)
        for one in found:
            self.assertNotIn(KEY, one.words)
        return found

    def works(self, found: list[Finding]) -> dict[str, bool | None]:
        """Return what works, by what was looked at."""
        return {f"{one.check} {one.subject}".strip(): one.works for one in found}

    def test_all_is_well(self) -> None:
        """Where all works all of it is told, with one request for each, of one token."""
        found = self.found([FINE], ["claude-x"])
        self.assertEqual(
            self.works(found),
            {
                "reach": True, "TLS": None, "key …cdef": True, "model claude-x": True, "stream": True,
                "tools": True, "count": True, f"betas {len(BETAS)} flags": True,
            },
        )  # fmt: skip
        asked = self.stack.asked("a")
        self.assertEqual(len(asked), 5)
        self.assertTrue(all(b'"max_tokens":1,' in one.body for one in asked if "count" not in one.path))

    def test_nobody_there(self) -> None:
        """Where nobody answers nothing else is tried."""
        found = self.found([FINE], base_url="http://elsewhere")
        self.assertEqual(self.works(found), {"reach": False})
        self.assertIn("check base_url", found[0].remedy)

    def test_a_refused_key(self) -> None:
        """Each key is tried; what else there is, is tried with one that works."""
        keys = [{"key": f"sk-test-{n}-0123456789", "name": n} for n in ("bad", "good")]

        def act(asked: Asked) -> Any:
            bad = b"sk-test-bad-0123456789" in dict(asked.headers)[b"x-api-key"]
            return Refuses(401, "invalid x-api-key sk-test-bad-0123456789") if bad else FINE

        found = self.found(act, ["m"], keys=keys)
        works = self.works(found)
        self.assertEqual((works["key bad"], works["key good"], works["stream"]), (False, True, True))
        (bad,) = [one for one in found if one.subject == "bad"]
        self.assertEqual(bad.words, "401: invalid x-api-key …6789")
        self.assertIn("replace the key", bad.remedy)

    def test_no_key_works(self) -> None:
        """Where no key works nothing more is tried; money, limits and rights have their own advice."""
        for act, words in (
            (Refuses(402, "pay"), "pay, or use another key"), (Refuses(403, "no"), "give it the right"),
            (Refuses(429, "slow down"), "wait, or use another key"),
            (Refuses(400, "Your credit balance is too low"), "pay, or use another key"),
        ):  # fmt: skip
            found = self.found([act], ["m"])
            self.assertEqual(self.works(found)["key …cdef"], False)
            self.assertIn(words, found[-1].remedy)
            self.assertEqual(len(self.stack.asked("a")), 1)

    def test_models(self) -> None:
        """Each model is tried; one that is not there is told, and the others go on."""

        def act(asked: Asked) -> Any:
            return Refuses(404, "model: gone") if b'"gone"' in asked.body else FINE

        found = self.found(act, ["gone", "there"])
        works = self.works(found)
        self.assertEqual((works["model gone"], works["model there"], works["tools"]), (False, True, True))
        (gone,) = [one for one in found if one.subject == "gone"]
        self.assertEqual(gone.words, "404: model: gone")
        self.assertIn("model_mapping", gone.remedy)

    def test_which_models(self) -> None:
        """Without a name: those of the configuration as they are called there, else a cheap one it lists."""
        found = self.found([FINE], model_mapping={"claude-*": "their-model", "x": "y"})
        self.assertEqual([one.subject for one in found if one.check == "model"], ["y", "their-model"])
        listed = b'{"data":[{"id":"claude-opus-5"},{"id":"claude-haiku-9"}]}'
        script = Script([FINE], {"*/v1/models": [Sends(listed, "application/json")]})
        found = self.found(script)
        self.assertEqual([one.subject for one in found if one.check == "model"], ["claude-haiku-9"])

    def test_a_broken_stream(self) -> None:
        """A stream that breaks off, stalls, or is none does not work, whatever whole answers do."""
        for act in (Breaks(how="end"), Breaks(), Stalls(), Refuses(500, "no"), Sends(b"<p>")):

            def acting(asked: Asked, act: Any = act) -> Any:
                return act if b'"stream":true' in asked.body else FINE

            found = self.found(acting, ["m"])
            self.assertEqual(self.works(found)["stream"], False)
            self.assertEqual(self.works(found)["tools"], True)
            self.assertTrue(next(one.words for one in found if one.check == "stream"))

    def test_no_tools(self) -> None:
        """A provider that refuses tools is told with its words."""

        def act(asked: Asked) -> Any:
            return Refuses(400, "tools: not here") if b'"tools"' in asked.body else FINE

        found = self.found(act, ["m"])
        (tools,) = [one for one in found if one.check == "tools"]
        self.assertEqual((tools.works, tools.words), (False, "400: tools: not here"))

    def test_who_cannot_count(self) -> None:
        """A provider that cannot count is none that does not work: the relay estimates."""
        script = Script([FINE], {"*/count_tokens": [Refuses(404, "not here")]})
        (count,) = [one for one in self.found(script, ["m"]) if one.check == "count"]
        self.assertEqual((count.works, count.words), (None, "404: not here; ccrelay estimates"))
        script = Script([FINE], {"*/count_tokens": [Refuses(500, "broken")]})
        (count,) = [one for one in self.found(script, ["m"]) if one.check == "count"]
        self.assertEqual((count.works, count.words), (False, "500: broken"))

    def test_betas(self) -> None:
        """A flag that is refused is found where each is tried by itself."""

        def act(asked: Asked) -> Any:
            flags = dict(asked.headers).get(b"anthropic-beta", b"")
            return Refuses(400, "no such thing") if BETAS[2].encode() in flags else FINE

        found = self.found(act, ["m"])
        self.assertEqual((found[-1].works, found[-1].remedy), (False, "--betas tries each"))
        found = [one for one in self.found(act, ["m"], each_beta=True) if one.check == "betas"]
        self.assertEqual([one.subject for one in found if not one.works], [BETAS[2]])
        self.assertEqual(len(found), len(BETAS))

    def test_silence(self) -> None:
        """A provider that never answers is given up after the time that was allowed."""
        found = self.found([Stalls(before_head=True)], ["m"])
        self.assertEqual(found[-1].works, False)
        self.assertIn("no answer", found[-1].words)

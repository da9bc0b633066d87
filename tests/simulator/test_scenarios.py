"""The rules of scenarios: behaviours by their names, shares of faults, and files."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from ccrelay.simulator.scenarios import SCENARIOS, scenario
from tests.simulator.stage import MESSAGE, asked


def play(name: str = "default", pace: float = 0.1, error_rate: float = 0.0) -> Any:
    """Return a scenario."""
    return scenario(name, pace=pace, error_rate=error_rate, random=Random(4))


class ScenarioTests(SynchronousTestCase):
    """What each does."""

    def test_names(self) -> None:
        """Each built-in scenario does what its name says."""
        usual = play()(asked(MESSAGE))
        self.assertIsInstance(usual, Says)
        self.assertEqual(usual.pace, 0.1)
        expected = {
            "overloaded": Refuses(529),
            "limited": Refuses(429, headers=((b"retry-after", b"30"),)),
            "failing": Refuses(500),
            "unauthorized": Refuses(401),
            "breaking": Breaks(after_events=5, act=usual),
            "erring": Errs(after_events=5, act=usual),
            "stalling": Stalls(after_events=5, act=usual),
            "silent": Stalls(before_head=True, act=usual),
        }
        for name, act in expected.items():
            self.assertEqual(play(name)(asked(MESSAGE)), act)
        self.assertEqual(play("slow")(asked(MESSAGE)).pace, 2.5)
        self.assertEqual(set(SCENARIOS) - set(expected), {"default", "slow", "flaky"})

    def test_invalid_requests(self) -> None:
        """What is no valid request is refused as such in every scenario."""
        for name in SCENARIOS:
            self.assertEqual(play(name)(asked({})), Refuses(400, "model: Field required"))

    def test_error_rate(self) -> None:
        """The share of the faults is about what was asked for, of several kinds, the same for a same seed."""
        acts = [play_one(asked(MESSAGE)) for play_one in [play(error_rate=0.25)] for _ in range(400)]
        faults = [act for act in acts if not isinstance(act, Says)]
        self.assertTrue(60 <= len(faults) <= 140, len(faults))
        self.assertEqual({type(act) for act in faults}, {Refuses, Breaks, Errs})
        again = play(error_rate=0.25)
        self.assertEqual([again(asked(MESSAGE)) for _ in range(400)], acts)

    def test_extreme_rates(self) -> None:
        """A share of 0 is none, of 1 all."""
        self.assertEqual({type(play()(asked(MESSAGE))) for _ in range(50)}, {Says})
        always = play(error_rate=1.0)
        self.assertNotIn(Says, {type(always(asked(MESSAGE))) for _ in range(50)})

    def test_flaky(self) -> None:
        """Flaky fails a third of the time, or as often as one says."""
        flaky = play("flaky")
        failed = sum(not isinstance(flaky(asked(MESSAGE)), Says) for _ in range(600))
        self.assertTrue(140 <= failed <= 260, failed)
        flaky = play("flaky", error_rate=1.0)
        self.assertNotIsInstance(flaky(asked(MESSAGE)), Says)

    def test_typo(self) -> None:
        """An unknown name is answered with the nearest one, or with all."""
        problem = self.assertRaises(ConfigError, play, "overlaoded")
        self.assertIn("did you mean 'overloaded'?", problem.message)
        problem = self.assertRaises(ConfigError, play, "xyz")
        self.assertIn("default, slow, flaky", problem.message)

    def test_wrong_numbers(self) -> None:
        """A share that is none, and a negative pace, are refused."""
        for rate in (-0.1, 1.1):
            self.assertIn("error_rate", self.assertRaises(ConfigError, play, error_rate=rate).message)
        self.assertIn("pace_ms", self.assertRaises(ConfigError, play, pace=-1.0).message)


class FileTests(SynchronousTestCase):
    """Scenarios from files."""

    def test_file(self) -> None:
        """A file's acts answer one after the other."""
        path = Path(self.mktemp()).with_suffix(".yaml")
        path.write_text("- refuses: {status: 529}\n- default\n")
        scripted = play(str(path))
        self.assertEqual(scripted(asked(MESSAGE)), Refuses(529))
        usual = play()(asked(MESSAGE))
        for _ in range(2):
            self.assertEqual(
                list(scripted(asked(MESSAGE)).steps(asked(MESSAGE))), list(usual.steps(asked(MESSAGE)))
            )

    def test_no_file(self) -> None:
        """A file that is not there, or is no text, is named."""
        binary = Path(self.mktemp()).with_suffix(".yml")
        binary.write_bytes(b"\xff")
        for name in ("/nonexistent/scenario", str(binary)):
            self.assertIn(name, self.assertRaises(ConfigError, play, name).message)

"""The rules of scenario files: what they can say, and how they are told what is wrong."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import ConfigError
from ccrelay.simulator import scenario_file
from ccrelay.simulator.acts import Refuses, Says, Sends, Streams
from ccrelay.simulator.faults import Breaks, Errs, Gzips, Stalls
from ccrelay.simulator.messages import Tool
from ccrelay.simulator.scenario_file import Usual, acts_in
from ccrelay.simulator.steps import Cut, Hang, Reset, Wait

HELLO = Says("Hello", pace=0.1)


class ReadingTests(SynchronousTestCase):
    """Acts of a file."""

    def acts(self, text: str) -> list[object]:
        """Return the acts of a file, at a pace of a tenth of a second."""
        return list(acts_in(text, "s.yaml", 0.1))

    def test_every_act(self) -> None:
        """Every act can be written down."""
        found = self.acts(
            "- default\n"
            "- says: {text: Hi, thinking: Hm, pace_ms: 20, pieces: 2, stop_reason: refusal, usage: {a: 1},\n"
            "         tools: [{name: Read, input: {path: a}}, {name: Bash}], headers: {X-One: 1}}\n"
            "- refuses: {status: 429, message: nope, kind: k, headers: {retry-after: 2}}\n"
            "- refuses: {status: 500, body: '', content_type: text/plain}\n"
            "- sends: {body: <h1>é</h1>, content_type: text/html, status: 502}\n"
            "- streams: {events: ['data: 1', {wait_ms: 100}, hang, reset, cut],\n"
            "            content_type: a/b, pace_ms: 5}\n"
        )
        self.assertEqual(
            found,
            [
                Usual(0.1),
                Says(
                    "Hi",
                    "Hm",
                    (Tool("Read", {"path": "a"}), Tool("Bash")),
                    0.02,
                    2,
                    {"a": 1},
                    "refusal",
                    ((b"x-one", b"1"),),
                ),
                Refuses(429, "nope", "k", ((b"retry-after", b"2"),)),
                Refuses(500, body=b"", content_type="text/plain"),
                Sends("<h1>é</h1>".encode(), "text/html", 502),
                Streams((b"data: 1", Wait(0.1), Hang(), Reset(), Cut()), "a/b", pace=0.005),
            ],
        )

    def test_faults(self) -> None:
        """Faults may name what they spoil."""
        found = self.acts(
            "- stalls: {after_events: 3, seconds: 20, act: {says: {text: Hello}}}\n"
            "- stalls: {before_head: true}\n"
            "- breaks: {after_events: null, how: cut}\n"
            "- errs: {kind: api_error, message: nope, after_events: 2, act: default}\n"
            "- gzips: {breaks: {act: {says: {text: Hello}}}}\n"
        )
        self.assertEqual(
            found,
            [
                Stalls(after_events=3, seconds=20, act=HELLO),
                Stalls(before_head=True),
                Breaks(after_events=None, how="cut"),
                Errs(kind="api_error", message="nope", after_events=2, act=Usual(0.1)),
                Gzips(Breaks(act=HELLO)),
            ],
        )

    def test_the_example(self) -> None:
        """The example in the documentation is a scenario."""
        example = scenario_file.__doc__.partition("::\n")[2]
        self.assertEqual(len(self.acts(example)), 10)


class ProblemTests(SynchronousTestCase):
    """Files that are wrong."""

    def problems(self, text: str) -> list[str]:
        """Return what is wrong with a file."""
        return list(self.assertRaises(ConfigError, acts_in, text, "s.yaml").problems)

    def test_all_at_once(self) -> None:
        """Every wrong act is told at once, each with its line and the nearest name."""
        found = self.problems("- refuse: {status: 1}\n- default\n- says:\n    txt: a\n- 5\n")
        self.assertEqual([problem.split(": ")[0] for problem in found], ["s.yaml:1", "s.yaml:3", "s.yaml:5"])
        self.assertIn("did you mean 'refuses'?", found[0])
        self.assertIn("did you mean 'text'?", found[1])
        self.assertIn("known are default, gzips, says", found[2])

    def test_values(self) -> None:
        """A value of the wrong kind is shown, with what was expected."""
        for text, expected in (
            ("says: {text: 5}", "says.text: a text was expected, not 5"),
            ("says: {text: a, tools: 5}", "says.tools: a list was expected, not 5"),
            ("says: {text: a, tools: [{input: {}}]}", "says.tools: a text was expected, not [{'input': {}}]"),
            ("refuses: {status: true}", "refuses.status: a whole number was expected, not True"),
            ("refuses: {status: 500, headers: a}", "refuses.headers: a mapping was expected, not 'a'"),
            ("stalls: {before_head: 1}", "stalls.before_head: true or false was expected, not 1"),
            ("stalls: {seconds: a}", "stalls.seconds: a number was expected, not 'a'"),
            ("breaks: {how: gently}", "breaks.how: reset, cut or end was expected, not 'gently'"),
            ("streams: {events: [{wait: 1}]}", "streams.events: a number was expected, not [{'wait': 1}]"),
            ("says: {}", "says: text is missing"),
            ("refuses: {}", "refuses: status is missing"),
            ("sends: {}", "sends: body is missing"),
            ("streams: {}", "streams: events is missing"),
            ("says: a", "says: its arguments were expected: text, thinking"),
            ("gzips: {}", "{} is not an act"),
            ("stalls: {act: {say: {}}}", "'say' is not an act: did you mean 'says'?"),
        ):
            (problem,) = self.problems(f"- {text}\n")
            self.assertIn(f"s.yaml:1: {expected}", problem)

    def test_no_list(self) -> None:
        """What is no list of acts, or no YAML, is told where it is not."""
        for text in ("", "default", "{}", "[]"):
            self.assertEqual(
                self.problems(text), ["s.yaml:1: a scenario is a list of acts: begin each with a dash"]
            )
        (problem,) = self.problems("- default\n- {a: b\n")
        self.assertTrue(problem.startswith("s.yaml:3: this is not YAML: "))
        (problem,) = self.problems("- default\n- !!python/object:os.system {}\n")
        self.assertTrue(problem.startswith("s.yaml:2: this is not YAML: "))

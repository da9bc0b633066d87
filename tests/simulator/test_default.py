"""The rules of the simulator's own answers: they fit what was asked, and never pass for a model's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.default import FAULTS, SLOW, answer
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from ccrelay.simulator.messages import Tool
from tests.simulator.stage import MESSAGE, asked

READ = {
    "name": "Read",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}
BASH = {"name": "Bash", "input_schema": {"type": "object"}}
EDIT = {"name": "Edit", "input_schema": {"type": "object"}}
GLOB = {"name": "Glob", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
TOOLS = [SEARCH, READ, BASH, EDIT, GLOB]


def said(text: Any, **more: Any) -> Says:
    """Return the answer to a message of the user's."""
    act = answer(asked({**MESSAGE, "messages": [{"role": "user", "content": text}], **more}))
    assert isinstance(act, Says)
    return act


def names(act: Says) -> list[str]:
    """Return the names of the tools that are called."""
    return [tool.name for tool in act.tools]


class AnswerTests(SynchronousTestCase):
    """What is said."""

    def test_it_says_what_it_is(self) -> None:
        """The text says that it is simulated, repeats what was asked, and of which model."""
        text = said("Good morning").text
        self.assertTrue(text.startswith("[simulated] "))
        for words in ("ccrelay simulator", "“Good morning”", "claude-opus-5-5", "1 message)"):
            self.assertIn(words, text)

    def test_only_a_little_is_repeated(self) -> None:
        """Of a long text its beginning is repeated, in one line."""
        text = said("first\nsecond " * 50).text
        self.assertIn("“first second first", text)
        self.assertIn("…”", text)
        self.assertLess(len(text), 250)

    def test_the_last_word(self) -> None:
        """What counts is the last text of the user's last message, whatever the system says after it."""
        messages = [
            {"role": "user", "content": "before"},
            {"role": "assistant", "content": "said"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "reminder"}, {"type": "text", "text": "now"}, 5],
            },
            {"role": "system", "content": "after"},
        ]
        act = answer(asked({**MESSAGE, "messages": messages}))
        self.assertIn("“now”", act.text)
        self.assertIn("4 messages", act.text)

    def test_messages_of_any_shape(self) -> None:
        """What the simulator does not understand it answers all the same."""
        for messages in (
            [5],
            [{"role": "assistant"}],
            [{"role": "user"}],
            [{"role": "user", "content": [{}]}],
        ):
            self.assertIn("“”", answer(asked({**MESSAGE, "messages": messages})).text)

    def test_max_tokens(self) -> None:
        """No more is said than the request has room for."""
        act = said("use the tool", max_tokens=2, tools=TOOLS)
        self.assertEqual((act.text, act.stop_reason, act.tools), ("[simulat", "max_tokens", ()))

    def test_pace(self) -> None:
        """It keeps the pace that it is given."""
        self.assertEqual(answer(asked(MESSAGE), 0.5).pace, 0.5)

    def test_thinking(self) -> None:
        """It thinks where it is told to, and keeps it to itself where it is told to."""
        for kind in ("enabled", "adaptive"):
            thinking = said("hm", thinking={"type": kind, "budget_tokens": 1024}).thinking
            self.assertTrue(thinking.startswith("[simulated] "))
        self.assertEqual(said("hm", thinking={"type": "adaptive", "display": "omitted"}).thinking, "")
        for other in (None, {"type": "disabled"}, "enabled"):
            self.assertIsNone(said("hm", thinking=other).thinking)


class ToolTests(SynchronousTestCase):
    """Which tools are called."""

    def test_one(self) -> None:
        """'Use the tool' calls the first that is the client's own, with input that fits it."""
        act = said("Please use the tool.", tools=TOOLS)
        self.assertEqual(act.tools, (Tool("Read", {"path": "simulated"}),))

    def test_by_name(self) -> None:
        """'Use' and a name calls that tool, or several."""
        self.assertEqual(names(said("use Bash", tools=TOOLS)), ["Bash"])
        self.assertEqual(names(said("use Edit and\nRead", tools=TOOLS)), ["Read", "Edit"])
        self.assertEqual(names(said("use BashOutput", tools=TOOLS)), [])

    def test_several(self) -> None:
        """'Use the tools' calls three of them in parallel."""
        self.assertEqual(names(said("use the tools", tools=TOOLS)), ["Read", "Bash", "Edit"])

    def test_none(self) -> None:
        """Without those words no tool is called, lest one runs that nobody meant; nor is one not offered."""
        for words in ("Read the file", "which tools are there?", "the user's toolbox"):
            self.assertEqual(names(said(words, tools=TOOLS)), [])
        for tools in (None, [], [SEARCH], [{**READ, "defer_loading": True}], [5], [{"name": 5}]):
            self.assertEqual(names(said("use the tool", tools=tools)), [])

    def test_a_result(self) -> None:
        """A tool's result is answered with text, so that the turn comes to an end."""
        for content in ("forty-two", [{"type": "text", "text": "forty-two"}]):
            act = said(
                [{"type": "tool_result", "content": content}, {"type": "text", "text": "use the tool"}],
                tools=TOOLS,
            )
            self.assertEqual(act.tools, ())
            self.assertIn("The tool has answered: “forty-two”", act.text)

    def test_tool_choice(self) -> None:
        """What tool_choice demands is done, and what it forbids is not."""

        def chosen(text: str, **choice: Any) -> list[str]:
            return names(said(text, tools=TOOLS, tool_choice=choice))

        self.assertEqual(chosen("hello", type="any"), ["Read"])
        self.assertEqual(chosen("use Bash", type="any"), ["Bash"])
        self.assertEqual(chosen("hello", type="tool", name="Edit"), ["Edit"])
        self.assertEqual(chosen("use the tool", type="none"), [])
        self.assertEqual(chosen("hello", type="auto"), [])
        self.assertEqual(chosen("use the tools", type="auto", disable_parallel_tool_use=True), ["Read"])

    def test_input_that_is_no_object(self) -> None:
        """The input is an object even where the schema is not one's."""
        act = said("use the tool", tools=[{"name": "odd", "input_schema": {"type": "string"}}])
        self.assertEqual(act.tools, (Tool("odd", {}),))


class ComplaintTests(SynchronousTestCase):
    """What the real API would refuse."""

    def test_fields(self) -> None:
        """A field that is missing, or of the wrong kind, is named."""
        wrong: list[tuple[Any, str]] = [
            ({key: value for key, value in MESSAGE.items() if key != "model"}, "model: Field required"),
            ({key: value for key, value in MESSAGE.items() if key != "messages"}, "messages: Field required"),
            (
                {key: value for key, value in MESSAGE.items() if key != "max_tokens"},
                "max_tokens: Field required",
            ),
            ({**MESSAGE, "model": ""}, "model: Input should be a valid string"),
            ({**MESSAGE, "messages": []}, "messages: Input should be a non-empty list"),
            ({**MESSAGE, "max_tokens": True}, "max_tokens: Input should be a valid integer greater than 0"),
            ({**MESSAGE, "max_tokens": 0}, "max_tokens: Input should be a valid integer greater than 0"),
            (b"{", "The request body is not valid JSON: an object was expected"),
            ([], "The request body is not valid JSON: an object was expected"),
        ]
        for body, message in wrong:
            self.assertEqual(answer(asked(body)), Refuses(400, message))

    def test_version(self) -> None:
        """The API's version must be named; any will do."""
        refused = answer(asked(MESSAGE, version=False))
        self.assertEqual(refused, Refuses(400, "anthropic-version: header is required"))


class FaultTests(SynchronousTestCase):
    """Faults on demand."""

    def fault(self, model: str) -> Any:
        """Return the answer of a model, and that of the usual one."""
        return answer(asked({**MESSAGE, "model": model}), 0.1)

    def test_each_has_its_fault(self) -> None:
        """A model of such a name brings its fault; an invalid request is invalid there, too."""
        usual = replace(answer(asked(MESSAGE), 0.1))
        for model in FAULTS:
            self.assertEqual(answer(asked({"model": model})), Refuses(400, "messages: Field required"))
        self.assertEqual(self.fault("simulate-529"), Refuses(529))
        self.assertEqual(self.fault("simulate-429"), Refuses(429, headers=((b"retry-after", b"2"),)))
        self.assertEqual(self.fault("simulate-500"), Refuses(500))
        for model, kind in (
            ("simulate-stall", Stalls),
            ("simulate-hang", Stalls),
            ("simulate-break", Breaks),
            ("simulate-error-event", Errs),
            ("simulate-clean-end", Breaks),
        ):
            act = self.fault(model)
            self.assertIsInstance(act, kind)
            self.assertEqual(act.act.text, usual.text.replace("claude-opus-5-5", model))
        self.assertTrue(self.fault("simulate-hang").before_head)
        self.assertEqual(
            [self.fault(f"simulate-{name}").how for name in ("break", "clean-end")], ["reset", "end"]
        )

    def test_slow(self) -> None:
        """The slow one is slow even where the pace is none."""
        self.assertEqual(self.fault("simulate-slow").pace, 0.1 * SLOW)
        self.assertEqual(answer(asked({**MESSAGE, "model": "simulate-slow"})).pace, 0.5)

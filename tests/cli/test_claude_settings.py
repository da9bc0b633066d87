"""The rules of what is put into Claude Code's settings, and taken out again."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli.claude_settings import BASE_URL, TOKEN, Change, Memory, Unusable, checked, set_up, take_out

URL = "http://127.0.0.1:8787"
JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
ENVS = st.none() | st.dictionaries(st.sampled_from([BASE_URL, TOKEN, "OTHER"]), JSON)


class SettingsTests(SynchronousTestCase):
    """Setting up and taking out are each other's opposite."""

    def test_makes_what_is_missing(self) -> None:
        """Without a file, one with the variables is made; taking them out leaves none."""
        edit = set_up(None, Memory(), {BASE_URL: URL})
        self.assertEqual(
            edit.text, '{\n  "env": {\n    "ANTHROPIC_BASE_URL": "http://127.0.0.1:8787"\n  }\n}\n'
        )
        self.assertIsNone(take_out(edit.text, edit.memory).text)

    def test_what_others_added_stays(self) -> None:
        """A file that we made, and that others wrote to since, keeps what they wrote."""
        edit = set_up(None, Memory(), {BASE_URL: URL})
        text = edit.text.replace("{\n", '{\n  "model": "opus",\n', 1)
        self.assertEqual(json.loads(take_out(text, edit.memory).text), {"model": "opus"})

    def test_what_was_replaced_comes_back(self) -> None:
        """A value that stood there comes back as it was written, even after a second setup."""
        text = '{"env": {"ANTHROPIC_BASE_URL": "https:\\/\\/gateway.example.com"}}'
        first = set_up(text, Memory(), {BASE_URL: URL})
        second = set_up(first.text, first.memory, {BASE_URL: "http://127.0.0.1:1", TOKEN: "sk-test-1"})
        self.assertEqual(take_out(second.text, second.memory).text, text)

    def test_what_the_user_changed_since_stays(self) -> None:
        """A variable that was changed since is the user's: it stays, and is named."""
        edit = set_up("{}", Memory(), {BASE_URL: URL, TOKEN: "sk-test-1"})
        text = edit.text.replace(URL, "https://gateway.example.com")
        out = take_out(text, edit.memory)
        self.assertEqual(json.loads(out.text), {"env": {BASE_URL: "https://gateway.example.com"}})
        self.assertEqual((out.foreign, [change.name for change in out.changes]), ((BASE_URL,), [TOKEN]))

    def test_what_the_user_chose_since_comes_back(self) -> None:
        """A value that the user put in the place of ours is what a later setup replaces, and gives back."""
        first = set_up("{}", Memory(), {BASE_URL: URL})
        theirs = first.text.replace(URL, "https://gateway.example.com")
        second = set_up(theirs, first.memory, {BASE_URL: URL})
        self.assertEqual(take_out(second.text, second.memory).text, theirs)

    def test_what_the_user_removed_since(self) -> None:
        """What is not there any more needs no taking out."""
        edit = set_up("{}", Memory(), {BASE_URL: URL})
        for text in ("{}", '{"env": {}}'):
            self.assertEqual(json.loads(take_out(text, edit.memory).text), {})

    def test_nothing_to_do(self) -> None:
        """What is set already is not ours, and stays when we go."""
        text = json.dumps({"env": {BASE_URL: URL}})
        edit = set_up(text, Memory(), {BASE_URL: URL})
        self.assertEqual((edit.text, edit.changes, edit.memory), (text, (), Memory()))

    def test_changes(self) -> None:
        """What is different is told: for each variable what stood there, and what stands there now."""
        edit = set_up('{"env": {"ANTHROPIC_BASE_URL": 7}}', Memory(), {BASE_URL: URL, TOKEN: "sk-test-1"})
        self.assertEqual(
            edit.changes, (Change(BASE_URL, "7", f'"{URL}"'), Change(TOKEN, None, '"sk-test-1"'))
        )

    def test_unusable(self) -> None:
        """What is no settings is refused with the place and the reason."""
        for text, said in {
            '{\n  "env": {,}\n}': "2:11: ",
            "[]": "no JSON object",
            '{"env": null}': "`env`",
            '{"env": {}} x': "1:13: Extra data",
        }.items():
            self.assertIn(said, str(self.assertRaises(Unusable, checked, text)))

    def test_empty_file(self) -> None:
        """A file with nothing in it is as good as empty settings."""
        self.assertEqual(checked(" \n"), "{}\n")

    def test_memory_is_written_down(self) -> None:
        """What is remembered survives being written down; it holds no token that was put."""
        memory = set_up(
            '{"env": {"ANTHROPIC_BASE_URL": 7}}', Memory(), {BASE_URL: URL, TOKEN: "sk-test-1"}
        ).memory
        self.assertEqual(Memory.from_json(memory.to_json()), memory)
        self.assertNotIn("sk-test-1", memory.to_json())

    def test_broken_memory(self) -> None:
        """A memory that somebody else wrote is refused."""
        for text in (
            "",
            "[]",
            "{}",
            '{"variables": 7}',
            '{"variables": {"A": {}}}',
            '{"variables": {}, "more": 1}',
        ):
            self.assertRaises(Unusable, Memory.from_json, text)

    @given(ENVS, st.sampled_from([None, 2, "\t"]), st.text(max_size=5), st.text(max_size=5))
    def test_taking_out_undoes_setting_up(self, env, style, url, token) -> None:
        """Whatever stood in the settings, taking out leaves the very text that was there."""
        text = json.dumps({"first": [1, 2]} | ({} if env is None else {"env": env}), indent=style)
        edit = set_up(text, Memory(), {BASE_URL: url, TOKEN: token})
        self.assertEqual(json.loads(edit.text)["env"], (env or {}) | {BASE_URL: url, TOKEN: token})
        self.assertEqual(take_out(edit.text, edit.memory).text, text)

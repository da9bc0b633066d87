"""What an operator may do to a running relay, who may, and what stays of it."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Refuses, Says
from tests.network import Answer, http_request
from tests.service.machine import OPERATOR, OPERATORS, TOKEN, Running
from tests.stack import HEADERS, KEY, body

SEEN = {"metrics": {"enabled": True}, "admin": {"token": TOKEN}, "routing": {"max_wait_ms": 0}}
NEW = "sk-test-of-a-new-key-9999"
ACTIONS = {
    "enable": {"provider": "a"}, "disable": {"provider": "a"}, "drain": {"provider": "a"},
    "reset_breaker": {"provider": "a"}, "add_key": {"provider": "a", "key": NEW},
    "remove_key": {"provider": "a", "name": "…cdef"}, "reset_key": {"provider": "a", "name": "…cdef"},
    "strategy": {"strategy": "round_robin"}, "reload": {}, "revert": {},
}  # fmt: skip


def without(name: str) -> tuple[tuple[str, str], ...]:
    """Return an operator's headers without one."""
    return tuple(pair for pair in OPERATOR if pair[0] != name)


class WhoTests(SynchronousTestCase):
    """Only an operator may."""

    def refused(
        self, running: Running, headers: tuple[tuple[str, str], ...], status: int, words: str
    ) -> None:
        """Assert that none of all actions is done, and that the log says who wanted it."""
        for action, asked in ACTIONS.items():
            before = running.status["providers"], running.reads
            answer = running.order(action, headers, **asked)
            self.assertEqual(answer[0], status, action)
            self.assertIn(words, answer[1])
            self.assertEqual((running.status["providers"], running.reads), before)
            line = running.lines[-1]["fields"]
            self.assertEqual((line["action"], line["outcome"]), (action, "refused"))

    def test_no_token_shown(self) -> None:
        """Without the token nothing is done."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        self.refused(running, without("authorization"), 401, "Show admin.token as Authorization: Bearer.")

    def test_wrong_token(self) -> None:
        """With another token nothing is done, and the log has neither of them."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for shown in ("Bearer wrong-token-5678", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}"):
            answer = running.order("disable", (*OPERATOR[:2], ("authorization", shown)), provider="a")
            self.assertEqual(answer[0], 401, shown)
        said = str(running.lines)
        self.assertNotIn("wrong-token-5678", said)
        self.assertNotIn(TOKEN, said)

    def test_no_token_configured(self) -> None:
        """Where no token is configured nobody can show one; the answer says what to do."""
        running = Running(self, {"a": [Says("x")]}, metrics={"enabled": True})
        self.refused(running, OPERATOR, 403, "set admin.token, or admin.socket and ask over that")
        self.assertEqual(running.status["admin"], "none")

    def test_a_key_of_a_client_is_no_token(self) -> None:
        """What lets clients in lets no operator in."""
        running = Running(self, {"a": [Says("x")]}, server={"auth": {"api_key": "sk-test-client"}}, **SEEN)
        shown = (*OPERATOR[:2], ("authorization", "Bearer sk-test-client"))
        self.assertEqual(running.order("disable", shown, provider="a")[0], 401)

    def test_web_pages(self) -> None:
        """A page of another origin may not, be it with the token; nor may a form of any page."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for headers, status in (
            ((*OPERATOR, ("origin", "http://evil.example")), 403),
            ((*OPERATOR, ("origin", "null")), 403),
            ((*OPERATOR, ("sec-fetch-site", "cross-site")), 403),
            ((*OPERATOR, ("sec-fetch-site", "same-site")), 403),
            ((*without("content-type"), ("content-type", "text/plain")), 415),
            ((*without("content-type"), ("content-type", "application/x-www-form-urlencoded")), 415),
            (without("content-type"), 415),
            ((("host", "evil.example"), *OPERATOR[1:]), 403),
        ):
            self.assertEqual(running.order("disable", headers, provider="a")[0], status, headers)
        own = (*OPERATOR, ("origin", "http://localhost:9100"), ("sec-fetch-site", "same-origin"))
        self.assertEqual(running.order("disable", own, provider="a")[0], 200)

    def test_reading_does_not_act(self) -> None:
        """A GET acts on nothing, whatever it is for."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for action in ACTIONS:
            self.assertEqual(running.look(f"/admin/{action}", OPERATOR).status, 404, action)
        self.assertEqual(running.status["changes"], [])

    def test_a_new_token(self) -> None:
        """After a reload the new token counts, and the old one no more."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        running.reload(admin={"token": "test-another-token-0001"})
        self.assertEqual(running.order("disable", provider="a")[0], 401)
        shown = (*OPERATOR[:2], ("authorization", "Bearer test-another-token-0001"))
        self.assertEqual(running.order("disable", shown, provider="a")[0], 200)


class WordsTests(SynchronousTestCase):
    """What is asked must make sense."""

    def test_bad_input(self) -> None:
        """What cannot be is answered with what is wrong and what there is; nothing changes."""
        running = Running(self, {"a": [Says("x")], "b": [Says("x")]}, **SEEN)
        for action, asked, status, words in (
            ("nonsense", {}, 404, "There is no action 'nonsense'; there are: enable, disable, drain"),
            ("disable", {}, 400, "disable: Object missing required field `provider`"),
            ("disable", {"provider": 5}, 400, "Expected `str`, got `int` - at `$.provider`"),
            ("disable", {"provider": "a", "x": 1}, 400, "unknown field `x`"),
            ("disable", {"provider": "c"}, 404, "There is no provider 'c'; there are: a, b."),
            ("reset_key", {"provider": "a", "name": "z"}, 404, "a has no key 'z'; it has: …cdef."),
            ("remove_key", {"provider": "a", "name": "z"}, 404, "a has no key 'z'; it has: …cdef."),
            ("add_key", {"provider": "a", "key": ""}, 400, "key"),
            ("add_key", {"provider": "a", "key": NEW, "rpm_limit": -1}, 400, "rpm_limit"),
            ("add_key", {"provider": "a", "key": KEY}, 409, "a has this key already; it is called …cdef."),
            ("strategy", {"strategy": "best"}, 400, "There is no strategy 'best'; there are: failover, "),
        ):
            answer = running.order(action, **asked)  # type: ignore[arg-type]
            self.assertEqual(answer[0], status, answer)
            self.assertIn(words, answer[1])
        self.assertEqual(running.status["changes"], [])
        self.assertNotIn(NEW, str(running.lines))

    def test_not_json(self) -> None:
        """What is no JSON is a 400."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for content in (b"{", b"[]", b"\xff", b"[" * 100_000):
            peer = running.connect(OPERATORS)
            peer.send(http_request("POST", "/admin/disable", OPERATOR, content))
            running.go()
            self.assertEqual(running.answer(peer).status, 400, content[:9])


class DoneTests(SynchronousTestCase):
    """What is done, and how it shows."""

    def test_disable_and_enable(self) -> None:
        """A disabled provider gets no request, what runs there goes on, and it comes back."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        self.assertIn(b'"a"', running.ask().body)
        self.assertEqual(running.order("disable", provider="a")[0], 200)
        self.assertIn(b'"b"', running.ask().body)
        first = running.status["providers"][0]
        self.assertEqual((first["standing"], first["enabled"]), ("disabled", False))
        self.assertEqual(first["changed"], ["enabled"])
        self.assertEqual(running.status["changes"], ["provider a disabled"])
        self.assertEqual(running.order("enable", provider="a")[0], 200)
        self.assertEqual(running.status["changes"], [])
        self.assertIn(b'"a"', running.ask(body(messages=[{"role": "user", "content": "new"}])).body)

    def test_drain(self) -> None:
        """A draining provider keeps its conversations and gets no new ones while others can serve."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        self.assertIn(b'"a"', running.ask().body)
        running.order("drain", provider="a")
        self.assertEqual(running.status["providers"][0]["standing"], "draining")
        self.assertIn(b'"a"', running.ask().body)
        self.assertIn(b'"b"', running.ask(body(messages=[{"role": "user", "content": "another"}])).body)
        running.order("disable", provider="b")
        self.assertIn(b'"a"', running.ask(body(messages=[{"role": "user", "content": "a third"}])).body)
        running.order("enable", provider="a")
        self.assertEqual(running.status["providers"][0]["standing"], "ready")

    def test_drain_in_turns(self) -> None:
        """Where providers take turns, the one that is draining has none."""
        settings = SEEN | {"routing": {"strategy": "round_robin", "affinity": {"enabled": False}}}
        running = Running(self, {"a": [Says("a")], "b": [Says("b")], "c": [Says("c")]}, **settings)
        running.order("drain", provider="b")
        for _ in range(6):
            running.ask()
        self.assertEqual([len(running.asked(name)) for name in "abc"], [3, 0, 3])

    def test_reset_breaker(self) -> None:
        """A circuit that was reset lets everything through again."""
        running = Running(self, {"a": [Refuses(500)] * 5 + [Says("a")], "b": [Says("b")]}, **SEEN)
        for number in range(5):
            running.ask(body(messages=[{"role": "user", "content": str(number)}]))
        self.assertEqual(running.status["providers"][0]["standing"], "open")
        self.assertEqual(running.order("reset_breaker", provider="a"), (200, "the circuits of a are closed"))
        self.assertEqual(running.status["providers"][0]["standing"], "ready")
        self.assertIn(b'"a"', running.ask(body(messages=[{"role": "user", "content": "new"}])).body)

    def test_keys(self) -> None:
        """A key that is added is used with its limits; one that is removed is not used, be it the file's."""
        running = Running(self, {"a": [Says("a")]}, **SEEN)
        done = running.order("add_key", provider="a", key=NEW, name="new", rpm_limit=9)
        self.assertEqual(done, (200, "key new of a is added; put it into the file to keep it"))
        keys = running.status["providers"][0]["keys"]
        self.assertEqual([(k["name"], k["changed"]) for k in keys], [("…cdef", False), ("new", True)])
        self.assertEqual(keys[1]["usage"][0]["limit"], 9)
        self.assertEqual(running.order("remove_key", provider="a", name="…cdef")[0], 200)
        self.assertEqual(running.status["changes"], ["key new of a added", "key …cdef of a removed"])
        running.ask()
        self.assertEqual([dict(asked.headers)[b"x-api-key"] for asked in running.asked("a")], [NEW.encode()])
        running.order("revert")
        self.assertEqual([key["name"] for key in running.status["providers"][0]["keys"]], ["…cdef"])
        self.assertNotIn(NEW, str(running.lines))

    def test_the_last_key(self) -> None:
        """A provider that needs a key keeps its last one."""
        running = Running(self, {"a": [Says("a")]}, **SEEN)
        status, words = running.order("remove_key", provider="a", name="…cdef")
        self.assertEqual(status, 409)
        self.assertIn("keys", words)
        self.assertEqual(running.ask().status, 200)

    def test_reset_key(self) -> None:
        """What is held against a key is forgotten."""
        running = Running(self, {"a": [Refuses(401), Says("a")]}, **SEEN)
        running.ask()
        self.assertEqual(running.status["providers"][0]["keys"][0]["standing"], "invalid")
        done = running.order("reset_key", provider="a", name="…cdef")
        self.assertEqual(done, (200, "key …cdef of a is ready"))
        self.assertEqual(running.ask().status, 200)

    def test_reset_after_other_refusals(self) -> None:
        """So are waits that were asked for, and a quota that is used up."""
        for refusal in (Refuses(402), Refuses(403), Refuses(429, headers=((b"retry-after", b"500"),))):
            running = Running(self, {"a": [refusal, Says("a")]}, **SEEN)
            running.ask()
            self.assertNotEqual(running.ask().status, 200)
            running.order("reset_key", provider="a", name="…cdef")
            self.assertEqual(running.ask().status, 200, refusal)

    def test_strategy(self) -> None:
        """Another strategy is in use at once, and shown as not the file's."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        done = running.order("strategy", strategy="round-robin")
        self.assertEqual(done, (200, "the strategy is round_robin"))
        status = running.status
        self.assertEqual((status["strategy"]["name"], status["strategy"]["changed"]), ("round_robin", True))
        self.assertEqual(status["changes"], ["strategy round_robin in place of failover"])
        for number in range(4):
            running.ask(body(messages=[{"role": "user", "content": str(number)}]))
        self.assertEqual([len(running.asked(name)) for name in "ab"], [2, 2])
        running.order("strategy", strategy="failover")
        self.assertFalse(running.status["strategy"]["changed"])

    def test_they_outlive_a_reload(self) -> None:
        """Changes stay when the file is read anew, apart from it, and end where it says the same."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        running.order("disable", provider="a")
        running.order("add_key", provider="b", key=NEW)
        self.assertEqual(running.order("reload"), (200, "the configuration is reloaded"))
        self.assertEqual(running.status["changes"], ["provider a disabled", "key …9999 of b added"])
        running.providers["a"]["enabled"] = False
        running.providers["b"]["keys"] = [{"key": KEY}, {"key": NEW}]
        running.reload()
        self.assertEqual(running.status["changes"], [])
        self.assertEqual(running.status["providers"][0]["standing"], "disabled")
        del running.providers["b"]
        running.providers["a"]["enabled"] = True
        running.reload()
        self.assertEqual(running.status["providers"][0]["standing"], "ready")

    def test_a_reload_that_fails(self) -> None:
        """A file that cannot be used is a 409 with the words; the old configuration serves on."""
        running = Running(self, {"a": [Says("a")]}, **SEEN)
        running.broken = ConfigError(("config.yaml:3: providers: what is wrong",))
        status, words = running.order("reload")
        self.assertEqual(status, 409)
        self.assertIn("the old configuration stays in use: config.yaml:3: providers: what is wrong", words)
        self.assertEqual(running.ask().status, 200)

    def test_state_is_kept(self) -> None:
        """What is known of other providers, of keys and of conversations outlives a change."""
        running = Running(self, {"a": [Refuses(401)], "b": [Says("b")], "c": [Says("c")]}, **SEEN)
        running.ask()
        running.order("disable", provider="c")
        status = running.status
        self.assertEqual(status["providers"][0]["keys"][0]["standing"], "invalid")
        self.assertEqual(status["affinity"]["conversations"], 1)
        self.assertEqual(status["totals"]["requests"], 1)

    def test_revert(self) -> None:
        """All that was changed is taken back, and the words say what that was."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        running.order("disable", provider="a")
        running.order("drain", provider="b")
        done = running.order("revert")
        self.assertEqual(done, (200, "taken back: provider a disabled; provider b draining"))
        self.assertEqual(running.status["changes"], [])
        self.assertEqual(running.order("revert"), (200, "nothing was changed at run time"))

    def test_the_line_in_the_log(self) -> None:
        """Each change is a line: what, of what, by whom, and what came of it."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        running.order("disable", provider="a")
        (line,) = [line["fields"] for line in running.lines if line["message"] == "admin"]
        self.assertEqual((line["action"], line["provider"], line["outcome"]), ("disable", "a", "done"))
        self.assertRegex(line["by"], r"^127\.0\.0\.1:\d+$")
        running.order("disable", provider="z")
        line = running.lines[-1]["fields"]
        self.assertEqual((line["outcome"], line["provider"]), ("not done", "z"))

    def test_who_hangs_up(self) -> None:
        """An operator who hangs up does not cut the change short."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")]}, **SEEN)
        peer = running.connect(OPERATORS)
        peer.send(http_request("POST", "/admin/disable", OPERATOR, b'{"provider":"a"}'))
        peer.reset()
        running.go()
        self.assertIn(running.status["changes"], ([], ["provider a disabled"]))
        self.assertEqual(running.order("enable", provider="a")[0], 200)


class ExplainTests(SynchronousTestCase):
    """C{/admin/explain}: the dry run, over the listener."""

    def explain(self, running: Running, **asked: Any) -> Answer:
        """Return the answer to an order to explain."""
        peer = running.connect(OPERATORS)
        peer.send(http_request("POST", "/admin/explain", OPERATOR, json.dumps(asked).encode()))
        running.go()
        return running.answer(peer)

    def test_explained(self) -> None:
        """A body, or a model alone, is explained as the relay stands, and goes nowhere."""
        running = Running(self, {"a": [Says("a")], "b": [Says("b")], "c": [Says("c")]}, **SEEN)
        running.order("disable", provider="a")
        session = {"x-claude-code-session-id": "s1"}
        running.ask(headers=[*HEADERS, *session.items()])
        request = json.loads(body())
        for asked in ({"request": request}, {"request": request, "headers": session}, {"model": "m"}):
            answer = self.explain(running, **asked)
            told = json.loads(answer.body)
            self.assertEqual(answer.status, 200)
            self.assertEqual([one["provider"] for one in told["candidates"]], ["b", "c"])
            self.assertEqual(told["left_out"], [{"provider": "a", "reason": "disabled"}])
            self.assertEqual(told["place"], "b/…cdef" if "headers" in asked else None)
        self.assertEqual(len(running.asked("b")), 1)

    def test_not_explained(self) -> None:
        """What is no request, and a client that is not there, are told; without the token nothing is."""
        running = Running(self, {"a": [Says("a")]}, **SEEN)
        for asked, status, words in (
            ({}, 400, "say which request, or which model"),
            ({"request": {"model": 5}}, 400, "Field required"),
            ({"model": "m", "client": "ann"}, 404, "There is no client 'ann'; there are: none."),
        ):
            answer = self.explain(running, **asked)  # type: ignore[arg-type]
            self.assertEqual(answer.status, status)
            self.assertIn(words, answer.body.decode())
        self.assertEqual(running.order("explain", without("authorization"), model="m")[0], 401)

"""The rules of the simulator: its endpoints, its records, and what it does without a script."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import readBody

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.app import Simulator
from ccrelay.simulator.script import Script
from tests.network import parse, sse
from tests.simulator.stage import MESSAGE, STREAM, VERSION, Stage


class EndpointTests(SynchronousTestCase):
    """What is answered where."""

    def get(self, target: str, method: str = "GET", body: Any = None) -> Any:
        """Ask, check the request-id, and return the answer."""
        self.stage = Stage()
        self.stage.ask(body, target, method)
        answer = parse(self.stage.peer.received, head=method == "HEAD")
        self.assertTrue(answer.complete)
        self.assertEqual(answer.headers["request-id"], "req_sim_00000001")
        self.assertNotIn("server", answer.headers)
        return answer

    def test_messages(self) -> None:
        """Messages are answered whole or as a stream, under any prefix, with any query."""
        for prefix in ("", "/anthropic", "/api/anthropic"):
            whole = self.get(f"{prefix}/v1/messages?beta=true", "POST", MESSAGE)
            self.assertIn("ccrelay simulator", json.loads(whole.body)["content"][0]["text"])
            stream = self.get(f"{prefix}/v1/messages", "POST", STREAM)
            self.assertEqual(sse(stream.body)[-1][0], "message_stop")
            self.assertEqual(stream.headers["transfer-encoding"], "chunked")

    def test_count_tokens(self) -> None:
        """Tokens are counted as the message would be charged, without max_tokens."""
        body = {key: value for key, value in MESSAGE.items() if key != "max_tokens"}
        counted = json.loads(self.get("/v1/messages/count_tokens?beta=true", "POST", body).body)
        charged = json.loads(self.get("/v1/messages", "POST", MESSAGE).body)["usage"]["input_tokens"]
        self.assertEqual(counted, {"input_tokens": charged})
        self.assertGreater(charged, 0)
        self.assertEqual(self.get("/v1/messages/count_tokens", "POST", {"model": "m"}).status, 400)

    def test_models(self) -> None:
        """The models are listed, and any can be looked up, with slashes in its name too."""
        for prefix in ("", "/anthropic"):
            page = json.loads(self.get(f"{prefix}/v1/models?limit=1").body)
            self.assertEqual([entry["id"] for entry in page["data"]], ["ccrelay-simulator"])
            self.assertEqual(json.loads(self.get(f"{prefix}/v1/models/a%2Fb").body)["id"], "a/b")

    def test_root(self) -> None:
        """The root answers, as Claude Code asks of it."""
        self.assertTrue(json.loads(self.get("/").body)["simulated"])
        answer = self.get("/", "HEAD")
        self.assertEqual((answer.status, answer.body, answer.rest), (200, b"", b""))

    def test_elsewhere(self) -> None:
        """Anything else is not found, in Anthropic's words; a wrong method is told the right one."""
        for target in ("/v2/messages", "/v1/messages/", "//v1//messages", "/v1", "/v1/models/"):
            answer = self.get(target, "POST", MESSAGE)
            self.assertEqual(
                (answer.status, json.loads(answer.body)["error"]["type"]), (404, "not_found_error")
            )
        for target, allowed in (
            ("/v1/messages", "POST"),
            ("/v1/messages/count_tokens", "POST"),
            ("/", "GET, HEAD"),
        ):
            answer = self.get(target, "PUT", MESSAGE)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, allowed))

    def test_invalid_requests(self) -> None:
        """What the real API refuses is refused, in its envelope."""
        answer = self.get("/v1/messages", "POST", {"model": "m", "messages": [{}]})
        error = json.loads(answer.body)
        self.assertEqual((answer.status, error["error"]["message"]), (400, "max_tokens: Field required"))
        self.assertEqual(error["request_id"], answer.headers["request-id"])

    def test_strange_bytes(self) -> None:
        """What a user wrote comes back, whatever signs are in it."""
        body = (
            b'{"model":"m","max_tokens":99,'
            b'"messages":[{"role":"user","content":"\\u0000 \xc3\xa9 \\ud83d\\ude00"}]}'
        )
        self.assertIn("é 😀", json.loads(self.get("/v1/messages", "POST", body).body)["content"][0]["text"])


class ScriptTests(SynchronousTestCase):
    """Who answers."""

    def test_a_script_is_first(self) -> None:
        """The script answers what it has acts for, the scenario the rest."""
        stage = Stage(Script([Says("scripted")], {"/model/*": [Refuses(424)], "/": [Refuses(503)]}))
        stage.ask({})
        self.assertIn(b"scripted", stage.answer().body)
        for target, method, status in (
            ("/v1/models", "GET", 200),
            ("/v1/messages/count_tokens", "POST", 200),
            ("/model/a:b/invoke", "POST", 424),
            ("/", "HEAD", 503),
            ("/", "DELETE", 503),
        ):
            stage.ask(MESSAGE, target, method)
            self.assertEqual(stage.answer().status, status)

    def test_a_scenario(self) -> None:
        """Without a script a scenario answers, with its share of faults."""
        stage = Stage(scenario="overloaded")
        stage.ask()
        self.assertEqual(stage.answer().status, 529)
        stage = Stage(error_rate=1.0, random=Random(1))
        stage.ask(MESSAGE)
        self.assertNotEqual((stage.answer().status, stage.answer().complete), (200, True))

    def test_no_such_scenario(self) -> None:
        """A scenario that cannot be had is a mistake of the configuration."""
        self.assertRaises(ConfigError, Simulator, Clock(), scenario="sunny")

    def test_the_usual_pace(self) -> None:
        """Unless told otherwise an event comes every twenty milliseconds, about as fast as a model's."""
        stage = Stage()
        stage.simulator = Simulator(stage.clock)
        stage.network.listen("upstream", stage.simulator.site)
        stage.ask()
        stage.network.go(0.05)
        self.assertEqual(len(stage.answer().chunks), 3)


class RecordTests(SynchronousTestCase):
    """What is remembered."""

    def test_a_request(self) -> None:
        """A record has the request as it came."""
        stage = Stage()
        record = stage.ask(MESSAGE, "/v1/messages?beta=true")
        self.assertEqual((record.number, record.method, record.target), (1, "POST", "/v1/messages?beta=true"))
        self.assertEqual(record.json, MESSAGE)
        self.assertEqual(record.header("Anthropic-Version"), VERSION[1])
        self.assertEqual(dict(record.headers)[b"host"], b"relay.test")
        self.assertEqual(record.at, 0.0)

    def test_all_requests(self) -> None:
        """Everything is remembered, in order: what was refused, and what was not found."""
        stage = Stage()
        stage.ask({})
        stage.ask_again(None, "/v1/models", "GET")
        stage.ask(None, "/nowhere", "GET")
        self.assertEqual(
            [one.path for one in stage.simulator.asked], ["/v1/messages", "/v1/models", "/nowhere"]
        )
        self.assertEqual([one.number for one in stage.simulator.asked], [1, 2, 3])

    def test_no_more_than_asked_for(self) -> None:
        """Only so many records are kept, and none where none are wanted; all are counted."""
        stage = Stage(remember=2)
        for _ in range(4):
            stage.ask()
        self.assertEqual([one.number for one in stage.simulator.asked], [3, 4])
        stage = Stage(remember=0)
        stage.peer = stage.network.connect("upstream")
        stage.ask_again()
        self.assertEqual((stage.simulator.asked, stage.simulator.count), ([], 1))

    def test_ids(self) -> None:
        """Each answer has its own ids."""
        stage = Stage()
        ids = set()
        for _ in range(3):
            stage.ask(MESSAGE)
            ids |= {json.loads(stage.answer().body)["id"], stage.answer().headers["request-id"]}
        self.assertEqual(len(ids), 6)

    def test_open_requests(self) -> None:
        """The requests under way are counted."""
        stage = Stage(pace=1.0)
        stage.ask()
        stage.ask()
        self.assertEqual(stage.simulator.open_requests, 2)
        stage.network.go(600.0)
        self.assertEqual(stage.simulator.open_requests, 0)
        self.assertFalse(stage.simulator.asked[0].gone)

    def test_waiting_for_a_request(self) -> None:
        """One can wait for the first request, or the third, remembered or not."""
        for remember in (0, 10):
            stage = Stage(remember=remember)
            waiting = [stage.simulator.when_asked(number) for number in (1, 3)]
            stage.peer = stage.network.connect("upstream")
            stage.ask_again()
            self.assertEqual(self.successResultOf(waiting[0]).number, 1)
            stage.ask_again()
            self.assertNoResult(waiting[1])
            stage.ask_again()
            self.assertEqual(self.successResultOf(waiting[1]).number, 3)
        self.assertEqual(self.successResultOf(stage.simulator.when_asked(2)).number, 2)


class OtherSiteTests(SynchronousTestCase):
    """A simulator behind another site than its own."""

    def test_in_memory(self) -> None:
        """Its resource works behind treq's agent in memory."""
        simulator = Simulator(Clock(), script=Script([Says("Hello")]))
        agent = RequestTraversalAgent(simulator.resource())
        response = self.successResultOf(agent.request(b"POST", b"http://simulator/v1/messages"))
        self.assertFalse(response.headers.hasHeader("server"))
        self.assertEqual(json.loads(self.successResultOf(readBody(response)))["content"][0]["text"], "Hello")
        self.assertFalse(simulator.asked[0].open)

"""The listener for operators: what it shows of a running relay, and that it may be missing."""

import io
import json
import re
from collections.abc import Callable
from typing import Any
from unittest import mock

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.config.model import Settings
from ccrelay.config.read import Loaded
from ccrelay.errors import ConfigError
from ccrelay.observe.metrics import METRICS, NAMES
from ccrelay.observe.status import VERSION
from ccrelay.service.root import Ccrelay
from ccrelay.simulator.acts import Refuses, Says, Sends
from ccrelay.simulator.script import Script
from tests.network import http_request
from tests.service.machine import OPERATORS, TOKEN, USUAL, Running
from tests.stack import HEADERS, body

SEEN = {"metrics": {"enabled": True}, "admin": {"token": TOKEN}}
ONE_PLACE = {"routing": {"max_wait_ms": 0}}
MODEL = 'model="claude-sonnet-4-5"'


class ListenerTests(SynchronousTestCase):
    """Where operators are listened to."""

    def test_the_usual_address_is_taken(self) -> None:
        """Where another program has the default address, one warning says so, and clients are served."""
        running = Running(self, {"a": [Says("x")]}, metrics={"enabled": False})
        running.machine.taken.add(9100)
        running.reload(metrics={"enabled": True})
        (line,) = running.said("cannot listen")
        self.assertIn(f"cannot listen on {OPERATORS}: Address already in use.", line)
        self.assertIn("set metrics.listen to another address", line)
        self.assertEqual(running.ask().status, 200)
        running.machine.taken.clear()
        running.reload()
        self.assertEqual(running.doors, [USUAL, OPERATORS])

    def test_a_written_address_is_taken(self) -> None:
        """An address that the operator wrote must be had: a reload without it changes nothing."""
        running = Running(self, {"a": [Says("x")]})
        running.machine.taken.add(9100)
        running.reload(metrics={"enabled": True, "listen": OPERATORS})
        (line,) = running.said("not reloaded")
        self.assertIn(f"cannot listen on {OPERATORS}", line)
        self.assertEqual(running.doors, [USUAL])

    def test_taken_at_the_start(self) -> None:
        """At the start a default that is taken is a warning; an address that was written ends it."""
        running = Running(self, {"a": [Says("x")]}, taken={9100}, **SEEN)
        self.assertEqual((running.doors, len(running.said("cannot listen"))), ([USUAL], 1))
        self.assertEqual(running.ask().status, 200)
        err = io.StringIO()
        written = {"metrics": {"listen": OPERATORS}, "providers": [{"name": "a", "type": "simulator"}]}
        with mock.patch("sys.__stderr__", err):
            relay = Ccrelay(Loaded(Settings.model_validate(written), (), "a file"), running.machine)
            end = self.assertRaises(SystemExit, relay.privilegedStartService)
        self.assertEqual(end.code, 69)
        self.assertIn(f"ccrelay: cannot listen on {OPERATORS}: Address already in use. ", err.getvalue())
        self.assertIn("set metrics.listen to another address", err.getvalue())

    def test_switched_off_and_on(self) -> None:
        """It comes and goes with a reload; clients do not notice."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        self.assertEqual(running.doors, [USUAL, OPERATORS])
        running.reload(metrics={"enabled": False})
        self.assertEqual(running.doors, [USUAL])
        running.reload(metrics={"enabled": True, "listen": "127.0.0.1:9200"})
        self.assertEqual(running.doors, [USUAL, "127.0.0.1:9200"])
        self.assertEqual(running.ask().status, 200)

    def test_nothing_of_it_on_the_clients_listener(self) -> None:
        """Clients find neither metrics nor status nor admin where they ask."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for path in ("/metrics", "/status", "/status/events", "/page/status.js", "/admin/reload"):
            self.assertEqual(running.get(path).status, 404, path)

    def test_messages_are_not_here(self) -> None:
        """Operators find the status, and are told so where they ask for something else."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        answer = running.look("/v1/messages")
        self.assertEqual(answer.status, 404)
        self.assertIn(b"metrics are at /metrics, the status at /status", answer.body)

    def test_foreign_pages(self) -> None:
        """A page of another origin, or under another name, sees nothing; its own page does."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        own = ("origin", "http://localhost:9100")
        for headers, status in (
            ((("host", "localhost:9100"),), 200),
            ((("host", "localhost:9100"), own), 200),
            ((("host", "localhost:9101"), own), 403),
            ((("host", "localhost:9100"), ("origin", "http://evil.example")), 403),
            ((("host", "localhost:9100"), ("origin", "null")), 403),
            ((("host", "evil.example:9100"), ("origin", "http://evil.example:9100")), 403),
        ):
            for path in ("/status", "/metrics"):
                self.assertEqual(running.look(path, headers).status, status, headers)
        running.reload(metrics={"enabled": True, "allowed_hosts": ["Relay.Example"]})
        self.assertEqual(running.look("/status", (("host", "relay.example:9100"),)).status, 200)
        words = running.look("/status", (("host", "other.example"),)).body
        self.assertIn(b"add it to metrics.allowed_hosts", words)

    def test_ready_and_healthy(self) -> None:
        """C{/health} and C{/ready} answer here as they do for clients."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        self.assertEqual((running.look("/health").status, running.look("/ready").status), (200, 200))
        running.order("disable", provider="a")
        self.assertEqual(running.look("/ready").status, 503)
        self.assertEqual(running.status["ready"], "no provider is enabled")

    def test_the_page_says_what_it_may_do(self) -> None:
        """The page and its parts come with a policy under which nothing else can be loaded or run."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        page = running.look("/")
        self.assertEqual((page.status, page.headers.get("content-type")), (200, "text/html; charset=utf-8"))
        policy = page.headers.get("content-security-policy")
        self.assertTrue(policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), policy)
        self.assertNotIn("unsafe", policy)
        for name, kind in (("status.js", "text/javascript"), ("status.css", "text/css")):
            part = running.look(f"/page/{name}")
            self.assertEqual((part.status, part.headers.get("content-type")), (200, f"{kind}; charset=utf-8"))
            self.assertEqual(part.headers.get("x-content-type-options"), "nosniff")
        self.assertEqual(running.look("/page/..%2fadmin.py").status, 400)
        self.assertEqual(running.look("/page/index.html").status, 404)


class MetricsTests(SynchronousTestCase):
    """What Prometheus reads."""

    def test_all_are_there(self) -> None:
        """Every metric is described, has a text, and none is there that is not known by its name."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        running.ask()
        text = running.look("/metrics").body.decode()
        types = dict(re.findall(r"^# TYPE (ccrelay_\w+) (\w+)$", text, re.MULTILINE))
        self.assertEqual(types, {name: each.kind for name, each in METRICS.items()})
        helped = re.findall(r"^# HELP (ccrelay_\w+) \S+", text, re.MULTILINE)
        self.assertEqual(sorted(helped), sorted(NAMES))

    def test_another_path(self) -> None:
        """Metrics are where C{metrics.path} says, and nowhere else."""
        running = Running(self, {"a": [Says("x")]}, metrics={"enabled": True, "path": "/internal/metrics"})
        self.assertEqual(running.look("/internal/metrics").status, 200)
        self.assertEqual(running.look("/metrics").status, 404)
        running.reload(metrics={"enabled": True})
        self.assertEqual(running.look("/metrics").status, 200)

    def test_a_request(self) -> None:
        """A request counts with its attempts, its tokens and its times."""
        running = Running(self, {"a": [Says("one two")]}, **SEEN)
        running.ask(body(stream=True))
        running.ask()
        self.assertEqual(
            running.metrics("ccrelay_requests_total", "ccrelay_attempts_total"),
            {
                f'ccrelay_requests_total{{code="2xx",{MODEL},provider="a",stream="true"}}': 1.0,
                f'ccrelay_requests_total{{code="2xx",{MODEL},provider="a",stream="false"}}': 1.0,
                'ccrelay_attempts_total{outcome="ok",provider="a"}': 2.0,
            },
        )
        tokens = running.metrics("ccrelay_tokens_total")
        kind = 'ccrelay_tokens_total{kind="%s",model="claude-sonnet-4-5",provider="a"}'
        kinds = ("input", "output", "cache_read", "cache_write")
        self.assertEqual(set(tokens), {kind % name for name in kinds})
        self.assertGreater(tokens[kind % "output"], 0)
        for name in ("time_to_first_byte", "request_duration"):
            counted = running.metrics(f"ccrelay_{name}_seconds_count")
            self.assertEqual(counted, {f'ccrelay_{name}_seconds_count{{provider="a"}}': 2.0})
        own = "ccrelay_own_time_seconds_count"
        self.assertEqual(running.metrics(own), {own: 2.0})

    def test_own_time(self) -> None:
        """The relay's own share of the time to first byte is neither the client's nor the provider's."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        peer = running.connect()
        request = http_request("POST", "/v1/messages", HEADERS, body())
        peer.send(request[:-5])
        running.go(9)  # the client is slow, and so is the way there
        peer.send(request[-5:])
        running.go()
        self.assertEqual(running.answer(peer).status, 200)
        own = "ccrelay_own_time_seconds_sum"
        self.assertEqual(running.metrics(own), {own: 0.0})
        waited = running.metrics("ccrelay_time_to_first_byte_seconds_sum")
        self.assertEqual(set(waited.values()), {9.0})

    def test_failover(self) -> None:
        """A request that left a provider counts once, with the reason and under who answered it."""
        running = Running(self, {"a": [Refuses(529)], "b": [Says("x")]}, **SEEN, **ONE_PLACE)
        running.ask()
        self.assertEqual(
            running.metrics("ccrelay_failovers_total", "ccrelay_requests_total"),
            {
                'ccrelay_failovers_total{provider="a",reason="busy"}': 1.0,
                f'ccrelay_requests_total{{code="2xx",{MODEL},provider="b",stream="false"}}': 1.0,
            },
        )

    def test_what_nobody_answers(self) -> None:
        """A request that nobody could serve counts with the class of its status."""
        running = Running(self, {"a": [Refuses(500)]}, **SEEN, **ONE_PLACE)
        running.ask()
        self.assertEqual(
            list(running.metrics("ccrelay_requests_total")),
            ['ccrelay_requests_total{code="5xx",model="other",provider="a",stream="false"}'],
        )

    def test_invented_models(self) -> None:
        """Ten thousand models that clients invent are no more than a hundred and one series."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        ledger = running.relay._operations.ledger
        running.ask()
        ended = ledger.recent[-1].request
        for number in range(10_000):
            attempt = replace(ended.attempts[0], model=f"m{number}")
            ledger.request_ended(replace(ended, model=f"m{number}", attempts=(attempt,)))
        names = running.metrics("ccrelay_requests_total")
        self.assertEqual(len(names), 101)
        self.assertIn('ccrelay_requests_total{code="2xx",model="other",provider="a",stream="false"}', names)
        self.assertLess(len(running.metrics("ccrelay_tokens_total")), 500)
        self.assertLess(len(running.look("/metrics").body), 200_000)

    def test_unanswered_models_have_no_name(self) -> None:
        """A model that was never answered has no series of its own, but one that an operator names has."""
        fields = {"a": {"model_mapping": {"claude-named": "their-named", "claude-p*": "their-pattern"}}}
        running = Running(self, {"a": [Refuses(404)]}, fields, **SEEN)
        for model in ("claude-named", "claude-pattern", "claude-invented"):
            running.ask(body(model=model))
        models = set(re.findall('model="([^"]*)"', " ".join(running.metrics("ccrelay_requests_total"))))
        self.assertEqual(models, {"their-named", "their-pattern", "other"})

    def test_listed_models(self) -> None:
        """A model that a provider has listed is known before it was ever answered."""
        listed = Sends(b'{"data":[{"id":"claude-listed"}]}', "application/json")
        script = Script([Refuses(500)], {"*/v1/models": [listed]})
        running = Running(self, {"a": script}, **SEEN, **ONE_PLACE)
        running.get("/v1/models")
        running.ask(body(model="claude-listed"))
        self.assertIn('model="claude-listed"', "".join(running.metrics("ccrelay_requests_total")))

    def test_state(self) -> None:
        """What the relay is in is read when somebody asks: circuits, keys, limits, what is in flight."""
        keys = [{"key": "sk-test-aaaaaaaaaaaa", "name": "k", "rpm_limit": 4}]
        running = Running(self, {"a": [Says("x")]}, {"a": {"keys": keys}}, **SEEN)
        running.ask()
        self.assertEqual(
            running.metrics("ccrelay_key", "ccrelay_breaker", "ccrelay_provider_ready", "ccrelay_ready"),
            {
                'ccrelay_breaker_state{provider="a",state="closed"}': 1.0,
                'ccrelay_breaker_state{provider="a",state="open"}': 0.0,
                'ccrelay_breaker_state{provider="a",state="half_open"}': 0.0,
                'ccrelay_key_limit{key="k",kind="requests",provider="a"}': 4.0,
                'ccrelay_key_used{key="k",kind="requests",provider="a"}': 1.0,
                'ccrelay_key_remaining{key="k",kind="requests",provider="a"}': 3.0,
                'ccrelay_key_headroom_ratio{key="k",provider="a"}': 0.75,
                'ccrelay_key_usable{key="k",provider="a"}': 1.0,
                'ccrelay_provider_ready{provider="a"}': 1.0,
                "ccrelay_ready": 1.0,
            },
        )
        running.relay.upstreams["a"].backend.pool.keys[0].invalidate(running.wall())
        out = running.metrics("ccrelay_key_usable", "ccrelay_key_headroom", "ccrelay_provider_ready")
        self.assertEqual(list(out.values()), [0.0, 0.0, 0.0])

    def test_reloads(self) -> None:
        """Reloads count by how they went, and the last one shows."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        running.reload()
        running.broken = ConfigError(("the disk",))
        running.reload()
        self.assertEqual(
            running.metrics("ccrelay_reloads_total", "ccrelay_config_reload_ok"),
            {
                'ccrelay_reloads_total{result="ok"}': 1.0,
                'ccrelay_reloads_total{result="refused"}': 1.0,
                "ccrelay_config_reload_ok": 0.0,
            },
        )

    def test_probes(self) -> None:
        """Probes count by their result."""
        check = {"health": {"health_check": {"enabled": True, "interval_ms": 1000}}}
        running = Running(self, {"a": [Says("x")]}, **SEEN, **check)
        running.go(2.5)
        (probed,) = running.metrics("ccrelay_probes_total").items()
        self.assertEqual(probed[0], 'ccrelay_probes_total{provider="a",result="healthy"}')
        self.assertGreaterEqual(probed[1], 1.0)
        self.assertTrue(running.status["providers"][0]["probe"]["healthy"])

    def test_during_a_reload(self) -> None:
        """While a reload reads, Prometheus is answered as ever."""
        reading: Deferred[None] = Deferred()

        def elsewhere(read: Callable[[], Any]) -> Deferred[Any]:
            return reading.addCallback(lambda _: read())

        running = Running(self, {"a": [Says("x")]}, elsewhere=elsewhere, **SEEN)
        running.reload()
        self.assertEqual(running.look("/metrics").status, 200)
        reading.callback(None)
        running.go()
        self.assertEqual(running.metrics("ccrelay_config_reload_ok"), {"ccrelay_config_reload_ok": 1.0})


class StatusTests(SynchronousTestCase):
    """The status as JSON."""

    def test_nothing_happened_yet(self) -> None:
        """Right after the start everything is there, and empty."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        status = running.status
        self.assertEqual((status["version"], status["ready"], status["recent"]), (VERSION, None, []))
        self.assertEqual((status["admin"], status["changes"]), ("token", []))
        (provider,) = status["providers"]
        self.assertEqual((provider["name"], provider["standing"], provider["attempts"]), ("a", "ready", 0))

    def test_a_request_and_its_attempts(self) -> None:
        """A request is among the recent ones, with its attempts, and without a word of what it said."""
        running = Running(self, {"a": [Refuses(529)], "b": [Says("x")]}, **SEEN, **ONE_PLACE)
        running.ask(body(metadata={"user_id": "user_1_session_f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}))
        status = running.status
        (recent,) = status["recent"]
        self.assertEqual(
            [(a["provider"], a["verdict"], a["status"]) for a in recent["attempts"]],
            [("a", "busy", 529), ("b", "ok", 200)],
        )
        self.assertEqual((recent["status"], recent["answered"], recent["ended"]), (200, 1, "complete"))
        self.assertEqual(status["totals"]["requests"], 1)
        self.assertEqual([one["name"] for one in status["models"]], ["claude-sonnet-4-5"])
        self.assertNotIn("Hello", json.dumps(status))
        self.assertNotIn("0123456789abcdef", json.dumps(status))

    def test_long_names(self) -> None:
        """Of what clients name at length the beginning is kept; of very many sessions the latest are."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        running.ask(headers=[*HEADERS, ("x-claude-code-session-id", "s" * 5000)])
        running.get("/v1/files/" + "f" * 5000)
        self.assertEqual([len(one["session"]) for one in running.status["recent"]], [0, 256])
        self.assertEqual([len(one["path"]) for one in running.status["recent"]], [256, 12])
        ledger = running.relay._operations.ledger
        ended = ledger.recent[0].request
        for number in range(1500):
            ledger.request_ended(replace(ended, session=f"s{number}"))
        self.assertEqual(len(ledger.sessions), 1000)
        self.assertEqual(running.status["sessions"][0]["name"], "s1499")

    def test_newest_first_and_not_endless(self) -> None:
        """The newest request stands first, and fifty are remembered."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for number in range(60):
            running.ask(body(model=f"m{number}"))
        models = [one["model"] for one in running.status["recent"]]
        self.assertEqual(models, [f"m{number}" for number in range(59, 9, -1)])

    def test_an_open_circuit(self) -> None:
        """A provider whose circuit is open stands so, with the time it is due."""
        running = Running(self, {"a": [Refuses(500)], "b": [Says("x")]}, **SEEN, **ONE_PLACE)
        for _ in range(5):
            running.ask(body(messages=[{"role": "user", "content": str(_)}]))
        first = running.status["providers"][0]
        self.assertEqual((first["standing"], first["circuit"]["state"]), ("open", "open"))
        self.assertGreater(first["circuit"]["due"], running.wall())
        self.assertEqual(first["failed"], 5)

    def test_watching(self) -> None:
        """Whoever watches gets the status at once and every second, and leaves nothing behind."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        peer = running.connect(OPERATORS)
        peer.send(http_request("GET", "/status/events", (("host", "localhost:9100"),)))
        running.go(3)
        self.assertEqual(running.events(peer), ["status"] * 4)
        self.assertEqual(len(running.relay._operations._operations.viewers), 1)
        peer.reset()
        running.go()
        self.assertEqual(len(running.relay._operations._operations.viewers), 0)

    def test_watchers_are_bounded(self) -> None:
        """A seventeenth viewer is told that there are enough."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        for _ in range(16):
            running.connect(OPERATORS).send(http_request("GET", "/status/events", (("host", "localhost"),)))
        running.go()
        self.assertEqual(running.look("/status/events").status, 503)

    def test_a_slow_watcher(self) -> None:
        """Who does not read misses pictures; nothing is kept for it."""
        running = Running(self, {"a": [Says("x")]}, **SEEN)
        peer = running.connect(OPERATORS)
        peer.send(http_request("GET", "/status/events", (("host", "localhost:9100"),)))
        running.go()
        peer.pause()
        running.go(1000)
        peer.resume()
        running.go()
        self.assertLess(len(running.events(peer)), 500)


class CostTests(SynchronousTestCase):
    """What requests have cost."""

    USAGE = {  # noqa: RUF012
        "input_tokens": 1_000_000, "output_tokens": 2_000_000,
        "cache_read_input_tokens": 1_000_000, "cache_creation_input_tokens": 3_000_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000_000, "ephemeral_1h_input_tokens": 2_000_000},
    }  # fmt: skip

    def cost(self, price: dict[str, Any], **fields: Any) -> tuple[float, int]:
        """Return what an answer costs, streamed or whole, and how many of the two had no price."""
        given = {"a": fields | ({"price": price} if price else {})}
        running = Running(self, {"a": [Says("x", usage=self.USAGE)]}, given, **SEEN)
        running.ask(body(stream=True))
        once = running.status["totals"]["cost_usd"]
        running.ask()
        totals = running.status["totals"]
        self.assertAlmostEqual(totals["cost_usd"], 2 * once)
        metric = running.metrics("ccrelay_cost_usd_total")
        self.assertAlmostEqual(sum(metric.values()), 2 * once)
        lines = [line["fields"].get("cost_usd") for line in running.lines if line["message"] == "request"]
        self.assertEqual(lines[0] or 0.0, round(once, 6))
        return once, totals["unpriced"]

    def test_written_prices(self) -> None:
        """Each kind of token has its price; what is left out of a price follows from that of input."""
        every = {"input": 1, "output": 10, "cache_read": 100, "cache_write": 1000, "cache_write_1h": 10_000}
        self.assertEqual(self.cost({"*": every}), (21_121.0, 0))
        self.assertEqual(self.cost({"*": {"input": 4, "output": 10}}), (4 + 20 + 0.4 + 5 + 16, 0))

    def test_published_prices(self) -> None:
        """Without a price of the operator's the published one counts, whatever the name has around it."""
        published = 3 + 30 + 0.3 + 3.75 + 12
        self.assertAlmostEqual(self.cost({})[0], published)
        mapped = {"model_mapping": {"claude-*": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}}
        self.assertAlmostEqual(self.cost({}, **mapped)[0], published)

    def test_unknown_prices(self) -> None:
        """What nobody knows the price of costs nothing here, and is counted as unpriced."""
        self.assertEqual(self.cost({}, model_mapping={"claude-*": "unheard-of"}), (0.0, 2))

    def test_by_client_and_session(self) -> None:
        """Sums are kept for each client, model and session."""
        clients = [{"name": name, "key": f"sk-test-of-{name}-00001"} for name in ("ann", "bob")]
        settings = SEEN | {"server": {"auth": {"clients": clients}}}
        running = Running(self, {"a": [Says("x", usage=self.USAGE)]}, **settings)
        for name, session in (("ann", "one"), ("ann", "two"), ("bob", "three")):
            shown = [*HEADERS[:3], ("x-api-key", f"sk-test-of-{name}-00001")]
            running.ask(headers=[*shown, ("x-claude-code-session-id", session)])
        status = running.status
        self.assertEqual([(c["name"], c["requests"]) for c in status["clients"]], [("ann", 2), ("bob", 1)])
        self.assertEqual([s["name"] for s in status["sessions"]], ["three", "two", "one"])
        self.assertEqual({s["client"] for s in status["sessions"]}, {"ann", "bob"})
        tokens = running.metrics("ccrelay_client_tokens_total")
        self.assertEqual(tokens['ccrelay_client_tokens_total{client="ann",kind="output"}'], 4_000_000)
        self.assertNotIn("three", running.look("/metrics").body.decode())

    def test_the_share_of_the_cache(self) -> None:
        """What was read from the cache, of all that was read from or written to it."""
        running = Running(self, {"a": [Says("x", usage=self.USAGE)]}, **SEEN)
        self.assertIsNone(running.status["providers"][0]["cache_read_share"])
        running.ask()
        self.assertEqual(running.status["providers"][0]["cache_read_share"], 0.25)
        self.assertEqual(set(running.metrics("ccrelay_cache_read_share").values()), {0.25})

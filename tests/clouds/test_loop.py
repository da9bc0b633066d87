"""The rule that nobody waits for another's credential, shown through the whole relay."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGTERM
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from ccrelay.simulator.acts import Says
from tests.clouds.running import Live, a_pod
from tests.clouds.stage import MESSAGE
from tests.credentials.loop import LONGEST_S, LoopWatch
from tests.credentials.standins import isolated, said, standin
from tests.credentials.standins_aws import ROLE, WEB_TOKEN, sts
from tests.live.process import ROOT
from tests.live.relay import Provider, reactor
from tests.stack import body

SLOW_S = 5.0
CLIENTS = [
    {"name": "of-b", "key": "sk-client-of-b-0123456789", "providers": ["b"]},
    {"name": "of-a", "key": "sk-client-of-a-0123456789", "providers": ["a"]},
]
OF_B, OF_A = (client["key"] for client in CLIENTS)


class LoopTests(TestCase):
    """On the test's own reactor."""

    timeout = 60

    async def test_slow_credentials(self) -> None:
        """While a credential takes seconds, the loop goes on, and other providers' answers take no longer."""
        service = a_pod(self, delay=SLOW_S)
        other = Provider(self, [Says("x")])
        a = {"name": "a", "type": "anthropic", "base_url": other.url, "keys": [{"key": "sk-a-0123456789"}]}
        watch = LoopWatch(reactor)
        self.addCleanup(watch.stop)
        live = Live(self, {}, a | {"aws_region": None}, auth={"clients": CLIENTS})
        began = time.monotonic()
        waiting = [Deferred.fromCoroutine(live.ask(key=OF_B)) for _ in range(20)]
        longest = 0.0
        while not any(each.called for each in waiting):
            asked = time.monotonic()
            self.assertEqual((await live.ask(key=OF_A))[0], 200)
            longest = max(longest, time.monotonic() - asked)
        self.assertGreaterEqual(time.monotonic() - began, SLOW_S)
        self.assertEqual(await gatherResults(waiting), [(200, MESSAGE)] * 20)
        self.assertGreater(len(other.asked), 20)
        self.assertLess(longest, LONGEST_S)
        self.assertLess(watch.stop(), LONGEST_S)
        self.assertEqual(len(service.asked), 1)
        await live.stop()


class Started:
    """A relay in a process of its own, as an operator starts it; it ends with the test at the latest."""

    def __init__(self, test: SynchronousTestCase, providers: str, *python: str, **variables: str) -> None:
        """@param providers: YAML of them; C{python}: arguments of the interpreter."""
        folder = Path(test.mktemp()).absolute()
        folder.mkdir(parents=True)
        config = folder / "config.yaml"
        config.write_text(f"server: {{listen: '127.0.0.1:0', drain_ms: 500}}\nproviders:\n{providers}")
        config.chmod(0o600)
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, *python, "-m", "ccrelay.cli.main", "serve", "--config", str(config)],
                env=isolated(folder, {"PYTHONPATH": str(ROOT), **variables}),
                cwd=folder, stdout=out, stderr=err,
            )  # fmt: skip
        test.addCleanup(self.end)
        self.url = self._serving()

    def _serving(self) -> str:
        for _ in range(1000):
            found = re.search(r"serving on (http://127\.0\.0\.1:\d+)", self.out.read_text())
            if found is not None:
                return found[1]
            time.sleep(0.02)
        raise AssertionError(self.out.read_text() + self.err.read_text())

    def ask(self) -> int:
        """Return the status of an answer to a message."""
        request = Request(f"{self.url}/v1/messages", body(), {"content-type": "application/json"})
        try:
            with urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def end(self) -> tuple[int, float]:
        """Stop; return the exit status, and how many seconds that took."""
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(timeout=30), time.monotonic() - began


class ProcessTests(SynchronousTestCase):
    """In processes of their own."""

    def test_what_is_loaded(self) -> None:
        """A relay without a cloud loads nothing of AWS's, from start to end; one with Bedrock does."""
        loaded = {}
        keys = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test-secret-0123456789"}
        kinds = {"anthropic": "keys: [{key: sk-a-0123456789}]", "bedrock": "aws_region: us-east-1"}
        for kind, own in kinds.items():
            one = f"  - {{name: one, type: {kind}, base_url: 'http://127.0.0.1:1', {own}}}\n"
            relay = Started(self, one, "-X", "importtime", **keys)
            self.assertEqual(relay.ask(), 502)
            self.assertEqual(relay.end()[0], -SIGTERM)
            names = {line.rpartition("|")[2].strip() for line in relay.err.read_text().splitlines()}
            self.assertIn("twisted.web.http", names)
            loaded[kind] = names & {"boto3", "botocore", "google.auth", "azure.identity", "requests"}
        self.assertEqual(loaded, {"anthropic": set(), "bedrock": {"boto3", "botocore"}})

    def test_a_fetch_that_hangs(self) -> None:
        """A process whose credential hangs serves what it can, at once, and ends in time when told to."""
        other = standin(self, lambda _: said(json.loads(MESSAGE)))
        hangs = standin(self, sts(), delay=60)
        token = Path(self.mktemp()).absolute()
        token.write_text(WEB_TOKEN)
        relay = Started(
            self,
            "  - {name: b, type: bedrock, aws_region: us-east-1, priority: 0}\n"
            f"  - {{name: a, type: anthropic, base_url: '{other.url}', keys: [{{key: sk-a-0123456789}}]}}\n",
            AWS_ENDPOINT_URL_STS=hangs.url, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
        )  # fmt: skip
        longest, until = 0.0, time.monotonic() + 2
        while time.monotonic() < until or not hangs.asked:
            asked = time.monotonic()
            self.assertEqual(relay.ask(), 200)
            longest = max(longest, time.monotonic() - asked)
        self.assertLess(longest, 2 * LONGEST_S)
        status, took = relay.end()
        self.assertEqual(status, -SIGTERM)
        self.assertLess(took, 5)

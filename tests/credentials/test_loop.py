"""The rule that nobody waits for another's credential: shown on the real reactor, with slow stand-ins."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from ccrelay.credentials.aws import AwsSettings, aws_credential
from ccrelay.credentials.cache import CredentialCache, Fetched
from ccrelay.credentials.entra import EntraSettings, entra_credential
from ccrelay.credentials.fetched_bearer import FetchedBearer
from ccrelay.credentials.google import GoogleSettings, google_credential
from ccrelay.credentials.interfaces import ICredential
from ccrelay.credentials.sigv4 import AwsKeys, SigV4
from ccrelay.credentials.static import Bearer
from ccrelay.credentials.threads import Threads
from ccrelay.errors import CredentialFailed
from ccrelay.wire.http import UpstreamRequest, first
from ccrelay.wire.secret import Secret
from tests.credentials import standins_aws, standins_entra, standins_google
from tests.credentials.loop import LONGEST_S, LoopWatch
from tests.credentials.standins import environment, isolated, standin

SLOW_S = 2.0
REQUEST = UpstreamRequest("POST", "https://upstream.test/v1/messages", (), b"{}")


class LoopTestCase(TestCase):
    """Threads on the real reactor, and a watch over its loop."""

    timeout = 60

    def setUp(self) -> None:
        """Have threads for eleven credentials."""
        self.folder: Path = environment(self)
        self.threads = Threads(reactor, credentials=11)
        self.addCleanup(self.threads.stop)

    def watch(self) -> LoopWatch:
        watch = LoopWatch(reactor)
        self.addCleanup(watch.stop)
        return watch

    def authorized(self, credential: ICredential, request: UpstreamRequest = REQUEST) -> Deferred[Any]:
        return credential.authorize(request, time.time())

    def cached(self, fetch: Any, **more: Any) -> FetchedBearer:
        return FetchedBearer(CredentialCache("the token of a", fetch, self.threads.run, reactor, **more))


class LoopTests(LoopTestCase):
    """The loop goes on."""

    def slow(self) -> list[ICredential]:
        """Return a credential of each cloud, whose fetch takes two seconds or more."""
        sts = standin(self, standins_aws.sts(), delay=SLOW_S)
        account = standins_google.an_account()
        google = standin(self, account.tokens(), delay=SLOW_S)
        server, trusted = standins_entra.certificates(self.folder)
        entra = standin(self, standins_entra.authority(), delay=SLOW_S / 2, certificate=server)
        (self.folder / "token").write_text(standins_aws.WEB_TOKEN)
        (self.folder / "key.json").write_text(json.dumps(account.info(google.url + "/token")))
        environment(
            self,
            AWS_ENDPOINT_URL_STS=sts.url,
            AWS_ROLE_ARN=standins_aws.ROLE,
            AWS_WEB_IDENTITY_TOKEN_FILE=str(self.folder / "token"),
        )
        secret = Secret(standins_entra.SECRET)
        run = self.threads.run
        return [
            aws_credential("a", AwsSettings("us-east-1"), run, reactor),
            google_credential("b", GoogleSettings(str(self.folder / "key.json")), run, reactor),
            entra_credential(
                "c",
                EntraSettings(
                    standins_entra.TENANT,
                    standins_entra.CLIENT,
                    secret,
                    authority=entra.url,
                    ca_file=str(trusted),
                ),
                run,
                reactor,
            ),
        ]

    async def test_slow_fetches_block_nothing(self) -> None:
        """While three clouds take seconds to answer, the loop goes on and other requests are authorized."""
        credentials = self.slow()
        watch = self.watch()
        began = time.monotonic()
        waiting = [self.authorized(credential) for credential in credentials for _ in range(20)]
        await self.authorized(Bearer(Secret("test-key-0123456789")))
        await self.authorized(self.cached(lambda: Fetched(Secret("test-token"))))
        self.assertEqual([d.called for d in waiting], [False] * len(waiting))
        made = await gatherResults(waiting)
        longest = watch.stop()
        self.assertGreaterEqual(time.monotonic() - began, SLOW_S)
        self.assertTrue(all(first(request.headers, b"authorization") for request in made))
        self.assertLess(longest, LONGEST_S)

    async def test_large_bodies_block_nothing(self) -> None:
        """Bodies as large as Bedrock takes are signed while the loop goes on."""
        keys = AwsKeys("AKIATESTCCRELAY00000", Secret("test-secret"))
        cache = CredentialCache("a", lambda: Fetched(keys), self.threads.run, reactor)
        credential = SigV4(cache, "us-east-1", self.threads.run)
        large = UpstreamRequest("POST", "https://upstream.test/model/m/invoke", (), b"x" * 25_000_000)
        watch = self.watch()
        await gatherResults([self.authorized(credential, large) for _ in range(10)])
        self.assertLess(watch.stop(), LONGEST_S)

    async def test_ten_that_hang_do_not_hold_up_the_eleventh(self) -> None:
        """Ten credentials whose fetch hangs take nothing from another one, nor from what is signed."""
        go_on = Event()
        self.addCleanup(go_on.set)

        def hangs() -> Fetched[Secret]:
            go_on.wait()
            return Fetched(Secret("test-late-token"))

        hanging = [self.authorized(self.cached(hangs)) for _ in range(10)]
        made = await self.authorized(self.cached(lambda: Fetched(Secret("test-token"))))
        self.assertEqual(first(made.headers, b"authorization"), b"Bearer test-token")
        self.assertEqual([d.called for d in hanging], [False] * 10)
        go_on.set()
        late = await gatherResults(hanging)
        self.assertEqual({first(r.headers, b"authorization") for r in late}, {b"Bearer test-late-token"})

    async def test_who_waits_is_told_and_what_comes_late_is_used(self) -> None:
        """A fetch that takes too long fails those who wait; when it ends, its credential is used."""
        go_on = Event()
        self.addCleanup(go_on.set)
        ended: Deferred[None] = Deferred()

        def slow() -> Fetched[Secret]:
            go_on.wait()
            reactor.callFromThread(reactor.callLater, 0, ended.callback, None)
            return Fetched(Secret("test-late-token"))

        credential = self.cached(slow, patience=0.05)
        with self.assertRaises(CredentialFailed):
            await self.authorized(credential)
        with self.assertRaises(CredentialFailed):
            await self.authorized(credential)
        go_on.set()
        await ended
        while credential.cache.held is None:
            await self.pause()
        made = await self.authorized(credential)
        self.assertEqual(first(made.headers, b"authorization"), b"Bearer test-late-token")

    def pause(self) -> Deferred[None]:
        paused: Deferred[None] = Deferred()
        reactor.callLater(0.01, paused.callback, None)
        return paused


class FreshProcessTests(TestCase):
    """What a process that has just been started does."""

    def run_fresh(self, *arguments: str) -> str:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, *arguments],
            env=isolated(folder, {}),
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_no_sdk_is_loaded_unasked(self) -> None:
        """A relay that uses no cloud loads none of their SDKs: they cost tens of megabytes and a second."""
        loaded = self.run_fresh(
            "-c",
            "import sys, ccrelay.service.root\n"
            "from ccrelay.credentials import aws, entra, google\n"
            "sdks = {'boto3', 'botocore', 'google.auth', 'azure', 'msal', 'requests'}\n"
            "print(sorted(sdks & set(sys.modules)))",
        )
        self.assertEqual(loaded.strip(), "[]")

    def test_loading_them_blocks_nothing(self) -> None:
        """The first fetch loads an SDK, in its thread: the loop goes on meanwhile, and nothing is printed."""
        *outcomes, longest = self.run_fresh("-m", "tests.credentials.loop").split()
        self.assertEqual(outcomes, ["authorized", "failed", "failed"])
        self.assertLess(float(longest), LONGEST_S)

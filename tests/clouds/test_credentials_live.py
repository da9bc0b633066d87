"""The rules of AWS's credential chain on the real reactor: what it gives signs the requests of the relay."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.clouds.running import Live, a_pod
from tests.clouds.stage import EVENTS, MESSAGE, STREAMED
from tests.credentials.standins import Answer, Asked, environment, standin
from tests.credentials.standins_aws import (
    KEY_ID,
    OWN_KEY_ID,
    OWN_SECRET,
    ROLE,
    SECRET,
    TOKEN,
    container,
    imds,
    sts,
)
from tests.live.relay import until
from tests.network import sse

OWN = {"AWS_ACCESS_KEY_ID": OWN_KEY_ID, "AWS_SECRET_ACCESS_KEY": OWN_SECRET}


class ChainTests(TestCase):
    """Where keys come from."""

    timeout = 60

    async def signs(self, key: str, asked: Callable[[], int] = lambda: 1, **settings: Any) -> None:
        """Assert that requests are signed with a key that was there before the first of them."""
        live = Live(self, settings)
        await live.warm()
        before = asked()
        self.assertGreater(before, 0)
        self.assertEqual(await live.ask(), (200, MESSAGE))
        self.assertEqual(await live.ask(), (200, MESSAGE))
        self.assertEqual(live.runtime.seen, [key, key])
        self.assertEqual(asked(), before)
        await live.stop()

    async def test_the_environment(self) -> None:
        """The environment's keys."""
        environment(self, **OWN)
        await self.signs(OWN_KEY_ID)

    async def test_a_profile(self) -> None:
        """The keys of a profile."""
        folder = environment(self)
        keys = f"aws_access_key_id={OWN_KEY_ID}\naws_secret_access_key={OWN_SECRET}\n"
        (folder / "no-credentials").write_text(f"[relay]\n{keys}")
        await self.signs(OWN_KEY_ID, aws_profile="relay")

    async def test_an_assumed_role(self) -> None:
        """The keys of a role that a profile assumes."""
        service = standin(self, sts())
        folder = environment(self, AWS_ENDPOINT_URL_STS=service.url)
        (folder / "no-config").write_text(
            f"[profile relay]\nrole_arn={ROLE}\nsource_profile=own\n"
            f"[profile own]\naws_access_key_id={OWN_KEY_ID}\naws_secret_access_key={OWN_SECRET}\n"
        )
        await self.signs(KEY_ID, lambda: len(service.asked), aws_profile="relay")

    async def test_web_identity(self) -> None:
        """The keys that a pod's token is exchanged for."""
        service = a_pod(self)
        await self.signs(KEY_ID, lambda: len(service.asked))

    async def test_a_machine(self) -> None:
        """The keys of a machine's role."""
        service = standin(self, imds())
        environment(self, AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url, AWS_EC2_METADATA_DISABLED="false")
        await self.signs(KEY_ID, lambda: len(service.asked))

    async def test_a_container(self) -> None:
        """The keys of a container's role."""
        service = standin(self, container())
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.url}/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="test-container-token",
        )
        await self.signs(KEY_ID, lambda: len(service.asked))

    async def test_a_stream(self) -> None:
        """A stream over real sockets arrives whole."""
        environment(self, **OWN)
        live = Live(self, act=STREAMED)
        status, said = await live.ask(stream=True)
        self.assertEqual(status, 200)
        self.assertEqual([data for _, data in sse(said)], [json.loads(event) for event in EVENTS])


class RenewalTests(TestCase):
    """Credentials that change while the relay runs."""

    timeout = 60

    async def test_refused(self) -> None:
        """Keys that AWS has revoked are fetched anew, in the thread, and the request is repeated at once."""
        service = standin(self, rotating())
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.url}/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="test-container-token",
        )
        live = Live(self)
        await live.warm()
        live.runtime.keys = {"ASIANUMBER2": (SECRET, TOKEN)}
        self.assertEqual(await live.ask(), (200, MESSAGE))
        self.assertEqual(live.runtime.seen, ["ASIANUMBER1", "ASIANUMBER2"])

    async def test_a_reload(self) -> None:
        """A reload keeps what was fetched where its settings stayed, and fetches where they changed."""
        service = standin(self, container())
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{service.url}/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN="test-container-token",
        )
        live = Live(self)
        await live.warm()
        kept = live.cache()
        live.providers[0]["priority"] = 7
        await live.reload()
        self.assertIs(live.cache(), kept)
        self.assertEqual(await live.ask(), (200, MESSAGE))
        self.assertEqual(len(service.asked), 1)
        live.providers[0] |= {"aws_access_key_id": OWN_KEY_ID, "aws_secret_access_key": OWN_SECRET}
        await live.reload()
        self.assertIsNot(live.cache(), kept)
        await live.warm()
        self.assertEqual(await live.ask(), (200, MESSAGE))
        self.assertEqual(live.runtime.seen, [KEY_ID, OWN_KEY_ID])
        self.assertEqual(len(service.asked), 1)

    async def test_a_provider_that_is_added(self) -> None:
        """A provider that a reload brings has its keys fetched at once."""
        environment(self, **OWN)
        live = Live(self)
        await live.warm()
        live.providers.append(live.providers[0] | {"name": "c"})
        await live.reload()
        await live.warm("c")

    async def test_stopping(self) -> None:
        """A fetch that hangs does not hold up the end of the relay, nor does a request that waits for it."""
        service = a_pod(self, delay=20)
        live = Live(self)
        await until(lambda: service.asked)
        waiting = Deferred.fromCoroutine(live.ask())
        await until(lambda: len(live.relay._in_flight))
        began = time.monotonic()
        await live.stop()
        self.assertLess(time.monotonic() - began, 4)
        status, words = await waiting
        self.assertEqual((status, json.loads(words)["type"]), (503, "error"))
        service.close()
        await until(lambda: not live.cache().state(time.time()).fetching)


def rotating() -> Callable[[Asked], Answer]:
    """Return how a container's endpoint answers that gives another key each time."""
    inner, given = container(), []

    def answer(asked: Asked) -> Answer:
        given.append(asked)
        found = inner(asked)
        return Answer(found.body.replace(KEY_ID.encode(), f"ASIANUMBER{len(given)}".encode()), found.status)

    return answer

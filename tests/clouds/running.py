"""The relay as it is run, on the real reactor, before a Bedrock that checks signatures."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import treq
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import TestCase

from ccrelay.config.model import Settings
from ccrelay.config.read import Loaded
from ccrelay.service.root import Ccrelay
from ccrelay.service.tree import DoorService
from ccrelay.simulator.acts import Act
from tests.clouds.stage import SAID, Runtime
from tests.credentials.standins import Standin, environment, standin
from tests.credentials.standins_aws import (
    KEY_ID,
    OWN_KEY_ID,
    OWN_SECRET,
    ROLE,
    SECRET,
    TOKEN,
    WEB_TOKEN,
    sts,
)
from tests.live.relay import Provider, reactor, until
from tests.stack import WALL, body


def a_pod(test: TestCase, delay: float = 0.0, **variables: str) -> Standin:
    """Have the environment of a pod, whose token is exchanged for keys; return what does that."""
    service = standin(test, sts(), delay=delay)
    folder = environment(test, AWS_ENDPOINT_URL_STS=service.url, AWS_ROLE_ARN=ROLE, **variables)
    (folder / "token").write_text(WEB_TOKEN)
    os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(folder / "token")
    return service


class Live:
    """
    A relay as it is run, before a Bedrock that knows the keys of one session.

    @ivar relay: the service; C{providers}: its settings of providers, used from the next reload on.
    """

    def __init__(
        self, test: TestCase, *providers: dict[str, Any], act: Act = SAID, **server: Any
    ) -> None:
        """
        @param providers: the settings of each, beside its region, kind and place.
        @param act: what Bedrock answers.
        @param server: further settings of the section of that name.
        """
        self._test = test
        self._server = server
        self.runtime = Runtime(act)
        self.runtime.keys = {KEY_ID: (SECRET, TOKEN), OWN_KEY_ID: (OWN_SECRET, None)}
        self.runtime.ahead = -WALL  # on the real reactor the time of day is told as it is
        self.bedrock = Provider(test, self.runtime.script)
        self.providers = [
            {"name": "b", "type": "bedrock", "aws_region": "us-east-1", "base_url": self.bedrock.url} | given
            for given in providers or ({},)
        ]
        self.log = Path(test.mktemp()).absolute()
        self.relay = Ccrelay(self.loaded(), reactor, reread=self.loaded)
        test.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.relay.privilegedStartService()
        self.relay.startService()
        self._stopped = False
        test.addCleanup(self.stop)

    def loaded(self) -> Loaded:
        """Return what is configured."""
        return Loaded(
            Settings.model_validate({
                "server": {"listen": "127.0.0.1:0", "drain_ms": 1000} | self._server,
                "health": {"health_check": {"enabled": False}},
                "logging": {"output": str(self.log)},
                "providers": self.providers,
            }),
            (),
            "a test",
        )

    @property
    def url(self) -> str:
        """Where it serves."""
        port: Any = next(door.port for door in self.relay if isinstance(door, DoorService))
        return f"http://127.0.0.1:{port.getHost().port}"

    def cache(self, name: str = "b") -> Any:
        """Return what keeps a provider's credential."""
        return self.relay.upstreams[name].fetched.cache

    async def warm(self, name: str = "b") -> None:
        """Wait until a credential is there."""
        await until(lambda: self.cache(name).held)

    async def ask(self, *, stream: bool = False, key: str = "k") -> Any:
        """Return status and body of an answer."""
        headers = {"x-api-key": key, "content-type": "application/json"}
        asked = body(stream=stream)
        answer = await treq.post(f"{self.url}/v1/messages", asked, headers=headers, persistent=False)
        return answer.code, await answer.content()

    async def reload(self) -> None:
        """Reload, and wait until that is done."""
        reloading = self.relay.reload()
        assert reloading is not None
        await reloading

    async def stop(self) -> None:
        """Stop, once."""
        if not self._stopped:
            self._stopped = True
            stopping: Deferred[None] = maybeDeferred(self.relay.stopService)
            await stopping
            self._test.assertNotIn(SECRET, self.log.read_text())

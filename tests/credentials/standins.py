"""Local servers that stand in for those that give out credentials, and an environment without any."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.trial.unittest import SynchronousTestCase

PAGE = (
    b"<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>"
    + b"x" * 5000
    + b"</body>"
)
_LOOKED_AT = ("AWS_", "AZURE_", "GOOGLE_", "GCE_", "GCLOUD_", "CLOUDSDK_", "IDENTITY_", "MSI_", "IMDS_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Answer:
    """An answer to send."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def said(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(value).encode(), status)


def page(_: Asked) -> Answer:
    """Answer as the sign-in page of a network does."""
    return Answer(PAGE, kind="text/html")


class Standin:
    """
    A server on loopback, in threads of its own.

    @ivar asked: what it was asked, in order.
    @ivar url: where it is.
    """

    def __init__(
        self, answer: Callable[[Asked], Answer], *, delay: float = 0.0, certificate: Path | None = None
    ) -> None:
        """
        @param delay: seconds before each answer.
        @param certificate: PEM with key, for https.
        """
        self.asked: list[Asked] = []
        self._answer = answer
        self._delay = delay
        self._closing = Event()
        standin = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                """Say nothing."""

            def do(self) -> None:
                standin._serve(self)

            do_GET = do_POST = do_PUT = do  # noqa: N815  as http.server wants them

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate is not None else "http"
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{scheme}://{self.host}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, handler.path, headers, body)
        self.asked.append(asked)
        self._closing.wait(self._delay)
        answer = self._answer(asked)
        handler.send_response(answer.status)
        for name, value in {"content-type": answer.kind, **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.body)))
        with suppress(ConnectionError):  # whoever asked may have given up
            handler.end_headers()
            handler.wfile.write(answer.body)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def standin(
    test: SynchronousTestCase, answer: Callable[[Asked], Answer], *, delay: float = 0.0, **more: Any
) -> Standin:
    """Return a stand-in that lasts as long as the test."""
    made = Standin(answer, delay=delay, **more)
    test.addCleanup(made.close)
    return made


def nobody(test: SynchronousTestCase) -> str:
    """Return an address where nobody answers."""
    gone = Standin(page)
    gone.close()
    return gone.url


def isolated(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no SDK finds anything but what these variables say."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_LOOKED_AT) and name.upper() not in _PROXIES
    }
    return kept | {
        "HOME": str(folder),
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CONFIG": str(folder / "no-gcloud"),
        **variables,
    }


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def environment(test: SynchronousTestCase, **variables: str) -> Path:
    """
    Have no credentials but what these variables say, until the test ends.

    @return: a folder, which is the home.
    """
    folder = Path(test.mktemp()).absolute()
    folder.mkdir(parents=True)
    context = _environment(isolated(folder, variables))
    context.__enter__()
    test.addCleanup(context.__exit__, None, None, None)
    return folder

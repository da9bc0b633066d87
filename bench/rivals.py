"""What is compared: nginx as the floor, and relays, on core 0; upstreams and load are on core 1."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from bench.rig import ROOT, free_port
from bench.upstream import WHOLE

_FEW, _REST_S = 100, 10
_TICK = os.sysconf("SC_CLK_TCK")
_NGINX = """worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000;
client_max_body_size 64m; client_body_buffer_size 40m;
client_body_temp_path {folder}/body-{name}; proxy_temp_path {folder}/proxy-{name};
fastcgi_temp_path {folder}/f-{name}; uwsgi_temp_path {folder}/u-{name}; scgi_temp_path {folder}/s-{name};
{servers} }}
"""
_UPSTREAM = """server {{ listen 127.0.0.1:{port} backlog=4096;
location = /v1/messages {{ error_page 405 =200 $uri; default_type application/json;
alias {folder}/message.json; }} }}"""
_PROXY = """upstream {name} {{ server 127.0.0.1:{to}; keepalive 512; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port} backlog=4096;
location / {{ proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_buffering off; proxy_read_timeout 600s; }} }}"""
_RELAY = """
server: {{listen: "127.0.0.1:{port}", http: {http}}}
metrics: {{listen: "127.0.0.1:{metrics}"}}
logging: {{level: info, format: json, output: "{folder}/relay-{port}.jsonl"}}
health: {{health_check: {{enabled: false}}}}
providers:
{providers}
"""
_LUA = """local f = io.open("BODY", "rb")
wrk.body = f:read("*a")
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["anthropic-version"] = "2023-06-01"
wrk.headers["user-agent"] = "claude-cli/2.1 (external, cli)"
local n = 0
"""
_EACH = """request = function()
  n = n + 1
  HEADERS
  return wrk.format(nil, "/v1/messages")
end
"""


def provider(name: str, port: int, keys: int = 1) -> str:
    """Return a provider of a configuration, with so many keys."""
    listed = ", ".join(f"{{key: sk-test-{name}-{n:010}, rpm_limit: 100000000}}" for n in range(keys))
    url = f"http://127.0.0.1:{port}"
    return f'- {{name: {name}, type: anthropic, base_url: "{url}", keys: [{listed}]}}'


class Place:
    """
    A folder, the upstreams, and whatever else is started; all of it ends with L{close}.

    @ivar whole: the port of an nginx that answers whole messages from a file.
    @ivar paced: that of a provider of streams.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ccrelay-compare-"))
        self.folder.chmod(0o755)
        (self.folder / "message.json").write_bytes(WHOLE)
        self._started: list[subprocess.Popen[bytes]] = []
        self.whole, self.paced = free_port(), free_port()
        self.nginx("upstream", _UPSTREAM.format(port=self.whole, folder=self.folder), core=1)
        self.start([sys.executable, "-m", "bench.upstream", str(self.paced)], 1)
        wait_for(self.whole)
        wait_for(self.paced)

    def start(
        self, command: list[str], core: int, environ: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process on a core; C{environ}: variables beside those of this process, None for our own."""
        output = (self.folder / f"output-{len(self._started)}").open("wb")
        environ = {**os.environ, **({"PYTHONPATH": str(ROOT)} if environ is None else environ)}
        pinned = ["taskset", "-c", str(core), *command]
        made = subprocess.Popen(pinned, stdout=output, stderr=output, env=environ, start_new_session=True)
        self._started.append(made)
        return made

    def nginx(self, name: str, servers: str, core: int) -> subprocess.Popen[bytes]:
        """Start an nginx."""
        path = self.folder / f"{name}.conf"
        path.write_text(_NGINX.format(folder=self.folder, name=name, servers=servers))
        return self.start(["nginx", "-c", str(path)], core)

    def proxy(self) -> Rival:
        """Start nginx as a proxy of both upstreams."""
        port, paced = free_port(), free_port()
        servers = _PROXY.format(name="whole", port=port, to=self.whole)
        made = self.nginx("proxy", servers + _PROXY.format(name="paced", port=paced, to=self.paced), 0)
        return Rival("nginx", made.pid, {"whole": port, "paced": paced})

    def relay(self, name: str, http: str = "llhttp", providers: str = "", only: str = "") -> Rival:
        """Start a relay for each upstream, or for one C{only}; C{providers}: if others than one."""
        ports, pids = {}, []
        for kind, up in (("whole", self.whole), ("paced", self.paced)):
            if only not in {"", kind}:
                continue
            ports[kind] = port = free_port()
            config = self.folder / f"relay-{port}.yaml"
            text = _RELAY.format(
                port=port, http=http, metrics=free_port(), folder=self.folder,
                providers=providers or provider("one", up),
            )  # fmt: skip
            config.write_text(text)
            config.chmod(0o600)
            command = [sys.executable, "-m", "ccrelay.cli.main", "serve", "--config", str(config)]
            pids.append(self.start(command, 0).pid)
            wait_for(port)
        return Rival(name, pids[0], ports, pids[-1])

    def close(self) -> None:
        """End all that was started."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class Failed(Exception):
    """A rival did not do what it was measured at."""


class Rival:
    """A proxy or relay that is measured; nginx has one process for both upstreams, a relay one for each."""

    def __init__(self, name: str, pid: int, ports: dict[str, int], paced: int | None = None) -> None:
        self.name, self.ports = name, ports
        self._pids = {"whole": pid, "paced": paced or pid}

    def pids(self, kind: str) -> list[int]:
        """Return the processes that serve an upstream, with their children."""
        found, todo = [], [self._pids[kind]]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
        return found

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        for pid in {*self.pids("whole"), *self.pids("paced")}:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, number)

    def cpu(self, kind: str) -> float:
        """Return the seconds of CPU spent so far."""
        spent = 0
        for pid in self.pids(kind):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / _TICK

    def requests(self, folder: Path, body: bytes, seconds: int, headers: str = "") -> float:
        """
        Return the microseconds of CPU for a request, of 16 connections.

        Who answers too few in that time is asked by one alone: what was spent
        on requests that were not answered would count as well.

        @param headers: Lua, before each.
        @raise Failed: if not all were answered with a 200.
        """
        (folder / "body.json").write_bytes(body)
        script = folder / "post.lua"
        lua = _LUA.replace("BODY", str(folder / "body.json"))
        script.write_text(lua + (_EACH.replace("HEADERS", headers) if headers else ""))
        spent, done = self._load(script, seconds, 16)
        if done < _FEW:
            time.sleep(_REST_S)  # it may still be at those that have gone
            spent, done = self._load(script, seconds, 1)
        if not done:
            msg = f"none of {len(body)} bytes was answered in {seconds} s"
            raise Failed(msg)
        return spent * 1e6 / done

    def _load(self, script: Path, seconds: int, connections: int) -> tuple[float, int]:
        url = f"http://127.0.0.1:{self.ports['whole']}/v1/messages"
        load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url]
        command = ["taskset", "-c", "1", *load]
        before = self.cpu("whole")
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout
        spent = self.cpu("whole") - before
        if "Non-2xx" in output:
            msg = "requests failed"
            raise Failed(msg)
        return spent, int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]

    def streams(self, number: int) -> dict[str, float]:
        """
        Return what came of so many streams at once, and the microseconds of CPU for an event.

        @raise Failed: if not all of them ended well.
        """
        before = self.cpu("paced")
        found = streams(self.ports["paced"], number, self.pids("paced"))
        if found["whole"] != number:
            msg = f"{number - found['whole']:.0f} of {number} streams broke off"
            raise Failed(msg)
        return {**found, "cpu_us": (self.cpu("paced") - before) * 1e6 / found["events"]}


def streams(port: int, number: int, pids: list[int], tokens: int = 100) -> dict[str, float]:
    """Run L{bench.streams} on core 1."""
    return _loaded("bench.streams", port, number, tokens, *pids)


def steady(port: int) -> float:
    """Run L{bench.steady} on core 1, and return the milliseconds to the first byte, p50."""
    return _loaded("bench.steady", port)["first_ms"]


def _loaded(module: str, *asked: int) -> dict[str, float]:
    command = ["taskset", "-c", "1", sys.executable, "-m", module, *map(str, asked)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True, timeout=60)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def wait_for(port: int, path: str = "/health", seconds: float = 30) -> float:
    """Return the seconds until something answers on a port."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return time.monotonic() - began
        except urllib.error.HTTPError:
            return time.monotonic() - began
        except OSError:
            time.sleep(0.01)
    sys.exit(f"nothing answers on port {port}")

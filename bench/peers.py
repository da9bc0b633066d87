"""Other relays, installed beside and started for a comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final

from bench.rig import ROOT, free_port
from bench.rivals import Rival, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.rivals import Place

_FOLDER: Final = ROOT / ".bench"
_SLOW_START_S: Final = 90.0
_KEY: Final = "sk-test-0123456789"
_JSON: Final = {"content-type": "application/json"}
_MODEL: Final = "claude-sonnet-4-5"


def started(place: Place, names: list[str]) -> tuple[list[Rival], list[str]]:
    """Return the relays that could be installed and started, and in words those that could not."""
    made: list[Rival] = []
    absent: list[str] = []
    for name in names:
        if name not in _STARTS:
            sys.exit(f"no such peer: {name}; known are {', '.join(PEERS)}")
        try:
            ports, pids = {}, []
            for kind, up in (("whole", place.whole), ("paced", place.paced)):
                ports[kind] = free_port()
                pids.append(_STARTS[name](place, kind, up, ports[kind]))
            made.append(Rival(name, pids[0], ports, pids[1]))
        except (subprocess.SubprocessError, OSError, SystemExit) as problem:
            absent.append(f"{name}: {problem}")
    return made, absent


def _litellm(place: Place, kind: str, up: int, port: int) -> int:
    binary = _python("litellm", "litellm[proxy]<1.109").parent / "litellm"
    config = place.folder / f"litellm-{kind}.yaml"
    config.write_text(json.dumps({
        "model_list": [{
            "model_name": "*",
            "litellm_params": {
                "model": "anthropic/*", "api_key": _KEY, "api_base": f"http://127.0.0.1:{up}",
            },
        }],
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }))  # fmt: skip
    command = [str(binary), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    # Else it asks the network for prices.
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    pid = place.start([*command, "--num_workers", "1"], 0, environ).pid
    wait_for(port, "/health/liveliness", _SLOW_START_S)
    return pid


def _router(place: Place, kind: str, up: int, port: int) -> int:
    binary = _node("claude-code-router", "@musistudio/claude-code-router@2.0.0", "ccr")
    home = place.folder / f"router-{kind}"
    (home / ".claude-code-router").mkdir(parents=True)
    (home / ".claude-code-router/config.json").write_text(json.dumps({
        "PORT": port, "HOST": "127.0.0.1", "LOG": False,
        "Providers": [{
            "name": "lab", "api_base_url": f"http://127.0.0.1:{up}/v1/messages", "api_key": _KEY,
            "models": [_MODEL], "transformer": {"use": ["Anthropic"]},
        }],
        "Router": {"default": f"lab,{_MODEL}"},
    }))  # fmt: skip
    pid = place.start([binary, "start"], 0, {"HOME": str(home)}).pid
    wait_for(port, "/", _SLOW_START_S)
    return pid


def _ccflare(place: Place, kind: str, up: int, port: int) -> int:
    binary = _node("better-ccflare", "better-ccflare@3.5.4", "better-ccflare")
    home = place.folder / f"ccflare-{kind}"
    home.mkdir()
    environ = {"HOME": str(home), "BETTER_CCFLARE_HOST": "127.0.0.1"}
    pid = place.start([binary, "--serve", "--port", str(port)], 0, environ).pid
    wait_for(port, "/health", _SLOW_START_S)
    account = {"name": "lab", "apiKey": _KEY, "priority": 0, "customEndpoint": f"http://127.0.0.1:{up}"}
    line = HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("POST", "/api/accounts/anthropic-compatible", json.dumps(account), _JSON)
    if line.getresponse().status != HTTPStatus.OK:
        sys.exit("the account was not taken")
    line.close()
    return pid


_SWITCHYARD = f"""schema_version = 1
[llm_clients.lab]
format = "anthropic_messages"
base_url = "http://127.0.0.1:UP"
api_key_env = "LAB_KEY"
[targets.one]
id = "{_MODEL}"
llm_client = "lab"
[routes.one]
id = "{_MODEL}"
type = "passthrough"
target = "one"
"""
_SWITCHYARD_SERVES = """import signal, sys
from switchyard_rust.server import Server
with Server(sys.argv[1], int(sys.argv[2])):
    signal.pause()
"""


def _switchyard(place: Place, kind: str, up: int, port: int) -> int:
    python = _python("nemo-switchyard", "nemo-switchyard==0.3.0")
    config = place.folder / f"switchyard-{kind}.toml"
    config.write_text(_SWITCHYARD.replace("UP", str(up)))
    command = [str(python), "-c", _SWITCHYARD_SERVES, str(config), str(port)]
    pid = place.start(command, 0, {"LAB_KEY": _KEY}).pid
    wait_for(port, "/", _SLOW_START_S)
    return pid


_STARTS: Final[dict[str, Callable[[Place, str, int, int], int]]] = {
    "litellm": _litellm,
    "claude-code-router": _router,
    "better-ccflare": _ccflare,
    "nemo-switchyard": _switchyard,
}
PEERS: Final = tuple(_STARTS)


def _python(name: str, requirement: str) -> Path:
    """Return the Python of an environment that has it, made if it is not there."""
    python = _FOLDER / name / "bin/python"
    if not (_FOLDER / name / ".made").exists():
        _run([sys.executable, "-m", "venv", "--clear", str(_FOLDER / name)])
        _run([str(python), "-m", "pip", "install", "--quiet", requirement])
        (_FOLDER / name / ".made").touch()
    return python


def _node(name: str, package: str, binary: str) -> str:
    """Return the path of a program of an npm package, installed if it is not there."""
    folder = _FOLDER / name
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--prefix", str(folder), package])
    return str(folder / "node_modules/.bin" / binary)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)

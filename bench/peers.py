"""Other relays, installed beside and started for a comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.rig import ROOT, free_port
from bench.rivals import Rival, wait_for

if TYPE_CHECKING:
    from bench.rivals import Place

_FOLDER = ROOT / ".bench"
_SLOW_START_S = 90.0
PEERS = ("litellm", "claude-code-router")


def started(place: Place, names: list[str]) -> tuple[list[Rival], list[str]]:
    """Return the relays that could be installed and started, and in words those that could not."""
    made: list[Rival] = []
    absent: list[str] = []
    for name in names:
        try:
            made.append({"litellm": _litellm, "claude-code-router": _router}[name](place))
        except KeyError:
            sys.exit(f"no such peer: {name}; known are {', '.join(PEERS)}")
        except (subprocess.SubprocessError, OSError, SystemExit) as problem:
            absent.append(f"{name}: {problem}")
    return made, absent


def _litellm(place: Place) -> Rival:
    python = _FOLDER / "litellm/bin/python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(_FOLDER / "litellm")])
        _run([str(python), "-m", "pip", "install", "--quiet", "litellm[proxy]<1.109"])
    ports, pids = {}, []
    for kind, up in (("whole", place.whole), ("paced", place.paced)):
        ports[kind] = port = free_port()
        config = place.folder / f"litellm-{kind}.yaml"
        config.write_text(json.dumps({"model_list": [{
            "model_name": "*",
            "litellm_params": {
                "model": "anthropic/*", "api_key": "sk-test-0123456789", "api_base": f"http://127.0.0.1:{up}",
            },
        }]}))  # fmt: skip
        command = [str(python.parent / "litellm"), "--config", str(config), "--port", str(port)]
        pids.append(place.start([*command, "--host", "127.0.0.1", "--num_workers", "1"], 0).pid)
        wait_for(port, "/health/liveliness", _SLOW_START_S)
    return Rival("litellm", pids[0], ports, pids[1])


def _router(place: Place) -> Rival:
    folder = _FOLDER / "claude-code-router"
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--prefix", str(folder), "@musistudio/claude-code-router@2.0.0"])
    ports, pids = {}, []
    for kind, up in (("whole", place.whole), ("paced", place.paced)):
        ports[kind] = port = free_port()
        home = place.folder / f"router-{kind}"
        (home / ".claude-code-router").mkdir(parents=True)
        (home / ".claude-code-router/config.json").write_text(json.dumps({
            "PORT": port, "HOST": "127.0.0.1", "LOG": False,
            "Providers": [{
                "name": "lab", "api_base_url": f"http://127.0.0.1:{up}/v1/messages", "api_key": "sk-test",
                "models": ["claude-sonnet-4-5"], "transformer": {"use": ["Anthropic"]},
            }],
            "Router": {"default": "lab,claude-sonnet-4-5"},
        }))  # fmt: skip
        binary = str(folder / "node_modules/.bin/ccr")
        pids.append(place.start(["env", f"HOME={home}", binary, "start"], 0).pid)
        wait_for(port, "/", _SLOW_START_S)
    return Rival("claude-code-router", pids[0], ports, pids[1])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)

"""The configuration of a relay that has no file: made of what the environment plainly means for it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ccrelay.config.read import Loaded, settled
from ccrelay.config.written import Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE: Final = "~/.config/ccrelay/config.yaml"
OLLAMA: Final = "http://127.0.0.1:11434"
"""Where Ollama listens unless it is told otherwise (https://docs.ollama.com/faq)."""

_KEYS: Final = {"ANTHROPIC_API_KEY": "anthropic", "ZAI_API_KEY": "zai"}
_OLLAMA_PORT: Final = 11434
_PLACE: Final = re.compile(r"(?P<host>\[.*\]|[^:]*)(?::(?P<port>[0-9]*))?")
_OFF: Final = frozenset({"", "0", "false"})
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
_REGION: Final = "us-east-1"


def from_environment(environ: Mapping[str, str], ollama_answers: bool) -> Loaded:  # noqa: FBT001
    """
    Return a configuration for the providers that the environment names; for the simulator if it names none.

    @param environ: the environment's variables.
    @param ollama_answers: whether an Ollama answers on this machine, which is used if nothing is named.
    @raise ConfigError: if a variable holds what cannot be used.
    """
    providers: list[dict[str, Any]] = []
    reasons: list[str] = []
    for variable, kind in _KEYS.items():
        if environ.get(variable):
            providers.append({"name": kind, "type": kind, "keys": [{"key": f"${{{variable}}}"}]})
            reasons.append(f"{variable} is set: provider {kind}")
    for provider, reason in _clouds(environ):
        providers.append(provider)
        reasons.append(reason)
    if environ.get("OLLAMA_HOST"):
        url = ollama_url(environ["OLLAMA_HOST"])
        providers.append({"name": "ollama", "type": "ollama", "base_url": url.replace("${", "$${")})
        reasons.append("OLLAMA_HOST is set: provider ollama")
    elif not providers and ollama_answers:
        providers.append({"name": "ollama", "type": "ollama"})
        reasons.append(f"an Ollama answers at {OLLAMA}: provider ollama")
    if not providers:
        providers.append({"name": "simulator", "type": "simulator"})
        reasons.append("no provider is named: provider simulator, whose answers are simulated")
    made_of = ", ".join(reason.partition(" is set")[0] for reason in reasons if " is set" in reason)
    source = f"environment ({made_of})" if made_of else "no configuration file"
    loaded = settled(Written(source, {"providers": providers}), environ)
    notes = [*reasons, *loaded.notes, _advice(providers)]
    return replace(loaded, notes=tuple(notes))


def ollama_url(host: str) -> str:
    """
    Return the base URL that C{OLLAMA_HOST} means, by the rules of Ollama's own client.

    @param host: a host, C{host:port}, C{:port} or a URL.  An address for all interfaces, on which a
        server may listen, means this machine.
    """
    scheme, separator, rest = host.strip().strip("\"'").rpartition("://")
    place, _, path = rest.rstrip("/").partition("/")
    found = _PLACE.fullmatch(place)
    name, port = (found["host"], found["port"]) if found else (f"[{place}]", None)
    port = port or ("" if separator else str(_OLLAMA_PORT))
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(name, name)  # noqa: S104
    return f"{scheme or 'http'}://{name}" + (f":{port}" if port else "") + (f"/{path}" if path else "")


def _clouds(environ: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield a provider, and why, for each cloud that the environment means for Claude."""
    region = next((f"${{{name}}}" for name in _REGIONS if environ.get(name)), _REGION)
    bedrock: dict[str, Any] = {"name": "bedrock", "type": "bedrock", "aws_region": region}
    if environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        token = {"aws_bearer_token": "${AWS_BEARER_TOKEN_BEDROCK}"}
        yield bedrock | token, "AWS_BEARER_TOKEN_BEDROCK is set: provider bedrock"
    elif environ.get("CLAUDE_CODE_USE_BEDROCK", "").lower() not in _OFF:
        yield bedrock, "CLAUDE_CODE_USE_BEDROCK is set: provider bedrock, with AWS's own credentials"
    if environ.get("ANTHROPIC_FOUNDRY_RESOURCE"):
        azure: dict[str, Any] = {
            "name": "azure", "type": "azure", "azure_resource_name": "${ANTHROPIC_FOUNDRY_RESOURCE}",
        }  # fmt: skip
        if environ.get("ANTHROPIC_FOUNDRY_API_KEY"):
            azure["keys"] = [{"key": "${ANTHROPIC_FOUNDRY_API_KEY}"}]
        else:
            azure["azure_auth"] = "entra"
        yield azure, "ANTHROPIC_FOUNDRY_RESOURCE is set: provider azure"
    google = environ.get("GOOGLE_APPLICATION_CREDENTIALS") and environ.get("GOOGLE_CLOUD_PROJECT")
    named = environ.get("ANTHROPIC_VERTEX_PROJECT_ID")
    if named or google:
        variable = "ANTHROPIC_VERTEX_PROJECT_ID" if named else "GOOGLE_CLOUD_PROJECT"
        where = "${CLOUD_ML_REGION}" if environ.get("CLOUD_ML_REGION") else "global"
        vertex = {
            "name": "vertex", "type": "vertex", "gcp_project_id": f"${{{variable}}}", "gcp_region": where,
        }  # fmt: skip
        yield vertex, f"{variable} is set: provider vertex"


def _advice(providers: list[dict[str, Any]]) -> str:
    """Return what to write into which file to have this for good."""
    entries = ", ".join(
        "{" + ", ".join(f"{name}: {_flow(value)}" for name, value in provider.items()) + "}"
        for provider in providers
    )
    if providers[0]["type"] == "simulator":
        return f"for real answers set ANTHROPIC_API_KEY, or run `ccrelay init` and name providers in {FILE}"
    return f"to keep this, put into {FILE}: providers: [{entries}]"


def _flow(value: object) -> str:
    """Return a value as YAML writes it inside a line."""
    if isinstance(value, list):
        items = ("{" + ", ".join(f'{key}: "{text}"' for key, text in one.items()) + "}" for one in value)
        return f"[{', '.join(items)}]"
    return f'"{value}"' if set(str(value)) & set(":{}") else str(value)

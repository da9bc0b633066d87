"""Other spellings of what can be configured: older names, cc-relay's, short forms, and what has no effect."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ccrelay.config.provider import EVERY_MODEL
from ccrelay.config.written import Problem, child, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ccrelay.config.written import KeyPath, Written

MOVED: Final[Mapping[KeyPath, KeyPath]] = {
    ("server", "api_key"): ("server", "auth", "api_key"),
    ("routing", "failover_timeout_ms"): ("routing", "failover_timeout"),
    ("logging", "file"): ("logging", "output"),
    ("metrics", "prometheus_listen"): ("metrics", "listen"),
    ("metrics", "prometheus_endpoint"): ("metrics", "path"),
}
"""Keys that stand for others."""

ANY: Final = "*"
"""In a path of L{WITHOUT_EFFECT}: every place of a list."""

WITHOUT_EFFECT: Final[Mapping[KeyPath, str]] = {
    ("server", "enable_http2"): "clients are served HTTP/1.1",
    ("cache",): "nothing is cached",
    ("grpc",): "there is no gRPC interface",
    ("logging", "debug_options"): "bodies are logged at level debug alone, without secrets",
    ("providers", ANY, "azure_api_version"): "the Messages API of Azure has no such version",
    ("providers", ANY, "azure_deployment_id"): "model_mapping names the deployments",
    ("providers", ANY, "pooling", "enabled"): "all keys of a provider are used",
}
"""Keys of cc-relay's that are accepted and do nothing, each with the reason."""

_PRETTY: Final = ("logging", "pretty")
_TEXT_WINS: Final = Problem(_PRETTY, "found beside format: json; it wins, and the format is text")


@dataclass(frozen=True, slots=True)
class Respelled:
    """
    A configuration in the one spelling that the rest of the program knows.

    @ivar notes: what the operator should know about other spellings.
    @ivar problems: where two spellings say the same thing twice.
    """

    written: Written
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def respelled(written: Written) -> Respelled:
    """Return what was written with every key under its own name, and without those that do nothing."""
    now = replace(written, tree=copy.deepcopy(written.tree), former=dict(written.former))
    moves: dict[KeyPath, KeyPath] = {}
    problems = [problem for old, new in MOVED.items() for problem in _move(now.tree, moves, old, new)]
    notes = [
        written.told(Problem(path, f"accepted, and without effect: {reason}"))
        for pattern, reason in WITHOUT_EFFECT.items()
        for path in list(_matching(now.tree, pattern))
        if _take(now.tree, path) not in (None, {}, [])
    ]
    for problem in _pretty(now.tree):
        if problem is _TEXT_WINS:
            notes.append(written.told(problem))
        else:
            problems.append(problem)
    _prices(now.tree, moves)
    return Respelled(replace(now, former=moves), tuple(notes), tuple(problems))


def _move(
    tree: dict[str, Any], moves: dict[KeyPath, KeyPath], old: KeyPath, new: KeyPath
) -> Iterator[Problem]:
    """Give a value the path it is known by; yield a problem if there is one already."""
    section = tree.get(str(old[0]))
    if not isinstance(section, dict) or section.get(old[1]) is None:
        _take(tree, old)
        return
    target = section
    for step in new[1:-1]:
        if target.get(step) is None:
            target[step] = {}
        target = target[step]
        if not isinstance(target, dict):
            return
    if target.get(new[-1]) is not None:
        yield Problem(old, f"found beside {dotted(new)}, which means the same; keep one of them")
        _take(tree, old)
        return
    target[new[-1]] = _take(tree, old)
    moves[new] = old


def _take(tree: dict[str, Any], path: KeyPath) -> Any:  # noqa: ANN401  whatever was written
    """Take a value out and return it; None if there is none."""
    here: Any = tree
    for step in path[:-1]:
        here = child(here, step)
    return here.pop(path[-1], None) if isinstance(here, dict) else None


def _matching(tree: object, pattern: KeyPath, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the paths in a tree that a pattern means."""
    if not pattern:
        yield path
    elif pattern[0] == ANY and isinstance(tree, list):
        for place, item in enumerate(tree):
            yield from _matching(item, pattern[1:], (*path, place))
    elif isinstance(tree, dict) and pattern[0] in tree:
        yield from _matching(tree[pattern[0]], pattern[1:], (*path, pattern[0]))


def _pretty(tree: dict[str, Any]) -> Iterator[Problem]:
    """Read C{logging.pretty}, which means C{format: text}."""
    logging = tree.get("logging")
    pretty = logging.pop("pretty", None) if isinstance(logging, dict) else None
    if pretty is True and isinstance(logging, dict):
        if logging.get("format") == "json":
            yield _TEXT_WINS
        logging["format"] = "text"
    elif pretty is not None and pretty is not False:
        yield Problem(_PRETTY, "found something else; allowed: true or false")


def _prices(tree: dict[str, Any], moves: dict[KeyPath, KeyPath]) -> None:
    """Give a price that is for all models the name of all models."""
    for path in list(_matching(tree, ("providers", ANY, "price"))):
        provider = tree["providers"][path[1]]
        price = provider["price"]
        if isinstance(price, dict) and price and not any(isinstance(one, dict) for one in price.values()):
            provider["price"] = {EVERY_MODEL: price}
            moves[(*path, EVERY_MODEL)] = path

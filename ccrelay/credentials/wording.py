"""What an SDK says when it fails, fit for one line of a log: short, without secrets, pages and queries."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccrelay.wire.secret import Secret

LONGEST: Final = 200

_NOWHERE: Final = logging.NullHandler()
_PAGE: Final = re.compile(r"<!doctype html|<html|<head|<body", re.IGNORECASE)
_KEY: Final = re.compile(r"-----BEGIN.*", re.DOTALL)
_URL: Final = re.compile(r"(https?://)(?:[^\s/@'\"]*@)?([^\s?#'\"<>]*)(?:[?#][^\s'\"<>]*)?", re.IGNORECASE)
_RETRIES: Final = re.compile(  # urllib3's
    r"""(HTTPS?)ConnectionPool\(host='([^']*)',\ port=(\d+)\):\ Max\ retries\ exceeded\ with\ url:\ \S+
    \ \(Caused\ by\ \w+\((?:"?HTTPS?Connection(?:Pool)?\(host='[^']*',\ port=\d+\):\ )?(.*?)["')]*$""",
    re.DOTALL | re.VERBOSE,
)
_CONNECTION: Final = re.compile(r"HTTPS?Connection(?:Pool)?\(host='([^']*)', port=(\d+)\)")
_OBJECT: Final = re.compile(r"<[^<>]* at 0x[0-9a-f]+>,? ?")
_JWT: Final = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*)*")
_TOKEN: Final = re.compile(r"[\w~+/=.-]{20,}")
_NAMED: Final = re.compile(
    r"""((?:secret|password|assertion|token|credential|signature|key)(?:=|["']\s*:\s*["']))[^\s"',&;)]{4,}""",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    r"iat and exp|signature expired|signature not yet current|not within its valid time range"
    r"|RequestTimeTooSkewed|RequestExpired|reasonable timeframe",
    re.IGNORECASE,
)


class Unavailable(Exception):
    """
    A credential that could not be had, and why.

    @ivar what: happened, in words without secrets.
    @ivar remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def words(said: object, secrets: Iterable[Secret | None] = ()) -> str:
    """
    Return what was said in one line of at most 200 characters.

    @param said: an exception or a text: it may hold web pages, addresses with queries, and tokens.
    @param secrets: texts that are known not to be shown.
    """
    text = str(said)
    for secret in secrets:
        if secret is not None:
            text = text.replace(secret.reveal(), "…")
    text = _RETRIES.sub(r"\2:\3: \4", text)
    text = _OBJECT.sub("", text)
    text = _CONNECTION.sub(r"\1:\2", text)
    page = _PAGE.search(text)
    if page is not None:
        text = text[: page.start()].rstrip(" ('\"") + " (a web page)"
    text = _KEY.sub("(a key)", text)
    text = _URL.sub(r"\1\2", text)
    text = _JWT.sub("…", text)
    text = _NAMED.sub(r"\1…", text)
    text = _TOKEN.sub(_unless_plain, text)
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    text = text.rstrip(" .;,:")
    if len(text) > LONGEST:
        text = text[: LONGEST - 1].rstrip() + "…"
    return text or type(said).__name__


def clock_is_wrong(said: object) -> bool:
    """Return whether a refusal is of the kind that a wrong clock causes."""
    return _CLOCK.search(str(said)) is not None


def _unless_plain(match: re.Match[str]) -> str:
    """Hide what looks random; names, hosts and paths have no capitals, small letters and digits mixed."""
    for part in re.split(r"[/.=-]", match[0]):
        kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
        if len(part) >= 16 and all(re.search(kind, part) for kind in kinds):  # noqa: PLR2004
            return "…"
    return match[0]


def remedy_for(problem: BaseException, remedies: Mapping[str, str], otherwise: str) -> str:
    """
    Return what to do about an exception.

    @param remedies: by the names of exceptions' classes, so that no SDK need be loaded to write them down.
    """
    if clock_is_wrong(problem):
        return "set the clock of this machine right (NTP)"
    names = (kind.__name__ for kind in type(problem).__mro__)
    return next((remedies[name] for name in names if name in remedies), otherwise)


def silence(*loggers: str) -> None:
    """Keep SDKs from printing their warnings on standard error: we say it in our words."""
    for name in loggers:
        logging.getLogger(name).addHandler(_NOWHERE)

"""URLs as treq takes them, looked at once."""

from __future__ import annotations

from functools import lru_cache

from hyperlink import URL


class _Known(URL):
    """
    A URL that was turned into bytes for the wire before.

    treq does so with every request, host name and all, for longer than a
    small request takes to be sent: 8 % of what such a request costs.
    """

    _written: str

    def to_uri(self) -> URL:
        """Return itself: it is one."""
        return self

    def to_text(self, with_password: bool = False) -> str:  # noqa: ARG002, FBT001, FBT002  hyperlink's
        """Return it as it is written."""
        return self._written


@lru_cache(maxsize=256)
def known(url: str) -> URL:
    """
    Return a URL for treq.

    @raise ValueError: if it is none.
    """
    parsed = URL.from_text(url)
    if ":" in parsed.host:
        # An IPv6 address is no name, though hyperlink takes it for one here, and refuses it.
        uri = parsed.replace(host="address").to_uri().replace(host=parsed.host)
    else:
        uri = parsed.to_uri()
    made = _Known.from_text(uri.to_text())
    setattr(made, "_written", uri.to_text())  # noqa: B010  hyperlink's constructor is not ours to change
    return made

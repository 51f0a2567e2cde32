"""Parse an endpoint's URL and reduce it to what may be written to files and messages."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit

from etlch.core.errors import EtlchError
from etlch.core.locale import _

OPENAI = "https://api.openai.com/v1"


def public_url(url: str | None) -> str:
    """Return a base URL as it may be written to files and messages: without user info and query.

    Raises:
        EtlchError: it is not an http(s) URL.
    """
    if url is None:
        return OPENAI
    parts = parse_url(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def parse_url(url: str) -> SplitResult:
    """Return the parts of an http(s) URL.

    Raises:
        EtlchError: it is not one.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        _rest = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise EtlchError(
            _("base_url: {url!r} is not an http(s) URL").format(url=url.rpartition("@")[2]),
            _("Name one such as http://localhost:8000/v1."),
        )
    return parts

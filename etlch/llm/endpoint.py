"""Read the settings and the environment, return the endpoint with its key and headers.

The only place that reads secrets. They are in no repr, and `redact` takes them out of what servers say.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from etlch.core.errors import EtlchError
from etlch.core.files import read_text
from etlch.core.locale import _
from etlch.core.settings import TeacherSettings
from etlch.core.urls import parse_url, public_url


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Attributes:
        url: the base URL without user info and query; fit to be written down.
        key: the API key; a dummy where the endpoint needs none.
        headers: sent with every request, beside or instead of the key as a bearer token; an empty Authorization
            sends none.
        query: of every request's URL.
        secrets: what must not be shown besides the key.
    """

    url: str
    key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact(self, text: str) -> str:
        """Return what a server said without the secrets, should it have echoed them."""
        for secret in (self.key, *self.secrets):
            if len(secret) >= _SHORTEST_SECRET and secret != _DUMMY:
                text = text.replace(secret, "[key]")
        return text


_DUMMY = "no-key"
_SHORTEST_SECRET = 4
_SECRET = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)


def find_endpoint(teacher: TeacherSettings) -> Endpoint:
    """Return the endpoint that the settings name, with the key from key_file or OPENAI_API_KEY.

    An `api-version` in the URL's query marks Azure's classic API, which takes the key in the header `api-key`.

    Raises:
        EtlchError: no key where one is needed, an unreadable key file, or a URL or header that is none.
    """
    url = public_url(teacher.base_url)
    key = _key(teacher)
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    if teacher.base_url is not None:
        parts = parse_url(teacher.base_url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if key and "api-version" in query:
        headers |= {"api-key": key, "Authorization": ""}
    headers |= _headers(teacher.headers)
    if not key and not any(map(_SECRET.search, headers)) and not _is_local(url):
        hint = _("Set OPENAI_API_KEY, or name a file that holds the key with the setting key_file.")
        if teacher.base_url is None:
            hint += "\n" + _(
                "To try everything out without a key, on articles that etlch writes itself: --teacher offline --language en"
            )
        raise EtlchError(_("there is no API key for {url}").format(url=url), hint)
    secrets = [value.removeprefix("Basic ") for name, value in headers.items() if _SECRET.search(name)]
    secrets += [value for name, value in query.items() if _SECRET.search(name)]
    return Endpoint(url, key or _DUMMY, headers, query, tuple(secrets))


def _headers(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return headers with what the environment holds for values of the form `$NAME`.

    Raises:
        EtlchError: the environment holds no such name, or a secret stands in the settings, which run.yaml repeats.
    """
    headers = {}
    for name, said in chosen.items():
        value = os.environ.get(said[1:], "").strip() if said.startswith("$") else said
        if not value:
            raise EtlchError(
                _("headers: {name}: {said} is not set").format(name=name, said=said),
                _("Set the environment variable it names."),
            )
        if value == said and _SECRET.search(name):
            raise EtlchError(
                _("headers: {name} looks like a secret, and settings are written to run.yaml").format(
                    name=name
                ),
                _("Write the name of an environment variable instead, e.g. {name}: $API_KEY").format(
                    name=name
                ),
            )
        headers[name] = value
    return headers


def _key(teacher: TeacherSettings) -> str:
    """Return the key, or an empty text where none is named."""
    if teacher.key_file is None:
        where, key = "OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY", "").strip()
        if not key:
            return ""
    else:
        where = f"key_file {teacher.key_file}"
        key = read_text(Path(teacher.key_file).expanduser()).strip()
    if not key or any(char.isspace() for char in key) or not key.isascii():
        raise EtlchError(
            _("{where} does not hold one key").format(where=where),
            _("It must hold the key and nothing else."),
        )
    return key


def _is_local(url: str) -> bool:
    """Tell whether a URL names this machine or its network: servers there mostly need no key."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".localhost", ".internal"))

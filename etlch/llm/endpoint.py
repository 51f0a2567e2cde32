"""Read the settings and the environment, return the endpoint with its key.

The only place that reads the key. It is in no repr, and `redact` takes it out of what servers say.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from etlch.core.errors import EtlchError
from etlch.core.files import read_text
from etlch.core.settings import TeacherSettings
from etlch.core.urls import parse_url, public_url


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Attributes:
        url: the base URL without user info; fit to be written down.
        key: the API key; a dummy where the endpoint needs none.
        authorization: the header that a URL with user info stands for, or empty.
    """

    url: str
    key: str = field(repr=False)
    authorization: str = field(default="", repr=False)

    def redact(self, text: str) -> str:
        """Return what a server said without the secrets, should it have echoed them."""
        for secret in (self.key, self.authorization.removeprefix("Basic ")):
            if len(secret) >= 4 and secret != _DUMMY:
                text = text.replace(secret, "[key]")
        return text


_DUMMY = "no-key"


def find_endpoint(teacher: TeacherSettings) -> Endpoint:
    """Return the endpoint that the settings name, with the key from key_file or OPENAI_API_KEY.

    Raises:
        EtlchError: no key where one is needed, an unreadable key file, or a URL that is none.
    """
    url = public_url(teacher.base_url)
    key = _key(teacher)
    authorization = ""
    if teacher.base_url is not None:
        parts = parse_url(teacher.base_url)
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    if not key and not authorization and not _is_local(url):
        hint = "Set OPENAI_API_KEY, or name a file that holds the key with the setting key_file."
        if teacher.base_url is None:
            hint += "\nTo try everything out without a key: --teacher offline --language en"
        raise EtlchError(f"there is no API key for {url}", hint)
    return Endpoint(url, key or _DUMMY, authorization)


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
        raise EtlchError(f"{where} does not hold one key", "It must hold the key and nothing else.")
    return key


def _is_local(url: str) -> bool:
    """Tell whether a URL names this machine or its network: servers there mostly need no key."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".localhost", ".internal"))

"""Who is asked, with which key, and that neither key nor user info is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.core import manifest
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.manifest import Manifest
from etlch.core.run_folder import Run
from etlch.core.settings import TeacherSettings
from etlch.core.urls import public_url
from etlch.llm.endpoint import find_endpoint
from tests.fake_server import serve
from tests.llm.clients import ask, plain


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_openai_without_a_key_is_refused_with_a_way_to_try_things_out() -> None:
    with pytest.raises(EtlchError, match="no API key") as caught:
        find_endpoint(TeacherSettings())
    assert "OPENAI_API_KEY" in caught.value.hint and "--teacher offline" in caught.value.hint
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:80/v1",
        "http://192.168.1.7/v1",
        "http://gpu/v1",
    ],
)
def test_a_server_of_ones_own_needs_no_key(url: str) -> None:
    assert find_endpoint(TeacherSettings(base_url=url)).key


def test_a_server_elsewhere_needs_one() -> None:
    with pytest.raises(EtlchError, match="no API key for https://api"):
        find_endpoint(TeacherSettings(base_url="https://api.example.com/v1"))


def test_the_key_file_outranks_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    key_file = tmp_path / "key"
    key_file.write_text("sk-file\n")
    assert find_endpoint(TeacherSettings()).key == "sk-environment"
    assert find_endpoint(TeacherSettings(key_file=str(key_file))).key == "sk-file"


@pytest.mark.parametrize("content", ["", "two keys", "OPENAI_API_KEY=sk\nOTHER=x", "鑰"])
def test_a_key_file_that_holds_something_else_is_refused_unseen(content: str, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(content, encoding="utf-8")
    with pytest.raises(EtlchError, match="does not hold one key") as caught:
        find_endpoint(TeacherSettings(key_file=str(key_file)))
    assert not content or content not in str(caught.value)


def test_a_key_in_the_environment_that_cannot_be_one_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-鑰匙")
    with pytest.raises(EtlchError, match="OPENAI_API_KEY does not hold one key") as caught:
        find_endpoint(TeacherSettings())
    assert "鑰匙" not in str(caught.value)


def test_secrets_are_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123")
    shown = repr(find_endpoint(TeacherSettings(base_url="https://me:pass@example.com/v1")))
    assert "sk-secret-123" not in shown and "pass" not in shown and "Basic" not in shown


@pytest.mark.parametrize(
    ("url", "public"),
    [
        (None, "https://api.openai.com/v1"),
        ("https://me:pass@example.com:8443/v1/?key=x#y", "https://example.com:8443/v1"),
        ("http://me@example.com", "http://example.com"),
    ],
)
def test_a_url_is_written_down_without_user_info_and_query(url: str | None, public: str) -> None:
    assert public_url(url) == public


def test_a_run_folder_holds_its_endpoint_without_user_info(tmp_path: Path) -> None:
    settings = make_settings(teacher="m", base_url="http://me:p%40ss@example.com/v1", language="en")
    manifest.write(Run(tmp_path), Manifest(settings, {}, {}, {}))
    assert "p%40ss" not in Run(tmp_path).settings.read_text()
    assert manifest.read(Run(tmp_path)).settings.teacher.base_url == "http://example.com/v1"


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x/v1", "http://", "http://x:port/v1"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    with pytest.raises(EtlchError, match="not an http"):
        public_url(url)


def test_user_info_of_a_url_is_sent_as_a_header(tmp_path: Path) -> None:
    with serve() as server:
        url = server.url.replace("http://", "http://me:p%40ss@")
        done = ask(make_settings(base_url=url), tmp_path, [plain(0)])
        assert isinstance(done.results[0], str)
        # RFC 7617: base64 of "me:p@ss"
        assert server.seen[0].headers["Authorization"] == "Basic bWU6cEBzcw=="
    for path in tmp_path.rglob("*"):
        assert b"p%40ss" not in path.read_bytes() and b"p@ss" not in path.read_bytes()

"""What `preview` shows is what the client would be asked, and nothing is sent or written."""

from __future__ import annotations

import asyncio
from itertools import takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts, eject
from etlch.pipeline.preview import ARTICLE, INSTRUCTION, requests, written
from etlch.teachers.offline.teacher import OfflineTeacher
from tests.fake_server import serve


def test_the_requests_are_those_that_a_run_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = make_settings(teacher="m", language="en")
    _, sent = asyncio.run(requests(settings, 0))
    assert [item.purpose for item in sent] == [
        "article/write",
        "json/ask",
        "json/label",
        "kge/label",
        "ner/label",
    ]
    shown = {item.purpose: item.request.messages[0].content for item in sent}
    with serve() as server:
        options = ["--teacher", "m", "--language", "en", "--sizes", "1", "--test", "0", "--concurrency", "1"]
        out = ["--out", str(tmp_path / "run"), "--base-url", server.url]
        assert CliRunner().invoke(main, ["generate", *options, *out]).exit_code == 0
        bodies = [seen.body["messages"][0]["content"] for seen in server.seen]
    assert shown["article/write"] == bodies[0]
    article = (tmp_path / "run" / "articles.jsonl").read_text(encoding="utf-8")
    text = article.split('"text": "')[1].rsplit('"', 1)[0]
    for purpose in ("json/ask", "kge/label", "ner/label"):
        assert shown[purpose].replace(ARTICLE, text) in bodies


def test_own_texts_stand_in_the_prompts(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("The bridge opened in 1932.", encoding="utf-8")
    settings = make_settings(articles=str(tmp_path), language="en", tasks=("ner",))
    candidate, sent = asyncio.run(requests(settings, 0))
    assert candidate.text == "The bridge opened in 1932." and len(sent) == 1
    assert "<article>\nThe bridge opened in 1932.\n</article>" in sent[0].request.messages[0].content
    with pytest.raises(EtlchError, match="no place 1"):
        asyncio.run(requests(settings, 1))


def test_overrides_are_shown(tmp_path: Path) -> None:
    for path in eject(tmp_path, "ner"):
        if path.name == "label.en.j2":
            path.write_text("Mine: {{ article }}", encoding="utf-8")
    settings = make_settings(prompts=str(tmp_path), language="en", tasks=("ner",))
    _, sent = asyncio.run(requests(settings, 3))
    assert sent[1].request.messages[0].content == f"Mine: {ARTICLE}"


def test_the_offline_teacher_s_article_and_labels() -> None:
    outcome = asyncio.run(written(make_settings(teacher="offline", language="en"), 2))
    assert outcome.article is not None and len(outcome.records) == 3
    shown = CliRunner().invoke(main, ["preview", "--teacher", "offline", "--language", "en", "--topic", "2"])
    assert shown.exit_code == 0 and outcome.article.text in shown.output
    assert all(record.output in shown.output for record in outcome.records)


@pytest.mark.parametrize(("language", "length"), [("en", 600), ("zh-TW", 900), ("zh-CN", 900)])
def test_four_in_five_bytes_of_the_requests_on_one_article_are_a_common_prefix(
    language: str, length: int, tmp_path: Path
) -> None:
    """The article stands first, so that a server that caches prompts reads it once. The goal is 80 %."""
    teacher = OfflineTeacher(0, Prompts(), language, lengths=(length,))
    (tmp_path / "x.txt").write_text(teacher.draw(next(teacher.topics())).text, encoding="utf-8")
    _, sent = asyncio.run(requests(make_settings(articles=str(tmp_path), language=language, chunk=0), 0))
    assert [item.purpose for item in sent] == ["json/ask", "json/label", "kge/label", "ner/label"]
    texts = [item.request.messages[0].content.replace(INSTRUCTION, "x" * 200).encode() for item in sent]
    prefix = sum(1 for _ in takewhile(lambda chars: len(set(chars)) == 1, zip(*texts, strict=False)))
    assert prefix >= 0.8 * sum(map(len, texts)) / len(texts)

"""Label-first: whatever the writer gets wrong is seen by code, and the gold is what was drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.files import read_jsonl
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES, Record, Rejected
from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from etlch.tasks import find_task
from etlch.teachers.label_first import article_problems, values
from etlch.teachers.offline.teacher import OfflineTeacher
from tests.fake_server import Server, serve


def writes(body: Any) -> str:
    """Write the facts of the prompt in sentences, one per fact; the names after them."""
    prompt = body["messages"][0]["content"]
    facts = [line[2:] for line in prompt.splitlines() if re.match(r"- .+( – |－).+( – |－)", line)]
    names = re.search(r"(?:in brackets: |为类别）：|為類別）：)(.*)[.。]", prompt)
    listed = re.sub(r" ?[(（][^)）]*[)）]", "", names.group(1)) if names else ""
    return " ".join(f"{fact.replace(' – ', ' ').replace('－', '，')}." for fact in facts) + f" {listed}."


def lies_at_first(body: Any) -> str:
    """Leave out the first fact's sentence and invent a year, until the reasons come."""
    if len(body["messages"]) > 1:
        return writes(body)
    return writes(body).partition(". ")[2] + " It was founded in 1789."


def made(server: Server, folder: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = folder / "settings.yaml"
    settings.write_text("label_first: true\n", encoding="utf-8")
    options = ["--language", language, "--sizes", "10", "--test", "2", "--base-url", server.url]
    out = ["--settings", str(settings), "--out", str(folder / "run")]
    ended = CliRunner().invoke(main, ["generate", *options, *out])
    assert ended.exit_code == 0, ended.output
    return Run(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_are_the_drawn_facts(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(reply=writes) as server:
        run = made(server, tmp_path, language, monkeypatch)
        assert all(seen.body.get("response_format") is None for seen in server.seen), (
            "only articles are asked"
        )
    assert check_run(run).problems == ()
    teacher = OfflineTeacher(0, Prompts(), language)
    documents = {
        f"a{topic.position:05d}": teacher.draw(topic)
        for topic, _ in zip(teacher.topics(), range(60), strict=False)
    }
    records = [record for record in read_jsonl(run.records, Record) if record.task == "kge"]
    assert len(records) == 12
    for record in records:
        drawn = {item.fact for item in documents[record.article_id].triples}
        assert {item.fact for item in record.facts} == drawn
        assert set(find_task("kge").parse(record.output, language, True).facts) == drawn


@pytest.mark.slow
def test_a_fact_left_out_and_a_year_made_up_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(reply=lies_at_first) as server:
        run = made(server, tmp_path, "en", monkeypatch)
        again = [seen.body["messages"] for seen in server.seen if len(seen.body["messages"]) > 1]
    assert len(again) == 12, "once for each article"
    assert all("'1789' is not among the facts" in messages[-1]["content"] for messages in again)
    assert any("does not stand in the article" in messages[-1]["content"] for messages in again)
    assert not [item for item in read_jsonl(run.rejected, Rejected) if item.stage == "grounding"]
    assert "1789" not in run.articles.read_text(encoding="utf-8")


def test_what_an_article_lacks_and_adds() -> None:
    wanted = ["Orion Works", "$4.2 million", "19 March 1932"]
    assert article_problems("Orion Works paid $4.2 million on 19 March 1932.", wanted) == []
    assert article_problems("Orion Works paid 4,200,000 dollars in 1932.", wanted) == [
        "'$4.2 million' does not stand in the article",
        "'19 March 1932' does not stand in the article",
        "'1932' is not among the facts; state no other number or date",
    ]


def test_every_value_of_a_drawn_document_is_wanted_once() -> None:
    teacher = OfflineTeacher(0, Prompts(), "en")
    document = teacher.draw(next(teacher.topics()))
    wanted = values(document)
    assert len(wanted) == len(set(wanted)) and article_problems(document.text, wanted) == []


def test_articles_brought_along_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (tmp_path / "settings.yaml").write_text("label_first: true\n", encoding="utf-8")
    (tmp_path / "mine.txt").write_text("Mine.\n", encoding="utf-8")
    options = ["--settings", f"{tmp_path}/settings.yaml", "--articles", f"{tmp_path}/mine.txt"]
    ended = CliRunner().invoke(main, ["generate", *options, "--out", f"{tmp_path}/run"])
    assert ended.exit_code == 2
    assert "label_first writes an article around drawn facts, and --articles brings articles" in ended.output
    assert not (tmp_path / "run" / "replies.sqlite").exists()


def test_a_number_of_which_only_some_characters_are_digits_is_a_number_too() -> None:
    """`$7 million` has a digit among its letters; `all` instead of `any` would let it pass."""
    found = article_problems("Orion Works paid $7 million.", ["Orion Works"])
    assert len(found) == 1 and "7 million" in found[0]

"""Calibration against teachers whose faults are known, so that every score can be counted by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.prompts import Prompts
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.teachers.offline.writer import Document
from tests.fake_server import serve

ARTICLES = 6


def documents() -> dict[str, Document]:
    teacher = OfflineTeacher(0, Prompts(), "en")
    topics = teacher.topics()
    drawn = [teacher.draw(next(topics)) for _ in range(ARTICLES)]
    return {document.text: document for document in drawn}


def one_missing_one_invented(body: Any) -> str:
    """Answer ner without the first entity and with one that no article holds."""
    article = re.search(r"<article>\n(.*)\n</article>", body["messages"][0]["content"], re.DOTALL)
    assert article
    kept = [item.fact for item in documents()[article.group(1)].entities][1:]
    kept.append(("Person", "Nobody Anywhere"))
    return json.dumps({"entities": [{"type": kind, "mention": mention} for kind, mention in kept]})


def other_relations(body: Any) -> str:
    """Answer kge with the true ends and relations of the teacher's own."""
    article = re.search(r"<article>\n(.*)\n</article>", body["messages"][0]["content"], re.DOTALL)
    assert article
    triples = [item.fact for item in documents()[article.group(1)].triples]
    parts = ("subject", "relation", "object")
    return json.dumps(
        {"triples": [dict(zip(parts, (s, "relates to", o), strict=True)) for s, _, o in triples]}
    )


def calibrated(monkeypatch: pytest.MonkeyPatch, folder: Path, task: str, reply: Any) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    options = ["--language", "en", "--tasks", task, "--articles", str(ARTICLES), "--json"]
    with serve(reply=reply) as server:
        again = ["--base-url", server.url, "--out", str(folder), *options]
        first = CliRunner().invoke(main, ["calibrate", *again])
        assert first.exit_code == 0, first.output
        sent = len(server.seen)
        assert CliRunner().invoke(main, ["calibrate", *again]).stdout == first.stdout
        assert len(server.seen) == sent == ARTICLES, "asking twice costs nothing"
    return json.loads(first.stdout)


@pytest.mark.slow
def test_a_missing_and_an_invented_entity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = calibrated(monkeypatch, tmp_path / "c", "ner", one_missing_one_invented)
    (result,) = found["results"]
    entities = [len(document.entities) for document in documents().values()]
    total = sum(entities)
    # the invented one is dropped by the checks, so what is left is right; one of each article is missing
    assert result["precision"]["value"] == 1.0
    assert result["recall"]["value"] == pytest.approx((total - ARTICLES) / total)
    assert result["grounding"]["share"] == [total - ARTICLES, total]
    assert result["form"]["share"] == [ARTICLES, ARTICLES]
    interval = result["recall"]["interval"]
    assert interval["low"] < result["recall"]["value"] < interval["high"]
    # gpt-4o-mini: $0.15 and $0.60 a million tokens
    cost = found["cost"]
    dollars = (0.15 * cost["input_tokens"] + 0.60 * cost["output_tokens"]) / 1e6
    assert cost["requests"] == ARTICLES and cost["usd"] == pytest.approx(dollars, abs=1e-6)


@pytest.mark.slow
def test_triples_are_also_compared_by_their_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole, ends = calibrated(monkeypatch, tmp_path / "c", "kge", other_relations)["results"]
    assert (whole["task"], whole["f1"]["value"]) == ("kge", 0.0)
    assert (ends["task"], ends["f1"]["value"]) == ("kge ends", 1.0)


def test_answers_that_are_no_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (result,) = calibrated(monkeypatch, tmp_path / "c", "ner", lambda body: "Sure! Person: Ann")["results"]
    assert result["form"]["share"] == [0, ARTICLES] and result["recall"]["value"] == 0.0


def test_the_offline_teacher_is_always_right(tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        main, ["calibrate", "--teacher", "offline", "--language", "en", "--out", str(tmp_path / "c")]
    )
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["json", "kge", "kge", "ner"]
    assert all(row.count("1.000") >= 5 for row in rows)


def test_a_task_of_one_s_own_is_calibrated_on_its_examples(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two examples of two facts each; the teacher finds the first of each: recall 2 of 4, precision 2 of 2."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (tmp_path / "own.py").write_text(
        "import dataclasses\nfrom etlch.tasks.ner import TASK as NER\n"
        "def example(one, two):\n"
        "    return 'en', f'{one} met {two}.', '{\"Person\": [\"' + one + '\", \"' + two + '\"]}'\n"
        "TASK = dataclasses.replace(NER, name='people', examples=(example('Ann', 'Bob'), example('Eve', 'Dan')))\n"
    )
    (tmp_path / "prompts/people").mkdir(parents=True)
    for name in ("instruction", "label"):
        head = "{# variables: article -#}" if name == "label" else "{# variables: -#}"
        text = f"{head}\nList.\n" + ("<article>\n{{ article }}\n</article>\n" if name == "label" else "")
        (tmp_path / f"prompts/people/{name}.en.j2").write_text(text, encoding="utf-8")
    settings = tmp_path / "s.yaml"
    settings.write_text(
        f"task_file: {tmp_path}/own.py\nprompts: {tmp_path}/prompts\ntasks: [people]\nlanguage: en\n", "utf-8"
    )

    def first(body: Any) -> str:
        word = body["messages"][0]["content"].split("<article>\n")[1].split()[0]
        return json.dumps({"entities": [{"type": "Person", "mention": word}]})

    with serve(reply=first) as server:
        options = ["--base-url", server.url, "--out", str(tmp_path / "c"), "--json"]
        shown = CliRunner().invoke(main, ["calibrate", "--settings", str(settings), *options])
    assert shown.exit_code == 0, shown.output
    (result,) = json.loads(shown.stdout)["results"]
    assert (result["task"], result["precision"]["value"], result["recall"]["value"]) == ("people", 1.0, 0.5)


def test_a_task_without_known_truth_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "s.yaml"
    own = tmp_path / "events.py"
    own.write_text(
        "import dataclasses\nfrom etlch.tasks.ner import TASK as NER\nTASK = dataclasses.replace(NER, name='events')\n"
    )
    settings.write_text(f"tasks: [events]\ntask_file: {own}\n", encoding="utf-8")
    shown = CliRunner().invoke(main, ["calibrate", "--settings", str(settings)])
    assert (
        shown.exit_code == 2 and "no articles with known truth for the task 'events' in zh-TW" in shown.output
    )

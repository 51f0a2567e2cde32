"""docs/own-task.md is built into files and run, from the teacher's answers to proved training data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.cli.score import main as score
from etlch.tasks import Task, find_task
from tests import fake_teacher
from tests.fake_server import serve

PAGE = Path(__file__).parent.parent / "docs" / "own-task.md"
_FILE = re.compile(r"^`([\w./]+)`[^\n]*\n(?:[^\n`]+\n)*\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example() -> tuple[str, str]:
    """The article and the label that the page shows."""
    text = PAGE.read_text(encoding="utf-8")
    article = re.search(r"^> (.*)$", text, re.MULTILINE)
    label = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert article and label
    return article.group(1), json.dumps(json.loads(label.group(1)))


def events(folder: Path) -> Task:
    return find_task("events", folder / "events.py")


def test_the_page_holds_every_file(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    prompts = {f"my_prompts/events/{name}" for name in ("instruction.en.j2", "label.en.j2", "types.yaml")}
    assert names == {"events.py", "settings.yaml", "score.yaml", *prompts}


def test_the_label_of_the_page_reads_back_and_stands_in_its_article(folder: Path) -> None:
    from etlch.dataset.grounding import ground
    from etlch.text.json_text import schema_problems

    task, (article, label) = events(folder), example()
    parsed = task.parse(label, "en", True)
    assert len(parsed.facts) == 5 and parsed.wrong == 0
    assert task.render(parsed.facts, (), "en") == label
    assert schema_problems(json.loads(label), task.label_schema(["accident", "payment"])) == []
    located = ground(parsed.facts, task, article).located
    assert [item.fact for item in located] == list(parsed.facts)
    assert task.parse('[{"event": "x"}, "y"]', "en", False).wrong == 2


def test_preview_shows_its_prompts(folder: Path) -> None:
    shown = CliRunner().invoke(main, ["preview", "--settings", "settings.yaml", "--schemas"])
    assert shown.exit_code == 0, shown.output
    assert "- payment: payer, payee, amount, date" in shown.output
    assert '"enum": [\n' in shown.output and "== ner/label (user)" in shown.output


def test_a_misspelt_prompt_or_variable_is_named(folder: Path) -> None:
    label = folder / "my_prompts" / "events" / "label.en.j2"
    sound = label.read_text(encoding="utf-8")
    label.write_text(sound.replace("{{ article }}", "{{ artikel }}"), encoding="utf-8")
    shown = CliRunner().invoke(main, ["preview", "--settings", "settings.yaml"])
    assert shown.exit_code == 2 and "artikel" in shown.output and "Did you mean 'article'?" in shown.output


def answer(body: Any) -> str:
    """Answer the events prompt with the tokens that a simple reader finds, all else as the fake teacher."""
    prompt = body["messages"][0]["content"]
    if "List the events" not in prompt:
        return fake_teacher.reply(body)
    article = re.search(r"<article>\n(.*)\n</article>", prompt, re.DOTALL)
    assert article
    amounts = re.findall(r"\$\d+\.\d million", article.group(1))
    words = re.findall(r"[A-Z][a-z]+ [A-Z][a-z]+", article.group(1))
    verb = re.search(r"(?<=[a-z] )[a-z]{4,}(?= )", article.group(1))
    assert verb
    found = [("payment", verb.group(), "amount", amount) for amount in amounts]
    found += [("appointment", verb.group(), "person", word) for word in words]
    names = ("event", "trigger", "role", "value")
    return json.dumps({"arguments": [dict(zip(names, item, strict=True)) for item in found]})


@pytest.mark.slow
def test_the_page_s_commands_make_proved_training_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serve(reply=answer) as server:
        command = [sys.executable, "-m", "etlch.cli.data"]
        sizes = ["--sizes", "10", "--test", "3", "--base-url", server.url, "--out", "run"]
        made = subprocess.run(
            [*command, "generate", "--settings", "settings.yaml", *sizes],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
    checked = subprocess.run([*command, "check", "run"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    rows = json.loads((folder / "run/llamafactory/run_events_train_10.json").read_text(encoding="utf-8"))
    assert len(rows) == 9 and all(json.loads(row["output"])[0]["event"] for row in rows)


@pytest.mark.slow
def test_its_predictions_are_scored_and_shown_by_its_own_facts(folder: Path) -> None:
    article, label = example()
    facts = events(folder).parse(label, "en", True).facts
    short = json.dumps(json.loads(label)[:1])
    for name, predict in (("base", "[]"), ("tuned", short)):
        row = {"prompt": article, "label": label, "predict": predict}
        (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    named = ["--settings", "score.yaml", "--task", "events", "--baseline", "base"]
    ended = CliRunner().invoke(score, ["base.jsonl", "tuned.jsonl", *named, "--out", "scores"])
    assert ended.exit_code == 0, ended.output
    summary = json.loads((folder / "scores/summary.json").read_text(encoding="utf-8"))
    recall = {item["model"]: item["value"] for item in summary["scores"] if item["metric"] == "facts_recall"}
    right = len(events(folder).parse(short, "en", True).facts)
    assert recall == {"base": 0.0, "tuned": right / len(facts)}
    # One of the two triggers, two of the five roles (object, date | payer, amount, payee).
    tuned = {item["metric"]: item["value"] for item in summary["scores"] if item["model"] == "tuned"}
    assert tuned["trigger_f1"] == pytest.approx(2 * 1 / (1 + 2))
    assert tuned["role_f1"] == pytest.approx(2 * 2 / (2 + 5)) and 0 < tuned["soft_f1"] < 1
    (rate,) = summary["win_rates"]
    assert rate["metrics"][0] == "rouge_l" and set(rate["metrics"]) <= {"rouge_l", "cosine"}
    shown = (folder / "scores/report.html").read_text(encoding="utf-8")
    assert "missing" in shown
    for more, same in (([], False), (["--settings", "score.yaml"], True)):
        assert CliRunner().invoke(score, ["report", "scores", "--out", "again", *more]).exit_code == 0
        assert ((folder / "again/report.html").read_text(encoding="utf-8") == shown) == same

"""Plain files of labelled data: each fault is planted in a file that is right without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.quality.check_labels import LabelReport, check_label_files
from etlch.tasks import find_task

TEXTS = ("Ada Moss lives in Riverton.", "Ben Oak left the company.", "Cy Pine went to Lakeside with 王小明。")
LABELS: tuple[dict[str, list[str]], ...] = (
    {"Person": ["Ada Moss"], "Location": ["Riverton"]},
    {"Person": ["Ben Oak"]},
    {"Person": ["Cy Pine", "王小明"], "Location": ["Lakeside"]},
)
TARGETS = [json.dumps(label, ensure_ascii=False) for label in LABELS]


def alpaca(texts: Sequence[str] = TEXTS, targets: Sequence[str] = TARGETS) -> list[dict[str, Any]]:
    return [
        {"instruction": "Extract.", "input": text, "output": target}
        for text, target in zip(texts, targets, strict=True)
    ]


def sharegpt(texts: Sequence[str] = TEXTS, targets: Sequence[str] = TARGETS) -> list[dict[str, Any]]:
    return [
        {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": target}]}
        for text, target in zip(texts, targets, strict=True)
    ]


def messages(texts: Sequence[str] = TEXTS, targets: Sequence[str] = TARGETS) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Extract."},
                {"role": "user", "content": text},
                {"role": "assistant", "content": target},
            ]
        }
        for text, target in zip(texts, targets, strict=True)
    ]


def doccano(texts: Sequence[str] = TEXTS) -> list[dict[str, Any]]:
    return [
        {
            "id": f"d{place}",
            "text": text,
            "label": [
                [text.index(mention), text.index(mention) + len(mention), kind]
                for kind, mentions in label.items()
                for mention in mentions
            ],
        }
        for place, (text, label) in enumerate(zip(texts, LABELS, strict=True))
    ]


def written(path: Path, rows: Sequence[Any]) -> Path:
    lines = path.suffix == ".jsonl"
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return path


def checked(*paths: Path, task: str = "ner") -> LabelReport:
    return check_label_files(paths, find_task(task))


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (alpaca(), "alpaca"),
        (sharegpt(), "chat messages"),
        (messages(), "chat messages"),
        (doccano(), "doccano"),
    ],
)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_a_sound_file_has_no_problem_and_is_counted(
    tmp_path: Path, rows: list[Any], kind: str, ending: str
) -> None:
    report = checked(written(tmp_path / f"mine.{ending}", rows))
    assert report.problems == () and report.notes == ()
    (file,) = report.files
    assert file.formats == (kind,)
    assert (file.texts, file.labelled, file.labels, file.facts, file.grounded) == (3, 3, 6, 6, 6)
    assert dict(file.mix) == {"Person": 4, "Location": 2}


FAULTS = [
    ('Here it is: {"Person": ["Ben Oak"]}', "the target is not in the format of ner"),
    ('```json\n{"Person": ["Ben Oak"]}\n```', "the target is not in the format of ner: fenced"),
    ('{"Person": ["Ben Oak"', "the target is not in the format of ner"),
    ('{"Person": "Ben Oak"}', "the target breaks its schema"),
    ('{"Person": ["Ben Oak", "Zoe"]}', "not in its text: Person – Zoe"),
    ('{"Person": ["Ben Oak<|im_end|>"]}', "it contains the special token <|im_end|>"),
    (" ", "the target is empty"),
]


@pytest.mark.parametrize(("target", "reason"), FAULTS)
@pytest.mark.parametrize("kind", [alpaca, sharegpt, messages])
def test_each_planted_fault_is_named_with_its_text(
    tmp_path: Path, kind: Any, target: str, reason: str
) -> None:
    path = written(tmp_path / "mine.json", kind(targets=[TARGETS[0], target, TARGETS[2]]))
    problems = checked(path).problems
    assert any(problem.reason.startswith(reason) for problem in problems), problems
    assert {problem.text for problem in problems} == {2}


def test_offsets_that_do_not_fit_are_named(tmp_path: Path) -> None:
    rows = doccano()
    rows[1]["label"] = [[0, 700, "Person"]]
    (problem,) = checked(written(tmp_path / "mine.jsonl", rows)).problems
    assert str(problem) == f"{tmp_path / 'mine.jsonl'}, text 2 (d1): dropped: offsets outside the text"


def test_every_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    good = json.dumps(alpaca()[0])
    path.write_text(f'{good}\n{{"input": \n{good}\n[1\n{{"a" 1}}\n', encoding="utf-8")
    assert [problem.text for problem in checked(path).problems] == [2, 5]


def test_a_repeated_text_is_told_with_whether_its_labels_agree(tmp_path: Path) -> None:
    path = written(
        tmp_path / "mine.json",
        alpaca([*TEXTS, TEXTS[0], TEXTS[1]], [*TARGETS, TARGETS[0], '{"Location": ["Ben Oak"]}']),
    )
    assert [(problem.text, problem.reason) for problem in checked(path).problems] == [
        (4, "the text of text 1 again, with the same labels"),
        (5, "the text of text 2 again, with other labels"),
    ]


LONG = "The harbour bridge of Lakeside was opened by Ada Moss after nine years of work on its two piers"


def test_a_training_text_that_the_test_set_has_is_a_leak_in_any_order_of_the_files(tmp_path: Path) -> None:
    label = '{"Person": ["Ada Moss"]}'
    train = written(tmp_path / "train.json", alpaca([TEXTS[0], f"{LONG}!!"], [TARGETS[0], label]))
    test = written(tmp_path / "test.json", alpaca([f"{LONG}.", TEXTS[0]], [label, TARGETS[0]]))
    reports = [checked(train, test), checked(test, train)]
    assert reports[0].problems == reports[1].problems
    assert [(problem.file, problem.text, problem.reason) for problem in reports[0].problems] == [
        (str(train), 1, f"its text is in {test}, text 2 too"),
        (str(train), 2, f"its text is a near copy of {test}, text 1"),
    ]


def test_the_label_mix_gives_notes_and_no_failure(tmp_path: Path) -> None:
    train = written(tmp_path / "train.json", alpaca([TEXTS[0]], [TARGETS[0]]))
    other = '{"person": ["Ben Oak"]}', '{"person": ["Cy Pine"]}'
    test = written(tmp_path / "test.json", alpaca(TEXTS[1:], other))
    report = checked(train, test)
    assert report.problems == ()
    assert report.notes == (
        "types that may be one: person (2), Person (1)",
        f"{test}: no training file has person",
        f"{test}: every label is of the type person",
    )


def test_triples_are_checked_under_the_separator_of_their_language(tmp_path: Path) -> None:
    good = "【一、三元組格式（主詞－關係－受詞）】\n王小明－住在－台北"
    rows = alpaca(["王小明住在台北。", "王小明去年住在台北。"], [good, good.replace("－", "-")])
    (problem,) = checked(written(tmp_path / "mine.json", rows), task="kge").problems
    assert problem.text == 2 and "not in the format of kge" in problem.reason


def run_cli(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check", *words])
    return done.exit_code, done.output


def test_the_command_ends_with_1_for_problems_and_2_for_what_it_cannot_check(tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", alpaca())
    bad = written(tmp_path / "bad.jsonl", alpaca(targets=[*TARGETS[:2], "nothing"]))
    code, told = run_cli(str(good), "--task", "ner")
    assert code == 0
    assert "alpaca: 3 texts, 3 with labels, 6 labels, 6 different facts, 100.0% of them in their text" in told
    assert "label mix: Person 67%, Location 33%" in told
    code, told = run_cli(str(bad), "--task", "ner", "--json")
    assert code == 1
    problems = json.loads(told.splitlines()[0])["problems"]
    assert {problem["text"] for problem in problems} == {3}
    for words, message in (
        ([str(good)], "no task is named"),
        ([str(tmp_path)], "is not a run folder"),
        ([str(tmp_path / "none.json"), "--task", "ner"], "does not exist"),
        ([str(good), "--task", "nre"], "Did you mean 'ner'?"),
        ([str(good), "--task", "ner", "--column", "txt=a"], "Did you mean 'text'?"),
    ):
        code, told = run_cli(*words)
        assert code == 2 and message in told, told


def test_texts_taken_as_articles_say_that_their_labels_are_not_used(tmp_path: Path) -> None:
    path = written(tmp_path / "doccano.jsonl", doccano())
    words = ["estimate", "--articles", str(path), "--sizes", "2", "--test", "1", "--language", "en"]
    done = CliRunner().invoke(main, words)
    assert "the column 'label' is not used" in done.output and "etlch-data import" in done.output


def test_relations_that_mean_none_are_counted_and_no_problem(tmp_path: Path) -> None:
    rows = [
        {"text": "Ann met Bob.", "subject": "Ann", "relation": relation, "object": "Bob"}
        for relation in ("met", "unknown")
    ]
    report = checked(written(tmp_path / "mine.json", rows), task="kge")
    assert report.problems == () and dict(report.files[0].mix) == {"met": 1, "unknown": 1}

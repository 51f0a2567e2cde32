"""Labels of people become a run like any other: checked, split, exported, with their spans."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.records import Record
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.quality.check import check_run

CASES = Path(__file__).parents[1] / "scoring" / "cases"
NAMES = [f"Person{number:02d} Smith" for number in range(40)]


def corpus(folder: Path, split: str, count: int, first: int = 0) -> Path:
    rows = []
    for number in range(first, first + count):
        text = f"{NAMES[number]} moved to City{number} in the year {1900 + number}."
        start = text.index("City")
        label = [[0, len(NAMES[number]), "Person"], [start, start + len(f"City{number}"), "Place"]]
        rows.append(json.dumps({"id": f"{split}-{number}", "text": text, "label": label}))
    path = folder / f"{split}.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def run_cli(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["import", *words])
    return done.exit_code, done.output


def settings(folder: Path) -> str:
    path = folder / "s.yaml"
    path.write_text("preset: smoke\nbase_model: some/model\ntemplate: smollm2\n", encoding="utf-8")
    return str(path)


def test_official_splits_stay_and_validation_comes_from_the_validation_file(tmp_path: Path) -> None:
    corpus(tmp_path, "train", 20)
    corpus(tmp_path, "dev", 5, first=20)
    corpus(tmp_path, "test", 8, first=25)
    out = tmp_path / "run"
    code, told = run_cli(
        str(tmp_path),
        "--task",
        "ner",
        "--language",
        "en",
        "--out",
        str(out),
        "--sizes",
        "10,20",
        "--settings",
        settings(tmp_path),
    )
    assert code == 0, told
    data = read_run(out)
    sources = [article.topic for article in data.articles]
    assert {name.split("-")[0] for name in sources[:8]} == {"test"}
    assert [name.split("-")[0] for name in sources[8:18]] == ["train"] * 9 + ["dev"]
    assert {article.source for article in data.articles} == {"human"}
    record: Record = data.records[0]
    assert all(record.input[slice(*span)] == item.fact[1] for item in record.facts if (span := item.spans[1]))
    assert not check_run(Run(out)).problems


def test_without_splits_a_fifth_of_the_documents_is_the_test_set(tmp_path: Path) -> None:
    path = corpus(tmp_path, "mine", 40)
    out = tmp_path / "run"
    code, told = run_cli(
        str(path), "--task", "ner", "--language", "en", "--out", str(out), "--settings", settings(tmp_path)
    )
    assert code == 0, told
    plan = read_run(out).manifest.settings.plan
    assert (plan.test, plan.sizes) == (8, (32,))


def test_labels_that_are_not_in_the_text_are_dropped_and_listed(tmp_path: Path) -> None:
    rows = [
        {
            "input": f"{NAMES[n]} left.",
            "output": json.dumps({"Person": [NAMES[n]], "Place": ["Mars"] if n == 3 else []}),
        }
        for n in range(12)
    ]
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps([{"instruction": "Extract.", **row} for row in rows]), encoding="utf-8")
    out = tmp_path / "run"
    code, told = run_cli(
        str(path), "--task", "ner", "--language", "en", "--out", str(out), "--settings", settings(tmp_path)
    )
    assert code == 0
    assert "12 of 13 facts stand in their text" in told
    (lost,) = read_run(out).rejected
    assert lost.reasons == ("not in the text: Place – Mars",)
    assert {record.instruction for record in read_run(out).records} == {"Extract."}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.jsonl", "--task", "ner"], "does not exist"),
        (["{path}", "--task", "ner", "--sizes", "300"], "too few for a size of 300"),
        (["{path}", "--task", "ner", "--column", "txt=body"], "Did you mean 'text'?"),
        (["{path}", "--task", "nre"], "nre"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_message(
    tmp_path: Path, words: list[str], message: str
) -> None:
    path = corpus(tmp_path, "mine", 10)
    told = [word.replace("{path}", str(path)) for word in words]
    code, output = run_cli(
        *told, "--language", "en", "--out", str(tmp_path / "run"), "--settings", settings(tmp_path)
    )
    assert code == 2 and message in output
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    path = corpus(tmp_path, "mine", 20)
    words = (
        str(path),
        "--task",
        "ner",
        "--language",
        "en",
        "--out",
        str(tmp_path / "run"),
        "--settings",
        settings(tmp_path),
    )
    assert run_cli(*words)[0] == 0
    code, output = run_cli(*words)
    assert code == 2 and "does not overwrite" in output


def test_the_check_knows_empty_labels_parts_of_words_events_and_reports_a_repeated_text_once(
    tmp_path: Path,
) -> None:
    events = [
        {
            "text": f"Case {n}: intrathecally given aspirine caused nausea{n}.",
            "events": [
                {
                    "type": "Adverse",
                    # as annotated: a part of a word, which a search for the value does not find
                    "mentions": [
                        {"word": "intrathecal", "role": "Route", "span": [8, 19]}
                        if n < 9
                        else {"word": "Case", "role": "Trigger", "span": [0, 4]}
                    ],
                }
            ],
        }
        for n in range(10)
    ]
    rows = [*events, {"text": "Nothing happened here.", "events": []}, {**events[9], "events": []}]
    test, train = tmp_path / "test.jsonl", tmp_path / "train.jsonl"
    test.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    train.write_text(json.dumps({"text": "Rash after a week of sulfa.", "events": []}), encoding="utf-8")
    out = tmp_path / "run"
    words = (str(tmp_path), "--task", "json", "--language", "en", "--out", str(out), "--settings")
    code, told = run_cli(*words, settings(tmp_path))
    assert code == 0, told
    assert [problem.reason for problem in check_run(Run(out)).problems] == [
        "a second article with the same text"
    ]


def test_texts_whose_label_nobody_knows_are_left_out_with_their_reason(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"{name} left.", "label": [[0, len(name), "Person"]]} for name in NAMES[:8]
    ]
    rows[1]["label"] = []  # a person said that there is none
    rows[2].pop("label")
    rows[3]["label"] = '{"Person": ["'
    rows[4]["text"] = "  "
    rows[5]["text"] = f"{NAMES[5]} left.<|im_end|>"
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "run"
    words = (str(path), "--task", "ner", "--language", "en", "--out", str(out), "--test-size", "1")
    code, told = run_cli(*words, "--settings", settings(tmp_path))
    assert code == 0, told
    assert "left out: 4 texts (" in told
    data = read_run(out)
    assert {item.reasons[0] for item in data.rejected} == {
        "no label",
        "label that cannot be read",
        "no text",
        "the text contains the control text <|im_end|>",
    }
    assert len(data.records) == 4 and sum(not item.facts for item in data.records) == 1
    assert check_run(Run(out)).problems == ()


def test_no_usable_label_at_all_is_an_error_that_names_the_column_option(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "Ann left.", "tags": "x"}\n', encoding="utf-8")
    code, told = run_cli(str(path), "--task", "ner", "--language", "en", "--out", str(tmp_path / "run"))
    assert code == 2 and "none of 1 texts can be used: 1 × no label" in told and "--column label=NAME" in told


def test_a_test_set_that_is_drawn_here_leaks_into_no_training_text(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"{number}-{copy}",
            "text": f"{NAMES[number]} moved to a house near the old harbour{mark}",
            "label": [],
        }
        for number in range(20)
        for copy, mark in enumerate((".", "!"))
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "run"
    words = (str(path), "--task", "ner", "--language", "en", "--out", str(out))
    code, told = run_cli(*words, "--settings", settings(tmp_path))
    assert code == 0, told
    assert "× near copy of a test text" in told
    leaks = [problem for problem in check_run(Run(out)).problems if "test set" in problem.reason]
    assert leaks == []


def test_labels_that_are_kept_though_not_in_the_text_pass_the_check_where_they_can_be_written(
    tmp_path: Path,
) -> None:
    # a part that holds the separator of triples cannot be written, kept or not
    rows = [
        {"text": f"{name} met Bob{n}.", "subject": name, "relation": "met", "object": f"Bob{n}"}
        for n, name in enumerate(NAMES[:10])
    ]
    more = [{**rows[0], "object": "Robert"}, {**rows[1], "object": "Bo – b"}]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([*rows, *more]), encoding="utf-8")
    out = tmp_path / "run"
    words = (str(path), "--task", "kge", "--language", "en", "--out", str(out))
    kept = Path(settings(tmp_path))
    kept.write_text(kept.read_text("utf-8") + "ungrounded: keep\n", encoding="utf-8")
    code, told = run_cli(*words, "--settings", str(kept))
    assert code == 0, told
    facts = {item.fact for record in read_run(out).records for item in record.facts}
    assert (NAMES[0], "met", "Robert") in facts and (NAMES[1], "met", "Bo – b") not in facts
    assert check_run(Run(out)).problems == ()


@pytest.mark.parametrize("name", ["alpaca.json", "doccano.jsonl"])
def test_labels_of_people_have_a_way_in_and_are_not_passed_over_in_silence(tmp_path: Path, name: str) -> None:
    """Three texts with five labels, all of them in their text, as two programs write them."""
    file = tmp_path / name
    shutil.copy(next(CASES.glob("27-*")) / name, file)
    checked = CliRunner().invoke(main, ["check", str(file), "--task", "ner"])
    assert checked.exit_code == 0
    assert (
        "3 texts, 3 with labels, 5 labels, 5 different facts, 100.0% of them in their text" in checked.output
    )
    words = ["--articles", str(file), "--sizes", "2", "--test", "1", "--language", "en"]
    estimated = CliRunner().invoke(main, ["estimate", *words])
    assert estimated.exit_code == 0
    column = "output" if name == "alpaca.json" else "label"
    assert f"the column '{column}' is not used" in estimated.output
    assert "etlch-data import" in estimated.output
    out = tmp_path / "run"
    code, _ = run_cli(str(file), "--task", "ner", "--language", "en", "--out", str(out), "--test-size", "1")
    assert code == 0
    records = read_run(out).records
    assert len(records) == 3
    assert sorted(fact.fact for record in records for fact in record.facts) == [
        ("Location", "Lakeside"),
        ("Location", "Riverton"),
        ("Person", "Ada Moss"),
        ("Person", "Ben Oak"),
        ("Person", "Cy Pine"),
    ]


def test_texts_that_lost_every_label_are_left_out_and_a_file_of_them_is_refused(tmp_path: Path) -> None:
    """An empty record in their place would teach to answer nothing."""
    path = corpus(tmp_path, "mine", 12)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[3]["label"] = [[0, 700, "Person"]]
    rows[4]["label"][0] = [0, 700, "Person"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    chosen = ("--language", "en", "--settings", settings(tmp_path), "--out")
    code, told = run_cli(str(path), "--task", "ner", *chosen, str(tmp_path / "run"))
    assert code == 0 and "left out: 1 texts (1 × offsets outside the text)" in told, told
    assert "grounding: 21 of 21 facts stand in their text (100.0%)\n" in told
    records = read_run(tmp_path / "run").records
    assert len(records) == 11 and all(record.facts for record in records)
    code, told = run_cli(str(path), "--task", "kge", *chosen, str(tmp_path / "other"))
    assert code == 2 and "none of 12 texts can be used" in told, told
    assert "Are these labels of another --task" in told and not (tmp_path / "other").exists()


def test_texts_of_another_language_and_a_missing_test_set_are_told(tmp_path: Path) -> None:
    path = corpus(tmp_path, "mine", 12)
    out = ("--settings", settings(tmp_path), "--out")
    code, told = run_cli(str(path), "--task", "ner", "--language", "zh-TW", *out, str(tmp_path / "zh"))
    assert code == 0 and "most texts do not look like zh-TW; is --language right?" in told
    code, told = run_cli(
        str(path), "--task", "ner", "--language", "en", "--test-size", "0", *out, str(tmp_path / "en")
    )
    assert code == 0 and "language right?" not in told and "no test set, so nothing can be scored" in told

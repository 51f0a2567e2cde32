"""`check` sees every kind of damage, and nothing in a sound run. Each test damages one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from etlch.quality.check_rows import DataProblem, DataRow, read_rows
from tests.small_run import article, write_run

Rows = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "good")


def change(run: Run, stem: str, edit: Callable[[Rows], object]) -> None:
    """Edit the parsed rows of a data file and write them one row a line, as they were."""
    path = run.data(stem)
    rows = json.loads(path.read_text(encoding="utf-8"))
    edit(rows)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


def change_info(run: Run, edit: Callable[[dict[str, Any]], object]) -> None:
    path = run.llamafactory / "dataset_info.json"
    info = json.loads(path.read_text(encoding="utf-8"))
    edit(info)
    path.write_text(json.dumps(info, indent=2), encoding="utf-8")


def set_field(stem: str, place: int, column: str, value: Any) -> Callable[[Run], None]:
    return lambda run: change(run, f"good_{stem}", lambda rows: rows[place].update({column: value}))


def edit_rows(stem: str, edit: Callable[[Rows], object]) -> Callable[[Run], None]:
    return lambda run: change(run, f"good_{stem}", edit)


def replace_in(path: str, old: str, new: str, line: int | None = None) -> Callable[[Run], None]:
    def damage(run: Run) -> None:
        lines = (run.folder / path).read_text(encoding="utf-8").split("\n")
        at = range(len(lines)) if line is None else [line - 1]
        for number in at:
            assert old in lines[number] or line is None
            lines[number] = lines[number].replace(old, new)
        (run.folder / path).write_text("\n".join(lines), encoding="utf-8")

    return damage


def delete(path: str) -> Callable[[Run], None]:
    return lambda run: (run.folder / path).unlink()


def drop_line(path: str, number: int) -> Callable[[Run], None]:
    def damage(run: Run) -> None:
        lines = (run.folder / path).read_text(encoding="utf-8").splitlines(keepends=True)
        del lines[number - 1]
        (run.folder / path).write_text("".join(lines), encoding="utf-8")

    return damage


def swap_lines(path: str) -> Callable[[Run], None]:
    def damage(run: Run) -> None:
        lines = (run.folder / path).read_text(encoding="utf-8").splitlines(keepends=True)
        lines[0], lines[1] = lines[1], lines[0]
        (run.folder / path).write_text("".join(lines), encoding="utf-8")

    return damage


def first_test_row(run: Run, task: str) -> dict[str, str]:
    row: dict[str, str] = json.loads(run.data(f"good_{task}_test").read_text(encoding="utf-8"))[0]
    return row


def leak(stem: str, *, changed: bool = False) -> Callable[[Run], None]:
    """Put the first test article's row into a train or val file, word for word or with one word changed."""

    def damage(run: Run) -> None:
        row = first_test_row(run, stem.split("_", maxsplit=1)[0])
        if changed:
            row["input"] += " Nothing else."
        change(run, f"good_{stem}", lambda rows: rows.__setitem__(0, row))

    return damage


LF = "llamafactory/"
DAMAGES: dict[str, tuple[Callable[[Run], None], str, str]] = {
    # what every target must be
    "a target that does not parse": (
        set_field("json_train_4", 1, "output", '<{"founder": []}'),
        f"{LF}good_json_train_4.json:3",
        "not in the format of json",
    ),
    "a target in a code fence": (
        set_field("ner_train_4", 0, "output", '```json\n{"Date": ["1804"]}\n```'),
        f"{LF}good_ner_train_4.json:2",
        "not in the format of ner",
    ),
    "a triple of two parts": (
        set_field("kge_train_4", 0, "output", "Ann Bell3 – founded"),
        f"{LF}good_kge_train_4.json:2",
        "not in the format of kge",
    ),
    "a target against its schema": (
        set_field("json_train_4", 0, "output", '{"founder": ["Ann Bell3"], "year": ["1804"]}'),
        f"{LF}good_json_train_4.json:2",
        "breaks its schema",
    ),
    "a number where a string belongs": (
        set_field("json_train_4", 0, "output", '{"founder": ["Ann Bell3"], "year": [1804], "rival": []}'),
        f"{LF}good_json_train_4.json:2",
        "breaks its schema",
    ),
    "a fact from nowhere": (
        set_field("ner_train_4", 0, "output", '{"Person": ["Ann Belt3"]}'),
        f"{LF}good_ner_train_4.json:2",
        "not in the row's own input: Person / Ann Belt3",
    ),
    "an empty target": (
        set_field("ner_train_4", 0, "output", " "),
        f"{LF}good_ner_train_4.json:2",
        "the target is empty",
    ),
    "a target without a fact": (
        set_field("ner_train_4", 0, "output", "{}"),
        f"{LF}good_ner_train_4.json:2",
        "holds no fact",
    ),
    "a special token": (
        set_field("ner_train_4", 0, "input", article(3)[0] + "<|eot_id|>"),
        f"{LF}good_ner_train_4.json:2",
        "special token <|eot_id|>",
    ),
    "a row twice": (
        edit_rows("ner_train_20", lambda rows: rows.__setitem__(5, rows[4])),
        f"{LF}good_ner_train_20.json:7",
        "a second row with the same instruction and input",
    ),
    "a row from nowhere": (
        set_field("ner_train_4", 0, "instruction", "Say what you see."),
        f"{LF}good_ner_train_4.json:2",
        "no record of records.jsonl",
    ),
    "a target of another record": (
        set_field("ner_train_4", 0, "output", '{"Person": ["Ann Bell3"]}'),
        f"{LF}good_ner_train_4.json:2",
        "not the output of record a00003-ner",
    ),
    # what every row and file must be
    "a target that is an object": (
        set_field("ner_train_4", 0, "output", {"Date": ["1804"]}),
        f"{LF}good_ner_train_4.json:2",
        "'output' holds a JSON dict",
    ),
    "a null": (
        set_field("ner_train_4", 0, "input", None),
        f"{LF}good_ner_train_4.json:2",
        "'input' holds null",
    ),
    "a missing column": (
        edit_rows("ner_train_4", lambda rows: rows[0].pop("output")),
        f"{LF}good_ner_train_4.json:2",
        "'output' is missing",
    ),
    "a column too many": (
        set_field("ner_train_4", 0, "history", "x"),
        f"{LF}good_ner_train_4.json:2",
        "unknown column 'history'",
    ),
    "a row that is no object": (
        edit_rows("ner_train_4", lambda rows: rows.__setitem__(0, "x")),  # type: ignore[call-overload]
        f"{LF}good_ner_train_4.json:2",
        "must be an object",
    ),
    "an array cut off": (
        replace_in(f"{LF}good_ner_train_4.json", "]", "", 6),
        f"{LF}good_ner_train_4.json:7",
        "the end where",
    ),
    "a missing data file": (delete(f"{LF}good_kge_val_20.json"), f"{LF}good_kge_val_20.json", "missing"),
    "a missing keys file": (
        delete(f"{LF}good_kge_val_20.keys.jsonl"),
        f"{LF}good_kge_val_20.keys.jsonl",
        "missing",
    ),
    # dataset_info.json
    "no dataset_info.json": (delete(f"{LF}dataset_info.json"), f"{LF}dataset_info.json", "missing"),
    "a broken dataset_info.json": (
        replace_in(f"{LF}dataset_info.json", "{", "", 1),
        f"{LF}dataset_info.json",
        "not a JSON object",
    ),
    "a columns map with a hole": (
        lambda run: change_info(run, lambda info: info["good_kge_test"]["columns"].pop("query")),
        f"{LF}dataset_info.json:",
        "good_kge_test: columns must be",
    ),
    "an unknown formatting": (
        lambda run: change_info(run, lambda info: info["good_kge_test"].update(formatting="multilingual")),
        f"{LF}dataset_info.json:",
        "formatting is 'multilingual'",
    ),
    "a wrong file name": (
        lambda run: change_info(run, lambda info: info["good_kge_test"].update(file_name="x.json")),
        f"{LF}dataset_info.json:",
        "file_name is 'x.json'",
    ),
    "a missing entry": (
        lambda run: change_info(run, lambda info: info.pop("good_kge_test")),
        f"{LF}dataset_info.json",
        "good_kge_test: the entry is missing",
    ),
    "an entry too many": (
        lambda run: change_info(run, lambda info: info.update(mixture={})),
        f"{LF}dataset_info.json:",
        "mixture: no such data set is promised",
    ),
    # test rows and their keys
    "keys in another order": (
        swap_lines(f"{LF}good_ner_test.keys.jsonl"),
        f"{LF}good_ner_test.keys.jsonl:1",
        "input is not that of the row at line 2",
    ),
    "another gold": (
        replace_in(f"{LF}good_ner_test.keys.jsonl", "Ann Bell1", "Firm 1", 2),
        f"{LF}good_ner_test.keys.jsonl:2",
        "gold is not that of the row at line 3",
    ),
    "a key too few": (
        drop_line(f"{LF}good_ner_test.keys.jsonl", 3),
        f"{LF}good_ner_test.keys.jsonl",
        "no line for the row at line 4",
    ),
    "a key too many": (
        edit_rows("ner_test", lambda rows: rows.pop()),
        f"{LF}good_ner_test.keys.jsonl",
        "1 lines more than rows",
    ),
    "a key without its id": (
        replace_in(f"{LF}good_ner_test.keys.jsonl", '"id"', '"number"', 1),
        f"{LF}good_ner_test.keys.jsonl:1",
        "no field 'id'",
    ),
    # splits
    "a test article in train": (
        leak("ner_train_4"),
        f"{LF}good_ner_train_4.json:2",
        "in the test set (good_json_test.json:2)",
    ),
    "a near copy of a test article in train": (
        leak("kge_train_20", changed=True),
        f"{LF}good_kge_train_20.json:2",
        "near copy",
    ),
    "a near copy of a test article in val": (
        leak("json_val_20", changed=True),
        f"{LF}good_json_val_20.json:2",
        "near copy",
    ),
    "a val article in train": (
        lambda run: change(
            run,
            "good_ner_val_20",
            lambda rows: rows.__setitem__(
                0, json.loads(run.data("good_ner_train_20").read_text(encoding="utf-8"))[0]
            ),
        ),
        f"{LF}good_ner_val_20.json:2",
        "in the training file too",
    ),
    "a row too few": (
        edit_rows("ner_train_20", lambda rows: rows.pop()),
        f"{LF}good_ner_train_20.json",
        "17 sound rows where 18 are promised",
    ),
    "sizes that do not nest": (
        edit_rows("ner_train_20", lambda rows: rows.__delitem__(0)),
        f"{LF}good_ner_train_20.json",
        "1 rows of the next smaller size are not in it",
    ),
    # the sources
    "a lost article": (drop_line("articles.jsonl", 1), "records.jsonl:1", "a00000 is not in articles.jsonl"),
    "an article twice": (
        replace_in("articles.jsonl", "a00001", "a00000", 2),
        "articles.jsonl:2",
        "a second article with the id a00000",
    ),
    "another article text": (
        replace_in("articles.jsonl", "founded", "found", 1),
        "records.jsonl:1",
        "not the text of article a00000",
    ),
    "a lost record": (drop_line("records.jsonl", 1), "records.jsonl", "68 different lines"),
    "a moved span": (
        replace_in("records.jsonl", '"spans": [null, [0, 9]]', '"spans": [null, [1, 10]]', 1),
        "records.jsonl:1",
        "characters 1–10 of the input are not 'Ann Bell0'",
    ),
    "a changed fact": (
        replace_in("records.jsonl", '"fact": ["founder", "Ann Bell0"]', '"fact": ["founder", "Firm"]', 1),
        "records.jsonl:1",
        "not those of the output",
    ),
    "a line that is not JSON": (
        replace_in("records.jsonl", '{"id"', '{"id', 2),
        "records.jsonl:2",
        "not JSON",
    ),
    "no rejected.jsonl": (delete("rejected.jsonl"), "rejected.jsonl", "missing"),
    "no articles.jsonl": (delete("articles.jsonl"), "articles.jsonl", "missing"),
    "a recipe with another data set": (
        replace_in("recipes/predict_base_ner.yaml", "good_ner_test", "good_ner_exam"),
        "recipes/predict_base_ner.yaml",
        "'good_ner_exam', which does not exist",
    ),
}


def test_nothing_is_wrong_in_a_sound_run(run: Run) -> None:
    proof = check_run(run)
    assert proof.problems == ()
    # 3 tasks × (test 3 + train 4 + train 18 + val 2) rows, in 3 × 4 files
    assert (proof.files, proof.rows) == (12, 81)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen(run: Run, kind: str) -> None:
    damage, where, reason = DAMAGES[kind]
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    damage(run)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} != before
    found = [str(problem) for problem in check_run(run).problems]
    assert any(text.startswith(where) and reason in text for text in found), "\n".join(found)


def test_topics_kept_apart_are_proved_apart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "good", split_by="topic")
    assert check_run(run).problems == ()
    replace_in("articles.jsonl", '"topic 3"', '"topic 0"', 4)(run)
    reasons = [problem.reason for problem in check_run(run).problems]
    assert "its topic 'topic 0' is in the test set too" in reasons


def test_the_array_may_be_written_in_any_way(tmp_path: Path) -> None:
    row = {"instruction": "i", "input": "a\nb", "output": "o"}
    path = tmp_path / "x.json"
    path.write_text(json.dumps([row, row], indent=1), encoding="utf-8")
    assert list(read_rows(path, "x")) == [DataRow(2, "i", "a\nb", "o"), DataRow(7, "i", "a\nb", "o")]
    path.write_text("[]\n", encoding="utf-8")
    assert list(read_rows(path, "x")) == []
    path.write_text("[] x", encoding="utf-8")
    assert list(read_rows(path, "x")) == [DataProblem("x", 1, "text after the end of the array")]


def test_the_command(run: Run, tmp_path: Path) -> None:
    runner = CliRunner()
    sound = runner.invoke(main, ["check", str(run.folder)])
    assert sound.exit_code == 0 and "12 data files, 81 rows: nothing is wrong" in sound.output
    renamed = run.folder.rename(tmp_path / "better")
    told = runner.invoke(main, ["check", str(renamed)])
    assert told.exit_code == 0 and "nothing is wrong" in told.output, "a run may be renamed"
    whole = (renamed / "run.yaml").read_text("utf-8")
    (renamed / "run.yaml").write_text(whole.replace("name: good\n", ""), encoding="utf-8")
    told = runner.invoke(main, ["check", str(renamed)])
    assert told.exit_code == 1 and "was copied or renamed: its data sets carry the name 'good'" in told.stderr
    assert "name: good" in told.stderr
    (renamed / "run.yaml").write_text(whole, encoding="utf-8")
    renamed.rename(run.folder)
    run.rejected.unlink()
    assert runner.invoke(main, ["check", str(run.folder)]).exit_code == 1
    assert runner.invoke(main, ["check", str(tmp_path / "nowhere")]).exit_code == 2

"""Labels leave a run for an annotation tool, are corrected there, and come back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from tests.small_run import write_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "good")


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(made.folder, tmp_path / made.folder.name)))


def cli(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def contents(run: Run) -> dict[str, bytes]:
    return {
        path.relative_to(run.folder).as_posix(): path.read_bytes()
        for path in sorted(run.folder.rglob("*"))
        if path.is_file() and "labels" not in path.parts
    }


@pytest.mark.parametrize("form", ["doccano", "label-studio", "bio", "brat"])
@pytest.mark.parametrize("task", ["ner", "json", "kge"])
def test_labels_that_nobody_corrected_change_nothing(run: Run, form: str, task: str) -> None:
    before = contents(run)
    code, told = cli("export", run.folder, "--labels", form)
    assert code == 0, told
    if form == "bio" and task == "kge":
        assert "kge: BIO has no triples" in told
        return
    path = next(run.folder.glob(f"labels/{task}-{form}*"))
    code, told = cli("import", "--update", run.folder, path, "--task", task)
    assert code == 0, told
    assert "23 texts read, 0 records changed: 0 labels added, 0 removed" in told
    assert contents(run) == before


def corrected(run: Run, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    assert cli("export", run.folder, "--labels", "doccano")[0] == 0
    path = run.folder / "labels" / "ner-doccano.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_corrections_change_record_label_data_files_and_card(run: Run) -> None:
    removed: list[str] = []

    def change(rows: list[dict[str, Any]]) -> None:
        row = rows[5]
        start, end, kind = row["label"].pop()
        removed.append(f"{kind} – {row['text'][start:end]}")
        word = row["text"].split()[0]
        row["label"].append([0, len(word), "Title"])
        rows[6].update(id=17)  # the tool numbers the rows itself: found by the text

    path = corrected(run, change)
    before = read_run(run.folder)
    code, told = cli("import", "--update", run.folder, path, "--task", "ner")
    assert code == 0, told
    record = next(
        item
        for item in read_run(run.folder).records
        if item.article_id == before.articles[5].id and item.task == "ner"
    )
    word = record.input.split()[0]
    assert (
        f"1 records changed: 1 labels added, 1 removed\n  {record.id}: + Title – {word}; - {removed[0]}"
        in told
    )
    assert "types that no record had before: Title" in told
    assert ("Title", word) in {item.fact for item in record.facts}
    assert json.loads(record.output)["Title"] == [word]
    data_file = run.data(run.stem("ner", "train", 20)).read_text(encoding="utf-8")
    assert json.dumps(record.output, ensure_ascii=False) in data_file
    assert check_run(run).problems == ()
    others = [item for item in before.records if item.id != record.id]
    assert [item for item in read_run(run.folder).records if item.id != record.id] == others


def test_a_label_that_is_not_in_the_text_and_a_changed_text_are_not_taken(run: Run) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[2]["text"] = "Another text."
        rows[2]["label"] = []
        rows[3]["id"] = "unknown"
        rows[3]["text"] += " And more."

    path = corrected(run, change)
    before = contents(run)
    code, told = cli("import", "--update", run.folder, path, "--task", "ner")
    assert code == 0 and "0 records changed" in told
    assert "2 texts are not in the run, or with other characters, and were left out" in told
    assert contents(run) == before
    rows = [
        {"input": item.input, "output": json.dumps({"Person": ["Zaphod"]})}
        for item in read_run(run.folder).records[:1]
    ]
    alpaca = run.folder / "labels" / "alpaca.json"
    alpaca.write_text(json.dumps([{"instruction": "x", **row} for row in rows]), encoding="utf-8")
    code, told = cli("import", "--update", run.folder, alpaca, "--task", "ner")
    assert code == 0 and "not in the text: Person – Zaphod" in told
    assert read_run(run.folder).rejected[-1].stage == "update"


def test_corrections_are_not_overwritten_and_mistakes_get_one_message(run: Run) -> None:
    path = corrected(run, lambda rows: rows[0]["label"].clear())
    code, told = cli("export", run.folder, "--labels", "doccano")
    assert code == 2 and f"{path} stands there with other content" in told
    for words, message in (
        ((path,), "the run has the tasks json, kge, ner"),
        ((path, "--task", "events"), "no records of the task events"),
        ((), "no corrected labels were named"),
    ):
        code, told = cli("import", "--update", run.folder, *words)
        assert code == 2 and message in told, told
    code, told = cli("import", path)
    assert code == 2 and "no task was named" in told


def test_bio_deletes_no_nested_label_and_moves_no_offset_of_an_indented_text(tmp_path: Path) -> None:
    rows = [
        {"text": f"  Bank of Riverton {n} opened{n}.", "label": [[2, 18, "Org"], [10, 18, "Place"]]}
        for n in range(10)
    ]
    path, out = tmp_path / "mine.jsonl", tmp_path / "run"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = tmp_path / "s.yaml"
    file.write_text("preset: smoke\nbase_model: some/model\ntemplate: smollm2\n", encoding="utf-8")
    words = (path, "--task", "ner", "--language", "en", "--out", out, "--test-size", "2", "--settings", file)
    assert cli("import", *words)[0] == 0
    code, told = cli("export", out, "--labels", "bio")
    count = len(read_run(out).records)
    assert code == 0 and f"left out: {count} × overlaps another" in told
    labels = out / "labels" / "ner-bio.bio"
    assert "0 records changed" in cli("import", "--update", out, labels)[1]
    # the last word of a text is labelled by hand
    text = labels.read_text(encoding="utf-8")
    word = read_run(out).records[0].input.split()[-1].rstrip(".")
    labels.write_text(text.replace(f"{word}\tO", f"{word}\tB-Event", 1), encoding="utf-8")
    assert (
        f"1 labels added, 0 removed\n  h00000-ner: + Event – {word}"
        in cli("import", "--update", out, labels)[1]
    )
    record = read_run(out).records[0]
    assert {item.fact[0] for item in record.facts} == {"Org", "Place", "Event"}
    assert all(record.input[slice(*span)] == item.fact[1] for item in record.facts if (span := item.spans[1]))


@pytest.mark.parametrize("label", [None, "absent", "unfinished"])
def test_a_text_that_nobody_annotated_keeps_its_labels(run: Run, label: str | None) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        row = rows[4]
        if label == "unfinished":  # as Label Studio exports a skipped task
            rows[:] = [
                {"id": row["id"], "data": {"text": row["text"]}, "annotations": [{"was_cancelled": True}]}
            ]
        elif label is None:
            row["label"] = None
        else:
            del row["label"]

    path = corrected(run, change)
    before = contents(run)
    code, told = cli("import", "--update", run.folder, path, "--task", "ner")
    assert code == 0 and "0 records changed" in told, told
    assert "1 texts keep the labels they have (1 × no " in told
    assert contents(run) == before


def test_a_label_with_broken_offsets_is_refused_and_deletes_none(run: Run) -> None:
    path = corrected(run, lambda rows: rows[5]["label"][-1].__setitem__(1, 5000))
    before = read_run(run.folder)
    code, told = cli("import", "--update", run.folder, path, "--task", "ner")
    assert code == 0 and "0 labels added, 0 removed" in told, told
    assert "not read: offsets outside the text" in told
    after = read_run(run.folder)
    assert after.records == before.records
    assert after.rejected[len(before.rejected) :][0].reasons == ("not read: offsets outside the text",)
    cli("import", "--update", run.folder, path, "--task", "ner")
    assert read_run(run.folder).rejected == after.rejected

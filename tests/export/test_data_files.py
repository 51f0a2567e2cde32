"""Data files, keys and dataset_info.json, and LlamaFactory's own loader on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import changed, make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl, write_jsonl
from etlch.core.records import Key, Record
from etlch.core.run_folder import Run
from etlch.export.write import export
from tests.runs import make_run, records
from tests.tiny import TEMPLATE, tiny_llama

SETTINGS = make_settings(teacher="offline", language="en", sizes=(5, 20), test=3, preset="smoke")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = make_run(tmp_path / "行 run", SETTINGS)
    export(run, SETTINGS)
    return run


def rows(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8")))


def test_names_and_counts(run: Run) -> None:
    info = json.loads((run.llamafactory / "dataset_info.json").read_text(encoding="ascii"))
    assert [name for name in info if "_ner_" in name] == [
        "行-run_ner_test",
        "行-run_ner_train_5",
        "行-run_ner_train_20",
        "行-run_ner_val_20",  # and none of 5: a size under 10 has no validation set
    ]
    counts = {name: len(rows(run.llamafactory / entry["file_name"])) for name, entry in info.items()}
    assert [counts[name] for name in info if "_kge_" in name] == [3, 5, 18, 2]
    assert {path.name for path in run.llamafactory.iterdir()} == {
        "dataset_info.json",
        *(f"{name}.json" for name in info),
        *(f"{name}.keys.jsonl" for name in info if "train" not in name),
    }


def test_rows_are_strings_and_keys_are_the_same_rows(run: Run) -> None:
    for path in sorted(run.llamafactory.glob("*_test.json")):
        keys = read_jsonl(run.keys(path.stem), Key)
        assert [(key.instruction, key.input, key.gold) for key in keys] == [
            (row["instruction"], row["input"], row["output"]) for row in rows(path)
        ]
        for row in rows(path):
            assert list(row) == ["instruction", "input", "output"]
            assert all(isinstance(value, str) for value in row.values())


def test_a_few_shot_test_set_is_the_test_set_after_examples_from_training(run: Run) -> None:
    export(run, changed(SETTINGS, shots=2))
    test, shots = rows(run.data("行-run_kge_test")), rows(run.data("行-run_kge_test_2shot"))
    # Articles 0 to 2 are the test set, so 3 and 4 are the first to train on.
    turns = [
        [
            f"Please do kge.\n{name} opened shop {number} in Taipei.\nIt <b>rained</b>: 50% & more.",
            f"【1. Triple format (Subject–Relation–Object)】\n{name} – opened – shop {number}",
        ]
        for number, name in ((3, "Zoë\u2028Ng"), (4, "𠮷田"))
    ]
    assert shots == [{**row, "history": turns} for row in test]
    assert run.keys("行-run_kge_test_2shot").read_bytes() == run.keys("行-run_kge_test").read_bytes()
    with pytest.raises(EtlchError, match="shots: 6 examples, and size 5 trains on 5 articles"):
        export(run, changed(SETTINGS, shots=6))


def test_another_export_removes_what_it_does_not_write(run: Run) -> None:
    before = {path.name: path.read_bytes() for path in run.llamafactory.iterdir()}
    (run.llamafactory / "mine.json").write_text("[]", encoding="utf-8")
    settings = make_settings(
        teacher="offline", language="en", sizes=(5,), tasks=("ner",), test=3, preset="smoke"
    )
    export(run, settings)
    assert {path.name for path in run.llamafactory.iterdir()} == {
        "dataset_info.json",
        "mine.json",
        "行-run_ner_test.json",
        "行-run_ner_test.keys.jsonl",
        "行-run_ner_train_5.json",
    }
    export(run, SETTINGS)
    (run.llamafactory / "mine.json").unlink()
    assert {path.name: path.read_bytes() for path in run.llamafactory.iterdir()} == before


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SETTINGS)
    others = [record for record in records(23) if record.id != "a000004-kge"]
    write_jsonl(run.records, others)
    with pytest.raises(EtlchError, match="article a000004 has no record for the task 'kge'"):
        export(run, SETTINGS)
    assert not run.llamafactory.exists()
    assert not run.recipes.exists()


def test_no_records(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SETTINGS)
    write_jsonl(run.records, [])
    with pytest.raises(EtlchError, match="holds no records"):
        export(run, SETTINGS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.mark.train
def test_llamafactory_loads_every_data_set(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loader drops no row, its template puts all of instruction and input into the prompt,
    and what it trains on is the label and the end token, nothing else."""
    monkeypatch.chdir(run.folder)
    names = json.loads(Path("llamafactory/dataset_info.json").read_text(encoding="ascii"))
    for name in names:
        loaded, tokenizer = load(name, model)
        expected = rows(run.data(name))
        assert len(loaded) == len(expected)
        for row, sample in zip(expected, loaded, strict=True):
            text = tokenizer.decode(sample["input_ids"])
            trained = tokenizer.decode([token for token in sample["labels"] if token != -100])
            assert f"{row['instruction']}\n{row['input']}<|eot_id|>" in text
            assert trained == f"{row['output']}<|eot_id|>"


@pytest.mark.train
def test_llamafactory_shows_examples_as_earlier_turns(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Llama 3's chat format, written by hand: user and assistant in turn, and the question last."""
    export(run, changed(SETTINGS, shots=2))
    monkeypatch.chdir(run.folder)
    name = "行-run_json_test_2shot"
    loaded, tokenizer = load(name, model, predict=True)
    assert len(loaded) == 3
    for row, sample in zip(rows(run.data(name)), loaded, strict=True):
        (one, first), (two, second) = row["history"]
        turns = (one, first, two, second, f"{row['instruction']}\n{row['input']}", "")
        text = "".join(
            f"<|start_header_id|>{role}<|end_header_id|>\n\n{turn}<|eot_id|>"
            for role, turn in zip(("user", "assistant") * 3, turns, strict=True)
        )
        assert tokenizer.decode(sample["input_ids"]) == f"<|begin_of_text|>{text.removesuffix('<|eot_id|>')}"
        assert tokenizer.decode(sample["labels"]) == f"{row['output']}<|eot_id|>"


def load(name: str, model: Path, *, predict: bool = False) -> tuple[Any, Any]:
    """Return a data set as LlamaFactory's trainer sees it, and the tokenizer."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    arguments = {
        "stage": "sft",
        **({"do_predict": True, "predict_with_generate": True} if predict else {"do_train": True}),
        "model_name_or_path": str(model),
        "template": TEMPLATE,
        "dataset_dir": "llamafactory",
        "eval_dataset" if predict else "dataset": name,
        "cutoff_len": 2048,
        "output_dir": "unused",
        "use_cpu": True,
        "report_to": "none",
    }
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    loaded = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)
    return loaded["eval_dataset" if predict else "train_dataset"], module["tokenizer"]


def test_records_of_a_lone_surrogate_are_written(tmp_path: Path) -> None:
    """UTF-8 cannot hold half a surrogate pair; JSON can, as an escape."""
    from etlch.export.data_files import data_text

    record = Record("i", "a", "ner", "en", "Do it.", "half \ud83d pair", "{}", None, ())
    assert json.loads(data_text([record]).encode("utf-8"))[0]["input"] == "half \ud83d pair"

"""Every mistake that was measured to pass LlamaFactory, or to fail late in it, is seen before it is called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.llamafactory import known
from etlch.export.preflight import findings
from etlch.export.preflight.findings import Finding
from etlch.export.write import export
from tests.runs import make_run

SETTINGS = make_settings(
    teacher="offline", language="en", sizes=(20,), test=3, preset="efficient", tasks=("kge", "ner")
)
TRAIN, PREDICT = "train_efficient-20-s42", "predict_efficient-20-s42_ner"
DATA = "demo_ner_train_20"

Values = dict[str, Any]
Rows = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path / "demo", SETTINGS)
    export(made, SETTINGS)
    return made


def found(run: Run, gpus: int | None = None, world: int = 1) -> list[Finding]:
    return findings.quick(run, jobs.read_jobs(run), gpus=gpus, world=world)


def test_what_export_writes_is_sound(run: Run) -> None:
    assert [str(one) for one in found(run, gpus=1) if one.level != "note"] == []


def test_a_finding_names_its_places_and_its_cure() -> None:
    one = Finding("error", "it is wrong", ("a", "b", "c", "d", "e"), "Mend it.")
    assert str(one) == "error: it is wrong (a, b, c and 2 more)\n    → Mend it."


def put(**values: Any) -> Callable[[Values], None]:
    return lambda recipe: recipe.update(values)


def drop(name: str) -> Callable[[Values], None]:
    return lambda recipe: recipe.__delitem__(name)


# recipe, what is changed, level, what must be said. The first block passes LlamaFactory's own parser.
RECIPES: list[tuple[str, Callable[[Values], None], str, str]] = [
    (TRAIN, put(stage="SFT"), "error", "stage: SFT is none"),
    (TRAIN, put(template="llama-3"), "error", "no template 'llama-3'"),
    (TRAIN, put(flash_attn="flash2"), "error", "flash_attn: flash2 is none"),
    (TRAIN, put(lora_dropout=1.5), "error", "lora_dropout: 1.5"),
    (TRAIN, put(lora_rank=-8), "error", "lora_rank: -8"),
    (TRAIN, put(learning_rate="1e-7"), "error", "learning_rate is the text '1e-7' where float belongs"),
    (TRAIN, put(learning_rate=-1e-4), "error", "learning_rate: -0.0001"),
    (TRAIN, put(learning_rate=2.0), "warning", "learning_rate: 2.0 is far above"),
    (TRAIN, put(bf16="true"), "error", "bf16 is the text 'true' where bool belongs"),
    (TRAIN, put(cutoff_len="4096"), "error", "cutoff_len is the text"),
    (TRAIN, put(save_strategy=False), "error", "save_strategy is bool False where str belongs"),
    (TRAIN, drop("template"), "error", "no template"),
    (TRAIN, put(dataset=f"{DATA},demo_kge_trian_20"), "error", "no data set demo_kge_trian_20"),
    (TRAIN, put(report_to="wandb"), "warning", "sends data off this machine"),
    (TRAIN, put(trust_remote_code=True), "warning", "trust_remote_code"),
    (TRAIN, put(overwrite_output_dir=False), "warning", "trains one step more"),
    (TRAIN, put(max_samples=5), "warning", "only the first 5 rows"),
    (TRAIN, put(predict_with_generate=True), "error", "wrong for batches over 1"),
    (TRAIN, put(metric_for_best_model="eval_rouge-l"), "error", "wrong for batches over 1"),
    (TRAIN, put(learning_rate=1e-7), "error", "nothing would be learnt"),
    (TRAIN, put(learning_rate=1e-5), "warning", "at 2.0e-04 by"),
    (TRAIN, put(packing=True), "warning", "packing lets records see each other"),
    (TRAIN, put(dataset="demo_ner_test"), "error", "demo_ner_test is trained on"),
    (TRAIN, put(dataset="demo_ner_val_20"), "error", "is trained on and evaluated on"),
    (TRAIN, put(model_name_or_path="../nowhere"), "error", "there is no model folder ../nowhere"),
    (PREDICT, drop("do_sample"), "warning", "predictions are sampled (temperature 0.95)"),
    (PREDICT, put(eval_dataset="demo_kge_test,demo_ner_test"), "error", "land in one file without a mark"),
    (PREDICT, put(eval_on_each_dataset=True), "error", "fails after generating"),
    # these fail in LlamaFactory, after its imports
    (TRAIN, put(lora_rnak=8), "error", "no argument lora_rnak"),
    (TRAIN, put(evaluation_strategy="epoch"), "error", "evaluation_strategy is not what"),
    (TRAIN, put(group_by_length=True), "error", "group_by_length is not what"),
    (TRAIN, put(warmup_ratio=0.1), "error", "warmup_ratio is not what"),
    (TRAIN, put(val_size=0.1), "error", "val_size beside eval_dataset"),
    (TRAIN, drop("eval_dataset"), "error", "without eval_dataset"),
    (TRAIN, put(save_strategy="steps"), "error", "to be the same"),
    (TRAIN, put(mask_history=True, train_on_prompt=True), "error", "mask_history beside train_on_prompt"),
    (TRAIN, put(streaming=True), "error", "streaming without max_steps"),
    (TRAIN, put(finetuning_type="full", quantization_bit=4), "error", "quantization_bit beside full"),
    (TRAIN, put(infer_backend="vllm"), "error", "infer_backend other than"),
    (PREDICT, put(predict_with_generate=False), "error", "do_predict without predict_with_generate"),
    (PREDICT, put(compute_accuracy=True), "error", "compute_accuracy beside"),
]


@pytest.mark.parametrize(("recipe", "change", "level", "said"), RECIPES, ids=[entry[3] for entry in RECIPES])
def test_mistakes_in_recipes(
    run: Run, recipe: str, change: Callable[[Values], None], level: str, said: str
) -> None:
    path = run.recipes / f"{recipe}.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    change(values)
    path.write_text(yaml.safe_dump(values), "utf-8")
    assert_said(run, level, said)


def assert_said(run: Run, level: str, said: str) -> None:
    told = [one for one in found(run) if said in one.what]
    assert [one.level for one in told] == [level], "\n".join(map(str, found(run)))
    assert level == "warning" or told[0].fix


COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}


def rows_put(column: str, value: Any, count: int = 3) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows[:count]:
            row[column] = value

    return change


def mixed(rows: Rows) -> None:
    rows[0]["meta"], rows[1]["meta"] = 3, "x"


def turned(*roles: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            row.clear()
            row["conversations"] = [{"from": role, "value": "x"} for role in roles]

    return change


SHAREGPT = {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
DATA_SETS: list[tuple[dict[str, Any], Callable[[Rows], None] | None, str, str]] = [
    ({"columns": {"prompt": "instruction", "response": "output"}}, None, "error", "columns leaves out query"),
    ({"columns": {"prompt": "instruction"}}, None, "error", "columns leaves out query, response"),
    ({"columns": {**COLUMNS, "input": "input"}}, None, "error", "knows no 'input'"),
    ({"columns": {**COLUMNS, "query": "inputs"}}, None, "error", "no row has the column inputs"),
    ({"load_from": "file"}, None, "warning", "ignores the key load_from"),
    ({"file_sha1": "abc"}, None, "warning", "ignores the key file_sha1"),
    ({"formatting": "openai"}, None, "error", "detailed thinking off"),
    ({"formatting": "chatml"}, None, "error", "no formatting chatml"),
    ({"ranking": True}, None, "error", "ranking: true"),
    ({"split": "test"}, None, "error", "a file has only the split train"),
    ({"num_samples": 500}, None, "warning", "num_samples 500"),
    ({"file_name": "nowhere.json"}, None, "error", "there is no file nowhere.json"),
    ({"file_name": "rows.xlsx"}, None, "error", "reads no .xlsx files"),
    ({"file_name": None}, None, "error", "names no file_name"),
    ({}, rows_put("output", {"Person": ["Ann"]}, 99), "error", "18 of 18 rows have no text in output"),
    ({}, rows_put("output", None), "error", "3 of 18 rows have no text in output"),
    ({}, rows_put("output", ["Ann"]), "error", "the column output holds list and str"),
    ({}, rows_put("meta", 3, 1), "note", ""),
    ({}, mixed, "error", "the column meta holds int and str"),
    ({}, rows_put("output", ""), "error", "3 of 18 rows have an empty output"),
    ({}, lambda rows: rows[0].update(instruction="", input=""), "error", "1 of 18 rows have neither"),
    ({}, rows_put("input", "He said <|eot_id|> twice."), "warning", "3 of 18 rows hold what the tokenizer"),
    ({}, rows_put("system", "Be brief."), "warning", "`columns` does not name it"),
    ({}, lambda rows: rows.clear(), "error", "has no rows"),
    (SHAREGPT, turned("human", "gpt"), "note", ""),
    (SHAREGPT, turned("system", "human", "gpt"), "note", ""),
    (SHAREGPT, turned("gpt", "human"), "error", "18 of 18 rows do not alternate human and gpt"),
    (SHAREGPT, turned("human", "gpt", "human"), "error", "18 of 18 rows do not alternate"),
    ({**SHAREGPT, "tags": {"role_tag": "role"}}, turned("human", "gpt"), "error", "tags leaves out assistant_tag"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "change", "level", "said"),
    DATA_SETS,
    ids=[f"{number}-{case[3] or 'sound'}" for number, case in enumerate(DATA_SETS)],
)
def test_mistakes_in_data_sets(
    run: Run, entry: dict[str, Any], change: Callable[[Rows], None] | None, level: str, said: str
) -> None:
    info = run.llamafactory / "dataset_info.json"
    entries = json.loads(info.read_text("utf-8"))
    entries[DATA].update(entry)
    info.write_text(json.dumps(entries), "utf-8")
    if change:
        rows = json.loads(run.data(DATA).read_text("utf-8"))
        change(rows)
        run.data(DATA).write_text(json.dumps(rows), "utf-8")
    (run.llamafactory / "rows.xlsx").write_bytes(b"PK")
    if said:
        assert_said(run, level, said)
    else:
        assert [str(one) for one in found(run) if one.level == "error"] == []


def test_a_dataset_info_of_another_encoding_is_told(run: Run) -> None:
    path = run.llamafactory / "dataset_info.json"
    path.write_text(
        path.read_text("utf-8").replace("{\n", '{\n  "行": {"file_name": "x.json"},\n', 1), "utf-8"
    )
    assert_said(run, "warning", "is not ASCII")


def test_bf16_without_a_gpu_is_refused_before_it_starts(run: Run) -> None:
    assert any(one.level == "error" and "bf16 needs a GPU" in one.what for one in found(run, gpus=0))


def test_packages_that_values_need_are_named_before_llamafactory_misses_them(run: Run) -> None:
    path = run.recipes / f"{TRAIN}.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump({**values, "use_apollo": True, "report_to": ["trackio"]}), "utf-8")
    told = {one.what: (one.level, one.fix) for one in found(run, gpus=1)}
    for name in ("apollo-torch", "trackio"):  # neither is among etlch's extras
        assert told[f"the recipe needs {name}, which is not installed"] == ("error", f"pip install {name}")
    assert not any("is not installed" in one.what for one in found(run))


def test_several_processes_change_the_batch(run: Run) -> None:
    """18 rows of two tasks are 36; 8 a process and 2 processes make 16 a step and 3 steps an epoch."""
    told = " ".join(one.what for one in found(run, gpus=2, world=2))
    assert "36 rows in batches of 16: 3 steps an epoch, 15 in all" in told
    assert "2 processes make the batch 16 instead of 8" in told


def test_one_problem_of_many_recipes_is_one_finding(run: Run) -> None:
    for path in run.recipes.glob("*.yaml"):
        path.write_text(path.read_text("utf-8").replace("template: llama3", "template: lama3"), "utf-8")
    told = [one for one in found(run) if "no template 'lama3'" in one.what]
    assert len(told) == 1
    assert told[0].where == tuple(job.stem for job in jobs.read_jobs(run))
    assert "Did you mean 'llama3'?" in told[0].fix


@pytest.mark.parametrize("text", ["- a\n- b\n", "do_train: true\nstage: sft\n", "stage: sft\n"])
def test_files_that_are_no_recipes_are_named(run: Run, text: str) -> None:
    from etlch.core.errors import EtlchError

    (run.recipes / "train_mine.yaml").write_text(text, "utf-8")
    with pytest.raises(EtlchError, match=re.escape("train_mine.yaml")):
        jobs.read_jobs(run)


@pytest.mark.train
def test_the_list_of_what_llamafactory_takes_is_its_own() -> None:
    """Names, kinds of value, only values and templates, read from its dataclasses and enumerations."""
    import dataclasses
    import typing

    from llamafactory.data.template import TEMPLATES
    from llamafactory.extras.constants import AttentionFunction, EngineName, QuantizationMethod
    from llamafactory.hparams import (
        DataArguments,
        FinetuningArguments,
        GeneratingArguments,
        ModelArguments,
        TrainingArguments,
    )
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy, SchedulerType

    listed = known()
    classes = (ModelArguments, DataArguments, TrainingArguments, FinetuningArguments, GeneratingArguments)
    names = {item.name for kind in classes for item in dataclasses.fields(kind) if item.init}
    assert set(listed.arguments) == names
    for kind in classes:
        for name, hint in typing.get_type_hints(kind).items():
            plain = {int: ("int",), float: ("float",), bool: ("bool",), str: ("str",)}.get(hint)
            if plain and name in names:
                assert listed.arguments[name] == plain, name
    assert set(listed.templates) == set(TEMPLATES)
    for name, values in {
        "flash_attn": AttentionFunction,
        "infer_backend": EngineName,
        "quantization_method": QuantizationMethod,
        "lr_scheduler_type": SchedulerType,
        "eval_strategy": IntervalStrategy,
        "save_strategy": SaveStrategy,
    }.items():
        assert set(listed.choices[name]) == {value.value for value in values}, name
    assert listed.choices["stage"] == ("pt", "sft", "rm", "ppo", "dpo", "kto")

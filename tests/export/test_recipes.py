"""Recipes: what they say, that LlamaFactory's own parser takes every one, and how fast they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from etlch.core import manifest
from etlch.core.config import changed, make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import shipped
from etlch.core.run_folder import Run
from etlch.export.models import PAPER_BASELINES, variants
from etlch.export.recipes import load_preset
from etlch.export.write import export, reexport
from tests.runs import make_run

PRESETS = sorted(path.stem for path in shipped("llamafactory_configs").glob("*.yaml"))
ARGUMENTS = set(json.loads((Path(__file__).parent / "llamafactory_arguments.json").read_text("ascii")))
"""The 343 names that LlamaFactory 0.9.5 takes beside transformers 5.5.4."""
SETTINGS = make_settings(teacher="offline", language="en", sizes=(5, 20), test=3, preset="smoke")


def recipes(run: Run) -> dict[str, dict[str, Any]]:
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(run.recipes.glob("*.yaml"))}


def made(folder: Path, **changes: Any) -> Run:
    settings = changed(SETTINGS, **changes)
    run = make_run(folder, settings)
    export(run, settings)
    return run


def test_the_paper_preset_is_the_papers() -> None:
    """Section 3.1 of arXiv 2509.08381, value by value."""
    values = load_preset("paper").values
    said = {
        "model_name_or_path": "meta-llama/Llama-3.2-1B-Instruct",
        "finetuning_type": "lora",
        "lora_rank": 32,
        "lora_alpha": 64,
        "lora_dropout": 0.4,
        "learning_rate": 1e-7,
        "max_grad_norm": 0.1,
        "num_train_epochs": 100,
    }
    assert {name: values[name] for name in said} == said
    assert values["per_device_train_batch_size"] * values["gradient_accumulation_steps"] == 2
    assert not [name for name in values if "quantization" in name]
    assert {name: values[name] for name in ("cutoff_len", "max_new_tokens")} == {
        "cutoff_len": 4096,
        "max_new_tokens": 1024,
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_leave_to_the_run_what_is_the_runs(preset: str) -> None:
    """Presets are flat, known to LlamaFactory, and say nothing that a run must say itself."""
    values = load_preset(preset).values
    assert set(values) <= ARGUMENTS
    assert not set(values) & {
        "dataset",
        "eval_dataset",
        "dataset_dir",
        "output_dir",
        "stage",
        "do_train",
        "seed",
    }
    assert not any(isinstance(value, dict | list) for value in values.values())
    assert values["report_to"] == "none"
    assert values["overwrite_output_dir"] is True


def test_what_a_run_says(tmp_path: Path) -> None:
    run = made(tmp_path / "demo")
    recipe = recipes(run)
    tuned = "smoke-20-s42"
    train = recipe[f"train_{tuned}"]
    assert train["dataset"] == "demo_json_train_20,demo_kge_train_20,demo_ner_train_20"
    assert train["eval_dataset"] == "demo_json_val_20,demo_kge_val_20,demo_ner_val_20"
    assert (train["dataset_dir"], train["output_dir"], train["seed"]) == (
        "llamafactory",
        f"models/{tuned}",
        42,
    )
    predict = recipe[f"predict_{tuned}_kge"]
    assert predict["eval_dataset"] == "demo_kge_test"
    assert predict["output_dir"] == f"predictions/{tuned}/kge"
    assert predict["adapter_name_or_path"] == f"models/{tuned}"
    assert predict["do_sample"] is False  # LlamaFactory samples by default
    assert "learning_rate" not in predict
    assert "adapter_name_or_path" not in recipe["predict_base_kge"]
    merge = recipe[f"export_{tuned}"]
    assert merge["export_dir"] == f"models/{tuned}/merged"
    assert not [name for name in merge if "quantization" in name]
    models = ("base", "smoke-20-s42", "smoke-5-s42")
    assert sorted(name for name in recipe if name.startswith("predict_")) == [
        f"predict_{model}_{task}" for model in models for task in ("json", "kge", "ner")
    ]


def test_the_first_comment_is_a_command_that_a_shell_takes(tmp_path: Path) -> None:
    run = made(tmp_path / "my run")
    first = (run.recipes / "export_smoke-5-s42.yaml").read_text("utf-8").splitlines()[0]
    assert first == (f"# cd '{run.folder}' && llamafactory-cli export recipes/export_smoke-5-s42.yaml")


def test_what_is_no_recipe_stands_in_support(tmp_path: Path) -> None:
    run = made(tmp_path / "demo")
    assert [path.name for path in run.recipes.iterdir() if path.suffix != ".yaml"] == ["support"]
    script = run.recipes / "support" / "run.sh"
    done = subprocess.run(
        ["bash", str(script), "--plan"], capture_output=True, text=True, check=True, env=with_tools()
    )
    assert "train_smoke-20-s42" in done.stdout


def with_tools() -> dict[str, str]:
    """Return the environment with this Python's commands on PATH."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_model_cards(tmp_path: Path) -> None:
    run = made(
        tmp_path / "demo", baselines={"qwen": {"model": "Qwen/Qwen2.5-7B-Instruct", "template": "qwen"}}
    )
    cards = {
        path.parent.name: json.loads(path.read_text("utf-8")) for path in run.predictions.glob("*/model.json")
    }
    assert cards["smoke-5-s42"] == {
        "name": "smoke",
        "size": 5,
        "seed": 42,
        "role": "tuned",
        "adapter": "models/smoke-5-s42",
        "recipe": "recipes/train_smoke-5-s42.yaml",
    }
    assert {name: card["role"] for name, card in cards.items() if card["role"] != "tuned"} == {
        "base": "base",
        "qwen": "baseline",
    }
    assert recipes(run)["predict_qwen_ner"]["template"] == "qwen"


def test_the_base_model_with_examples_is_a_baseline(tmp_path: Path) -> None:
    """`smoke` cuts at 1024 tokens: three examples and a question get the room of four."""
    run = made(tmp_path / "demo", shots=3)
    card = json.loads(run.model_card("base-3shot").read_text("utf-8"))
    assert (card["name"], card["role"], card["size"]) == ("base-3shot", "baseline", None)
    plain, shots = (recipes(run)[f"predict_{model}_kge"] for model in ("base", "base-3shot"))
    assert shots == {
        **plain,
        "eval_dataset": "demo_kge_test_3shot",
        "output_dir": "predictions/base-3shot/kge",
        "cutoff_len": 4096,
    }
    reexport(run, None, None, {"shots": 0})
    assert not [path for path in run.folder.rglob("*3shot*")]


def test_a_small_size_has_no_evaluation(tmp_path: Path) -> None:
    """Without a validation set LlamaFactory refuses a recipe that evaluates."""
    recipe = recipes(made(tmp_path / "demo", preset="efficient"))
    small, large = recipe["train_efficient-5-s42"], recipe["train_efficient-20-s42"]
    gone = {
        "eval_dataset",
        "eval_strategy",
        "load_best_model_at_end",
        "metric_for_best_model",
        "greater_is_better",
    }
    assert gone <= set(large)
    assert set(large) - set(small) == gone


def test_what_shards_a_training_is_no_part_of_a_prediction(tmp_path: Path) -> None:
    """LlamaFactory refuses to generate under ZeRO-3, and DeepSpeed wants torchrun."""
    sharded = "deepspeed: ds_z2.json\nfsdp: full_shard\nfsdp_config: fsdp.json\nfinetuning_type: full\n"
    (tmp_path / "mine.yaml").write_text(f"{sharded}model_name_or_path: a/b\ntemplate: llama3\n", "utf-8")
    said = recipes(made(tmp_path / "demo", preset=str(tmp_path / "mine.yaml"), tasks=("ner",)))
    for stem, values in said.items():
        found = {"deepspeed", "fsdp", "fsdp_config"} & set(values)
        assert found == ({"deepspeed", "fsdp", "fsdp_config"} if stem.startswith("train_") else set())


def test_full_fine_tuning_has_no_adapter(tmp_path: Path) -> None:
    run = made(tmp_path / "demo", preset="full")
    recipe = recipes(run)
    assert recipe["predict_full-5-s42_ner"]["model_name_or_path"] == "models/full-5-s42"
    assert not [name for name in recipe if name.startswith("export_")]
    assert json.loads(run.model_card("full-5-s42").read_text("utf-8"))["adapter"] is None


def test_variants_by_hand() -> None:
    kinds = ("multi", "leave-one-out", "single")
    assert list(variants(("json", "kge", "ner"), kinds)) == [
        ("", ("json", "kge", "ner")),
        ("no-json", ("kge", "ner")),
        ("no-kge", ("json", "ner")),
        ("no-ner", ("json", "kge")),
        ("only-json", ("json",)),
        ("only-kge", ("kge",)),
        ("only-ner", ("ner",)),
    ]
    assert list(variants(("json", "kge"), kinds)) == [
        ("", ("json", "kge")),
        ("no-json", ("kge",)),
        ("no-kge", ("json",)),
    ]
    assert list(variants(("ner",), kinds)) == [("", ("ner",))]


def test_the_papers_matrix_is_whole(tmp_path: Path) -> None:
    """4 sizes × 7 training sets × 3 seeds are 84 models: 84 trainings, 84 exports, and
    predictions of 3 tasks by these, the base and three baselines."""
    settings = changed(SETTINGS, sizes=(100, 300, 500, 1000), preset="paper", matrix="paper")
    run = make_run(tmp_path / "etlch", settings)
    done = export(run, settings)
    assert len(done.recipes) == 84 + 84 + 3 * (84 + 4)


def test_another_preset_replaces_recipes_and_keeps_predictions(tmp_path: Path) -> None:
    run = made(tmp_path / "demo")
    predictions = run.prediction_file("smoke-20-s42", "ner")
    predictions.parent.mkdir(parents=True)
    predictions.write_text("{}\n", encoding="utf-8")
    reexport(run, None, None, {"preset": "efficient"})
    assert not [name for name in recipes(run) if "smoke" in name]
    assert {path.name for path in run.predictions.iterdir()} == {
        "base",
        "efficient-5-s42",
        "efficient-20-s42",
        "smoke-20-s42",
    }
    assert manifest.read(run).settings.export.preset == "efficient"


def test_sizes_add_up_and_the_same_export_writes_the_same_bytes(tmp_path: Path) -> None:
    run = made(tmp_path / "demo")
    before = contents(run)
    reexport(run, None, (5,), {})
    assert contents(run) == before
    reexport(run, None, (12,), {})
    assert manifest.read(run).settings.plan.sizes == (5, 12, 20)
    with pytest.raises(EtlchError, match="23 articles are too few"):
        reexport(run, None, (21,), {})


def test_an_export_does_not_change_what_made_the_records(tmp_path: Path) -> None:
    run = made(tmp_path / "demo")
    own = tmp_path / "own.yaml"
    own.write_text("test: 3\nseeds: [1, 2]\n", encoding="utf-8")
    reexport(run, own, None, {})
    assert manifest.read(run).settings.export.seeds == (1, 2)
    own.write_text("test: 5\n", encoding="utf-8")
    before = contents(run)
    with pytest.raises(EtlchError, match="the setting 'test' made this run's records"):
        reexport(run, own, None, {})
    assert contents(run) == before


def contents(run: Run) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_numbers_that_yaml_1_1_takes_for_text(tmp_path: Path) -> None:
    """PyYAML reads 1e-4 as a string, OmegaConf as a number; a recipe must not depend on which."""
    own = tmp_path / "my own.yaml"
    own.write_text("model_name_or_path: a/b\ntemplate: llama3\nlearning_rate: 1e-4\n", encoding="utf-8")
    recipe = recipes(made(tmp_path / "demo", preset=str(own)))
    assert recipe["train_my-own-5-s42"]["learning_rate"] == 1e-4


def test_a_model_folder_is_named_as_the_run_folder_sees_it(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    run = made(tmp_path / "outputs" / "demo", base_model=str(tmp_path / "models" / "mine"), template="llama3")
    assert recipes(run)["predict_base_ner"]["model_name_or_path"] == "../../models/mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "papr"}, "there is no preset 'papr'. Did you mean 'paper'?"),
        ({"preset": "mine.yaml"}, "there is no preset 'mine.yaml'"),
        ({"base_model": "./mine"}, "there is no model folder ./mine"),
        ({"baselines": {"base": {"model": "a/b", "template": "qwen"}}}, "'base' cannot name a model folder"),
        ({"baselines": {"a/b": {"model": "a/b", "template": "qwen"}}}, "'a/b' cannot name a model folder"),
        ({"baselines": {"qwen": {"model": "a/b"}}}, "qwen has the keys model"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(tmp_path: Path, changes: Any, message: str) -> None:
    settings = changed(SETTINGS, **changes)
    run = make_run(tmp_path / "demo", settings)
    with pytest.raises(EtlchError) as error:
        export(run, settings)
    assert message in error.value.what
    assert not run.llamafactory.exists()
    assert not run.recipes.exists()


def every_recipe(folder: Path) -> Iterator[tuple[str, Path]]:
    for preset in PRESETS:
        kinds = ("multi", "leave-one-out", "single")
        run = made(folder / preset, preset=preset, variants=kinds, baselines=PAPER_BASELINES)
        for path in sorted(run.recipes.glob("*.yaml")):
            yield f"{preset}/{path.stem}", path


@pytest.mark.train
def test_llamafactory_parses_every_recipe(tmp_path: Path) -> None:
    """With its own parser, from YAML as OmegaConf reads it; `use_cpu` stands in for a GPU with bf16."""
    from llamafactory.hparams import get_infer_args, get_train_args
    from omegaconf import OmegaConf

    parsed = 0
    for name, path in every_recipe(tmp_path):
        values: Any = OmegaConf.to_container(OmegaConf.load(path))
        assert values == yaml.safe_load(path.read_text("utf-8")), name
        assert set(values) <= ARGUMENTS, name
        if path.stem.startswith("export_"):
            get_infer_args(values)
            parsed += 1
            continue
        recipe = {**values, "use_cpu": True, "output_dir": str(tmp_path / "unused")}
        _, data, training, finetuning, generating = get_train_args(recipe)
        assert finetuning.stage == "sft"
        assert training.do_train is path.stem.startswith("train_"), name
        assert training.do_predict is path.stem.startswith("predict_"), name
        if training.do_predict:
            assert generating.do_sample is False, name
            assert len(data.eval_dataset) == 1, name
        parsed += 1
    # 14 tuned models: 14 trainings, 14 exports (none of the full preset), 3 tasks by them and 4 others
    assert parsed == 5 * (14 + 14 + 3 * (14 + 4)) - 14

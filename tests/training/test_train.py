"""The real `llamafactory-cli` on a tiny random Llama: train, predict and export, as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.core.files import read_lines
from etlch.core.run_folder import Run
from etlch.export import chat_templates
from etlch.export.jobs import read_jobs
from etlch.export.write import export
from etlch.metrics.predictions import read_aligned
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

pytestmark = [pytest.mark.slow, pytest.mark.train]

NAME = "tiny-20-s7"
FOREIGN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""A chat template that the base model brings and that nothing is trained with."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was trained, predicted and exported by its own recipes."""
    root = tmp_path_factory.mktemp("walk")
    preset = root / "tiny.yaml"
    preset.write_text(
        "finetuning_type: lora\nlora_rank: 8\ncutoff_len: 1024\nper_device_train_batch_size: 4\n"
        "learning_rate: 5e-3\nmax_steps: 12\nsave_strategy: 'no'\noverwrite_output_dir: true\n"
        "logging_steps: 1\nreport_to: none\nmax_new_tokens: 8\nper_device_eval_batch_size: 3\nuse_cpu: true\n",
        encoding="utf-8",
    )
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=4,
        preset=str(preset),
        base_model=str(tiny_llama(root / "model")),
        template=TEMPLATE,
        seeds=(7,),
        shots=2,
    )
    (root / "model" / "chat_template.jinja").write_text(FOREIGN, encoding="utf-8")
    run = make_run(root / "outputs" / "first run", settings)
    export(run, settings)
    for recipe in (f"train_{NAME}", f"predict_{NAME}_ner", f"export_{NAME}", "predict_base-2shot_ner"):
        as_its_comment_says(run.recipes / f"{recipe}.yaml")
    return run


def as_its_comment_says(recipe: Path) -> None:
    """Run the command on a recipe's first line, in a shell, from another folder."""
    line = recipe.read_text(encoding="utf-8").splitlines()[0]
    assert line.startswith("# cd ")
    tools = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "passive",
    }
    done = subprocess.run(
        ["bash", "-c", line.removeprefix("# ")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_training_learns_and_leaves_an_adapter(run: Run) -> None:
    folder = run.models / NAME
    assert (folder / "adapter_model.safetensors").stat().st_size > 0
    log = [json.loads(line) for line in (folder / "trainer_log.jsonl").read_text("utf-8").splitlines()]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == 12
    assert losses[-1] < losses[0]


def test_predictions_stand_where_the_scorer_looks_and_in_the_keys_order(run: Run) -> None:
    rows = list(read_aligned(run.prediction_file(NAME, "ner"), run.keys(run.stem("ner", "test"))))
    assert [row.key.article_id for row in rows] == [f"a{number:06d}" for number in range(4)]
    assert not any(row.truncated for row in rows)


def test_predictions_after_examples_belong_to_the_same_keys(run: Run) -> None:
    path = run.prediction_file("base-2shot", "ner")
    rows = list(read_aligned(path, run.keys(run.stem("ner", "test"))))
    assert [row.key.article_id for row in rows] == [f"a{number:06d}" for number in range(4)]
    assert "shop 5 in Taipei" in json.loads(path.read_text("utf-8").splitlines()[0])["prompt"]  # an example


def test_the_export_answers_as_base_and_adapter_do(run: Run) -> None:
    """Merging adds float32 products to float32 weights: the same next token, logits within 1e-4."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base: Any = AutoModelForCausalLM.from_pretrained(run.folder.parent.parent / "model")
    with_adapter = PeftModel.from_pretrained(base, run.models / NAME).eval()
    merged = AutoModelForCausalLM.from_pretrained(run.models / NAME / "merged").eval()
    tokenizer = AutoTokenizer.from_pretrained(run.models / NAME / "merged")
    inputs = tokenizer("陳怡君 opened shop 3 in Taipei.", return_tensors="pt")
    with torch.no_grad():
        expected = with_adapter(**inputs).logits
        with with_adapter.disable_adapter():
            untuned = with_adapter(**inputs).logits
        found = merged(**inputs).logits
    assert torch.allclose(expected, found, atol=1e-4)
    assert not torch.allclose(untuned, found, atol=1e-2)


def test_the_export_writes_what_was_predicted_with_the_adapter(run: Run) -> None:
    """The prompts are those that the prediction file holds, control tokens and all; so are the answers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = run.models / NAME / "merged"
    assert (merged / "chat_template.jinja").read_text("utf-8") == FOREIGN
    exports = [job for job in read_jobs(run) if job.kind == "export"]
    assert chat_templates.write(run, exports) == [
        f"models/{NAME}/merged/chat_template.jinja now writes the prompts that it was trained on (template {TEMPLATE})"
    ]
    assert chat_templates.write(run, exports) == []
    tokenizer: Any = AutoTokenizer.from_pretrained(merged)
    model: Any = AutoModelForCausalLM.from_pretrained(merged).eval()
    path = run.prediction_file(NAME, "ner")
    prompts = [line.value["prompt"] for line in read_lines(path)]
    for row, expected in zip(read_aligned(path, run.keys(run.stem("ner", "test"))), prompts, strict=True):
        user = {"role": "user", "content": f"{row.key.instruction}\n{row.key.input}"}
        prompt = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
        assert prompt == expected
        inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        made = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        answer = tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        assert answer.strip() == row.text.strip()

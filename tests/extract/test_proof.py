"""A model that LlamaFactory trained: its adapter, its export and its GGUF extract the same facts, and LlamaFactory's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import etlch
from etlch.core.config import make_settings
from etlch.core.extract_settings import ExtractSettings
from etlch.core.files import read_jsonl
from etlch.core.records import Json, Key
from etlch.core.run_folder import Run
from etlch.export.write import export
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Extraction, Source
from etlch.extract.llama_server import BINARIES
from etlch.tasks import find_task
from tests.extract.models import HEAD, TAIL
from tests.runs import make_run, records
from tests.tiny import TEMPLATE, tiny_gguf, tiny_llama

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.usefixtures("interruptible")]

NAME = "tiny-20-s7"
STEPS = 150
PRESET = (
    "finetuning_type: lora\nlora_rank: 32\nlora_target: all\ncutoff_len: 1024\nper_device_train_batch_size: 4\n"
    "learning_rate: 1e-4\nmax_steps: 4\nsave_strategy: 'no'\noverwrite_output_dir: true\n"
    "logging_steps: 50\nreport_to: none\nmax_new_tokens: 100\nper_device_eval_batch_size: 10\nuse_cpu: true\n"
)


def taught(folder: Path) -> Path:
    """Teach a random model the answers for five names: what LoRA of frozen random embeddings cannot learn."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    rows = []
    for record in records(5):
        if record.task == "ner":
            asked = f"<|begin_of_text|>{HEAD}{record.instruction}\n{record.input}{TAIL}"
            rows.append([tokenizer(text)["input_ids"] for text in (asked, f"{record.output}<|eot_id|>")])
    width = max(len(asked) + len(label) for asked, label in rows)
    pad = tokenizer.pad_token_id
    ids = [asked + label + [pad] * (width - len(asked) - len(label)) for asked, label in rows]
    wanted = [
        [-100] * len(asked) + label + [-100] * (width - len(asked) - len(label)) for asked, label in rows
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        loss = model(input_ids=torch.tensor(ids), labels=torch.tensor(wanted)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of ner that `etlch-data run` trained, predicted and exported: a model that has learnt something."""
    root = tmp_path_factory.mktemp("proof")
    (root / "tiny.yaml").write_text(PRESET, encoding="utf-8")
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=3,  # the fourth name holds a line separator, which grounding writes as a space
        preset=str(root / "tiny.yaml"),
        base_model=str(taught(tiny_llama(root / "model"))),
        template=TEMPLATE,
        seeds=(7,),
        tasks=("ner",),
    )
    run = make_run(root / "outputs" / "run", settings)
    export(run, settings)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "etlch.cli.data", "run", str(run.folder), "--only", NAME, "--exports"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return run


def extracted(run: Run, model: Path) -> list[Extraction]:
    """Return what a model finds in the test set, dropping nothing and asking nothing twice."""
    settings = ExtractSettings(tasks=("ner",), ungrounded="flag", retries=0)
    keys = read_jsonl(run.keys(run.stem("ner", "test")), Key)
    return list(Extractor(model, settings).extract(Source(key.id, key.input) for key in keys))


def test_adapter_export_and_gguf_find_the_same_facts(run: Run) -> None:
    adapter = extracted(run, run.models / NAME)
    assert sum(len(item.facts) for item in adapter) > 0
    merged = run.models / NAME / "merged"
    others = [extracted(run, merged)]
    if any(map(shutil.which, BINARIES)):
        others.append(extracted(run, tiny_gguf(merged, merged / "tiny.gguf")))
    for other in others:
        for one, two in zip(adapter, other, strict=True):
            assert [(fact.fact, fact.spans) for fact in one.facts] == [
                (fact.fact, fact.spans) for fact in two.facts
            ]
            assert [fact.confidence for fact in one.facts] == pytest.approx(
                [fact.confidence for fact in two.facts], abs=1e-3
            )


def test_the_score_of_what_is_extracted_is_that_of_llamafactory_s_predictions(run: Run) -> None:
    keys = run.keys(run.stem("ner", "test"))
    theirs = etlch.score(run.prediction_file(NAME, "ner"), gold=keys, cosine="off")
    render = find_task("ner").render
    rows: list[dict[str, Json]] = [
        {"id": item.document, "predict": render([fact.fact for fact in item.facts], (), "en")}
        for item in extracted(run, run.models / NAME)
    ]
    ours = etlch.score(rows, gold=keys, task="ner", cosine="off")
    found = [
        {one.metric: one.value for one in scores.summary.scores if one.metric in ("facts_f1", "span_f1")}
        for scores in (theirs, ours)
    ]
    assert found[0] == found[1]
    assert found[0]["facts_f1"]

"""Every shipped preset, and LlamaFactory's other finetuning types, with its own code on a tiny random Llama.

LlamaFactory's functions are called in this process, where one import serves all: the command's own start
is tried in test_train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import shipped
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, read_jobs
from etlch.export.preflight import findings
from etlch.export.preflight.tokens import _look
from etlch.export.recipes import load_preset
from etlch.export.write import export
from etlch.training.state import state
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

ON_CPU = {"use_cpu": True, "max_steps": 3, "max_new_tokens": 64, "logging_steps": 1}
NOT_ON_CPU = ("bf16", "quantization_bit", "quantization_method", "double_quantization")
"""What needs a GPU: the preset qlora is tried without it, as efficient in small batches."""
SHIPPED = {
    path.stem: load_preset(path.stem).values for path in shipped("llamafactory_configs").glob("*.yaml")
}
FREEZE = {**SHIPPED["full"], "finetuning_type": "freeze", "freeze_trainable_layers": 1}
OFT = {name: value for name, value in SHIPPED["efficient"].items() if "lora" not in name} | {
    "finetuning_type": "oft"
}
PRESETS: dict[str, dict[str, Any]] = {**SHIPPED, "freeze": FREEZE, "oft": OFT}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_trains_predicts_and_exports(
    tmp_path: Path, base: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamafactory.train.tuner import export_model, run_exp

    values = {key: value for key, value in PRESETS[name].items() if key not in NOT_ON_CPU} | ON_CPU
    if name == "paper":
        values["learning_rate"] = 1e-5  # three steps at 1e-7 are refused, as they should be
    run = exported(tmp_path, base, name, values)
    jobs = [job for job in read_jobs(run) if job.model != "base"]
    assert [job.kind for job in jobs] == ["train", "predict", "export"][: 3 if jobs[0].adapter else 2]
    monkeypatch.chdir(run.folder)
    found = [*findings.quick(run, jobs, gpus=0), *_look(run, jobs).findings]
    assert [str(one) for one in found if one.level == "error"] == []
    for job in jobs:
        work: Any = export_model if job.kind == "export" else run_exp
        work(dict(job.values))
        assert state(run, job).name == "done", state(run, job).why
    assert moved(run, jobs[0], base)


def exported(root: Path, base: Path, name: str, values: dict[str, Any]) -> Run:
    preset = root / f"{name}.yaml"
    preset.write_text(yaml.safe_dump(values), "utf-8")
    settings = make_settings(
        teacher="offline", language="en", sizes=(20,), test=2, preset=str(preset), base_model=str(base),
        template=TEMPLATE, tasks=("ner",),
    )  # fmt: skip
    run = make_run(root / "demo", settings)
    export(run, settings)
    return run


def moved(run: Run, training: Job, base: Path) -> bool:
    """Tell whether the model, as it is predicted with, writes other logits than its base."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    untuned: Any = AutoModelForCausalLM.from_pretrained(base).eval()
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        before = untuned(tokens).logits
        if training.adapter:
            tuned: Any = PeftModel.from_pretrained(untuned, run.folder / training.result)
        else:
            tuned = AutoModelForCausalLM.from_pretrained(run.folder / training.result)
        return not torch.equal(tuned.eval()(tokens).logits, before)


@pytest.mark.parametrize("key", ["pissa_init", "pissa_convert"])
def test_pissa_is_refused(tmp_path: Path, key: str) -> None:
    """Its adapter belongs to a changed base model, which is not kept (peft's own words: the residual model)."""
    values = {"learning_rate": 1e-3, key: True}
    run = exported(tmp_path, tmp_path, "mine", values)
    told = [one for one in findings.quick(run, read_jobs(run)) if "pissa_init" in one.what]
    assert [one.level for one in told] == ["error"]


@pytest.mark.parametrize("stage", ["grpo", "gkd", "dpo", "SFT"])
def test_presets_of_other_stages_are_refused(tmp_path: Path, stage: str) -> None:
    """get_train_args takes all of them; recipes would say sft over them."""
    with pytest.raises(EtlchError, match=f"stage: {stage}"):
        exported(tmp_path, tmp_path, "mine", {"stage": stage})

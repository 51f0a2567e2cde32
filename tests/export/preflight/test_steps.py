"""Steps, learning rates and sizes against the paper's numbers, torch's schedulers and peft's adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.export import jobs
from etlch.export.preflight.steps import disk, kept, size, steps
from etlch.export.recipes import load_preset
from etlch.export.write import export
from tests.runs import make_run


@pytest.mark.parametrize(
    ("records", "total", "moved"),
    [(100, 13_500, 0.000675), (300, 40_500, 0.002025), (500, 67_500, 0.003375), (1000, 135_000, 0.00675)],
)
def test_the_papers_trainings_by_hand(records: int, total: int, moved: float) -> None:
    """90 % of the records of three tasks, batch 2, 100 epochs; half of 1e-7 times the steps."""
    values = load_preset("paper").values
    found = steps(values, 3 * records * 9 // 10)
    assert found.total == total
    assert found.moved == pytest.approx(moved)
    assert steps({**values, "lr_scheduler_type": "constant"}, 270).moved == pytest.approx(0.00135)
    # Two triangles, a rise to the rate and a fall from it, have half the area of their rectangle.
    risen = {**values, "lr_scheduler_type": "linear", "warmup_steps": 0.5}
    assert steps(risen, 270).moved == pytest.approx(0.00135 / 2)


def test_a_last_batch_that_is_not_full_counts() -> None:
    """55 rows in 7 batches of 8 on one process; 2 processes share 4 batches; 2 gathered make 2 steps."""
    values = {"per_device_train_batch_size": 8, "num_train_epochs": 2.5, "gradient_accumulation_steps": 1}
    assert (steps(values, 55).an_epoch, steps(values, 55).total) == (7, 18)
    gathered = steps({**values, "gradient_accumulation_steps": 2}, 55, world=2)
    assert (gathered.batch, gathered.an_epoch, gathered.total) == (32, 2, 5)
    assert steps({**values, "max_steps": 4}, 55).total == 4


@pytest.mark.train
@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "constant_with_warmup"])
@pytest.mark.parametrize("warmup", [0, 20, 0.1])
def test_what_can_be_moved_is_the_schedulers_sum(schedule: str, warmup: float) -> None:
    import torch
    from transformers import get_scheduler

    total = 400
    rising = int(warmup if warmup >= 1 else warmup * total)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-4)
    scheduler = get_scheduler(schedule, optimizer, num_warmup_steps=rising, num_training_steps=total)
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    values = {
        **{"learning_rate": 2e-4, "lr_scheduler_type": schedule, "warmup_steps": warmup, "max_steps": total}
    }
    if schedule == "constant":
        rates = [2e-4] * total  # transformers' constant schedule has no warmup
    assert steps(values, 1000).moved == pytest.approx(sum(rates), rel=0.01)


@pytest.mark.train
def test_sizes_are_those_of_transformers_and_peft(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.tiny import tiny_llama

    folder = tiny_llama(tmp_path)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    expected = size(AutoConfig.from_pretrained(folder).to_dict(), rank=8)
    assert expected.whole == sum(weight.numel() for weight in model.parameters())
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert expected.adapter == sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def test_checkpoints_that_stay(tmp_path: Path) -> None:
    settings = make_settings(teacher="offline", language="en", sizes=(20,), test=3, preset="efficient")
    run = make_run(tmp_path / "demo", settings)
    export(run, settings)
    job = next(job for job in jobs.read_jobs(run) if job.kind == "train")

    def stay(**values: Any) -> int:
        job.values.update(values)
        return kept(run, job)

    assert stay() == 5  # one an epoch
    assert stay(save_total_limit=2) == 2
    assert stay(save_total_limit=1) == 2  # the best beside the last
    job.values["save_total_limit"] = None
    assert stay(save_strategy="steps", save_steps=10, load_best_model_at_end=False) == 4  # 54 / 8 → 35 steps
    assert stay(save_strategy="no") == 0
    notes = [problem.what for problem in disk(run, [job])]
    assert notes and notes[0].startswith("disk space is not estimated")

"""Documents a second of etlch-extract, of a plain transformers loop and of LlamaFactory's predict, in one run.

Run: python benchmarks/extract.py outputs/demo smoke-80-s42 [ner]

Takes a run with a trained adapter and asks it for the test set of one task, three times: one question at a time with
transformers; by the run's own predict recipe (LlamaFactory's predict_runtime, without loading); and through Extractor, grounding
included. Prints documents a second, the ratio to the loop, and how many answers are the loop's, letter for letter.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from etlch.core.extract_settings import ExtractSettings
from etlch.core.files import read_jsonl, read_lines
from etlch.core.records import Key
from etlch.core.run_folder import Run
from etlch.export.jobs import read_jobs
from etlch.extract.card import read_card
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Answer, Question, Source
from etlch.extract.local_model import LocalModel


class Heard:
    """Passes questions on to a model and keeps its answers."""

    def __init__(self, model: LocalModel) -> None:
        self.model = model
        self.answers: list[Answer] = []

    def answer(self, questions: list[Question], *, sample: int | None = None) -> list[Answer]:
        found = self.model.answer(questions, sample=sample)
        self.answers += found
        return found


def loop(model: LocalModel, texts: list[str]) -> list[str]:
    """Answer one question at a time, as transformers' documentation does."""
    import torch

    before, after = model.card.prompt
    answers = []
    for text in texts:
        asked = model.tokenizer(f"{before}{text}{after}", add_special_tokens=False, return_tensors="pt")
        asked = asked.to(model.model.device)
        with torch.inference_mode():
            made = model.model.generate(
                **asked,
                max_new_tokens=model.card.max_new_tokens,
                do_sample=False,
                eos_token_id=model.stop,
                pad_token_id=model.tokenizer.pad_token_id,
            )
        written = made[0, asked["input_ids"].shape[1] :]
        answers.append(str(model.tokenizer.decode(written, skip_special_tokens=True)))
    return answers


def llamafactory(run: Run, name: str, task: str, folder: Path) -> tuple[list[str], float]:
    """Return the answers of the run's predict recipe, and the seconds that LlamaFactory says it predicted."""
    job = next(
        job
        for job in read_jobs(run)
        if job.kind == "predict" and job.model == name and job.result.name == task
    )
    recipe = folder / "predict.yaml"
    recipe.write_text(yaml.safe_dump({**job.values, "output_dir": str(folder / "predicted")}))
    tool = Path(sys.executable).with_name("llamafactory-cli")
    subprocess.run([tool, "train", str(recipe)], cwd=run.folder, check=True, capture_output=True)
    told: dict[str, Any] = json.loads((folder / "predicted" / "predict_results.json").read_text())
    lines = read_lines(folder / "predicted" / "generated_predictions.jsonl")
    return [line.value["predict"] for line in lines], float(told["predict_runtime"])


def main(folder: str, name: str, task: str = "ner") -> None:
    run = Run(Path(folder))
    card = read_card(run.models / name)
    keys = read_jsonl(run.keys(run.stem(task, "test")), Key)
    model = LocalModel(run.models / name, card)
    model.answer([Question("warm up")])
    started = time.perf_counter()
    plain = loop(model, [f"{key.instruction}\n{key.input}" for key in keys])
    seconds = {"transformers, one at a time": time.perf_counter() - started}
    answers = {"transformers, one at a time": plain}
    heard = Heard(model)
    extractor = Extractor("", ExtractSettings(tasks=(task,), retries=0), card=card, answering=heard)
    started = time.perf_counter()
    list(extractor.extract(Source(key.id, key.input) for key in keys))
    seconds["etlch-extract"] = time.perf_counter() - started
    answers["etlch-extract"] = [answer.text for answer in heard.answers]
    del model, heard, extractor
    with tempfile.TemporaryDirectory() as scratch:
        told, spent = llamafactory(run, name, task, Path(scratch))
    seconds["llamafactory-cli, predict recipe"], answers["llamafactory-cli, predict recipe"] = spent, told
    slowest = seconds["transformers, one at a time"]
    for what, spent in seconds.items():
        same = sum(one.strip() == two.strip() for one, two in zip(answers[what], plain, strict=True))
        print(
            f"{what:34} {len(keys) / spent:7.2f} documents a second  × {slowest / spent:5.2f}  "
            f"{same} of {len(keys)} answers the loop's"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

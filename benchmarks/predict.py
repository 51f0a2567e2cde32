"""Rows a second of a model's predictions: all data sets in one process of ours, and one llamafactory-cli each.

Run: python benchmarks/predict.py outputs/demo smoke-80-s42

Takes a run whose model is trained, or `base`. Predicts all its test sets twice into a scratch folder, as `etlch-data run` does under
`predict_with: etlch` and under `predict_with: llamafactory`, and prints rows a second with loading, without it, processor
seconds (which other programs on the machine disturb least), and how many answers are the same.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from etlch.core.files import read_lines
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, read_jobs


def predicted(
    run: Run, jobs: list[Job], commands: list[list[str]], folder: Path
) -> tuple[list[str], float, float, float]:
    """Return the answers, the seconds of all commands, those spent on answers, and processor seconds."""
    started, busy = time.perf_counter(), processor()
    for command in commands:
        subprocess.run(command, cwd=run.folder, check=True, capture_output=True)
    whole, busy_until = time.perf_counter() - started, processor()
    answers, spent = [], 0.0
    for job in jobs:
        found = folder / job.stem
        answers += [str(line.value["predict"]) for line in read_lines(found / "generated_predictions.jsonl")]
        spent += float(json.loads((found / "predict_results.json").read_text("utf-8"))["predict_runtime"])
    return answers, whole, spent, busy_until - busy


def processor() -> float:
    """Return the processor seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def recipes(jobs: list[Job], folder: Path) -> list[str]:
    """Write the jobs' recipes with output folders below `folder`; return their paths."""
    folder.mkdir()
    paths = []
    for job in jobs:
        path = folder / f"{job.stem}.yaml"
        path.write_text(yaml.safe_dump({**job.values, "output_dir": str(folder / job.stem)}), "utf-8")
        paths.append(str(path))
    return paths


def main(folder: str, model: str) -> None:
    run = Run(Path(folder))
    jobs = [job for job in read_jobs(run) if job.kind == "predict" and job.model == model]
    tool = str(Path(sys.executable).with_name("llamafactory-cli"))
    with tempfile.TemporaryDirectory() as scratch:
        one, each = Path(scratch, "one"), Path(scratch, "each")
        shared = [[sys.executable, "-m", "etlch.training.predictor", *recipes(jobs, one)]]
        alone = [[tool, "train", recipe] for recipe in recipes(jobs, each)]
        theirs, *before = predicted(run, jobs, alone, each)
        ours, *after = predicted(run, jobs, shared, one)
    rows = len(theirs)
    print(f"{rows} rows, {len(jobs)} data sets, {model}")
    for what, one_each, at_once in zip(("with loading", "without", "processor"), before, after, strict=True):
        print(
            f"{what:13} llamafactory-cli {rows / one_each:6.2f} rows a second, one process {rows / at_once:6.2f}: "
            f"× {one_each / at_once:.2f}"
        )
    print(f"{sum(one == two for one, two in zip(ours, theirs, strict=True))} of {rows} answers are the same")


if __name__ == "__main__":
    main(*sys.argv[1:])

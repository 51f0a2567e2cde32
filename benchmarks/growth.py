"""Compare growth by a student's errors with random growth of the same size, from the same start; several seeds.

    python benchmarks/growth.py --model .cache/SmolLM2-135M-Instruct --seeds 5 --size 60 --by 60 --test 60

For each seed: a run of the offline teacher in English is generated and trained, copied, and grown twice by the same
number of records: by its validation errors and `--at-random`. Both are trained again, and all are scored on the same
test set, which no growth has looked at. A third column gives the random arm twice the records, to see at how many
records it reaches the other. Prints facts F1 by task, seed and arm, and the mean difference of the arms over seeds with
its t interval. Trainings of other seeds cost minutes to hours on a CPU: choose sizes accordingly.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import yaml
from scipy.stats import t as student_t

TASKS = ("json", "kge", "ner")


def run(*command: str) -> None:
    """Run an etlch command; its progress goes to stderr."""
    module = {"etlch-data": "etlch.cli.data", "etlch-score": "etlch.cli.score"}[command[0]]
    subprocess.run([sys.executable, "-m", module, *command[1:]], check=True, stdout=sys.stderr)


def scores(folder: Path, size: int) -> dict[str, float]:
    """Return facts F1 by task of the tuned model of a size."""
    run("etlch-score", str(folder), "--metrics", "facts_f1", "--out", str(folder / "scores"))
    summary = json.loads((folder / "scores" / "summary.json").read_text(encoding="utf-8"))
    return {
        score["task"]: score["value"]
        for score in summary["scores"]
        if score["metric"] == "facts_f1" and score["size"] == size
    }


def train(folder: Path, size: int) -> dict[str, float]:
    """Train the model of a size, choose its best checkpoint, and score it."""
    run("etlch-data", "run", str(folder), "--only", f"*-{size}-*", "--best")
    return scores(folder, size)


def one_seed(folder: Path, seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return facts F1 by arm and task."""
    preset = {
        **yaml.safe_load(
            (Path(__file__).parent.parent / "llamafactory_configs/smoke.yaml").read_text("utf-8")
        ),
        "save_strategy": "epoch",
        "num_train_epochs": options.epochs,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "growth.yaml").write_text(yaml.safe_dump(preset), encoding="utf-8")
    settings = {
        "preset": str(folder / "growth.yaml"),
        "base_model": str(options.model),
        "template": options.template,
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    start, larger = folder / "start", options.size + options.by
    plan = ["--teacher", "offline", "--language", "en", "--seed", str(seed)]
    plan += ["--sizes", str(options.size), "--test", str(options.test), "--tasks", ",".join(TASKS)]
    run("etlch-data", "generate", *plan, "--settings", str(folder / "settings.yaml"), "--out", str(start))
    found = {"start": train(start, options.size)}
    arms = {"errors": (options.by, []), "random": (options.by, ["--at-random"])}
    if options.twice:
        arms["random, twice"] = (2 * options.by, ["--at-random"])
    for arm, (by, more) in arms.items():
        grown = folder / arm.replace(", ", "-")
        if not grown.exists():
            shutil.copytree(start, grown)
            run("etlch-data", "grow", str(grown), "--by", str(by), *more)
        found[arm] = train(grown, larger if by == options.by else options.size + by)
    return found


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--template", default="smollm2", help="chat template of the model")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=60)
    parser.add_argument("--by", type=int, default=60)
    parser.add_argument("--test", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--twice", action="store_true", help="a random arm of twice the growth too")
    parser.add_argument("--out", type=Path, default=Path("outputs/growth"))
    options = parser.parse_args()
    options.model = options.model.resolve()
    differences: dict[str, list[float]] = {task: [] for task in TASKS}
    for seed in range(options.seeds):
        found = one_seed(options.out.resolve() / f"seed-{seed}", seed, options)
        for arm, by_task in found.items():
            print(seed, arm, *(f"{task} {by_task[task]:.3f}" for task in TASKS), flush=True)
        for task in TASKS:
            differences[task].append(found["errors"][task] - found["random"][task])
    for task, values in differences.items():
        mean = statistics.mean(values)
        if len(values) > 1:
            half = student_t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
            print(f"{task}: errors minus random {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]")
        else:
            print(f"{task}: errors minus random {mean:+.3f}, one seed: no interval")


if __name__ == "__main__":
    main()

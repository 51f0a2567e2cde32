"""Scripts for clusters: each task of the array runs one model's jobs, and all tasks together all jobs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.write import export
from tests.runs import make_run

SETTINGS = make_settings(
    teacher="offline", language="en", sizes=(5, 20), test=3, preset="smoke", tasks=("ner",)
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path / "我的 run", SETTINGS)
    export(made, SETTINGS)
    return made


def emitted(run: Run, *words: str) -> str:
    done = CliRunner().invoke(main, ["run", str(run.folder), *words])
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def called(script: str, folder: Path, **variables: str) -> list[str]:
    """Run a script with bash, `exec` printing its words; return the words of `etlch-data run`."""
    text = script.replace("exec ", "printf '%s\\n' ")
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()
    return words[words.index("run") :]


def test_each_task_of_slurm_takes_one_model(run: Run, tmp_path: Path) -> None:
    assert "3 tasks, one for each model" in emitted(run, "--emit", "slurm", "--exports", "--no-best")
    script = (run.recipes / "support" / "slurm.sh").read_text("utf-8")
    assert "#SBATCH --array=0-2\n" in script and "#SBATCH --gpus=1\n" in script
    words = [called(script, tmp_path, SLURM_ARRAY_TASK_ID=str(task)) for task in range(3)]
    assert {tuple(task[:3] + task[4:]) for task in words} == {
        ("run", ".", "--only", "--exports", "--no-best")
    }
    stems = [task[3].split(",") for task in words]
    assert stems[0] == ["predict_base_ner"]
    assert stems[1] == ["train_smoke-5-s42", "predict_smoke-5-s42_ner", "export_smoke-5-s42"]
    assert sorted(stem for task in stems for stem in task) == sorted(job.stem for job in jobs.read_jobs(run))


def test_only_and_gpus_each_reach_the_tasks_of_sky(run: Run, tmp_path: Path) -> None:
    emitted(run, "--emit", "sky", "--only", "train_*", "--gpus-each", "2")
    told = yaml.safe_load((run.recipes / "support" / "sky.yaml").read_text("utf-8"))
    assert (told["num_nodes"], told["resources"]) == (2, {"accelerators": "L4:2"})
    mount = told["file_mounts"]["/run_folder"]
    assert Path(mount["source"]) == run.folder.resolve()
    text = told["run"].replace("cd /run_folder || exit 1", "")
    words = called(text, tmp_path, SKYPILOT_NODE_RANK="1")
    assert words == ["run", ".", "--only", "train_smoke-20-s42", "--gpus-each", "2"]

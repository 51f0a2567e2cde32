"""Write a run's jobs as one script for a cluster: a task of an array for each model.

Read by sbatch (https://slurm.schedmd.com/job_array.html) or SkyPilot (https://docs.skypilot.co/en/latest/reference/yaml-spec.html).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from etlch.core.files import dump_yaml, write_text
from etlch.core.run_folder import Run
from etlch.export.jobs import Job

System = Literal["slurm", "sky"]
_BASH = 'jobs=({jobs})\nexec {command} --only "${{jobs[${task}]}}"{more}\n'


def write(run: Run, jobs: Sequence[Job], system: System, more: Sequence[str], gpus_each: int) -> Path:
    """Write the script into recipes/support/ and return its path.

    Args:
        run: the run.
        jobs: what is to be run.
        system: for whom.
        more: options that each `etlch-data run` is given.
        gpus_each: GPUs for one model.
    """
    by_model: dict[str, list[str]] = {}
    for job in jobs:
        by_model.setdefault(job.model, []).append(job.stem)
    tasks = [",".join(stems) for stems in by_model.values()]
    name, text = (
        ("slurm.sh", _slurm(run, tasks, more, gpus_each))
        if system == "slurm"
        else ("sky.yaml", _sky(run, tasks, more, gpus_each))
    )
    path = run.recipes / "support" / name
    write_text(path, text)
    return path


def _call(tasks: Sequence[str], command: str, task: str, more: Sequence[str]) -> str:
    listed = "".join(f"\n  {shlex.quote(names)}" for names in tasks)
    options = "".join(f" {shlex.quote(word)}" for word in more)
    return _BASH.format(jobs=f"{listed}\n", command=command, task=task, more=options)


def _slurm(run: Run, tasks: Sequence[str], more: Sequence[str], gpus_each: int) -> str:
    """Return a batch script. `exec` makes SLURM's SIGTERM before the time limit reach `etlch-data run` itself."""
    python = shlex.quote(sys.executable)
    return (
        "#!/bin/bash\n"
        "# sbatch this file. Add what your cluster asks for: --partition, --account, --time, --mem.\n"
        "# A task that was stopped goes on when the same array is submitted again; what is done is not run again.\n"
        f"#SBATCH --job-name={run.name}\n"
        f"#SBATCH --array=0-{len(tasks) - 1}\n"
        f"#SBATCH --gpus={gpus_each}\n"
        "#SBATCH --signal=B:TERM@120\n"
        "#SBATCH --output=slurm-%A_%a.log\n"
        f"cd {shlex.quote(str(run.folder.resolve()))} || exit 1\n"
        + _call(tasks, f"{python} -m etlch.cli.data run .", "SLURM_ARRAY_TASK_ID", more)
    )


def _sky(run: Run, tasks: Sequence[str], more: Sequence[str], gpus_each: int) -> str:
    """Return a SkyPilot task: a machine for each model; the run folder goes into a bucket, and results come back in it."""
    values = {
        "name": run.name,
        "num_nodes": len(tasks),
        "resources": {"accelerators": f"L4:{gpus_each}"},
        "file_mounts": {
            "/run_folder": {
                "name": f"etlch-{run.name}".lower(),
                "source": str(run.folder.resolve()),
                "mode": "MOUNT",
            }
        },
        "setup": "pip install 'etlch[train]'\n",
        "run": "cd /run_folder || exit 1\n" + _call(tasks, "etlch-data run .", "SKYPILOT_NODE_RANK", more),
    }
    return f"# sky launch this file. Another GPU: `accelerators`. Results: copy the bucket back into the run folder.\n{dump_yaml(values)}"

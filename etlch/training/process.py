"""Run one llamafactory-cli job as a process: its log, its progress, its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.training import hardware, predictor, provenance, weights
from etlch.training.hardware import Machine
from etlch.training.provenance import Provenance
from etlch.training.state import State, base_mark, origin

GRACE = 20.0
"""Seconds that a stopped process gets before it is killed."""
_RESULTS = ("adapter_model.safetensors", "model*.safetensors*", "*_results.json", "trainer_state.json")
_GIGA = 1e9
_LAUNCHERS = ("FORCE_TORCHRUN", "USE_RAY", "USE_MCA")
"""Variables by which LlamaFactory starts several processes (llamafactory/launcher.py)."""
_KEEP = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
"""glibc gives large blocks back to the system after each step of a CPU training, and asks for them
again: the page faults cost a quarter of its time (6 steps of a 135M model: 22.7 s, with these 17.1 s)."""


@dataclass
class Process:
    """A running job.

    `seen`: tokens that a training had seen when it was continued. `rusage` is filled when the job
    ends, where the system tells it. `others` are further predictions that the same process makes; these are `shared`.
    """

    job: Job
    place: str | None
    popen: subprocess.Popen[bytes]
    log: Path
    began: float
    made: Provenance
    seen: int = 0
    rusage: float | None = None
    others: list[Process] = field(default_factory=list)
    shared: bool = False

    @property
    def several(self) -> bool:
        """Whether the process makes several predictions: each counts by its own result."""
        return self.shared or bool(self.others)


@dataclass(frozen=True)
class Standing:
    """Where a running job is, as its trainer_log.jsonl says; zeros and "" while it loads."""

    step: int = 0
    steps: int = 0
    loss: float | None = None
    left: str = ""


def log_file(run: Run, job: Job) -> Path:
    """Return where a job's output is kept."""
    return run.recipes / "support" / "logs" / f"{job.stem}.log"


def start(
    run: Run,
    job: Job,
    state: State,
    place: str | None,
    machine_: Machine,
    lock: int,
    others: Sequence[Job] = (),
) -> Process:
    """Clear what the job will write again, and start it from the run folder.

    Args:
        run: the run.
        job: what to run.
        state: what there is of its result.
        place: GPU numbers, or None on a CPU.
        machine_: gives the command and the cores.
        lock: a file descriptor that the process keeps open, so that the run stays locked if this
            program is killed and the process lives on.
        others: predictions of the same model that the same process makes.
    """
    made = origin(run, job, place or "cpu")
    command = [str(machine_.cli), "export" if job.kind == "export" else "train", job.recipe]
    if job.kind == "train":
        command.append("include_num_input_tokens_seen=true")
    seen = 0
    if state.checkpoint is not None:
        seen = int(_results(state.checkpoint / "trainer_state.json").get("num_input_tokens_seen", 0))
        inside = state.checkpoint.relative_to(run.folder).as_posix()
        made = Provenance(**{**vars(made), "resumed_from": inside})
        command.append(f"resume_from_checkpoint={inside}")
    if predicts_itself(job, place, machine_):
        command = [sys.executable, "-m", predictor.__name__, *(one.recipe for one in (job, *others))]
    _prepare(job, state.checkpoint, made)
    more = [(other, origin(run, other, place or "cpu")) for other in others]
    for other, its_origin in more:
        _prepare(other, None, its_origin)
    log = log_file(run, job)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            command,
            cwd=run.folder,
            env=environment(run, job, place, machine_),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,) if sys.platform != "win32" else (),
        )
    began = time.monotonic()
    beside = [Process(other, place, popen, log, began, its_origin, shared=True) for other, its_origin in more]
    return Process(job, place, popen, log, began, made, seen, others=beside)


def predicts_itself(job: Job, place: str | None, machine_: Machine) -> bool:
    """Tell whether a job is a prediction that `predictor` makes, in one process on one device."""
    several = place is not None and "," in place
    return (
        machine_.own_predictor
        and job.kind in ("predict", "validate")
        and predictor.able(job.values)
        and not several
        and not any(os.environ.get(name, "0").lower() in ("1", "true", "y") for name in _LAUNCHERS)
    )


def _prepare(job: Job, checkpoint: Path | None, made: Provenance) -> None:
    """Clear what a job will write again, and note what it will be made from. Answers of the same origin stay."""
    before = provenance.read(job.result)
    if before is None or not before.same_origin(made):
        (job.result / predictor.PARTIAL).unlink(missing_ok=True)
    clear(job, checkpoint)
    job.result.mkdir(parents=True, exist_ok=True)
    if job.kind != "export":
        provenance.write(job.result, made)


def clear(job: Job, checkpoint: Path | None) -> None:
    """Remove a result that is not to be mistaken for the coming one. Checkpoints to go on from stay."""
    if job.kind == "export":
        shutil.rmtree(job.result, ignore_errors=True)
        return
    for pattern in _RESULTS:
        for path in job.result.glob(pattern):
            path.unlink()
    if job.kind != "train":
        for name in ("generated_predictions.jsonl", "trainer_log.jsonl"):
            (job.result / name).unlink(missing_ok=True)
        return
    for other in weights.checkpoints(job.result):
        if checkpoint is None or not weights.resumable(other, adapter=job.adapter):
            shutil.rmtree(other)
    if checkpoint is None:
        (job.result / "trainer_log.jsonl").unlink(missing_ok=True)


def environment(run: Run, job: Job, place: str | None, machine_: Machine) -> dict[str, str]:
    """Return the process's environment. What the user set stays, but for what the run itself needs."""
    values = {
        **(_KEEP if place is None else {}),
        **os.environ,
        "PATH": hardware.search_path(),  # LlamaFactory starts `torchrun` by its bare name
        "PYTHONUNBUFFERED": "1",
        "RECORD_VRAM": "1",
    }
    if place is not None:
        values["CUDA_VISIBLE_DEVICES"] = place
    elif job.kind in ("predict", "validate") and machine_.predicting > 1:
        values["OMP_NUM_THREADS"] = str(max(1, machine_.cores // machine_.predicting))
    if (run.folder / str(job.values.get("model_name_or_path"))).is_dir():
        values["HF_HUB_OFFLINE"] = "1"  # nothing is to be had there, and a look costs seconds
    return values


def ended(process: Process) -> bool:
    """Tell whether a process has ended; its peak memory is noted as it goes."""
    popen = process.popen
    if popen.returncode is not None:
        return True
    if not hasattr(os, "wait4"):
        return popen.poll() is not None
    pid, status, usage = os.wait4(popen.pid, os.WNOHANG)
    if pid == 0:
        return False
    popen.returncode = os.waitstatus_to_exitcode(status)
    process.rusage = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    for other in process.others:
        other.rusage = process.rusage
    return True


def stop(processes: Sequence[Process]) -> None:
    """End processes and all that they started: asked first, killed after GRACE seconds."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and not all(ended(process) for process in processes):
        time.sleep(0.1)
    for process in processes:
        if not ended(process):
            _signal(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            process.popen.wait()


def _signal(process: Process, number: int) -> None:
    try:
        if sys.platform == "win32":
            process.popen.terminate()
        else:
            os.killpg(process.popen.pid, number)
    except ProcessLookupError:
        pass


def standing(process: Process) -> Standing:
    """Return where a process is."""
    found = Standing()
    entries = log_entries(process.job.result)
    for entry in entries:
        found = Standing(
            step=int(entry.get("current_steps", found.step)),
            steps=int(entry.get("total_steps", found.steps)),
            loss=entry.get("loss", found.loss),
        )
    return replace(found, left=_left(entries))


def _left(entries: Sequence[Mapping[str, Json]]) -> str:
    """Return the time left at the pace of the last entries.

    LlamaFactory's own figure takes the steps before a continuation for steps of this session.
    """
    points = [
        (int(e["current_steps"]), _seconds(e["elapsed_time"]))
        for e in entries
        if {"current_steps", "elapsed_time"} <= e.keys()
    ]
    if len(points) < 2:
        return ""
    (before, since), (step, now) = points[-min(len(points), 10)], points[-1]
    if step <= before or now <= since:
        return ""
    steps_left = int(entries[-1].get("total_steps", step)) - step
    return str(timedelta(seconds=round((now - since) / (step - before) * steps_left)))


def _seconds(elapsed: str) -> int:
    """Return the seconds of what str() made of a timedelta: "0:02:30", "1 day, 0:02:30"."""
    days, _, clock = elapsed.rpartition("day")
    hours, minutes, seconds = (int(part) for part in clock.lstrip("s, ").split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def log_entries(folder: Path) -> list[dict[str, Json]]:
    """Return the entries of a trainer_log.jsonl; a last line that is being written is left out."""
    try:
        lines = (folder / "trainer_log.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in entries if isinstance(entry, dict)]


def tail(process: Process, lines: int = 15) -> str:
    """Return the last lines of a job's log, progress bars left out."""
    text = process.log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    kept = [
        line for line in text.splitlines() if line.strip() and "it/s]" not in line and "s/it]" not in line
    ]
    return "\n".join(kept[-lines:])


def finished(run: Run, process: Process) -> Provenance:
    """Write the provenance of a job that is done, with what it took, and return it."""
    entries = log_entries(process.job.result)
    tokens = max((int(entry.get("total_tokens", 0)) for entry in entries), default=0)
    reserved = max((float(entry.get("vram_reserved", 0)) for entry in entries), default=0.0)
    results = _results(process.job.result / "train_results.json")
    seconds = results.get("train_runtime")  # of this session
    made = Provenance(
        **{
            **vars(process.made),
            "base": base_mark(run, process.job),  # a hub's model may have come with this very job
            "seconds": round(_took(process), 1),
            "peak_memory_gb": None if process.rusage is None else round(process.rusage / _GIGA, 3),
            # LlamaFactory notes it in GiB
            "peak_gpu_memory_gb": round(reserved * 2**30 / _GIGA, 3) if reserved > 0 else None,
            "tokens": tokens or None,
            "tokens_per_second": round((tokens - process.seen) / seconds, 1) if tokens and seconds else None,
        }
    )
    provenance.write(process.job.result, made)
    return made


def _took(process: Process) -> float:
    """Return a job's seconds; of predictions in one process the first one's hold the loading of the model."""
    if process.shared:
        return _predicting(process.job)
    return time.monotonic() - process.began - sum(_predicting(other.job) for other in process.others)


def _predicting(job: Job) -> float:
    return float(_results(job.result / "predict_results.json").get("predict_runtime", 0))


def set_aside(run: Run, process: Process) -> str:
    """Rename the checkpoint that a training could not go on from; return its new name, "" if it went on from none."""
    if process.made.resumed_from is None:
        return ""
    checkpoint = run.folder / process.made.resumed_from
    aside = checkpoint.with_name(f"damaged-{checkpoint.name}")
    shutil.rmtree(aside, ignore_errors=True)
    checkpoint.rename(aside)
    return aside.name


def _results(path: Path) -> dict[str, Json]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

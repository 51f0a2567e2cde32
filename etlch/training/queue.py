"""Run jobs as a queue and return what became of each.

One job a GPU, on a CPU one training or a few predictions at a time. A job whose result is there
is not run again; one that fails is reported, and the others go on. Each model has a lock of its own, so that several
processes, on several machines with a shared disk, take models in turn.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.export.jobs import STAGES, Job
from etlch.training import health, predictor, process
from etlch.training.hardware import Machine
from etlch.training.process import Process, Standing
from etlch.training.provenance import Provenance
from etlch.training.state import State, state

TICK = 0.2
"""Seconds between two looks at the running processes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        state: done, skipped (it was done before), failed, waiting (a job it needs failed), or elsewhere (another
            process is at work on its model).
        why: of a failure: the reason and the last lines of its log.
        loss: the last one logged, of a training.
        made: what it took; None unless it was run now.
    """

    job: Job
    state: Literal["done", "skipped", "failed", "waiting", "elsewhere"]
    why: str = ""
    loss: float | None = None
    made: Provenance | None = None


@dataclass(frozen=True)
class View:
    """The state of the queue, for a progress line: outcomes so far, running jobs, and how many wait."""

    outcomes: tuple[Outcome, ...]
    running: tuple[tuple[Job, Standing], ...]
    waiting: int


@dataclass
class Queue:
    """The queue's moving parts."""

    waiting: list[tuple[Job, State]]
    running: list[Process] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    trainings: dict[str, Job] = field(default_factory=dict)
    locks: dict[str, int] = field(default_factory=dict)
    """Model → the descriptor of its lock, while jobs of it are left."""


@dataclass(frozen=True)
class PostTraining:
    """What follows a training that is done, before its model is used.

    Attributes:
        jobs: returns the jobs that follow a training.
        finish: called with the training when these are done.
    """

    jobs: Callable[[Job], list[Job]]
    finish: Callable[[Job], object]


def work(
    run: Run,
    jobs: Sequence[Job],
    machine: Machine,
    told: Callable[[View], None],
    after: PostTraining | None = None,
) -> list[Outcome]:
    """Run jobs until none is left that can be run.

    Ctrl-C and SIGTERM stop what is running and are passed on; the same call goes on later.

    Args:
        run: the run.
        jobs: in the order in which they are to be run; each model's stages follow each other.
        machine: where to run them.
        told: called with the state of the queue every TICK.
        after: what follows a training that is done.

    Raises:
        EtlchError: another process is at work on all of these models.
        KeyboardInterrupt: after everything was stopped.
    """
    run.models.mkdir(parents=True, exist_ok=True)
    with sigterm_as_interrupt():
        queue = Queue([])
        for job in jobs:
            _take(run, queue, job, after)
        try:
            while queue.waiting or queue.running:
                _start(run, queue, machine, after)
                if not queue.running:
                    _leave_to_others(run, queue)
                told(_view(queue))
                time.sleep(TICK)
                _collect(run, queue, after)
        finally:
            process.stop(queue.running)
            for descriptor in queue.locks.values():
                os.close(descriptor)
        told(_view(queue))
        return queue.outcomes


def _take(run: Run, queue: Queue, job: Job, after: PostTraining | None, place: int | None = None) -> None:
    """Put a job into the queue, or note that its result is there."""
    known = state(run, job)
    # What waits for its model to be made again may be there now and stale then.
    if known.name != "done" or not _ready(queue, job):
        queue.waiting.insert(len(queue.waiting) if place is None else place, (job, known))
        return
    queue.outcomes.append(Outcome(job, "skipped"))
    _enqueue_dependents(run, queue, job, after, place)


def _enqueue_dependents(
    run: Run, queue: Queue, training: Job, after: PostTraining | None, place: int | None
) -> None:
    """Queue what follows a finished training; call `finish` at once where all of that is done."""
    if after is None or training.kind != "train":
        return
    brought = after.jobs(training)
    before = len(queue.waiting)
    for number, job in enumerate(brought):
        _take(run, queue, job, None, None if place is None else place + number)
    queue.trainings[training.model] = training
    if brought and len(queue.waiting) == before:
        after.finish(training)


def _start(run: Run, queue: Queue, machine: Machine, after: PostTraining | None) -> None:
    """Start every job that is ready, has a place, and whose model is not another process's."""
    while (index := _next(run, queue, machine)) is not None:
        job, _ = queue.waiting.pop(index)
        taken = {started.place for started in queue.running}
        place = next((gpus for gpus in machine.gpus if gpus not in taken), None)
        # Looked at again: what it is made with may have changed since it was queued.
        known = state(run, job)
        if known.name == "done":
            queue.outcomes.append(Outcome(job, "skipped"))
            _enqueue_dependents(run, queue, job, after, 0)
            _release(queue)
            continue
        others = _companions(run, queue, job) if process.predicts_itself(job, place, machine) else []
        queue.running.append(process.start(run, job, known, place, machine, queue.locks[job.model], others))


def _companions(run: Run, queue: Queue, job: Job) -> list[Job]:
    """Take the waiting predictions out of the queue that the same loaded model makes, and return them."""
    found = []
    for other, known in list(queue.waiting):
        same = (other.kind, other.model) == (job.kind, job.model)
        if same and predictor.together(job.values, other.values):
            queue.waiting.remove((other, known))
            if state(run, other).name == "done":
                queue.outcomes.append(Outcome(other, "skipped"))
            else:
                found.append(other)
    return found


def _next(run: Run, queue: Queue, machine: Machine) -> int | None:
    """Return the first waiting job that is ready, fits beside what is running, and whose model is or can be locked."""
    for index, (job, _) in enumerate(queue.waiting):
        if _ready(queue, job) and _fits(queue.running, job, machine) and _hold(run, queue, job.model):
            return index
    return None


def _ready(queue: Queue, job: Job) -> bool:
    others = [other for other, _ in queue.waiting] + [started.job for started in queue.running]
    return not any(other.model == job.model and STAGES[other.kind] < STAGES[job.kind] for other in others)


def _fits(running: Sequence[Process], job: Job, machine: Machine) -> bool:
    if len(running) >= machine.places:
        return False
    alone = not machine.gpus and any(kind not in ("predict", "validate") for kind in _kinds(running, job))
    return not (alone and running)


def _kinds(running: Sequence[Process], job: Job) -> list[str]:
    return [job.kind, *(started.job.kind for started in running)]


def _collect(run: Run, queue: Queue, after: PostTraining | None) -> None:
    """Take what has ended out of the running, and note what became of it."""
    for ended in [started for started in queue.running if process.ended(started)]:
        queue.running.remove(ended)
        well = [_settle(run, queue, one, after) for one in (ended, *ended.others)]
        job = ended.job
        if after and job.kind == "validate" and all(well) and not _validating(queue, job.model):
            after.finish(queue.trainings[job.model])
        _release(queue)


def _settle(run: Run, queue: Queue, ended: Process, after: PostTraining | None) -> bool:
    """Note what became of one job of a process that has ended, and queue what follows; return whether it is done."""
    job = ended.job
    code = ended.popen.returncode
    missing = _missing(run, job) if ended.several or not code else ""
    if missing or (code and not ended.several):
        log = process.tail(ended)
        if code and health.damaged(process.tail(ended, 100)) and process.set_aside(run, ended):
            queue.waiting.insert(0, (job, state(run, job)))  # goes on from the checkpoint before
            return False
        why = health.failure(job, code, log) if code else f"ended without an error, but: {missing}"
        queue.outcomes.append(Outcome(job, "failed", f"{why}\n{log}"))
        _give_up(queue, job)
        return False
    loss = process.standing(ended).loss
    queue.outcomes.append(Outcome(job, "done", loss=loss, made=process.finished(run, ended)))
    _enqueue_dependents(run, queue, job, after, 0)
    return True


def _validating(queue: Queue, model: str) -> bool:
    left = [job for job, _ in queue.waiting] + [started.job for started in queue.running]
    return any(job.kind == "validate" and job.model == model for job in left)


def _missing(run: Run, job: Job) -> str:
    known = state(run, job)
    return "" if known.name == "done" else known.why


def _give_up(queue: Queue, failed: Job) -> None:
    """Take out what cannot be run because a job failed."""
    for job, known in list(queue.waiting):
        if job.model == failed.model and STAGES[job.kind] > STAGES[failed.kind]:
            queue.waiting.remove((job, known))
            queue.outcomes.append(Outcome(job, "waiting", f"{failed.stem} failed"))


def _view(queue: Queue) -> View:
    return View(
        outcomes=tuple(queue.outcomes),
        running=tuple((started.job, process.standing(started)) for started in queue.running),
        waiting=len(queue.waiting),
    )


def _hold(run: Run, queue: Queue, model: str) -> bool:
    """Lock a model; return whether this queue holds it.

    The lock is held until every process that was handed the descriptor has ended. So a training
    that outlives a killed `etlch-data run` is not started a second time beside it.
    """
    if model in queue.locks:
        return True
    descriptor = os.open(run.models / f".lock-{model}", os.O_RDWR | os.O_CREAT, 0o666)
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
    queue.locks[model] = descriptor
    return True


def _release(queue: Queue) -> None:
    """Unlock the models of which no job is left."""
    left = {job.model for job, _ in queue.waiting} | {started.job.model for started in queue.running}
    for model in set(queue.locks) - left:
        os.close(queue.locks.pop(model))


def _leave_to_others(run: Run, queue: Queue) -> None:
    """Give up what waits though nothing is running here: its models are another process's.

    Raises:
        EtlchError: nothing else was to be done.
    """
    queue.outcomes += [Outcome(job, "elsewhere") for job, _ in queue.waiting]
    queue.waiting.clear()
    if queue.outcomes and all(outcome.state == "elsewhere" for outcome in queue.outcomes):
        raise EtlchError(
            f"another process trains or predicts in {run.folder}",
            "Wait for it, or end it: an earlier `etlch-data run`, or a llamafactory-cli it left behind.",
        )


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (a cluster's queue, a shutdown) like Ctrl-C, so that children are stopped too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread: signals are somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

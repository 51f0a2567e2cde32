"""`etlch-data run`: run the trainings, predictions and exports of a run as one resumable queue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etlch.cli.common import counted, split

if TYPE_CHECKING:
    from etlch.core.run_folder import Run
    from etlch.export.jobs import Job
    from etlch.export.preflight.tokens import Piece
    from etlch.training.best_checkpoint import Best
    from etlch.training.emit import System
    from etlch.training.hardware import Machine
    from etlch.training.plan import Estimate
    from etlch.training.queue import Outcome
    from etlch.training.state import State


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--only", callback=split(), help="Recipes or models, with * and ?.  [default: all but exports]")
@click.option("--exports", is_flag=True, help="Merge adapters into whole models too.")
@click.option("--gpus", callback=split(), help="Their numbers, e.g. 0,1.  [default: all visible]")
@click.option("--gpus-each", default=1, show_default=True, type=click.IntRange(1), help="GPUs for one run.")
@click.option(
    "--predicting",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Predictions at a time on a CPU, each on its share of the cores.",
)
@click.option(
    "--best/--no-best",
    default=None,
    help="Take the checkpoint with the best facts F1 on validation.  [default: where every epoch's is kept]",
)
@click.option("--plan", is_flag=True, help="Show what would be run, why, and for how long; run nothing.")
@click.option("--preflight", is_flag=True, help="Look for mistakes, show one sample; run nothing.")
@click.option(
    "--emit",
    type=click.Choice(["slurm", "sky"]),
    help="Write a cluster's script, a task a model; run nothing.",
)
@click.option("--anyway", is_flag=True, help="Run in spite of what preflight calls an error.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of each as JSON.")
def run(
    run: Path,
    only: tuple[str, ...] | None,
    exports: bool,
    gpus: tuple[str, ...] | None,
    gpus_each: int,
    predicting: int,
    best: bool | None,
    plan: bool,
    preflight: bool,
    emit: System | None,
    anyway: bool,
    as_json: bool,
) -> None:
    """Train and predict with LlamaFactory what the recipes of RUN say; what is done is not run again.

    One run on each visible GPU at a time; without a GPU one after the other. First a preflight looks
    at values, data, tokens, learning rates and disk space, and refuses what would be wasted. Stopped
    or killed, the same command goes on, trainings from their last checkpoint. Exit code 1 if one
    fails; the others are run all the same.

    \b
    Examples:
      etlch-data run outputs/offline-en
      etlch-data run outputs/offline-en --only 'base,*-100-*' --plan
      etlch-data run outputs/offline-en --preflight
    """
    from etlch.core import manifest
    from etlch.core.errors import EtlchError
    from etlch.core.run_folder import Run
    from etlch.export import jobs
    from etlch.training import hardware
    from etlch.training import state as training_state

    if only == ():
        raise EtlchError("--only names nothing", "Name recipes or models, e.g. --only '*-100-*'.")
    folder = Run(run).require()
    chosen = jobs.chosen(jobs.read_jobs(folder), only or (), exports=exports)
    states = [(job, training_state.state(folder, job)) for job in chosen]
    if plan:
        _show_plan(folder, states, gpus)
        return
    ours = manifest.read(folder).settings.export.predict_with == "etlch"
    if emit:
        options = {"--exports": exports, "--best": best, "--no-best": best is False, "--anyway": anyway}
        each = ["--gpus-each", str(gpus_each)] if gpus_each > 1 else []
        _emit(folder, chosen, emit, [*(name for name, given in options.items() if given), *each], gpus_each)
        return
    here = hardware.look(gpus, gpus_each, predicting, own_predictor=ours)
    if preflight:
        _preflight(folder, chosen, here, show=True)
        return
    to_do = [job for job, state in states if state.name != "done"]
    if to_do and not _preflight(folder, to_do, here, show=False, refuse=not anyway):
        click.echo("Going on anyway.", err=True)
    outcomes = _work(folder, chosen, here, best)
    _fix_chat_templates(folder, outcomes)
    _write_extractor_cards(folder, outcomes)
    click.echo(_json(outcomes) if as_json else _table(outcomes))
    _report_failures(folder, outcomes)


def _emit(run: Run, jobs: list[Job], system: System, more: list[str], gpus_each: int) -> None:
    from etlch.training import emit

    path = emit.write(run, jobs, system, more, gpus_each)
    tasks = counted(len({job.model for job in jobs}), "task")
    command = "sbatch" if system == "slurm" else "sky launch"
    click.echo(f"{tasks}, one for each model, in {path}\n  {command} {path}")


def _show_plan(run: Run, states: list[tuple[Job, State]], gpus: tuple[str, ...] | None) -> None:
    """Print what would be run, and why, with tokens and hours; beside what is done the time that it took."""
    from etlch.export import jobs
    from etlch.training import hardware, plan

    numbers = hardware.visible_gpus() if gpus is None else gpus
    made = plan.estimates(
        run, [job for job, _ in states], jobs.read_jobs(run), len(numbers), hardware.cores()
    )
    for (job, state), one in zip(states, made, strict=True):
        why = f"  ({state.why})" if state.why else ""
        click.echo(f"{state.name:6} {job.stem}{_cost(one)}{why}")
    left = [one for (_, state), one in zip(states, made, strict=True) if state.name != "done"]
    if left:
        tokens = sum(one.tokens for one in left)
        click.echo(f"{counted(len(left), 'job')} to run: {tokens:,} tokens, {_hours(left, len(numbers))}")


def _hours(left: list[Estimate], gpus: int) -> str:
    """Return the time of all jobs in words, and what it is known from."""
    known = [one for one in left if one.seconds is not None]
    if not any(known):
        return "for an unknown time: the base model's config.json is not on this disk"
    hours = sum(one.seconds or 0 for one in known) / 3600 / max(1, gpus)
    if all(one.measured for one in known):
        return f"about {hours:.1f} h at the pace of what was run here"
    return f"about {hours:.1f} h by a guess at this device; a job that is done here tells its true pace"


def _cost(one: Estimate) -> str:
    """Return a job's tokens and time in words; empty of an export."""
    if not one.tokens:
        return ""
    about = "unknown time" if one.seconds is None else f"about {_time(one.seconds)}"
    took = f", took {_time(one.took)}" if one.took else ""
    return (
        f"  {one.tokens:,} tokens, {about}{'' if one.measured or one.seconds is None else ' (a guess)'}{took}"
    )


def _time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
    )


def _preflight(run: Run, jobs: list[Job], here: Machine, *, show: bool, refuse: bool = True) -> bool:
    """Show what preflight finds; return whether nothing is an error.

    Raises:
        EtlchError: errors are refused, and there are some.
    """
    from etlch.core.errors import EtlchError
    from etlch.export.preflight import findings, memory
    from etlch.export.preflight import tokens as preflight_tokens
    from etlch.training import hardware

    found = findings.quick(run, jobs, gpus=len(here.gpus), world=here.gpus_each)
    sample: tuple[Piece, ...] = ()
    # Where LlamaFactory would not even start, counting tokens is no help.
    if not any(finding.level == "error" for finding in found):
        click.echo("Counting tokens with the model's own tokenizer …", err=True)
        look = preflight_tokens.look(run, jobs)
        there = hardware.memory(here.gpus)
        needed = findings.gathered(memory.problems(run, jobs, look.longest, there))
        found, sample = [*found, *look.findings, *needed], look.sample
    for finding in found:
        click.echo(str(finding), err=not show)
    if show and sample:
        click.echo("One training sample; what is trained on is green:")
        colours = {True: "green", False: "bright_black"}
        click.echo("".join(click.style(piece.text, fg=colours[piece.trained]) for piece in sample))
    errors = sum(finding.level == "error" for finding in found)
    if errors and refuse:
        raise EtlchError(
            f"preflight finds {counted(errors, 'error')}",
            "The lines after the arrows fix them; `etlch-data run RUN --anyway` runs in spite of them.",
            code=1,
        )
    return not errors


def _work(run: Run, jobs: list[Job], here: Machine, best: bool | None) -> list[Outcome]:
    from etlch.cli.progress import Board
    from etlch.training import best_checkpoint, queue

    after = None
    if best:
        for line in best_checkpoint.warn_few_checkpoints(jobs):
            click.echo(line, err=True)
    if best is not False:
        after = queue.PostTraining(
            jobs=lambda training: (
                best_checkpoint.validations(run, training, jobs)
                if best or best_checkpoint.keeps_all(training)
                else []
            ),
            finish=lambda training: _best_line(best_checkpoint.select_best(run, training)),
        )
    board = Board(sys.stderr.isatty())
    return queue.work(run, jobs, here, board.show, after)


def _fix_chat_templates(run: Run, outcomes: list[Outcome]) -> None:
    from etlch.export import chat_templates

    whole = [o.job for o in outcomes if o.job.kind == "export" and o.state in ("done", "skipped")]
    for line in chat_templates.write(run, whole):
        click.echo(line, err=True)


def _write_extractor_cards(run: Run, outcomes: list[Outcome]) -> None:
    from etlch.extract.card import write_cards

    for line in write_cards(
        run, [outcome.job for outcome in outcomes if outcome.state in ("done", "skipped")]
    ):
        click.echo(line, err=True)


def _best_line(best: Best | None) -> None:
    if best is not None:
        scores = ", ".join(
            f"{name} {sum(by_task.values()) / len(by_task):.4f}" for name, by_task in best.facts_f1.items()
        )
        click.echo(f"{best.chosen} is kept; mean facts F1 on validation: {scores}", err=True)


def _report_failures(run: Run, outcomes: list[Outcome]) -> None:
    from etlch.core.errors import EtlchError

    failed = [outcome.job.stem for outcome in outcomes if outcome.state == "failed"]
    if failed:
        raise EtlchError(
            f"{len(failed)} of {len(outcomes)} failed: {', '.join(failed)}",
            f"Their logs: {run.recipes / 'support' / 'logs'}. The same command tries them again.",
            code=1,
        )


def _table(outcomes: list[Outcome]) -> str:
    rows = [("recipe", "", "loss", "time", "memory", "tokens/s")]
    for outcome in outcomes:
        made = outcome.made
        memory = made and (made.peak_gpu_memory_gb or made.peak_memory_gb)
        rows.append(
            (
                outcome.job.stem,
                outcome.state,
                "" if outcome.loss is None else f"{outcome.loss:.4f}",
                f"{made.seconds:.0f} s" if made and made.seconds is not None else "",
                f"{memory:.1f} GB" if memory else "",
                f"{made.tokens_per_second:,.0f}" if made and made.tokens_per_second else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _json(outcomes: list[Outcome]) -> str:
    from dataclasses import asdict

    from etlch.core.files import dumps

    return dumps(
        [
            {
                "recipe": outcome.job.recipe,
                "model": outcome.job.model,
                "kind": outcome.job.kind,
                "state": outcome.state,
                "why": outcome.why,
                "loss": outcome.loss,
                "provenance": asdict(outcome.made) if outcome.made else None,
            }
            for outcome in outcomes
        ]
    )

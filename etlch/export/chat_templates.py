"""Give merged models the chat template that writes the prompts they were trained on.

LlamaFactory's export keeps the base model's own chat template, and servers write prompts with it.
Where it differs from the training template, the served model is asked what it was never taught to
answer. Imports LlamaFactory, so it works in a process of its own, which ends with its memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from etlch.core.files import write_text
from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.preflight.tokens import Setup, counter_of, has_tokenizer, in_own_process, prompts

NAME = "chat_template.jinja"


def write(run: Run, exports: Sequence[Job]) -> list[str]:
    """Write the chat template of each merged model that has a tokenizer.

    Args:
        run: the run.
        exports: jobs of exports that are done.

    Returns:
        A line for each that was changed, and for each that could not be.

    Raises:
        BrokenProcessPool: LlamaFactory cannot be imported.
    """
    whole = [job for job in exports if has_tokenizer(run, str(job.values["export_dir"]))]
    return in_own_process(_write, run, whole) if whole else []


def _write(run: Run, exports: list[Job]) -> list[str]:
    """Do the work of write, in the process that was made for it."""
    run = Run(run.folder.resolve())
    os.chdir(run.folder)  # recipes name models as seen from here
    return [line for job in exports if (line := _written(job))]


def _written(job: Job) -> str:
    """Mend one merged model; return what there is to say."""
    folder, template = (str(job.values[key]) for key in ("export_dir", "template"))
    trust = bool(job.values.get("trust_remote_code", False))
    held, problem = counter_of(Setup(folder, template, trust, job.values.get("default_system")))
    if held is None:
        return problem.what
    trained, served = prompts(held)
    if trained == served:
        return ""
    held.template.replace_jinja_template = True
    held.template.fix_jinja_template(held.tokenizer)
    if prompts(held)[1] != trained:
        return f"{folder}: its chat template does not write template {template}, and none could be made that does"
    write_text(Path(folder, NAME), held.tokenizer.chat_template)
    return f"{folder}/{NAME} now writes the prompts that it was trained on (template {template})"

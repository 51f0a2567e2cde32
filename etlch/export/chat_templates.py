"""Give merged models the chat template that writes the prompts they were trained on.

LlamaFactory's export keeps the base model's own chat template, and servers write prompts with it.
Where it differs from the training template, the served model is asked what it was never taught to
answer. Imports LlamaFactory, so it works in a process of its own, which ends with its memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import write_text
from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.llamafactory import templates
from etlch.export.preflight.counter import counter_of, has_tokenizer, in_own_process, prompts, setup_of

NAME = "chat_template.jinja"


def write(run: Run, exports: Sequence[Job]) -> list[str]:
    """Write the chat template of each merged model that has a tokenizer.

    Args:
        run: the run.
        exports: jobs of exports that are done.

    Returns:
        A line for each that was changed, and for each that could not be.
    """
    whole = [job for job in exports if has_tokenizer(run, str(job.values["export_dir"]))]
    try:
        return in_own_process(_write, run, whole) if whole else []
    except EtlchError as error:
        return [f"the exports keep the chat template of their base model: {error.what}. {error.hint}"]


def _write(run: Run, exports: list[Job]) -> list[str]:
    """Do the work of write, in the process that was made for it."""
    run = Run(run.folder.resolve())
    os.chdir(run.folder)  # recipes name models as seen from here
    return [line for job in exports if (line := _written(job))]


def _written(job: Job) -> str:
    """Fix the chat template of one merged model; return what there is to say."""
    folder, template = (str(job.values[key]) for key in ("export_dir", "template"))
    counter, problem = counter_of(setup_of(job)._replace(model=folder))
    if counter is None:
        return f"{folder} keeps the chat template of its base model: {problem.what}"
    trained, served = prompts(counter)
    if trained == served:
        return ""
    counter.template.replace_jinja_template = True
    counter.template.fix_jinja_template(counter.tokenizer)
    if counter.tokenizer.chat_template and templates()[template].thinks:
        # LlamaFactory's own conversion leaves out the empty block of thoughts that training wrote into prompts.
        block = counter.template.add_thought().replace("\n", "\\n")
        counter.tokenizer.chat_template += f"{{% if add_generation_prompt %}}{{{{ '{block}' }}}}{{% endif %}}"
    if prompts(counter)[1] != trained:
        return f"{folder}: its chat template does not write template {template}, and none could be made that does"
    write_text(Path(folder, NAME), counter.tokenizer.chat_template)
    return f"{folder}/{NAME} now writes the prompts that it was trained on (template {template})"

"""Write the labels of a run for annotation tools, a file or folder for each task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import write_bytes
from etlch.core.locale import _
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.dataset.writers import write_labels
from etlch.tasks import find_task


def write_run_labels(run: Run, form: str) -> Iterator[str]:
    """Write RUN/labels/<task>-<form> for each task, and yield a line for each file and for what was left out.

    Args:
        run: a run folder.
        form: doccano, label-studio, bio or brat.

    Raises:
        EtlchError: no run, or a file that stands there with other content: it may hold corrections.
    """
    data = read_run(run.folder)
    plan = data.manifest.settings.plan
    folder = run.folder / "labels"
    for name in plan.tasks:
        task = find_task(name, Path(plan.task_file) if plan.task_file else None)
        if form == "bio" and len(task.grounded) > 1:
            yield f"{name}: BIO has no triples; take doccano, label-studio or brat"
            continue
        written = write_labels(
            [record for record in data.records if record.task == name], task, form, f"{name}-{form}"
        )
        contents = {folder / path: content.encode("utf-8") for path, content in written.files.items()}
        for path, content in contents.items():
            if path.exists() and path.read_bytes() != content:
                raise EtlchError(
                    _("{path} stands there with other content, and may hold corrections").format(path=path),
                    _(
                        "Take it in with `etlch-data import --update {folder} {path}`, or move it away."
                    ).format(folder=run.folder, path=path),
                )
        for path, content in contents.items():
            write_bytes(path, content, durable=False)
        first = next(iter(contents), folder)
        yield f"{name}: {first.parent if form == 'brat' else first}"
        for reason, count in written.left_out.items():
            yield f"{name}: left out: {count:,} × {reason}"

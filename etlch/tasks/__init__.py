"""Find tasks by name: the modules of this folder, and a Python file of the user's own."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.locale import _
from etlch.tasks.base import Task

__all__ = ["Task", "all_tasks", "find_task"]


def all_tasks(task_file: Path | None = None) -> dict[str, Task]:
    """Return every task by name: the modules of this folder, and a file of the user's own.

    Args:
        task_file: a Python file that defines TASK. It is executed, with all rights of this process.

    Raises:
        EtlchError: the file cannot be loaded, or defines no TASK.
    """
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name not in ("base", "schema_file") and not module.name.endswith("notations"):
            task = importlib.import_module(f"{__name__}.{module.name}").TASK
            found[task.name] = task
    if task_file is not None:
        own = _load(task_file)
        found[own.name] = own
    return dict(sorted(found.items()))


def find_task(name: str, task_file: Path | None = None) -> Task:
    """Return one task.

    Raises:
        EtlchError: there is no such task; names the nearest.
    """
    tasks = all_tasks(task_file)
    if name not in tasks:
        raise EtlchError(
            _("there is no task '{name}'.{nearest}").format(name=name, nearest=nearest(name, list(tasks))),
            _("Tasks: {tasks}. A task of your own is named by the setting task_file.").format(
                tasks=", ".join(tasks)
            ),
        )
    return tasks[name]


def _load(path: Path) -> Task:
    if not path.is_file():
        raise EtlchError(
            _("task_file {path} does not exist").format(path=path), _("Name a Python file that defines TASK.")
        )
    spec = importlib.util.spec_from_file_location(f"etlch_user_task_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise EtlchError(
            _("task_file {path} is not a Python file").format(path=path), _("Name a file that ends in .py.")
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise EtlchError(
            _("task_file {path} does not load: {error!r}").format(path=path, error=error),
            _("Run it with python to see where."),
        ) from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise EtlchError(
            _("task_file {path} defines no TASK").format(path=path), _("Define TASK = Task(name=…, …).")
        )
    return task

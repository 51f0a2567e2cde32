"""Read and write run.yaml: the settings of a run, versions, prompt hashes, counts and cost."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

from etlch.core.config import changed, parse_settings, plain
from etlch.core.errors import EtlchError
from etlch.core.files import dump_yaml, load_yaml, write_text
from etlch.core.locale import _
from etlch.core.records import TRAIN, Json, test_name
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.core.urls import public_url
from etlch.core.version import __version__

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The content of run.yaml.

    Attributes:
        settings: resolved; `sizes` is the union of all sizes ever asked for.
        prompts: prompt file → 12 hex digits of its hash.
        counts: what came out: articles, records by task, rejected by reason; records imported into the run by
            task and split stand apart, under `imported`.
        cost: requests, tokens and US dollars (zero for the offline teacher).
    """

    settings: Settings
    prompts: dict[str, str]
    counts: dict[str, Json]
    cost: dict[str, Json]

    @property
    def imported(self) -> dict[str, dict[str, int]]:
        """Task → split ("train" or the name of a test set) → records that were imported into the run."""
        counts: dict[str, dict[str, int]] = self.counts.get("imported", {})
        return counts

    def tests(self) -> tuple[str, ...]:
        """Return the test sets of the run, as predictions and scores call them: `ner`, `ner@human`, `schema@form1`."""
        plan = self.settings.plan
        own = plan.tasks if plan.test else ()
        further = [
            test_name(task, split)
            for task in plan.tasks
            for split in self.imported.get(task, {})
            if split != TRAIN
        ]
        return (*own, *self.settings.forms, *further)


def write(run: Run, manifest: Manifest) -> None:
    """Write run.yaml, last of all files: its existence makes the folder a run.

    The endpoint is written without user info, so it holds no password.
    """
    settings = manifest.settings
    if settings.teacher.base_url is not None:
        settings = changed(settings, base_url=public_url(settings.teacher.base_url))
    content = {
        "format": FORMAT,
        "name": run.name,
        "versions": _versions(),
        "settings": plain(settings),
        "prompts": manifest.prompts,
        "counts": manifest.counts,
        "cost": manifest.cost,
    }
    write_text(run.settings, dump_yaml(content))


def _versions() -> dict[str, str]:
    """Return what decides the bytes of a run besides its settings: names come from Faker's tables."""
    packages = {name: version(name) for name in ("faker", "jinja2", "openai")}
    return {"etlch": __version__, "python": platform.python_version(), **packages}


def read(run: Run) -> Manifest:
    """Return what run.yaml says.

    Raises:
        EtlchError: no run.yaml, a format of another release, or a setting that no longer exists.
    """
    content = load_yaml(run.require().settings)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise EtlchError(
            _("{settings} is not of format {value}").format(settings=run.settings, value=FORMAT),
            _("Was it written by another release of etlch?"),
        )
    return Manifest(
        settings=parse_settings(Settings, content["settings"], str(run.settings)),
        prompts=content.get("prompts", {}),
        counts=content.get("counts", {}),
        cost=content.get("cost", {}),
    )


def read_finished(run: Run) -> Manifest:
    """Return what run.yaml says of a run that was brought to its end.

    Raises:
        EtlchError: as read says, or generate was stopped before its end.
    """
    manifest = read(run)
    if not manifest.counts and not run.records.exists():
        raise EtlchError(
            _("{folder} is not finished: generate was stopped before its end").format(folder=run.folder),
            _("Repeat its `etlch-data generate` command to go on; what is answered is not paid again."),
            code=1,
        )
    return manifest

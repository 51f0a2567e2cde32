"""Write LlamaFactory's data files, recipes and model cards from a run's records.

Nothing is asked of a teacher here, and no model is loaded: the same records can be exported
again for another preset, base model or matrix at any time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from etlch.core import manifest
from etlch.core.config import changed, parse_settings, plain, read_file
from etlch.core.errors import EtlchError
from etlch.core.files import dumps, read_jsonl, write_text
from etlch.core.locale import _
from etlch.core.records import Json, Record, test_name, to_dict
from etlch.core.run_folder import Run
from etlch.core.settings import ExportSettings, Settings
from etlch.dataset.prompt_forms import forms_of
from etlch.dataset.splits import imported, split
from etlch.export import data_files
from etlch.export.llamafactory import installed, proposed, settled
from etlch.export.models import Planned, planned
from etlch.export.recipes import RUN_SH, Preset, Recipe, load_preset, recipes

CHANGEABLE = ("sizes", *(item.name for item in fields(ExportSettings)))
"""Settings that another export may have otherwise; the rest went into the records."""


PRESETS = "preset"
"""As a base model or a template: what the preset says."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote: names of data sets, of recipe files, and of models; and warnings."""

    data_sets: tuple[str, ...]
    recipes: tuple[str, ...]
    models: tuple[str, ...]
    warnings: tuple[str, ...]


def export(run: Run, settings: Settings, records: Sequence[Record] | None = None) -> Exported:
    """Write llamafactory/, recipes/ and predictions/*/model.json of a run from its records.

    What an earlier export wrote and this one does not is removed; trained models and
    predictions stay.

    Args:
        run: its records are read where they are not handed on.
        settings: of the run.
        records: what records.jsonl holds.

    Raises:
        EtlchError: no records, too few for a size, an unknown preset, or no base model or template.
    """
    if records is None:
        if not run.records.exists():
            raise EtlchError(
                _("{records} is missing").format(records=run.records),
                _(
                    "Repeat the `etlch-data generate` of this folder: what was answered is not paid for again."
                ),
            )
        records = read_jsonl(run.records, Record)
    if not records:
        raise EtlchError(
            _("{records} holds no records").format(records=run.records),
            _("Run `etlch-data generate` on this folder."),
        )
    preset = load_preset(settings.export.preset)
    weights = base_model(run, preset, settings.export)
    template, how = _template(preset, settings.export)
    plan, added = settings.plan, imported(records)
    article_ids = list(dict.fromkeys(record.article_id for record in records if not record.split))
    splits = split(article_ids, plan.test, settings.own_sizes)
    human = {task: len(part.train) for task, part in added.items()}
    models = planned(
        plan, settings.export, preset.name, weights, template, adapter=preset.adapter, human=human
    )
    models, turned = _without_thoughts(models, preset)
    further = [test_name(task, name) for task in plan.tasks if task in added for name in added[task].tests]
    forms = forms_of(settings)
    tests = [*(plan.tasks if plan.test else ()), *forms.tests, *further]
    made = recipes(run, preset, models, tests, settings.export.predict_batch)
    data_sets = data_files.write_data(
        run, records, splits, plan.tasks, settings.export.shots, settings.export.human_sizes, forms
    )
    _write_recipes(run, made)
    _write_cards(run, models)
    return Exported(
        data_sets=tuple(data_sets),
        recipes=tuple(recipe.stem for recipe in made),
        models=tuple(model.card.folder for model in models),
        warnings=(*how, *turned, *export_warnings(settings.export, settings.plan.language)),
    )


def refuse_unusable(run: Run, export: ExportSettings) -> None:
    """Stop before any request on a preset, base model or template that recipes could not name.

    Raises:
        EtlchError: as export says at its end.
    """
    preset = load_preset(export.preset)
    base_model(run, preset, export)
    _template(preset, export)


def export_warnings(export: ExportSettings, language: str) -> tuple[str, ...]:
    """Return, a line each, warnings about the chosen preset and base model."""
    named = export.base_model or load_preset(export.preset).values.get("model_name_or_path") or ""
    if "smollm2" not in str(named).lower() or language == "en":
        return ()
    return (
        f"{named} knows English only, and the articles are in {language}: what it is tuned to"
        " write will be gibberish. Take another --preset, or another base model.",
    )


def reexport(run: Run, file: Path | None, sizes: Sequence[int] | None, options: dict[str, Json]) -> Exported:
    """Export a finished run once more with changed settings, and keep them in run.yaml.

    Args:
        run: a run folder.
        file: a YAML file of settings, or None.
        sizes: further sizes; those of the run stay.
        options: settings by name; None leaves a setting as it is. The base model or template PRESETS
            is the preset's own again; another base model forgets the template of the one before.

    Raises:
        EtlchError: not a run, an unknown setting, or as export says.
    """
    finished = manifest.read_finished(run)
    settings = reexported(finished.settings, file, options)
    settings = changed(
        settings, sizes=sorted({*finished.settings.plan.sizes, *settings.plan.sizes, *(sizes or ())})
    )
    done = export(run, settings)
    manifest.write(run, replace(finished, settings=settings))
    return done


def reexported(current: Settings, file: Path | None, options: Mapping[str, Json]) -> Settings:
    """Return a run's settings with those that an export may have otherwise.

    Args:
        current: settings of the run.
        file: a YAML file of settings, or None.
        options: settings by name; None leaves a setting as it is.

    Raises:
        EtlchError: an unknown setting, or one that made the records.
    """
    before = plain(current)
    told = {} if file is None else read_file(Settings, file)
    told |= {name: value for name, value in options.items() if value is not None}
    if told.get("base_model", before["base_model"]) != before["base_model"]:
        told.setdefault("template", PRESETS)
    told |= {name: None for name in ("base_model", "template") if told.get(name) == PRESETS}
    settings = parse_settings(Settings, {**before, **told}, str(file or "settings"))
    for name, value in plain(settings).items():
        if name not in CHANGEABLE and value != before[name]:
            raise EtlchError(
                _(
                    "{file}: the setting '{name}' made this run's records, and export does not make them again"
                ).format(file=file, name=name),
                _("An export can change {changeable}.").format(changeable=", ".join(CHANGEABLE)),
            )
    return settings


def base_model(run: Run, preset: Preset, export: ExportSettings) -> str:
    """Return the base model as recipes name it: a hub's name, or a path as seen from the run folder.

    Raises:
        EtlchError: none is named, or a path does not exist.
    """
    named = export.base_model or preset.values.get("model_name_or_path")
    if not named:
        raise EtlchError(
            _("preset '{name}' names no model_name_or_path").format(name=preset.name),
            _("Name a model with --base-model."),
        )
    path = Path(named).expanduser()
    if path.is_dir():
        return Path(os.path.relpath(path.resolve(), run.folder.resolve())).as_posix()
    if named.startswith((".", "/", "~")) or named.count("/") > 1:
        raise EtlchError(
            _("there is no model folder {named}").format(named=named),
            _("Check the path given as --base-model."),
        )
    return str(named)


def _template(preset: Preset, export: ExportSettings) -> tuple[str, tuple[str, ...]]:
    """Return the chat template, and a sentence on where it is from if nobody named it.

    Another base model than the preset's takes the one of LlamaFactory's table.

    Raises:
        EtlchError: none is named, and LlamaFactory's table has none.
    """
    if export.template:
        return export.template, ()
    theirs = str(preset.values.get("model_name_or_path", "")).rsplit("/", 1)[-1]
    ours = (export.base_model or theirs).rstrip("/").rsplit("/", 1)[-1]
    if ours == theirs and preset.values.get("template"):
        return str(preset.values["template"]), ()
    if found := proposed(export.base_model or theirs):
        return found, (
            f"template {found}, which LlamaFactory's table names for {ours}; --template takes another",
        )
    raise EtlchError(
        _("no chat template is named for {value}").format(value=ours or "the base model"),
        "Name LlamaFactory's name of it, e.g. --template llama3 (or the setting `template`). "
        + (
            "Its own table names none: a model without chat training takes `default`, or its chat model's."
            if installed()
            else "Where LlamaFactory is installed, its own table names that of most models."
        ),
    )


def _without_thoughts(models: Sequence[Planned], preset: Preset) -> tuple[list[Planned], tuple[str, ...]]:
    """Return the models with templates that fit labels without thoughts, and a sentence for each that was changed."""
    found = {name: settled(name, preset.values) for name in dict.fromkeys(model.template for model in models)}
    turned = [replace(model, template=found[model.template][0]) for model in models]
    return turned, tuple(told for _, told in found.values() if told)


def _write_recipes(run: Run, made: Sequence[Recipe]) -> None:
    for recipe in made:
        write_text(run.recipes / f"{recipe.stem}.yaml", recipe.text(run.folder.as_posix()), durable=False)
    kept = {f"{recipe.stem}.yaml" for recipe in made}
    for kind in ("train", "predict", "export"):
        for path in run.recipes.glob(f"{kind}_*.yaml"):
            if path.name not in kept:
                path.unlink()

    write_text(run.recipes / "support" / "run.sh", RUN_SH, durable=False)


def _write_cards(run: Run, models: Sequence[Planned]) -> None:
    for model in models:
        write_text(
            run.model_card(model.card.folder), dumps(to_dict(model.card), indent=2) + "\n", durable=False
        )
    kept = {model.card.folder for model in models}
    for card in run.predictions.glob("*/model.json"):
        if card.parent.name not in kept and set(card.parent.iterdir()) == {card}:
            card.unlink()
            card.parent.rmdir()

"""Make recipes, YAML for `llamafactory-cli`, from a preset and the models of a run.

A recipe is the preset with what a run must say laid over it: model, template, data and output
folder. Recipes run from the run folder, and all their paths are relative to it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import dump_yaml, load_yaml, shipped
from etlch.core.locale import _
from etlch.core.records import Json, task_of
from etlch.core.run_folder import Run
from etlch.dataset.splits import FOLD, few_shot
from etlch.export.jobs import ADAPTERS
from etlch.export.llamafactory import templates
from etlch.export.models import Planned

_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")
_EVALUATION = re.compile(r"eval_|do_eval|load_best_model|metric_for_best|greater_is_better|early_stopping")
_TRAINING_ONLY = re.compile(
    _EVALUATION.pattern
    + r"|lora|oft_|lr_|learning_rate|warmup|weight_decay|max_grad|adam|optim|num_train|max_steps|per_device_train"
    r"|gradient|disable_gradient|use_reentrant|save_|logging_|plot_loss|overwrite_output|packing|neat_packing"
    r"|train_|mask_history|label_smoothing|neftune|use_dora|use_rslora|pissa|freeze_|data_seed|compute_accuracy"
    r"|include_(effective|num_input)|mix_strategy|interleave|resume|pure_bf16|use_liger|enable_liger"
    r"|deepspeed|fsdp"  # they shard a training over GPUs; generating under ZeRO-3 is refused
)
"""Preset keys that mean nothing to a model that only predicts. Others are kept: they may matter."""
_MODEL_KEYS = (
    *("trust_remote_code", "model_revision", "cache_dir", "rope_scaling", "resize_vocab"),
    *("default_system", "enable_thinking"),  # the templates that an export carries write them
)
"""What an export takes over from the preset."""
RUN_SH = """\
#!/usr/bin/env bash
# Everything in recipes/ as one queue that can be stopped and resumed; options as of `etlch-data run`.
cd "$(dirname "$0")/../.." && exec etlch-data run . "$@"
"""


@dataclass(frozen=True)
class Preset:
    """A preset, read.

    Attributes:
        name: the file's name without .yaml; tuned models carry it.
        values: LlamaFactory's arguments.
    """

    name: str
    values: dict[str, Json]

    @property
    def adapter(self) -> bool:
        """Whether training leaves an adapter beside the base model."""
        return self.values.get("finetuning_type", "lora") in ADAPTERS


@dataclass(frozen=True)
class Recipe:
    """One file in recipes/.

    Attributes:
        stem: its name without .yaml.
        about: what it does, one line.
        values: LlamaFactory's arguments.
    """

    stem: str
    about: str
    values: dict[str, Json]

    def text(self, folder: str) -> str:
        """Return the file's text. `folder` is the run folder, named as the user named it."""
        # With several GPUs in sight, `train` would start torchrun and multiply the batch; `export` does not.
        export = "export_dir" in self.values
        command = "llamafactory-cli export" if export else "CUDA_VISIBLE_DEVICES=0 llamafactory-cli train"
        return (
            f"# cd {shlex.quote(folder)} && {command} recipes/{self.stem}.yaml\n"
            f"# {self.about}\n"
            f"{dump_yaml(self.values)}"
        )


def load_preset(name: str) -> Preset:
    """Return a shipped preset by name, or the one in a YAML file.

    Numbers such as `1e-7`, which YAML 1.1 reads as text, are read as LlamaFactory reads them.

    Raises:
        EtlchError: there is no such preset, or the file is not a YAML mapping.
    """
    path = (
        Path(name) if name.endswith((".yaml", ".yml")) else shipped("llamafactory_configs") / f"{name}.yaml"
    )
    if not path.is_file():
        known = sorted(preset.stem for preset in shipped("llamafactory_configs").glob("*.yaml"))
        raise EtlchError(
            _("there is no preset '{name}'.{nearest}").format(name=name, nearest=nearest(name, known)),
            _("Presets: {known}; or name a YAML file of your own.").format(known=", ".join(known)),
        )
    values = load_yaml(path)
    if not isinstance(values, dict):
        raise EtlchError(
            _("{path}: a preset is `key: value` lines").format(path=path),
            _("Start from one that ships with etlch."),
        )
    if values.get("stage", "sft") != "sft":
        raise EtlchError(
            _("{path}: stage: {values}, and a run's data sets are for stage: sft").format(
                path=path, values=values["stage"]
            ),
            _(
                "Remove the line. LlamaFactory's own parser takes any, such as grpo and gkd, which it does not "
                "have."
            ),
        )
    return Preset(
        name=re.sub(r"[^\w.-]+", "-", path.stem),
        values={key: _number(value) for key, value in values.items()},
    )


def recipes(
    run: Run, preset: Preset, models: Sequence[Planned], tests: Sequence[str], batch: int | None = None
) -> list[Recipe]:
    """Return every recipe of a run: trainings, predictions per model and test set (`ner`, `ner@human`), exports.

    Args:
        run: the run.
        preset: what is laid below.
        models: the run's.
        tests: names of test sets.
        batch: rows in a batch of predictions; None takes the preset's.
    """
    made = []
    for model in models:
        if model.tasks:
            made.append(train(run, preset, model))
            if preset.adapter:
                made.append(merge(preset, model))
        made += [
            predict(run, preset, model, name, batch)
            for name in tests
            if not model.mixed or task_of(name) in model.tasks
        ]
    return sorted(made, key=lambda recipe: recipe.stem)


def train(run: Run, preset: Preset, model: Planned) -> Recipe:
    """Return the recipe that trains a model on one size of its tasks.

    A size too small for a validation set gets a recipe without evaluation.
    """
    card = model.card
    data: dict[str, Json] = {"dataset": _stems(run, model, "train")}
    kept = preset.values
    if held_out := _stems(run, model, "val"):
        data["eval_dataset"] = held_out
    else:
        kept = {key: value for key, value in kept.items() if not _EVALUATION.match(key)}
    said = {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": model.weights,
        **_template(model),
        "dataset_dir": "llamafactory",
        **data,
        "output_dir": f"models/{card.folder}",
        "seed": card.seed,
    }
    about = (
        f"Train {card.folder}: preset {preset.name}, {', '.join(model.tasks)}, {card.size} records a task."
    )
    return Recipe(f"train_{card.folder}", about, _over(kept, said))


def predict(run: Run, preset: Preset, model: Planned, name: str, batch: int | None = None) -> Recipe:
    """Return the recipe that predicts one test set of a task with one model, greedily.

    One test set a recipe: LlamaFactory joins several test sets into one file without a mark. Each
    solved example gets the room that a question with its label has, so that none is cut.
    """
    card = model.card
    said: dict[str, Json] = {
        "stage": "sft",
        "do_predict": True,
        "predict_with_generate": True,
        **_weights(preset, model),
        **_template(model),
        "dataset_dir": "llamafactory",
        "eval_dataset": few_shot(run.test_stem(name), model.shots) if model.shots else run.test_stem(name),
        "output_dir": f"predictions/{card.folder}/{name}",
        "do_sample": False,
        **({"per_device_eval_batch_size": batch} if batch else {}),
    }
    if model.shots:
        said["cutoff_len"] = (model.shots + 1) * int(preset.values.get("cutoff_len", 2048))
    kept = {key: value for key, value in preset.values.items() if not _TRAINING_ONLY.match(key)}
    return Recipe(
        f"predict_{card.folder}_{name}", f"Predict the {name} test set with {card.folder}.", _over(kept, said)
    )


def merge(preset: Preset, model: Planned) -> Recipe:
    """Return the recipe that merges a model's adapter into its base, for serving. Never quantised."""
    name = model.card.folder
    said: dict[str, Json] = {
        **_weights(preset, model),
        **_template(model),
        "export_dir": f"models/{name}/merged",
        "export_size": 5,
        "export_device": "cpu",
        "export_legacy_format": False,
    }
    kept = {key: value for key, value in preset.values.items() if key in _MODEL_KEYS}
    return Recipe(f"export_{name}", f"Merge the adapter of {name} into its base model.", _over(kept, said))


def _weights(preset: Preset, model: Planned) -> dict[str, Json]:
    """Return where a model that is not being trained stands: base, base and adapter, or whole."""
    if not model.tasks:
        return {"model_name_or_path": model.weights}
    trained = f"models/{model.card.folder}"
    if not preset.adapter:
        return {"model_name_or_path": trained}
    # Every adapter is read as peft's own file says; LlamaFactory refuses to read one under another type than lora.
    return {
        "model_name_or_path": model.weights,
        "adapter_name_or_path": trained,
        "finetuning_type": "lora",
    }


def _template(model: Planned) -> dict[str, Json]:
    """Return a model's template; one for models that think is told that labels hold no thoughts."""
    template = templates().get(model.template)
    return {
        "template": model.template,
        **({"enable_thinking": False} if template and template.thinks else {}),
    }


def _stems(run: Run, model: Planned, split: str) -> str:
    """Return the data sets that a model is trained on, or its validation sets; few records have none."""
    return ",".join(
        run.stem(task, f"{split}-{source}" if source else split, records)
        for task in model.tasks
        for source, records in model.parts
        if split == "train" or records >= FOLD
    )


def _over(preset: dict[str, Json], said: dict[str, Json]) -> dict[str, Json]:
    """Return what a run says, followed by what the preset adds."""
    return {**said, **{key: value for key, value in preset.items() if key not in said}}


def _number(value: Json) -> Json:
    return float(value) if isinstance(value, str) and _FLOAT.fullmatch(value) else value

"""Check one recipe's values: return those that LlamaFactory would take wrongly or refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from etlch.core.errors import nearest
from etlch.core.records import Json
from etlch.export.llamafactory import known, templates

KINDS: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str": str,
    "dict": dict,
    "list": list,
}
RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "group_by_length": "train_sampling_strategy: group_by_length",
    "warmup_ratio": "warmup_steps (below 1 it is a share)",
    "logging_dir": "nothing; LlamaFactory logs to output_dir",
    "max_length": "max_new_tokens",
    "lora_r": "lora_rank",
    "batch_size": "per_device_train_batch_size",
    "max_seq_length": "cutoff_len",
}
"""What other releases and other tools call it."""
REFUSED_RENAMED = ("warmup_ratio", "logging_dir", "max_length")
"""Arguments that are still taken, and mean something else or nothing."""


class Problem(NamedTuple):
    """What is wrong with one thing: level, what it is with numbers, and how to fix it."""

    level: Literal["error", "warning", "note"]
    what: str
    fix: str = ""


def problems(values: dict[str, Json], folder: Path, gpus: int | None) -> Iterator[Problem]:
    """Yield what is wrong with a recipe's values.

    Args:
        values: the recipe.
        folder: the run folder, from which its paths are seen.
        gpus: GPUs of this machine; None asks nothing of this machine, packages included.
    """
    sound: dict[str, Json] = {}
    for name, value in values.items():
        found = list(_value(name, value))
        yield from found
        if not any(problem.level == "error" for problem in found):
            sound[name] = value
    yield from _ranges(sound)
    yield from _template(sound)
    yield from _together(sound)
    yield from _evaluation(sound)
    yield from _predicting(sound)
    yield from _advice(sound)
    yield from _paths(sound, folder)
    yield from _hardware(sound, gpus)
    if gpus is not None:
        yield from _packages(sound)


def _value(name: str, value: Json) -> Iterator[Problem]:
    """Yield an unknown name, a value of the wrong kind, or one that is not among the only ones."""
    listed = known()
    if name in RENAMED and (name not in listed.arguments or name in REFUSED_RENAMED):
        yield Problem("error", f"{name} is not what this LlamaFactory reads", f"Say {RENAMED[name]}.")
        return
    if name not in listed.arguments:
        hint = nearest(name, list(listed.arguments)).strip()
        yield Problem("error", f"LlamaFactory has no argument {name}", hint or "Remove it.")
        return
    if value is None:
        return
    kinds = listed.arguments[name]
    if not any(_is(value, kind) for kind in kinds):
        yield Problem(
            "error", f"{name} is {_shown(value)} where {' or '.join(kinds)} belongs", _as(value, kinds)
        )
        return
    choices = listed.choices.get(name)
    if choices and isinstance(value, str) and value not in choices:
        yield Problem(
            "error",
            f"{name}: {value} is none of LlamaFactory's",
            f"{nearest(value, choices).strip()} It takes {', '.join(choices[:12])}.".strip(),
        )


def _is(value: Json, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, KINDS[kind])


def _shown(value: Json) -> str:
    return f"the text '{value}'" if isinstance(value, str) else f"{type(value).__name__} {value}"


def _as(value: Json, kinds: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return (
            f"YAML reads yes, no, on and off as true and false; write '{'yes' if value else 'no'}' in quotes."
        )
    if isinstance(value, str) and {"int", "float"} & set(kinds):
        return "Write the number without quotes and with a dot: 1.0e-07, for YAML takes 1e-7 for a text."
    return f"Write a value of the kind {' or '.join(kinds)}."


_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    **dict.fromkeys(
        (
            *("lora_rank", "lora_alpha", "cutoff_len", "per_device_train_batch_size", "learning_rate"),
            *("per_device_eval_batch_size", "gradient_accumulation_steps", "num_train_epochs"),
            *("max_new_tokens", "preprocessing_num_workers", "logging_steps", "save_steps", "eval_steps"),
            *("save_total_limit", "max_samples", "loraplus_lr_ratio", "num_beams"),
        ),
        (lambda value: value > 0, "more than 0"),
    ),
    **dict.fromkeys(
        ("warmup_steps", "max_grad_norm", "weight_decay", "early_stopping_steps", "seed"),
        (lambda value: value >= 0, "0 or more"),
    ),
    **dict.fromkeys(
        ("lora_dropout", "label_smoothing_factor"), (lambda value: 0 <= value < 1, "from 0 to below 1")
    ),
    "top_p": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "quantization_bit": (lambda value: value in (2, 3, 4, 5, 6, 8), "2, 3, 4, 5, 6 or 8"),
}


def _ranges(values: dict[str, Json]) -> Iterator[Problem]:
    for name, (holds, said) in _RANGES.items():
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not holds(value):
            yield Problem("error", f"{name}: {value}", f"It must be {said}.")
    rate = values.get("learning_rate", 5e-5)
    if values.get("do_train") and rate > 0.01:
        yield Problem("warning", f"learning_rate: {rate} is far above the usual 1e-5 to 1e-3", "Lower it.")


def _template(values: dict[str, Json]) -> Iterator[Problem]:
    if "export_dir" in values and "template" not in values:
        return
    template = values.get("template")
    if not template:
        yield Problem(
            "error",
            "no template: LlamaFactory guesses one, or takes none",
            "Name the base model's, e.g. template: llama3.",
        )
    elif template not in templates():
        hint = nearest(str(template), list(templates())).strip()
        yield Problem(
            "error", f"LlamaFactory has no template '{template}'", hint or "Look in its documentation."
        )


_PAIRS: tuple[tuple[Callable[[dict[str, Json]], Any], str, str], ...] = (
    (
        lambda v: v.get("val_size") and v.get("eval_dataset"),
        "val_size beside eval_dataset",
        "Keep eval_dataset: the validation sets are the run's own, apart by task.",
    ),
    (
        lambda v: v.get("mask_history") and v.get("train_on_prompt"),
        "mask_history beside train_on_prompt",
        "Keep one.",
    ),
    (
        lambda v: v.get("quantization_bit") and v.get("finetuning_type") in ("full", "freeze"),
        "quantization_bit beside full fine-tuning",
        "Quantised weights cannot be trained; say finetuning_type: lora.",
    ),
    (
        lambda v: v.get("adapter_name_or_path") and v.get("finetuning_type") in ("full", "freeze"),
        "adapter_name_or_path beside full fine-tuning",
        "Remove one.",
    ),
    (
        lambda v: v.get("pissa_init") or v.get("pissa_convert"),
        "pissa_init: the base model's weights are changed too, and the adapter that is kept predicts wrongly with them",
        "Remove pissa_init and pissa_convert; other initialisations reach the same scores at a rate of their own.",
    ),
    (
        lambda v: v.get("quantization_bit") and v.get("export_dir"),
        "an export of a quantised model",
        "Merge into the unquantised base: remove quantization_bit.",
    ),
    (
        lambda v: v.get("streaming") and (v.get("max_steps") or 0) <= 0,
        "streaming without max_steps",
        "Say how many steps.",
    ),
    (
        lambda v: v.get("bf16") and v.get("fp16"),
        "bf16 beside fp16",
        "Keep bf16; fp16 is for cards older than Ampere.",
    ),
    (
        lambda v: v.get("infer_backend", "huggingface") != "huggingface" and "export_dir" not in v,
        "infer_backend other than huggingface",
        "Training and do_predict take huggingface only.",
    ),
    (
        lambda v: v.get("compute_accuracy") and v.get("predict_with_generate"),
        "compute_accuracy beside predict_with_generate",
        "Keep one.",
    ),
    (
        lambda v: (v.get("do_train") or v.get("do_predict")) and v.get("stage") != "sft",
        "a stage other than sft",
        "Data sets of etlch are for stage: sft.",
    ),
    (
        lambda v: v.get("do_train") and not v.get("dataset"),
        "a training without dataset",
        "Name its data sets.",
    ),
    (
        lambda v: not v.get("output_dir") and not v.get("export_dir"),
        "no output_dir",
        "LlamaFactory would write to ./trainer_output; name a folder.",
    ),
)


def _together(values: dict[str, Json]) -> Iterator[Problem]:
    for wrong, what, fix in _PAIRS:
        if wrong(values):
            yield Problem("error", what, fix)


_GENERATED = ("rouge", "bleu")


def _evaluation(values: dict[str, Json]) -> Iterator[Problem]:
    evaluates = values.get("eval_strategy", "no") != "no" or values.get("do_eval")
    held_out = values.get("eval_dataset") or values.get("val_size")
    if (evaluates or values.get("do_predict")) and not held_out:
        yield Problem("error", "evaluation or prediction without eval_dataset", "Name a data set.")
    if values.get("load_best_model_at_end"):
        if values.get("eval_strategy", "no") != values.get("save_strategy", "steps"):
            yield Problem(
                "error",
                "load_best_model_at_end needs eval_strategy and save_strategy to be the same",
                "Say eval_strategy: epoch and save_strategy: epoch.",
            )
        elif any(name in str(values.get("metric_for_best_model", "")) for name in _GENERATED):
            yield _GENERATION
    if values.get("do_train") and evaluates and values.get("predict_with_generate"):
        yield _GENERATION


_GENERATION = Problem(
    "error",
    "scores of texts generated while training are wrong for batches over 1 (LlamaFactory issue 10611)",
    "Take metric_for_best_model: eval_loss; `etlch-data run --best` predicts each checkpoint afterwards.",
)


def _predicting(values: dict[str, Json]) -> Iterator[Problem]:
    if not values.get("do_predict"):
        return
    if not values.get("predict_with_generate"):
        yield Problem("error", "do_predict without predict_with_generate", "Set it to true.")
    if values.get("do_sample", True):
        yield Problem(
            "warning",
            f"predictions are sampled (temperature {values.get('temperature', 0.95)}): two runs, two scores",
            "Say do_sample: false.",
        )
    sets = values.get("eval_dataset")
    several = len(sets) > 1 if isinstance(sets, list) else "," in str(sets or "")
    if values.get("eval_on_each_dataset"):
        yield Problem(
            "error",
            "eval_on_each_dataset with do_predict fails after generating",
            "Predict one task a recipe.",
        )
    elif several:
        yield Problem(
            "error",
            "predictions of several data sets land in one file without a mark",
            "Predict one task a recipe.",
        )


def _advice(values: dict[str, Json]) -> Iterator[Problem]:
    if values.get("trust_remote_code"):
        yield Problem("warning", "trust_remote_code: code from the model's folder is executed", "Remove it.")
    if values.get("push_to_hub") or values.get("report_to", "none") not in ("none", ["none"]):
        yield Problem(
            "warning", "report_to or push_to_hub sends data off this machine", "Say report_to: none."
        )
    if not values.get("do_train"):
        return
    if not values.get("overwrite_output_dir"):
        yield Problem(
            "warning",
            "without overwrite_output_dir a finished recipe that is run by hand trains one step more",
            "Say overwrite_output_dir: true; `etlch-data run` goes on from checkpoints by itself.",
        )
    if values.get("resume_from_checkpoint"):
        yield Problem("warning", "resume_from_checkpoint in a recipe", "`etlch-data run` finds it by itself.")
    if values.get("packing") and not values.get("neat_packing"):
        yield Problem("warning", "packing lets records see each other", "Say neat_packing: true, or neither.")
    if values.get("max_samples"):
        yield Problem(
            "warning", f"max_samples: only the first {values['max_samples']} rows of each data set are used"
        )
    if (values.get("max_steps") or 0) > 0 and "num_train_epochs" in values:
        yield Problem("note", f"max_steps {values['max_steps']} counts, num_train_epochs does not")


def _paths(values: dict[str, Json], folder: Path) -> Iterator[Problem]:
    model = values.get("model_name_or_path")
    if not model:
        yield Problem("error", "no model_name_or_path", "Name the base model.")
    elif str(model).startswith((".", "/", "~")) and not (folder / str(model)).exists():
        yield Problem(
            "error",
            f"there is no model folder {model}, seen from the run folder",
            "`etlch-data export RUN --base-model FOLDER` writes it anew.",
        )
    spec = values.get("deepspeed")
    if isinstance(spec, str) and spec and not (folder / spec).is_file():
        yield Problem("error", f"deepspeed: there is no file {spec}", "Paths are seen from the run folder.")


_PACKAGES: tuple[tuple[Callable[[dict[str, Json]], Any], str, str], ...] = (
    (
        lambda v: v.get("quantization_bit") and v.get("quantization_method", "bnb") == "bnb",
        "bitsandbytes",
        "",
    ),
    (lambda v: v.get("quantization_method") == "hqq", "hqq", ""),
    (lambda v: v.get("enable_liger_kernel"), "liger-kernel", "liger_kernel"),
    (lambda v: v.get("use_unsloth"), "unsloth", ""),
    (lambda v: v.get("use_galore"), "galore-torch", "galore_torch"),
    (lambda v: v.get("use_apollo"), "apollo-torch", "apollo_torch"),
    (lambda v: v.get("use_badam"), "badam", ""),
    (lambda v: v.get("use_adam_mini"), "adam-mini", "adam_mini"),
    (lambda v: v.get("deepspeed"), "deepspeed", ""),
    (lambda v: v.get("flash_attn") == "fa2", "flash-attn", "flash_attn"),
    (lambda v: v.get("use_swanlab") or "swanlab" in _reports(v), "swanlab", ""),
    (lambda v: "trackio" in _reports(v), "trackio", ""),
    (lambda v: "wandb" in _reports(v), "wandb", ""),
    (lambda v: "mlflow" in _reports(v), "mlflow", ""),
    (lambda v: "tensorboard" in _reports(v), "tensorboard", ""),
    (lambda v: v.get("plot_loss"), "matplotlib", ""),
)
"""Which values need which package, and the module it brings where that is called otherwise."""


def _reports(values: dict[str, Json]) -> list[str]:
    reported = values.get("report_to") or []
    return [reported] if isinstance(reported, str) else list(reported)


def _packages(values: dict[str, Json]) -> Iterator[Problem]:
    """Yield packages that values need and that are not installed."""
    for needed, package, module in _PACKAGES:
        if needed(values) and find_spec(module or package) is None:
            yield Problem(
                "error", f"the recipe needs {package}, which is not installed", f"pip install {package}"
            )


def _hardware(values: dict[str, Json], gpus: int | None) -> Iterator[Problem]:
    if gpus is None or gpus > 0 or "export_dir" in values:
        return
    if (values.get("bf16") or values.get("pure_bf16")) and not values.get("use_cpu"):
        yield Problem(
            "error",
            "bf16 needs a GPU, and there is none; on a CPU it needs `use_cpu: true` beside it",
            "Add `use_cpu: true` to the preset if this CPU has AMX or AVX512-BF16, else take one in float32: "
            "`etlch-data export RUN --preset smoke`.",
        )
    if values.get("fp16"):
        yield Problem("error", "fp16 on a CPU", "Remove it.")
    if values.get("quantization_bit"):
        yield Problem("error", "quantization_bit needs a GPU, and there is none", "Take another preset.")

"""Predict one model's data sets in one process: LlamaFactory's own loading and prompts, batches of like length.

Run: python -m etlch.training.predictor recipes/predict_X_ner.yaml recipes/predict_X_kge.yaml   (in the run folder)

`llamafactory-cli train` loads the model for each data set, takes rows in the order of the file, computes finished rows
until the last of their batch ends, and writes nothing before the end. Here the model is loaded once, rows of like
length share a batch, a row leaves its batch when it ends, and each batch is on disk before the next begins. Prompts,
labels and answers are made by LlamaFactory's functions and written in its file's form, in the order of the keys.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from etlch.core.files import dumps, write_text
from etlch.core.records import Json

PARTIAL = "partial_predictions.jsonl"
"""Rows of a prediction that was stopped, each with its place in the data set."""
PIECE = 16
"""Tokens that a batch writes before finished rows leave it."""


@dataclass(frozen=True)
class Asked:
    """One data set: where its answers go, its rows as tokens, and how they are decoded and written.

    `limits` are generate's arguments; `batch` rows share a batch at first.
    """

    folder: Path
    prompts: list[list[int]]
    labels: list[list[int]]
    limits: dict[str, Any]
    batch: int
    skip_special: bool


def able(values: Mapping[str, Json]) -> bool:
    """Tell whether a recipe's prediction is one that this module makes: greedy, of one data set, by one process."""
    return (
        values.get("do_sample") is False
        and values.get("num_beams", 1) == 1
        and "," not in str(values.get("eval_dataset"))
        and not any(
            values.get(key) for key in ("deepspeed", "fsdp", "use_unsloth", "tokenized_path", "max_samples")
        )
    )


def together(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Tell whether two recipes differ in data set and output folder alone."""
    own = ("eval_dataset", "output_dir")
    return {**one, **dict.fromkeys(own)} == {**other, **dict.fromkeys(own)}


def main(recipes: Sequence[str]) -> None:
    """Predict what recipes say; they differ in data set and output folder alone."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer
    from omegaconf import OmegaConf

    asked: list[Asked] = []
    for recipe in recipes:
        values: Any = OmegaConf.to_container(OmegaConf.load(recipe))
        model_args, data_args, training_args, finetuning_args, generating_args = get_train_args(values)
        if not asked:
            both = load_tokenizer(model_args)
            template = get_template_and_fix_tokenizer(both["tokenizer"], data_args)
            model = load_model(both["tokenizer"], model_args, finetuning_args, False)
            if not getattr(model, "is_quantized", False):
                model.to(training_args.device)
        rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **both)[
            "eval_dataset"
        ]
        asked.append(
            Asked(
                Path(str(training_args.output_dir)),
                list(rows["input_ids"]),
                list(rows["labels"]),
                {
                    **generating_args.to_dict(obey_generation_config=True),
                    "eos_token_id": _ends(both["tokenizer"]),
                    "pad_token_id": both["tokenizer"].pad_token_id,
                },
                training_args.per_device_eval_batch_size,
                generating_args.skip_special_tokens,
            )
        )
    total = sum(len(one.prompts) for one in asked)
    done, began = 0, time.monotonic()
    for one in asked:
        for more in predict(one, model, both["tokenizer"]):
            done += more
            _log(asked[0].folder, done, total, time.monotonic() - began)


def _ends(tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer, as llamafactory/train/sft/workflow.py collects them."""
    extra = getattr(tokenizer, "additional_special_tokens_ids", None)
    if not isinstance(extra, list):
        special = getattr(tokenizer, "_extra_special_tokens", [])
        extra = tokenizer.convert_tokens_to_ids([str(token) for token in special])
    return list(dict.fromkeys([tokenizer.eos_token_id, *(token for token in extra if token != -1)]))


def predict(asked: Asked, model: Any, tokenizer: Any) -> Iterator[int]:
    """Write a data set's predictions; yield the rows that have been answered since the last time."""
    began = time.monotonic()
    asked.folder.mkdir(parents=True, exist_ok=True)
    partial = asked.folder / PARTIAL
    answers = resumed(partial, len(asked.prompts))
    yield len(answers)
    fresh = len(asked.prompts) - len(answers)
    # The longest first: what does not fit in memory shows at once.
    left = sorted(
        set(range(len(asked.prompts))) - set(answers), key=lambda row: (-len(asked.prompts[row]), row)
    )
    with partial.open("a", encoding="utf-8") as stream:
        if answers:
            stream.write("\n")  # ends a line that was cut short
        for rows, written in batches(left, asked.batch, lambda rows: _answer(asked, rows, model)):
            for row, ids in zip(rows, written, strict=True):
                answers[row] = str(tokenizer.decode(ids, skip_special_tokens=asked.skip_special))
                stream.write(dumps({"row": row, "predict": answers[row]}) + "\n")
            stream.flush()
            yield len(rows)
    prompts = tokenizer.batch_decode(asked.prompts, skip_special_tokens=False)
    labels = tokenizer.batch_decode(asked.labels, skip_special_tokens=asked.skip_special)
    lines = [
        dumps({"prompt": prompt, "predict": answers[row], "label": label})
        for row, (prompt, label) in enumerate(zip(prompts, labels, strict=True))
    ]
    seconds = time.monotonic() - began
    told = {
        "predict_runtime": round(seconds, 4),
        "predict_samples": fresh,
        "predict_samples_per_second": round(fresh / max(seconds, 1e-9), 3),
    }
    write_text(asked.folder / "predict_results.json", dumps(told, indent=2) + "\n")
    write_text(asked.folder / "generated_predictions.jsonl", "".join(line + "\n" for line in lines))
    partial.unlink()


def resumed(partial: Path, rows: int) -> dict[int, str]:
    """Return row → answer of what was answered before; a line that was cut short is left out."""
    found: dict[int, str] = {}
    if partial.is_file():
        for line in partial.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                value = json.loads(line)
                found[int(value["row"])] = str(value["predict"])
            except (ValueError, KeyError, TypeError):
                continue
    return {row: text for row, text in found.items() if row < rows}


def batches(
    rows: Sequence[int], size: int, answer: Callable[[Sequence[int]], list[list[int]]]
) -> Iterator[tuple[Sequence[int], list[list[int]]]]:
    """Yield (rows, their answers) batch by batch; where a batch does not fit in a GPU's memory, it is halved for good."""
    from torch import OutOfMemoryError

    at = 0
    while at < len(rows):
        chosen = rows[at : at + size]
        try:
            made = answer(chosen)
        except OutOfMemoryError:
            if len(chosen) == 1:
                raise
            size = len(chosen) // 2
            print(f"out of memory with {len(chosen)} rows in a batch; going on with {size}", flush=True)
            continue
        yield chosen, made
        at += len(chosen)


def _answer(asked: Asked, rows: Sequence[int], model: Any) -> list[list[int]]:
    """Return the tokens that a model answers to rows; those that end leave the batch after each PIECE of tokens."""
    import torch
    from transformers import DynamicCache

    limits = dict(asked.limits)
    room = limits.pop("max_new_tokens", None)
    width = max(len(asked.prompts[row]) for row in rows)
    if room is None:
        room = max(1, int(limits.pop("max_length")) - width)
    pad, ends = limits["pad_token_id"], torch.tensor(limits["eos_token_id"], device=model.device)
    padded = [[pad] * (width - len(asked.prompts[row])) + asked.prompts[row] for row in rows]
    ids = torch.tensor(padded, device=model.device)
    mask = torch.tensor(
        [[0] * (width - len(asked.prompts[row])) + [1] * len(asked.prompts[row]) for row in rows],
        device=model.device,
    )
    cache, places = DynamicCache(config=model.config), list(range(len(rows)))
    made: list[list[int]] = [[] for _ in rows]
    with torch.inference_mode():
        while places and ids.shape[1] - width < room:
            before = ids.shape[1]
            ids = model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                max_new_tokens=min(PIECE, room - (before - width)),
                **limits,
            )
            ended = torch.isin(ids[:, before:], ends).any(dim=1)
            for place, row in zip(places, ids[:, width:].tolist(), strict=True):
                end = next(
                    (at for at, token in enumerate(row) if token in asked.limits["eos_token_id"]), len(row)
                )
                made[place] = row[: end + 1]
            kept = torch.nonzero(~ended).flatten()
            places = [places[at] for at in kept.tolist()]
            if len(kept) < len(ids):
                ids = ids[kept]
                mask = mask[kept]
                cache.batch_select_indices(kept)
            mask = torch.cat([mask, mask.new_ones(len(mask), ids.shape[1] - mask.shape[1])], dim=1)
    return made


def _log(folder: Path, done: int, total: int, seconds: float) -> None:
    entry = {
        "current_steps": done,
        "total_steps": total,
        "elapsed_time": str(timedelta(seconds=int(seconds))),
    }
    with (folder / "trainer_log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

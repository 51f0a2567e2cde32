"""List every model that a run trains or predicts with, from its settings.

A tuned model is named `<preset>[-<variant>]`, and its folder `<name>-<size>-s<seed>`, so that models of two presets,
sizes or seeds stand side by side in one run; the untuned base model is `base`, with solved
examples in its prompt `base-<k>shot`, and a baseline has the name that the settings give it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from etlch.core.errors import EtlchError
from etlch.core.records import Model
from etlch.core.settings import ExportSettings, PlanSettings
from etlch.dataset.splits import few_shot

PAPER_SEEDS = (42, 43, 44)
PAPER_BASELINES = {
    "Qwen2.5-7B-Instruct": {"model": "Qwen/Qwen2.5-7B-Instruct", "template": "qwen"},
    "Breeze-7B-Instruct": {"model": "MediaTek-Research/Breeze-7B-Instruct-v1_0", "template": "breeze"},
    # LlamaFactory has no template for TAIDE; it is a Llama 3, so Llama 3's is taken.
    "Llama3-TAIDE-8B": {"model": "taide/Llama3-TAIDE-LX-8B-Chat-Alpha1", "template": "llama3"},
}
"""What the paper compares against. It names the models, not their versions: these are ours."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One model of a run.

    Attributes:
        card: what model.json will hold.
        tasks: the tasks it is trained on; empty for a model that is not trained.
        weights: what LlamaFactory calls model_name_or_path.
        template: LlamaFactory's name of its chat template.
        shots: solved examples before each question.
    """

    card: Model
    tasks: tuple[str, ...]
    weights: str
    template: str
    shots: int = 0

    @property
    def split(self) -> str:
        """The split that it predicts."""
        return few_shot(self.shots) if self.shots else "test"


def planned(
    plan: PlanSettings, export: ExportSettings, preset: str, weights: str, template: str, *, lora: bool
) -> list[Planned]:
    """Return the models of a run: the base, the baselines, then the tuned ones by size, variant, seed.

    Args:
        plan: tasks and sizes.
        export: shots, seeds, variants, baselines; `matrix: paper` replaces the last three by the paper's.
        preset: the preset's name, which tuned models carry.
        weights: the base model.
        template: the base model's template.
        lora: whether training leaves an adapter (or a whole model).

    Raises:
        EtlchError: a baseline's name cannot be a folder, or it lacks `model` or `template`.
    """
    paper = export.matrix == "paper"
    baselines = {**PAPER_BASELINES, **export.baselines} if paper else export.baselines
    seeds = PAPER_SEEDS if paper else export.seeds
    kinds = ("multi", "leave-one-out", "single") if paper else export.variants
    models = [Planned(Model("base", None, None, "base", None, None), (), weights, template)]
    if export.shots:
        card = Model(f"base-{export.shots}shot", None, None, "baseline", None, None)
        models.append(Planned(card, (), weights, template, export.shots))
    taken = [model.card.name for model in models]
    for name, baseline in baselines.items():
        _check(name, baseline, taken)
        card = Model(name, None, None, "baseline", None, None)
        models.append(Planned(card, (), baseline["model"], baseline["template"]))
    for size in sorted(set(plan.sizes)):
        for variant, tasks in variants(plan.tasks, kinds):
            for seed in seeds:
                card = Model("-".join(filter(None, (preset, variant))), size, seed, "tuned", None, None)
                card = replace(
                    card,
                    adapter=f"models/{card.folder}" if lora else None,
                    recipe=f"recipes/train_{card.folder}.yaml",
                )
                models.append(Planned(card, tasks, weights, template))
    return models


def _check(name: str, baseline: dict[str, str], taken: Sequence[str]) -> None:
    if name in taken or not re.fullmatch(r"[\w.-]+", name):
        raise EtlchError(
            f"baselines: '{name}' cannot name a model folder",
            f"Letters, digits, '.', '_' and '-'; the untuned model is {' and '.join(taken)}.",
        )
    if set(baseline) != {"model", "template"}:
        raise EtlchError(
            f"baselines: {name} has the keys {', '.join(baseline) or 'none'}",
            f"Write `{name}: {{model: Qwen/Qwen2.5-7B-Instruct, template: qwen}}`.",
        )


def variants(tasks: Sequence[str], kinds: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (name, tasks trained on) of each training set; the one of all tasks has no name.

    With one task all kinds are the same set, and with two, leaving one out is a single task.
    """
    seen = set()
    for kind in kinds:
        for name, chosen in _of_kind(tuple(tasks), kind):
            if chosen and chosen not in seen:
                seen.add(chosen)
                yield name, chosen


def _of_kind(tasks: tuple[str, ...], kind: str) -> list[tuple[str, tuple[str, ...]]]:
    if kind == "single":
        return [(f"only-{task}" if len(tasks) > 1 else "", (task,)) for task in tasks]
    if kind == "leave-one-out":
        return [(f"no-{task}", tuple(other for other in tasks if other != task)) for task in tasks]
    return [("", tasks)]

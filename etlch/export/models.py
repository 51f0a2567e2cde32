"""List every model that a run trains or predicts with, from its settings.

A tuned model is named `<preset>[-<mix>][-<variant>]`, and its folder `<name>-<size>-s<seed>`, so that models of two presets,
sizes or seeds stand side by side in one run; the untuned base model is `base`, with solved
examples in its prompt `base-<k>shot`, and a baseline has the name that the settings give it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Model
from etlch.core.settings import ExportSettings, PlanSettings

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
        parts: what it is trained on: "human" (imported) or "" (the run's own), and how many records of each.
    """

    card: Model
    tasks: tuple[str, ...]
    weights: str
    template: str
    shots: int = 0
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def mixed(self) -> bool:
        """Whether it is trained on imported records too, so on the tasks alone that these have."""
        return any(source for source, _ in self.parts)


def planned(
    plan: PlanSettings,
    export: ExportSettings,
    preset: str,
    weights: str,
    template: str,
    *,
    adapter: bool,
    human: Mapping[str, int] | None = None,
) -> list[Planned]:
    """Return the models of a run: the base, the baselines, then the tuned ones by size, variant, seed.

    A training set of the setting `mix` is a model of its own, `<preset>-human` or `<preset>-human<n>-synthetic<m>`,
    for the tasks that have imported records.

    Args:
        plan: tasks and sizes.
        export: shots, seeds, variants, baselines; `matrix: paper` replaces the last three by the paper's.
        preset: the preset's name, which tuned models carry.
        weights: the base model.
        template: the base model's template.
        adapter: whether training leaves an adapter (or a whole model).
        human: task → training records imported into the run.

    Raises:
        EtlchError: a baseline's name cannot be a folder, or it lacks `model` or `template`; or `mix` wants more
            imported records than there are.
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
    for source, parts, trained in _training_sets(plan, export.mix, human or {}):
        size = sum(records for _, records in parts)
        for variant, tasks in variants(trained, kinds):
            for seed in seeds:
                name = "-".join(filter(None, (preset, source, variant)))
                card = Model(name, size, seed, "tuned", None, None)
                card = replace(
                    card,
                    adapter=f"models/{card.folder}" if adapter else None,
                    recipe=f"recipes/train_{card.folder}.yaml",
                )
                models.append(Planned(card, tasks, weights, template, parts=parts))
    return models


def _training_sets(
    plan: PlanSettings, mixes: Sequence[Mapping[Literal["human", "synthetic"], int]], human: Mapping[str, int]
) -> Iterator[tuple[str, tuple[tuple[str, int], ...], tuple[str, ...]]]:
    """Yield (name, parts, tasks) of each training set; those of the run's own records alone have no name.

    Raises:
        EtlchError: more imported records are wanted than there are.
    """
    alone = {mix["synthetic"] for mix in mixes if set(mix) == {"synthetic"}}
    for size in sorted({*plan.sizes, *alone}):
        yield "", (("", size),), plan.tasks
    tasks = tuple(task for task in plan.tasks if human.get(task))
    for mix in sorted({tuple(sorted(mix.items())) for mix in mixes if "human" in mix}):
        wanted = dict(mix)["human"]
        lacking = next((task for task in tasks if human[task] < wanted), None)
        if not tasks or lacking:
            present = f"{human[lacking]} for {lacking}" if lacking else "none"
            raise EtlchError(
                _("mix: {wanted} human records are wanted, and the run holds {present}").format(
                    wanted=wanted, present=present
                ),
                _("Bring them with `etlch-data import FILE --into RUN`, or name fewer."),
            )
        parts = tuple(("human" if source == "human" else "", records) for source, records in mix)
        name = "human" if len(mix) == 1 else "-".join(f"{source}{records}" for source, records in mix)
        yield name, parts, tasks


def _check(name: str, baseline: dict[str, str], taken: Sequence[str]) -> None:
    if name in taken or not re.fullmatch(r"[\w.-]+", name):
        raise EtlchError(
            _("baselines: '{name}' cannot name a model folder").format(name=name),
            _("Letters, digits, '.', '_' and '-'; the untuned model is {taken}.").format(
                taken=" and ".join(taken)
            ),
        )
    if set(baseline) != {"model", "template"}:
        raise EtlchError(
            _("baselines: {name} has the keys {value}").format(
                name=name, value=", ".join(baseline) or "none"
            ),
            _("Write `{name}: {{model: Qwen/Qwen2.5-7B-Instruct, template: qwen}}`.").format(name=name),
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

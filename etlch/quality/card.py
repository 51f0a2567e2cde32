"""Read a finished run's manifest and quality, return its data set card (README.md): contents, origin, licences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from etlch.core.files import dump_yaml, write_text
from etlch.core.locale import speaking
from etlch.core.manifest import Manifest
from etlch.core.records import HUMAN, TRAIN, Json
from etlch.core.run_folder import Run
from etlch.quality.measure import Quality
from etlch.quality.overview import summary
from etlch.tasks import all_tasks

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
PAPER = "https://arxiv.org/abs/2509.08381"


def write(run: Run, manifest: Manifest, quality: Quality) -> None:
    """Write README.md of a run.

    Args:
        run: where the file goes.
        manifest: what run.yaml says.
        quality: what was measured.
    """
    with speaking("en"):
        write_text(run.card, render(run, manifest, quality))


def render(run: Run, manifest: Manifest, quality: Quality) -> str:
    """Return the card as Markdown: metadata as the Hugging Face hub reads them, then the text.

    The card holds no date, so that the same run gives the same bytes.
    """
    settings = manifest.settings
    parts = [
        f"---\n{dump_yaml(metadata(manifest, quality))}---",
        f"# {run.name}",
        f"{quality.articles:,} articles in {settings.plan.language} with labels for "
        f"{', '.join(settings.plan.tasks)}, made with etlch for fine-tuning a small information-extraction model. "
        "Every label was written by code from facts that code located in the article.",
        _origin(manifest) + _corrected(manifest),
        _table("Quality", ("what", "number", "meaning"), summary(quality)),
        _attrition(quality),
        _splits(manifest),
        _imported(manifest),
        _cost(manifest),
        _licence(manifest),
        _prompts(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def metadata(manifest: Manifest, quality: Quality) -> dict[str, Json]:
    """Return the card's YAML metadata, with the keys of the Hugging Face hub's data set cards."""
    settings = manifest.settings
    rows = sum(quality.records.values())
    tasks = all_tasks(Path(settings.plan.task_file) if settings.plan.task_file else None)
    return {
        "language": [{"zh-TW": "zh", "zh-CN": "zh"}.get(settings.plan.language, settings.plan.language)],
        "license": "other",
        "license_name": "see-below",
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>1M")],
        "task_categories": sorted({tasks[name].hub_category for name in settings.plan.tasks}),
        "tags": [
            "information-extraction",
            "human-labelled" if settings.teacher.name == HUMAN else "synthetic",
            "etlch",
            settings.plan.language,
            *settings.plan.tasks,
        ],
    }


def _corrected(manifest: Manifest) -> str:
    count = manifest.counts.get("corrected", 0)
    return (
        f"\n- records whose labels people corrected afterwards: {count:,} (corrections.jsonl)"
        if count
        else ""
    )


def _origin(manifest: Manifest) -> str:
    settings = manifest.settings
    if settings.teacher.name == HUMAN:
        return "\n".join(
            [
                "## Where it comes from",
                "",
                f"- texts and labels: made by people, imported from {settings.plan.articles}",
                f"- labels that do not stand in their text: {settings.check.ungrounded}; each is listed in rejected.jsonl",
            ]
        )
    texts = (
        "texts of the user's own (`articles`, see run.yaml); each article's `source` names file and characters"
        if settings.plan.articles
        else f"written by the teacher, plan seed {settings.plan.seed}"
    )
    return "\n".join(
        [
            "## Where it comes from",
            "",
            f"- teacher: {_teacher(manifest)}",
            f"- articles: {texts}",
            f"- labels: answered by the teacher under a response schema, grounded (policy `{settings.check.ungrounded}` for "
            "what does not stand in the article), rendered and read back by code",
            f"- settings: run.yaml, which holds every one of them; endpoint: {_endpoint(settings.teacher.base_url)}",
        ]
    )


def _endpoint(url: str | None) -> str:
    """Return the endpoint's address without user names, passwords and keys."""
    if url is None:
        return "the teacher's own"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _teacher(manifest: Manifest) -> str:
    if manifest.settings.teacher.name == HUMAN:
        return "none: the labels were made by people and imported"
    if manifest.settings.teacher.name == "offline":
        return "the offline teacher of etlch: no language model; facts drawn from phrase data, names invented"
    return f"`{manifest.settings.teacher.name}`, temperature {manifest.settings.teacher.temperature or 'as the endpoint sets it'}"


def _attrition(quality: Quality) -> str:
    rows = [(reason, f"{count:,}") for reason, count in quality.attrition.by_reason.items()]
    if not rows:
        return "## Rejected\n\nNothing was rejected."
    return _table("Rejected", ("task, stage and reason", "count"), rows)


def _splits(manifest: Manifest) -> str:
    settings = manifest.settings
    sizes = ", ".join(f"{size:,}" for size in sorted(settings.plan.sizes))
    return "\n".join(
        [
            "## Splits",
            "",
            f"The first {settings.plan.test:,} articles are the test set, the same for all tasks. The training sizes "
            f"({sizes} per task) nest; every tenth article of a size is its validation set. An article that nearly "
            "copies an earlier one (Jaccard ≥ 0.8 of 5-character shingles) was rejected"
            + (
                f", and no {settings.plan.split_by} of the test set is trained on."
                if settings.plan.split_by != "article"
                else "."
            ),
        ]
    )


def _imported(manifest: Manifest) -> str:
    """Return what people labelled and was imported into the run."""
    if not manifest.imported:
        return ""
    rows = [
        (task, "training sets of `mix`" if split == TRAIN else f"test set {split}", f"{records:,}")
        for task, splits in manifest.imported.items()
        for split, records in splits.items()
    ]
    table = _table("Imported", ("task", "use", "records"), rows)
    return f"{table}\n\nTheir labels were made by people (`source: human` in records.jsonl); they nearly copy no text that is trained on."


def _cost(manifest: Manifest) -> str:
    cost = manifest.cost
    if not cost.get("requests"):
        return ""
    usd = "unknown" if cost.get("usd") is None else f"{cost['usd']:.4f} US dollars"
    tokens = f"{cost['input_tokens']:,} input and {cost['output_tokens']:,} output tokens"
    return f"## Cost\n\n{cost['requests']:,} requests, {tokens}, {usd}."


def _licence(manifest: Manifest) -> str:
    settings = manifest.settings
    lines = ["## Licences and terms", ""]
    if settings.teacher.name == HUMAN:
        lines.append(
            "- Texts and labels are other people's work: their licence applies to this data and is yours to check."
        )
    elif settings.teacher.name == "offline":
        lines.append(
            "- Articles and labels are made from etlch's phrase data (Apache-2.0); no model's terms apply."
        )
    else:
        lines.append(
            f"- Articles and labels are answers of `{settings.teacher.name}`: its provider's terms of use apply, such as "
            "OpenAI's on models that compete with theirs. Read them before you publish data or models."
        )
    if settings.plan.articles and settings.teacher.name != HUMAN:
        lines.append("- The articles are other people's texts: their licence applies to them here too.")
    lines += [
        "- A model trained on this data also carries its base model's licence. The Llama 3 licences demand that the "
        "name of such a model begins with `Llama` and that `Built with Llama` is shown.",
        f"- The instructions of kge and ner follow the prompts of [arXiv 2509.08381]({PAPER}).",
    ]
    return "\n".join(lines)


def _prompts(manifest: Manifest) -> str:
    rows = [(f"`{name}`", f"`{mark}`") for name, mark in manifest.prompts.items()]
    return _table("Prompts", ("file", "first 12 hex digits of its SHA-256"), rows) if rows else ""


def _table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"## {title}\n\n" + "\n".join(cells)

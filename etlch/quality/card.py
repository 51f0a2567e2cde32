"""Read a finished run's manifest and quality, return its data set card (README.md): contents, origin, licences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from etlch.core.files import dump_yaml, write_text
from etlch.core.locale import _
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
    write_text(run.card, render(run, manifest, quality))


def render(run: Run, manifest: Manifest, quality: Quality) -> str:
    """Return the card as Markdown: metadata as the Hugging Face hub reads them, then the text.

    The card holds no date, so that the same run gives the same bytes.
    """
    settings = manifest.settings
    parts = [
        f"---\n{dump_yaml(metadata(manifest, quality))}---",
        f"# {run.name}",
        _(
            "{articles} articles in {language} with labels for {tasks}, made with etlch for fine-tuning a small "
            "information-extraction model. Every label was written by code from facts that code located in the article."
        ).format(
            articles=f"{quality.articles:,}",
            language=settings.plan.language,
            tasks=_(", ").join(settings.plan.tasks),
        ),
        _origin(manifest) + _corrected(manifest),
        _table(_("Quality"), (_("what"), _("number"), _("meaning")), summary(quality)),
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
    text = _("records whose labels people corrected afterwards: {count} (corrections.jsonl)")
    return f"\n- {text.format(count=f'{count:,}')}" if count else ""


def _origin(manifest: Manifest) -> str:
    settings = manifest.settings
    if settings.teacher.name == HUMAN:
        return _section(
            _("Where it comes from"),
            [
                _("texts and labels: made by people, imported from {source}").format(
                    source=settings.plan.articles
                ),
                _(
                    "labels that do not stand in their text: {policy}; each is listed in rejected.jsonl"
                ).format(policy=settings.check.ungrounded),
            ],
        )
    texts = (
        _(
            "texts of the user's own (`articles`, see run.yaml); each article's `source` names file and characters"
        )
        if settings.plan.articles
        else _("written by the teacher, plan seed {seed}").format(seed=settings.plan.seed)
    )
    return _section(
        _("Where it comes from"),
        [
            _("teacher: {teacher}").format(teacher=_teacher(manifest)),
            _("articles: {articles}").format(articles=texts),
            _(
                "labels: answered by the teacher under a response schema, grounded (policy `{policy}` for "
                "what does not stand in the article), rendered and read back by code"
            ).format(policy=settings.check.ungrounded),
            _("settings: run.yaml, which holds every one of them; endpoint: {endpoint}").format(
                endpoint=_endpoint(settings.teacher.base_url)
            ),
        ],
    )


def _section(title: str, points: Sequence[str]) -> str:
    return _headed(title, "\n".join(f"- {point}" for point in points))


def _headed(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _endpoint(url: str | None) -> str:
    """Return the endpoint's address without user names, passwords and keys."""
    if url is None:
        return _("the teacher's own")
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _teacher(manifest: Manifest) -> str:
    if manifest.settings.teacher.name == HUMAN:
        return _("none: the labels were made by people and imported")
    if manifest.settings.teacher.name == "offline":
        return _(
            "the offline teacher of etlch: no language model; facts drawn from phrase data, names invented"
        )
    return _("`{teacher}`, temperature {temperature}").format(
        teacher=manifest.settings.teacher.name,
        temperature=manifest.settings.teacher.temperature or _("as the endpoint sets it"),
    )


def _attrition(quality: Quality) -> str:
    rows = [(reason, f"{count:,}") for reason, count in quality.attrition.by_reason.items()]
    if not rows:
        return _headed(_("Rejected"), _("Nothing was rejected."))
    return _table(_("Rejected"), (_("task, stage and reason"), _("count")), rows)


def _splits(manifest: Manifest) -> str:
    settings = manifest.settings
    text = _(
        "The first {test} articles are the test set, the same for all tasks. The training sizes "
        "({sizes} per task) nest; every tenth article of a size is its validation set. An article that nearly "
        "copies an earlier one (Jaccard ≥ 0.8 of 5-character shingles) was rejected."
    )
    if settings.plan.split_by != "article":
        text = _(
            "The first {test} articles are the test set, the same for all tasks. The training sizes "
            "({sizes} per task) nest; every tenth article of a size is its validation set. An article that nearly "
            "copies an earlier one (Jaccard ≥ 0.8 of 5-character shingles) was rejected, and no {split_by} of the "
            "test set is trained on."
        )
    sizes = _(", ").join(f"{size:,}" for size in sorted(settings.plan.sizes))
    told = text.format(test=f"{settings.plan.test:,}", sizes=sizes, split_by=settings.plan.split_by)
    return _headed(_("Splits"), told)


def _imported(manifest: Manifest) -> str:
    """Return what people labelled and was imported into the run."""
    if not manifest.imported:
        return ""
    rows = [
        (
            task,
            _("training sets of `mix`") if split == TRAIN else _("test set {name}").format(name=split),
            f"{records:,}",
        )
        for task, splits in manifest.imported.items()
        for split, records in splits.items()
    ]
    table = _table(_("Imported"), (_("task"), _("use"), _("records")), rows)
    told = _(
        "Their labels were made by people (`source: human` in records.jsonl); they nearly copy no text that is trained on."
    )
    return f"{table}\n\n{told}"


def _cost(manifest: Manifest) -> str:
    cost = manifest.cost
    if not cost.get("requests"):
        return ""
    usd = cost.get("usd")
    told = _("{requests:,} requests, {read:,} input and {written:,} output tokens, {price}.").format(
        requests=cost["requests"],
        read=cost["input_tokens"],
        written=cost["output_tokens"],
        price=_("unknown") if usd is None else _("{usd:.4f} US dollars").format(usd=usd),
    )
    return _headed(_("Cost"), told)


def _licence(manifest: Manifest) -> str:
    settings = manifest.settings
    lines = []
    if settings.teacher.name == HUMAN:
        lines.append(
            _(
                "Texts and labels are other people's work: their licence applies to this data and is yours to check."
            )
        )
    elif settings.teacher.name == "offline":
        lines.append(
            _("Articles and labels are made from etlch's phrase data (Apache-2.0); no model's terms apply.")
        )
    else:
        lines.append(
            _(
                "Articles and labels are answers of `{teacher}`: its provider's terms of use apply, such as "
                "OpenAI's on models that compete with theirs. Read them before you publish data or models."
            ).format(teacher=settings.teacher.name)
        )
    if settings.plan.articles and settings.teacher.name != HUMAN:
        lines.append(_("The articles are other people's texts: their licence applies to them here too."))
    lines += [
        _(
            "A model trained on this data also carries its base model's licence. The Llama 3 licences demand that the "
            "name of such a model begins with `Llama` and that `Built with Llama` is shown."
        ),
        _("The instructions of kge and ner follow the prompts of {paper}.").format(
            paper=f"[arXiv 2509.08381]({PAPER})"
        ),
    ]
    return _section(_("Licences and terms"), lines)


def _prompts(manifest: Manifest) -> str:
    rows = [(f"`{name}`", f"`{mark}`") for name, mark in manifest.prompts.items()]
    return _table(_("Prompts"), (_("file"), _("first 12 hex digits of its SHA-256")), rows) if rows else ""


def _table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return _headed(title, "\n".join(cells))

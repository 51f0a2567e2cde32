"""Turn labelled texts into articles and records: locate their facts, write their labels and instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from etlch.core.prompts import Prompts
from etlch.core.records import HUMAN, Article, Located, Record, Rejected
from etlch.core.settings import Settings
from etlch.dataset.readers.ground import ground_labelled
from etlch.dataset.readers.labelled import LabelledText
from etlch.tasks import Task


class Labelled(NamedTuple):
    """Articles and records of labelled texts.

    Attributes:
        rejected: labels that are not in their text, a line for each text that has some.
        grounded, stated: facts that stand in their text, and all facts.
        told: the same in words.
    """

    articles: list[Article]
    records: list[Record]
    rejected: list[Rejected]
    grounded: int
    stated: int
    told: str


def build_labelled(
    texts: Sequence[LabelledText],
    task: Task,
    settings: Settings,
    prompts: Prompts,
    first: int = 0,
    like: Record | None = None,
) -> Labelled:
    """Return articles and records of labelled texts; what is not in its text is rejected with its reasons.

    Args:
        texts: in the order of the run.
        task: whose facts the labels are.
        settings: language, policies, and whether labels that are not in their text are kept.
        prompts: hold the instruction, which names the types of all texts.
        first: number of the first article; ids are `h00000` and so on.
        like: a record whose instruction and types are taken if they have all types of the texts.
    """
    language = settings.plan.language
    keys = _keys(texts, task)
    if like is not None and isinstance(like.schema, dict) and keys and set(keys) <= set(_types(like)):
        asked, keys = like.instruction, _types(like)
    elif task.leaf_facts:
        asked = prompts.render(f"{task.name}/instruction", language, **task.prompt_values)
    elif prompts.has(f"given/{task.name}", language):
        asked = prompts.render(f"given/{task.name}", language, types=list(keys))
    else:
        asked = ""
    made = Labelled([], [], [], 0, 0, "")
    grounded = stated = 0
    reasons: Counter[str] = Counter()
    for place, text in enumerate(texts, first):
        identity = f"h{place:05d}"
        article = Article(identity, text.document, text.document, language, HUMAN, text.text)
        located, ungrounded = ground_labelled(text, task, language, settings.check.policies)
        stated += len(located) + len(ungrounded)
        grounded += len(located)
        lost = [*text.dropped, *(f"not in the text: {' – '.join(item.fact)}" for item in ungrounded)]
        if settings.check.ungrounded == "keep":
            writable = [item for item in ungrounded if not task.problems([item.fact], language)]
            located += [Located(item.fact, item.spans) for item in writable]
        reasons.update(["label not in the text"] * len(ungrounded))
        if lost:
            made.rejected.append(Rejected(identity, task.name, "grounding", tuple(lost), text.name))
        if task.arrange is not None:
            located = list(task.arrange(located))
        made.articles.append(article)
        made.records.append(_record(identity, text, located, task, keys, text.instruction or asked, language))
    kept = "kept" if settings.check.ungrounded == "keep" else "dropped"
    share = f" ({grounded / stated:.1%})" if stated else ""
    told = f"grounding: {grounded:,} of {stated:,} facts stand in their text{share}"
    told += "".join(f"; {kept}: {count:,} × {reason}" for reason, count in reasons.items())
    return made._replace(grounded=grounded, stated=stated, told=told)


def _types(record: Record) -> tuple[str, ...]:
    return tuple(record.schema.get("properties", ()))


def _keys(texts: Sequence[LabelledText], task: Task) -> tuple[str, ...]:
    """Return the types, relations or fields of all labels, in the order in which they first occur."""
    named = (
        name for text in texts for name in (*text.fields, *(fact.fact[task.type_part] for fact in text.facts))
    )
    return tuple(dict.fromkeys(named))


def _record(
    identity: str,
    text: LabelledText,
    located: Sequence[Located],
    task: Task,
    keys: tuple[str, ...],
    instruction: str,
    language: str,
) -> Record:
    own = tuple(text.fields) if text.instruction and text.fields else keys
    return Record(
        id=f"{identity}-{task.name}",
        article_id=identity,
        task=task.name,
        language=language,
        instruction=instruction,
        input=text.text,
        output=task.render([item.fact for item in located], own, language),
        schema=task.label_schema(own) if task.json_label else None,
        facts=tuple(located),
        source=HUMAN,
    )

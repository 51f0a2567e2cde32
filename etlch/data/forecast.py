"""What a run will still ask for, in requests and dollars: settings and replies walk in, words walk out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from etlch.config import Settings
from etlch.data.make import fixed_keys
from etlch.data.money import Estimate, Work, estimate, find_price, price_table
from etlch.data.replies import Usage
from etlch.errors import EtlchError
from etlch.prompts import Prompts
from etlch.records import Topic
from etlch.tasks import Task

UNASKED_LIMIT = 5.0
"""US dollars. A dearer estimate needs `--budget`."""

_OPEN_LENGTH = {"en": 600, "zh-TW": 900, "zh-CN": 900}
"""Words or characters of an article whose length is left open, as gpt-4o-mini writes them."""
_BYTES = {"en": 6.0, "zh-TW": 3.0, "zh-CN": 3.0}
_TOKENS = {"en": 1.35, "zh-TW": 0.9, "zh-CN": 0.8}
"""UTF-8 bytes and o200k tokens of a word or character."""
_ANSWER = 250
"""Tokens of an instruction or a label, about."""


def works(
    settings: Settings,
    prompts: Prompts,
    tasks: Mapping[str, Task],
    topics: Iterable[Topic],
    needed: int,
    usage: Mapping[str, Usage],
    changed: Collection[str] = (),
) -> list[Work]:
    """Return what is left to ask, by purpose.

    What is on file counts as done, so a grown run is charged for the difference; but a prompt
    that has `changed` since (and what builds on its answers) is asked anew. Answers that will be
    refused and asked again are in the pilot's means only.
    """
    sample = list(islice(topics, 50))
    language = settings.language
    units = sum(topic.length or _OPEN_LENGTH[language] for topic in sample) / max(len(sample), 1)
    article = "x" * int(units * _BYTES[language])
    first = sample[0] if sample else Topic(0, "", "", language)

    def left(purpose: str) -> int:
        task = purpose.split("/", maxsplit=1)[0]
        builds_on = {purpose, "article/write", f"{task}/ask", f"{task}/types.yaml"}
        if purpose == f"{task}/label" and prompts.has(
            f"{task}/ask", language
        ):  # else it is no part of what is sent
            builds_on.add(f"{task}/instruction")
        anew = any(name.startswith(f"{part}.") or name == part for name in changed for part in builds_on)
        return needed if anew else max(0, needed - (usage[purpose].calls if purpose in usage else 0))

    def size(name: str, **values: object) -> int:
        return len(prompts.render(name, language, **values).encode())

    asked = []
    if settings.articles is None:
        written = size(
            "article/write",
            subject=first.subject,
            domain=first.domain,
            genre=first.genre,
            length=first.length,
        )
        asked.append(Work("article/write", left("article/write"), written, int(units * _TOKENS[language])))
    for name in tasks:
        told = {"article": article, "instruction": "x" * 200, "fields": ["x" * 12] * 5}
        if prompts.has(f"{name}/ask", language):
            bulk = size(f"{name}/ask", article=article, count=5, style="x" * 40, absent=1)
            asked.append(Work(f"{name}/ask", left(f"{name}/ask"), bulk, _ANSWER))
        types = {key: "x" * 30 for key in fixed_keys(prompts, name, language, settings)}
        bulk = size(f"{name}/label", types=types, **told)
        asked.append(Work(f"{name}/label", left(f"{name}/label"), bulk, _ANSWER))
    return asked


def forecast(
    settings: Settings,
    prompts: Prompts,
    tasks: Mapping[str, Task],
    topics: Iterable[Topic],
    needed: int,
    usage: Mapping[str, Usage],
    changed: Collection[str] = (),
) -> Estimate:
    """Return what is still to be paid for `needed` articles and their records."""
    asked = works(settings, prompts, tasks, topics, needed, usage, changed)
    return estimate(asked, usage, find_price(settings))


def in_words(found: Estimate, settings: Settings) -> list[str]:
    """Return an estimate as lines for the terminal."""
    head = f"estimate: {found.calls:,} requests, {found.input_tokens:,} + {found.output_tokens:,} tokens"
    if found.cost is None:
        return [f"{head}; no price is known for {settings.teacher} (setting `price`)", f"  {found.method}"]
    dated = "setting `price`" if settings.price else f"prices of {price_table()['as_of']}"
    return [
        f"{head}, ${found.cost:.2f} (${found.low:.2f} to ${found.high:.2f}; {dated})",
        f"  {found.method}",
    ]


def refuse_if_dear(found: Estimate, settings: Settings) -> None:
    """Stop before anything is sent when much money is about to be spent without a word about it.

    Raises:
        EtlchError: the estimate is over UNASKED_LIMIT and no budget is named.
    """
    if settings.budget is None and found.cost is not None and found.cost > UNASKED_LIMIT:
        raise EtlchError(
            f"this may cost ${found.cost:.2f}, and no budget is named",
            f"Add --budget {found.high or found.cost:.2f} (a hard cap) if that is meant, or ask for smaller --sizes.",
        )

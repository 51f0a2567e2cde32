"""Read a plan and what a store already holds, return the requests, tokens and US dollars that are left."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import Topic
from etlch.core.settings import PlanSettings, Settings, TeacherSettings
from etlch.dataset.build_record import CHECKS, fixed_keys
from etlch.llm.pricing import PILOT, Estimate, Work, cents, cost, estimate, find_price, price_table
from etlch.llm.store import Store, Usage
from etlch.tasks import Task
from etlch.teachers.base import retry_purpose

UNASKED_LIMIT = 5.0
"""US dollars. A higher estimate needs `--budget`."""

_OPEN_LENGTH = {"en": 600, "zh-TW": 900, "zh-CN": 900}
"""Words or characters of an article whose length is left open, as gpt-4o-mini writes them."""
_BYTES = {"en": 6.0, "zh-TW": 3.0, "zh-CN": 3.0}
_TOKENS = {"en": 1.35, "zh-TW": 0.9, "zh-CN": 0.8}
"""UTF-8 bytes and o200k tokens of a word or character."""
_BYTES_A_TOKEN = 4.0
_ANSWER = 250
"""Tokens of an instruction or a label, about."""
_THOUGHTS = 1000
"""Tokens that a reasoning model thinks before an answer, about; they are billed as output."""
_REASONS = re.compile(
    r"^o\d|gpt-5(?!.*chat)|gpt-oss|reason|think|[-/]r1\b|qwq|magistral|grok-[4-9]|gemini-(?:2\.5|[3-9])",
    re.IGNORECASE,
)
"""Names of models that reason unless they are told not to."""


@dataclass(frozen=True)
class Known:
    """What a run's store tells about what is to come.

    Attributes:
        usage: purpose → what its replies took; things asked again have a purpose of their own.
        accepted, judged: candidates.
    """

    usage: Mapping[str, Usage] = field(default_factory=dict)
    accepted: int = 0
    judged: int = 0

    def calls(self, purpose: str) -> int:
        """Return the number of replies on file."""
        return self.usage[purpose].calls if purpose in self.usage else 0

    def asked(self, purpose: str, needed: int) -> int:
        """Return how many first askings `needed` accepted articles take, refused candidates included."""
        if self.accepted < PILOT:
            return needed
        reach = min(1.0, self.calls(purpose) / self.judged)  # what is refused earlier never comes here
        return max(needed, math.ceil(needed * self.judged / self.accepted * reach))


def known(store: Store) -> Known:
    """Return what a store tells."""
    return Known(store.usage(), *store.judged(CHECKS))


def remaining_requests(
    plan: PlanSettings,
    prompts: Prompts,
    tasks: Mapping[str, Task],
    topics: Iterable[Topic],
    needed: int,
    store_counts: Known,
    changed: Collection[str] = (),
    article_bytes: int = 0,
) -> list[Work]:
    """Return what is left to ask, by purpose.

    What is on file counts as done, so a grown run is charged for the difference; but a prompt
    that has `changed` since (and what builds on its answers) is asked anew. Candidates are refused,
    and answers asked again, as often as they were so far. `article_bytes` is the length of an article
    where it is known, in UTF-8.
    """
    sample = list(islice(topics, 50))
    language = plan.language
    units = sum(topic.length or _OPEN_LENGTH[language] for topic in sample) / max(len(sample), 1)
    article = "x" * (article_bytes or int(units * _BYTES[language]))
    first = sample[0] if sample else Topic(0, "", "", language)
    about = {"subject": first.subject, "domain": first.domain, "genre": first.genre, "length": first.length}
    about["wanted"] = []

    def size(name: str, **values: object) -> int:
        return len(prompts.render(name, language, **values).encode())

    asked = []
    if plan.label_first:
        facts = [("x" * 12,) * 3] * 12
        bulk = size("article/around", facts=facts, names=[], **about)
        asked.append(("article/around", bulk, int(units * _TOKENS[language])))
    elif plan.articles is None:
        asked.append(("article/write", size("article/write", **about), int(units * _TOKENS[language])))
    for name, task in () if plan.label_first else tasks.items():
        told = {"article": article, "instruction": "x" * 200, "fields": ["x" * 12] * 5}
        if prompts.has(f"{name}/ask", language):
            bulk = size(f"{name}/ask", article=article, count=5, style="x" * 40, absent=1)
            asked.append((f"{name}/ask", bulk, _ANSWER))
        types = {key: "x" * 30 for key in fixed_keys(prompts, task, language, plan.ner_types)}
        asked.append(
            (f"{name}/label", size(f"{name}/label", types=types, **told, **task.prompt_values), _ANSWER)
        )
    found = []
    for purpose, bulk, length in asked:
        done = 0 if _anew(purpose, prompts, language, changed) else store_counts.calls(purpose)
        left = max(0, store_counts.asked(purpose, needed) - done)
        found.append(Work(purpose, left, bulk, length))
        if left and (repeats := store_counts.calls(retry_purpose(purpose))):
            often = math.ceil(left * repeats / store_counts.calls(purpose))
            found.append(Work(retry_purpose(purpose), often, bulk + int(length * _BYTES_A_TOKEN), length))
    return found


def _anew(purpose: str, prompts: Prompts, language: str, changed: Collection[str]) -> bool:
    """Tell whether one of the prompts that a purpose's requests are made from has changed."""
    task = purpose.split("/", maxsplit=1)[0]
    builds_on = {purpose, "article/write", f"{task}/ask", f"{task}/types.yaml"}
    if purpose == f"{task}/label" and prompts.has(f"{task}/ask", language):  # else it is no part of it
        builds_on.add(f"{task}/instruction")
    return any(name.startswith(f"{part}.") or name == part for name in changed for part in builds_on)


def forecast(
    settings: Settings,
    prompts: Prompts,
    tasks: Mapping[str, Task],
    topics: Iterable[Topic],
    needed: int,
    store_counts: Known,
    changed: Collection[str] = (),
    article_bytes: int = 0,
) -> Estimate:
    """Return what is still to be paid for `needed` articles and their records."""
    asked = remaining_requests(
        settings.plan, prompts, tasks, topics, needed, store_counts, changed, article_bytes
    )
    extra = thoughts(settings.teacher)
    asked = [replace(work, output_tokens=work.output_tokens + extra) for work in asked]
    return estimate(asked, store_counts.usage, find_price(settings.teacher))


def thoughts(teacher: TeacherSettings) -> int:
    """Return about how many tokens a teacher thinks before each answer; 0 where it does not, or is told not to."""
    told = teacher.extra_body
    effort = told.get("reasoning_effort") or (told.get("reasoning") or {}).get("effort")
    off = (
        effort in ("none", "minimal")
        or (told.get("chat_template_kwargs") or {}).get("enable_thinking") is False
    )
    return 0 if off or not _REASONS.search(teacher.name) else _THOUGHTS


def in_words(found: Estimate, teacher: TeacherSettings) -> list[str]:
    """Return an estimate as lines for the terminal."""
    head = f"estimate: {found.calls:,} requests, {found.input_tokens:,} + {found.output_tokens:,} tokens"
    if found.cost is None:
        return [f"{head}; no price is known for {teacher.name} (setting `price`)", f"  {found.method}"]
    dated = "setting `price`" if teacher.price else f"prices of {price_table()['as_of']}"
    lines = [
        f"{head}, ${found.cost:.2f} (${found.low:.2f} to ${found.high:.2f}; {dated})",
        f"  {found.method}",
    ]
    if found.calls and thoughts(teacher) and "replies" not in found.method:
        lines.append(
            f"  {teacher.name} reasons: {_THOUGHTS:,} tokens of thoughts an answer are counted in"
            " (less with the setting extra_body: {reasoning_effort: minimal})"
        )
    return lines


def budget_in_words(found: Estimate, teacher: TeacherSettings, spent: float) -> list[str]:
    """Return a line about a budget that may run out, with one that would do; nothing where it will do."""
    price = find_price(teacher)
    if teacher.budget is None or price is None or found.high is None or not found.calls:
        return []
    # The last request must still find its reserve: its bytes as tokens, and the longest answer.
    reserve = cost(price, int(found.input_tokens / found.calls * _BYTES_A_TOKEN), teacher.max_tokens) or 0.0
    enough = cents(spent + found.high + reserve)
    if teacher.budget >= enough:
        return []
    before = f" (${spent:.2f} of it spent)" if spent else ""
    return [f"  the budget of ${teacher.budget:.2f}{before} may run out; --budget {enough:.2f} would do"]


def check_cost_limit(found: Estimate, budget: float | None) -> None:
    """Stop before anything is sent when much money is about to be spent without a word about it.

    Raises:
        EtlchError: the estimate is over UNASKED_LIMIT and no budget is named.
    """
    if budget is None and found.cost is not None and found.cost > UNASKED_LIMIT:
        raise EtlchError(
            f"this may cost ${found.cost:.2f}, and no budget is named",
            f"Add --budget {cents(found.high or found.cost):.2f} (a hard cap) if that is meant, or ask for smaller --sizes.",
        )

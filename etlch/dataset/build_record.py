"""Build the article and the records of one candidate; return them, or what was rejected and why.

Every reply is checked by code. Bad content is requested again with the reasons, at most
`max_attempts` times, then rejected with its raw text. Transport errors are not caught here: they
say nothing about the content, and the run stops and resumes on them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from etlch.core.prompts import Prompts
from etlch.core.records import Article, Fact, Json, Record, Rejected, Topic
from etlch.core.settings import CheckSettings
from etlch.dataset.grounding import Grounded, ground
from etlch.llm.errors import BadContent
from etlch.tasks import Task
from etlch.teachers.base import Attempt, Instruction, Teacher
from etlch.text.article_text import written_problems
from etlch.text.normalize import fact_form, special_tokens

Answer = TypeVar("Answer")
Result = TypeVar("Result")

MOST_FIELDS = 20
CHECKS = "2"
"""Version of the checks below. Stored verdicts of another version are ignored; raise it when a check changes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A position of the plan that may become an article.

    Attributes:
        id: of the article, if it is accepted.
        topic: what it is about.
        source: who writes it, or the user's file and characters.
        text: the article where the user brings it; None where the teacher writes it.
    """

    id: str
    topic: Topic
    source: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """The result of one candidate.

    Attributes:
        candidate: the input.
        article: None if the article or any of its records was rejected.
        records: one per task that passed.
        rejected: what was rejected, with reasons, including facts dropped from an accepted record.
        grounded: facts of the last replies that stand in the article, over all tasks.
        stated: all facts of the last replies.
    """

    candidate: Candidate
    article: Article | None
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    grounded: int = 0
    stated: int = 0


@dataclass(frozen=True)
class RecordBuilder:
    """Builds articles and records with a teacher and checks them.

    Attributes:
        teacher: writes articles, instructions and labels.
        prompts: the user's templates or those shipped.
        tasks: name → task; every accepted article has one record of each.
        check: attempts, lengths, grounding policies.
        ner_types: "fixed" or "open", as the setting.
        note: called with (stage, event) for the progress line; event is asked, again, done or rejected.
        judge: called with (candidate id, accepted, reasons) when a candidate is done.
    """

    teacher: Teacher
    prompts: Prompts
    tasks: Mapping[str, Task]
    check: CheckSettings
    ner_types: str
    note: Callable[[str, str], None]
    judge: Callable[[str, bool, tuple[str, ...]], None]

    async def build(self, candidate: Candidate) -> CandidateResult:
        """Return the article of one candidate and one record per task, or what was rejected.

        Raises:
            EtlchError: the teacher cannot be reached, or the budget is spent.
        """
        result = await self._build(candidate)
        why = tuple(
            f"{item.task or 'article'}: {reason}" for item in result.rejected for reason in item.reasons
        )
        self.judge(candidate.id, result.article is not None, why)
        return result

    async def _build(self, candidate: Candidate) -> CandidateResult:
        try:
            text = await self._article(candidate)
        except BadContent as bad:
            return CandidateResult(
                candidate, None, (), (Rejected(candidate.id, "", "article", bad.reasons, bad.text),)
            )
        topic = candidate.topic
        article = Article(candidate.id, topic.subject, topic.domain, topic.language, candidate.source, text)
        results = await asyncio.gather(*(self._record(topic, article, task) for task in self.tasks.values()))
        rejected = tuple(item for part in results for item in part.rejected)
        records = tuple(part.record for part in results if part.record is not None)
        return CandidateResult(
            candidate,
            article if len(records) == len(self.tasks) else None,
            records,
            rejected,
            sum(part.grounded for part in results),
            sum(part.stated for part in results),
        )

    async def _article(self, candidate: Candidate) -> str:
        def check(text: str, last: bool) -> str:
            problems = article_problems(text, self.check)
            if candidate.text is None:
                problems += written_problems(text, candidate.topic.language)
            if problems:
                raise BadContent(tuple(problems), text)
            return text

        if candidate.text is not None:
            return check(candidate.text, last=True)
        first = candidate.topic.edition * self.check.max_attempts
        return await self._until_good(
            "articles", lambda attempt: self.teacher.article(candidate.topic, attempt), check, first
        )

    async def _record(self, topic: Topic, article: Article, task: Task) -> _TaskResult:
        stage = "instruction"
        try:
            instruction = await self._instruction(topic, article, task)
            stage = "label"
            return await self._label(topic, article, task, instruction)
        except BadContent as bad:
            return _TaskResult(None, (Rejected(article.id, task.name, stage, bad.reasons, bad.text),))

    async def _instruction(self, topic: Topic, article: Article, task: Task) -> Instruction:
        language = topic.language
        if not self.prompts.has(f"{task.name}/ask", language):
            keys = fixed_keys(self.prompts, task, language, self.ner_types)
            return Instruction(
                self.prompts.render(f"{task.name}/instruction", language, **task.prompt_values), keys
            )

        def check(answer: Json, last: bool) -> Instruction:
            problems = instruction_problems(answer)
            if problems:
                raise BadContent(tuple(problems), json.dumps(answer, ensure_ascii=False))
            fields = tuple(str(field).strip() for field in answer["fields"])
            told = self.prompts.render(
                f"{task.name}/instruction",
                language,
                instruction=answer["instruction"].strip(),
                fields=list(fields),
            )
            return Instruction(told, fields)

        return await self._until_good(
            f"{task.name} instructions",
            lambda attempt: self.teacher.write_instruction(topic, article.text, task, attempt),
            check,
        )

    async def _label(
        self, topic: Topic, article: Article, task: Task, instruction: Instruction
    ) -> _TaskResult:
        def check(answer: Json, last: bool) -> _TaskResult:
            return self._check_label(article, task, instruction, answer, last=last)

        return await self._until_good(
            f"{task.name} labels",
            lambda attempt: self.teacher.label(topic, article.text, task, instruction, attempt),
            check,
        )

    def _check_label(
        self, article: Article, task: Task, instruction: Instruction, answer: Json, *, last: bool
    ) -> _TaskResult:
        """Return the record of a reply that passes every check.

        On the last attempt, and with `ungrounded: drop`, facts that are not in the article are dropped
        as long as one fact remains: asking again did not help, and the rest is sound.

        Raises:
            BadContent: the reply does not pass; the reasons name each fact.
        """
        facts = _stripped(task.facts(answer))
        raw = json.dumps(answer, ensure_ascii=False)
        problems = task.problems(facts, article.language)
        grounded = ground(facts, task, article.text, self.check.policies)
        lost = [_ungrounded_reason(fact, task) for fact in grounded.ungrounded]
        drop_allowed = last and self.check.ungrounded == "drop"
        if not grounded.located:
            lost.append(
                "no fact of the answer stands in the article" if facts else "the answer holds no facts"
            )
            drop_allowed = False
        if problems or (lost and not drop_allowed):
            raise BadContent((*problems, *lost), raw)
        record = _render(article, task, instruction, grounded, raw, source(self.teacher.name))
        dropped = (Rejected(article.id, task.name, "grounding", tuple(lost), raw),) if lost else ()
        return _TaskResult(
            record, dropped, len(grounded.located), len(grounded.located) + len(grounded.ungrounded)
        )

    async def _until_good(
        self,
        stage: str,
        call: Callable[[Attempt], Awaitable[Answer]],
        check: Callable[[Answer, bool], Result],
        first: int = 0,
    ) -> Result:
        """Request replies until one passes, each time with the reasons why the last one did not.

        Raises:
            BadContent: the last attempt failed too.
        """
        attempt = Attempt(first)
        for number in range(self.check.max_attempts):
            last = number == self.check.max_attempts - 1
            self.note(stage, "asked" if number == 0 else "again")
            try:
                result = check(await call(attempt), last)
            except BadContent as bad:
                if last or not bad.again:
                    self.note(stage, "rejected")
                    raise
                attempt = Attempt(first + number + 1, bad.text, bad.reasons)
            else:
                self.note(stage, "done")
                return result
        raise AssertionError("max_attempts is at least 1")


@dataclass(frozen=True, slots=True)
class _TaskResult:
    """A task's record, or None, with what was rejected and the counts of its facts."""

    record: Record | None
    rejected: tuple[Rejected, ...] = ()
    grounded: int = 0
    stated: int = 0


def article_problems(text: str, check: CheckSettings) -> list[str]:
    """Return why a text cannot be an article; empty if it can."""
    problems = []
    if not text.strip():
        problems.append("the article is empty")
    if check.min_chars and len(text) < check.min_chars:
        problems.append(f"the article has {len(text)} characters; at least {check.min_chars} are needed")
    if check.max_chars and len(text) > check.max_chars:
        problems.append(f"the article has {len(text)} characters; at most {check.max_chars} are allowed")
    for token in dict.fromkeys(
        [*special_tokens(text), *(tag for tag in ("<article>", "</article>") if tag in text)]
    ):
        problems.append(f"the article contains the control text {token}")
    return problems


def instruction_problems(answer: Json) -> list[str]:
    """Return why {"instruction", "fields"} cannot be used; empty if it can."""
    problems = []
    if not answer["instruction"].strip():
        problems.append("the instruction is empty")
    fields = [str(field).strip() for field in answer["fields"]]
    if not 1 <= len(fields) <= MOST_FIELDS or not all(fields):
        problems.append(f"between 1 and {MOST_FIELDS} field names are needed, none of them empty")
    if len({fact_form(field).casefold() for field in fields}) < len(fields):
        problems.append("a field name occurs twice")
    for token in dict.fromkeys(special_tokens(answer["instruction"] + " ".join(fields))):
        problems.append(f"the instruction contains the control text {token}")
    return problems


def fixed_keys(prompts: Prompts, task: Task, language: str, ner_types: str) -> tuple[str, ...]:
    """Return the keys of a task whose types are data (prompts/<task>/types.yaml), else nothing."""
    if not prompts.has(f"{task.name}/types.yaml") or (task.open_types and ner_types == "open"):
        return ()
    return tuple(prompts.data(f"{task.name}/types.yaml")[language])


def _stripped(facts: list[Fact]) -> list[Fact]:
    return [tuple(part.strip() for part in fact) for fact in facts]


def _ungrounded_reason(fact: Fact, task: Task) -> str:
    if task.leaf_facts:
        return f"not word for word in the article: {fact[0]} '{fact[1]}'"
    values = ", ".join(f"{task.parts[place]} '{fact[place]}'" for place in task.grounded)
    return f"not word for word in the article: {values}"


def source(teacher: str) -> str:
    """Return the source of a teacher's records."""
    return teacher if teacher == "offline" else f"teacher:{teacher}"


def _render(
    article: Article, task: Task, instruction: Instruction, grounded: Grounded, raw: str, source: str
) -> Record:
    """Write the label, parse it, and reject it if the parsed facts differ from those written.

    A label that its own parser reads differently would be scored against itself as an error.
    """
    located = grounded.located if task.arrange is None else task.arrange(grounded.located)
    facts = [item.fact for item in located]
    label = task.render(facts, instruction.keys, article.language)
    parsed = task.parse(label, article.language, True)
    if parsed.how != "strict" or parsed.wrong or set(parsed.facts) != set(facts):
        raise BadContent(("the label does not read back as the facts it was written from",), raw)
    return Record(
        id=f"{article.id}-{task.name}",
        article_id=article.id,
        task=task.name,
        language=article.language,
        instruction=instruction.text,
        input=article.text,
        output=label,
        schema=task.label_schema(instruction.keys) if task.json_label else None,
        facts=located,
        source=source,
    )

"""Have a teacher write a topic tree for given domains, check it, and write it as a file of the user's prompts.

One request names the sub-domains of a domain, one the subjects of a sub-domain. What repeats, is
empty or is written in another language is left out, and as many more are asked for. Each round of
requests is looked at as a whole and in the tree's order, so the tree is the same at any concurrency.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import dump_yaml, read_text, write_text
from etlch.core.locale import _
from etlch.core.prompts import Prompts
from etlch.core.records import Json, Topic
from etlch.core.run_folder import Run
from etlch.core.settings import Settings, TeacherSettings
from etlch.llm.client import LLMClient, open_client
from etlch.llm.errors import BadContent
from etlch.llm.pricing import Work, estimate, find_price
from etlch.pipeline import cost_estimate as estimates
from etlch.pipeline.session import ModelBill
from etlch.pipeline.setup import chosen_prompts, money_in_words
from etlch.teachers.base import Attempt
from etlch.teachers.llm import ModelTeacher
from etlch.teachers.topic_plan import read_tree
from etlch.text.article_text import can_be
from etlch.text.normalize import fact_form, is_cjk, special_tokens

Branches = dict[str, dict[str, list[str]]]
"""Domain → sub-domain → subjects."""

NAMES_SCHEMA: Json = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
    "additionalProperties": False,
}
"""What a teacher answers when it is asked for sub-domains or subjects."""

PURPOSE = "topics/grow"
"""The template, and what its replies are for."""

LONGEST = 80
"""Characters of a name. What is longer is a sentence."""

_SCRIPTS = {"zh-TW": ("big5", "gb2312"), "zh-CN": ("gb2312", "big5")}
"""The character set of each script and that of the other one."""
_TOKENS_A_NAME = 10
_FIRST_DOMAIN = re.compile(r"^domains:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*(?=( +)\S)", re.MULTILINE)


class Grown(NamedTuple):
    """A tree on disk: its file, the domains that were added, and those that stood there before."""

    path: Path
    added: Branches
    kept: tuple[str, ...]


@dataclass
class _Place:
    """A place of the tree that names are asked for: a domain (its sub-domains) or a sub-domain (its subjects).

    `others` are the sub-domains beside it; `names` are those that passed, `reasons` why others
    did not.
    """

    domain: str
    part: str = ""
    others: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


async def grow(
    settings: Settings, folder: Path, parts: int, subjects: int, say: Callable[[str], None]
) -> Grown:
    """Write <folder>/topics/<language>.yaml, or add to it the domains that it does not hold.

    Args:
        settings: teacher, endpoint, language, budget, and `domains`, the fields to be divided.
        folder: of prompt overrides, new or old; keeps the replies, so that nothing is paid twice.
        parts: sub-domains per domain.
        subjects: subjects per sub-domain.
        say: takes the lines that come before and while the teacher works.

    Raises:
        EtlchError: no domains, the offline teacher, a file that is no tree or cannot be extended,
            a teacher that does not name enough, or transport trouble. Nothing is written then.
    """
    _refuse(settings, parts, subjects)
    prompts = chosen_prompts(replace(settings.plan, prompts=str(folder) if folder.is_dir() else None))
    path = folder / "topics" / f"{settings.plan.language}.yaml"
    here: Branches = {}
    stands = path.exists()
    if stands:
        read_tree(prompts, settings.plan.language, (), ())
        here = prompts.data(f"topics/{path.name}")["domains"]
    wanted = list(dict.fromkeys(domain.strip() for domain in settings.plan.domains))
    kept = tuple(domain for domain in wanted if domain in here)
    new = [domain for domain in wanted if domain not in here]
    if not new:
        return Grown(path, {}, kept)
    async with open_client(settings.teacher, Run(folder)) as client:
        for line in _forecast(
            settings.teacher, settings.plan.language, prompts, client, len(new), parts, subjects
        ):
            say(line)
        teacher = ModelTeacher(settings.teacher, settings.plan, prompts, client)
        taken = {_form(name) for name in [*_names(here), *new]}
        added = await _Asker(
            teacher, prompts, settings.plan.language, settings.check.max_attempts, taken, say
        ).branches(new, parts, subjects)
        say(money_in_words(ModelBill(teacher, settings, prompts, client).cost()))
    write_text(
        path,
        _extended(path, here, added)
        if stands
        else _tree_file(prompts, settings.teacher.name, settings.plan.language, added),
    )
    return Grown(path, added, kept)


def problem(name: str, language: str, taken: Collection[str]) -> str:
    """Return why a name cannot stand in a tree of this language, or an empty string if it can.

    Chinese is told from the other script by the characters that only its character set has
    (Big5, GB 2312), English by being free of Chinese.

    Args:
        name: as the teacher wrote it, trimmed.
        language: of the tree.
        taken: the forms (fact_form, lower case) of the names that are there.
    """
    if not name:
        return "a name is empty"
    if len(name) > LONGEST:
        return f"'{name[:LONGEST]}…' is longer than a name"
    if special_tokens(name):
        return f"'{name}' contains control text"
    if not _is_written_in(name, language):
        return f"'{name}' is not written in {language}"
    return f"'{name}' is there already" if _form(name) in taken else ""


@dataclass(frozen=True)
class _Asker:
    """Asks for names until there are enough. `taken`, the forms of all names so far, grows with them."""

    teacher: ModelTeacher
    prompts: Prompts
    language: str
    max_attempts: int
    taken: set[str]
    say: Callable[[str], None]

    async def branches(self, domains: Sequence[str], parts: int, subjects: int) -> Branches:
        self.say(f"sub-domains of {', '.join(domains)}")
        above = [_Place(domain) for domain in domains]
        await self._fill(above, parts)
        below = [
            _Place(place.domain, part, tuple(other for other in place.names if other != part))
            for place in above
            for part in place.names
        ]
        self.say(f"subjects of {len(below)} sub-domains")
        await self._fill(below, subjects)
        branches: Branches = {domain: {} for domain in domains}
        for place in below:
            branches[place.domain][place.part] = place.names
        return branches

    async def _fill(self, places: Sequence[_Place], count: int) -> None:
        """Ask, at most `max_attempts` times a place, until each has its names.

        Raises:
            EtlchError: one is still short, or the run cannot go on.
        """
        short = list(places)
        for sample in range(self.max_attempts):
            answers = await asyncio.gather(*(self._ask(place, count, sample) for place in short))
            for place, answer in zip(short, answers, strict=True):
                self._take(place, count, answer)
            short = [place for place in short if len(place.names) < count]
        if short:
            raise _too_few(short, count, self.teacher.name, self.max_attempts)

    async def _ask(self, place: _Place, count: int, sample: int) -> list[str] | BadContent:
        language = self.language
        prompt = self.prompts.render(
            PURPOSE,
            language,
            domain=place.domain,
            part=place.part,
            others=list(place.others),
            count=count - len(place.names),
            held=place.names,
            reasons=place.reasons,
        )
        topic = Topic(0, place.domain, place.part, language)
        try:
            answer = await self.teacher.answer(PURPOSE, topic, prompt, NAMES_SCHEMA, Attempt(sample))
        except BadContent as bad:
            return bad
        return [" ".join(name.split()) for name in answer["names"]]

    def _take(self, place: _Place, count: int, answer: list[str] | BadContent) -> None:
        reasons: list[str] = []
        if isinstance(answer, BadContent):
            reasons, answer = [*answer.reasons], []
        for name in answer:
            why = problem(name, self.language, self.taken)
            if why:
                reasons.append(why)
            elif len(place.names) < count:
                place.names.append(name)
                self.taken.add(_form(name))
        place.reasons = list(dict.fromkeys([*place.reasons, *reasons]))


def _too_few(short: Sequence[_Place], count: int, teacher: str, max_attempts: int) -> EtlchError:
    first = short[0]
    why = f" ({'; '.join(first.reasons[:3])})" if first.reasons else ""
    more = f"; {len(short) - 1} more places are short" if len(short) > 1 else ""
    return EtlchError(
        _("{teacher} named {count} of {count2} for '{value}' in {max_attempts} attempts{why}{more}").format(
            teacher=teacher,
            count=len(first.names),
            count2=count,
            value=first.part or first.domain,
            max_attempts=max_attempts,
            why=why,
            more=more,
        ),
        _(
            "Raise `max_attempts` in the settings file: what was answered is not paid again. Or ask for "
            "fewer."
        ),
    )


def _refuse(settings: Settings, parts: int, subjects: int) -> None:
    if settings.teacher.name == "offline":
        raise EtlchError(
            _("the offline teacher cannot write a topic tree"),
            _(
                "Name a model, e.g. --teacher gpt-4o-mini. The offline teacher's own domains are phrase data, "
                "see docs/offline-teacher.md."
            ),
        )
    if not any(domain.strip() for domain in settings.plan.domains):
        raise EtlchError(_("no domain is named"), _('Name your fields: --domains "shipping law,wind power".'))
    for option, count in (("--sub-domains", parts), ("--subjects", subjects)):
        if count < 1:
            raise EtlchError(
                _("{option} {count}: at least one is needed").format(option=option, count=count),
                _("Name 1 or more."),
            )


def _forecast(
    teacher: TeacherSettings,
    language: str,
    prompts: Prompts,
    client: LLMClient,
    domains: int,
    parts: int,
    subjects: int,
) -> list[str]:
    """Return the estimate of the whole of it in words; what is on file costs nothing.

    Raises:
        EtlchError: it is high and no budget was named.
    """
    name = "x" * 20
    told = {"domain": name, "part": name, "others": [name] * parts, "held": [], "reasons": []}
    size = len(prompts.render(PURPOSE, language, count=subjects, **told).encode())
    works = [
        Work(PURPOSE, domains, size, parts * _TOKENS_A_NAME),
        Work(PURPOSE, domains * parts, size, subjects * _TOKENS_A_NAME),
    ]
    found = estimate(works, client.store.usage(), find_price(teacher))
    estimates.check_cost_limit(found, teacher.budget)
    return estimates.in_words(found, teacher)


def _tree_file(prompts: Prompts, teacher: str, language: str, added: Branches) -> str:
    """Return a new file: the domains, and genres and lengths as they ship."""
    shipped = prompts.data(f"topics/{language}.yaml")
    styles = {name: shipped[name] for name in ("genres", "lengths")}
    return (
        f"# Topics: domain, sub-domain, subjects. Written by {teacher}; edit them as you like.\n"
        f"{dump_yaml({'domains': added, **styles})}"
    )


def _extended(path: Path, here: Branches, added: Branches) -> str:
    """Return a file's text with the added domains before its first one, and all else as it stands.

    Raises:
        EtlchError: its `domains` are not written as a block.
    """
    import yaml

    text = read_text(path)
    place = _FIRST_DOMAIN.search(text)
    if place:
        block = textwrap.indent(dump_yaml(added), place.group(1))
        text = f"{text[: place.end()]}{block}{text[place.end() :]}"
    if not place or yaml.safe_load(text)["domains"] != {**added, **here}:
        raise EtlchError(
            _(
                "{path} cannot be extended: its domains do not stand in lines of their own below `domains:`"
            ).format(path=path),
            _("Write them so, or name another folder. What was answered is on file."),
        )
    return text


def _is_written_in(name: str, language: str) -> bool:
    chinese = [char for char in name if is_cjk(char)]
    if language == "en":
        return not chinese and any(char.isascii() and char.isalpha() for char in name)
    own, other = _SCRIPTS[language]
    return bool(chinese) and not any(can_be(char, other) and not can_be(char, own) for char in chinese)


def _names(tree: Branches) -> list[str]:
    return [
        str(name)
        for domain, parts in tree.items()
        for part, subjects in parts.items()
        for name in (domain, part, *subjects)
    ]


def _form(name: str) -> str:
    return fact_form(name).casefold()

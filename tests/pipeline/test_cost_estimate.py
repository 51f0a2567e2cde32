"""What is left to ask: the rest of a grown run, and everything behind a prompt that changed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.settings import Settings, TeacherSettings
from etlch.llm.pricing import Estimate
from etlch.llm.store import Usage
from etlch.pipeline.cost_estimate import (
    Known,
    budget_in_words,
    check_cost_limit,
    forecast,
    in_words,
    remaining_requests,
)
from etlch.pipeline.setup import chosen_tasks
from etlch.teachers.topic_plan import read_tree, tree_topics

SETTINGS = make_settings(language="en", sizes=(30,), test=10)
PURPOSES = ("article/write", "json/ask", "json/label", "kge/label", "ner/label")


def usage(purposes: Iterable[str], done: int) -> dict[str, Usage]:
    return {
        name: Usage(name, done, done * 900, done * 300, done * 810_000, done * 90_000, 0.0)
        for name in purposes
    }


def left(
    known: Known, needed: int = 40, changed: tuple[str, ...] = (), chosen: Settings = SETTINGS
) -> dict[str, int]:
    prompts = Prompts()
    topics = islice(tree_topics(read_tree(prompts, "en", (), ()), "en", 0), 50)
    found = remaining_requests(
        chosen.plan, prompts, chosen_tasks(chosen.plan), topics, needed, known, changed
    )
    return {work.purpose: work.calls for work in found}


def test_a_grown_run_pays_for_the_rest() -> None:
    assert left(Known()) == dict.fromkeys(PURPOSES, 40)
    assert left(Known(usage(PURPOSES, 25))) == dict.fromkeys(PURPOSES, 15)
    assert left(Known(usage(PURPOSES, 60))) == dict.fromkeys(PURPOSES, 0)


def test_what_is_refused_and_asked_again_is_counted_as_often_as_it_was() -> None:
    """40 of 50 candidates were accepted, 5 fell at their articles; every ninth label was asked twice."""
    done = {**usage(PURPOSES[:1], 50), **usage(PURPOSES[1:], 45), **usage(["ner/label again"], 5)}
    known = Known(done, accepted=40, judged=50)
    assert left(known) == dict.fromkeys(PURPOSES, 0)
    # 80 articles take 100 candidates, of which 90 come to the labels
    grown = {"article/write": 50, **dict.fromkeys(PURPOSES[1:], 45), "ner/label again": 5}
    assert left(known, 80) == grown


def test_a_task_that_is_new_to_a_run_is_asked_for_every_article() -> None:
    known = Known(usage(PURPOSES[:4], 50), accepted=40, judged=50)
    assert left(known) == {**dict.fromkeys(PURPOSES[:4], 0), "ner/label": 40}


def test_with_labels_first_only_articles_are_asked_for() -> None:
    chosen = make_settings(language="en", label_first=True)
    assert left(Known(usage(["article/around"], 10)), chosen=chosen) == {"article/around": 30}


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ("ner/label.en.j2", {"ner/label"}),
        ("ner/types.yaml", {"ner/label"}),
        ("json/ask.en.j2", {"json/ask", "json/label"}),
        ("article/write.en.j2", set(PURPOSES)),
        ("json/instruction.en.j2", {"json/label"}),
        ("kge/instruction.en.j2", set()),
    ],
)
def test_a_changed_prompt_is_asked_anew_with_all_that_builds_on_it(changed: str, anew: set[str]) -> None:
    found = left(Known(usage(PURPOSES, 40)), changed=(changed,))
    assert {purpose for purpose, calls in found.items() if calls == 40} == anew
    assert sum(found.values()) == 40 * len(anew)


def test_a_budget_that_may_run_out_is_told_with_one_that_would_do() -> None:
    """1 dollar spent, at most 0.90 to come, a reserve of (40 × 4 × 0.15 + 4096 × 0.6) / 10⁶ = 0.0025."""
    found = Estimate(100, 4_000, 9_000, 0.5, 0.2, 0.9, "from 10 replies of this run; 95 % interval")
    told = budget_in_words(found, TeacherSettings(budget=1.5), 1.0)
    assert told == ["  the budget of $1.50 ($1.00 of it spent) may run out; --budget 1.91 would do"]
    assert budget_in_words(found, TeacherSettings(budget=1.91), 1.0) == []
    assert budget_in_words(found, TeacherSettings(), 1.0) == []


def test_a_dear_estimate_needs_a_budget() -> None:
    dear = Estimate(10_000, 9_000_000, 9_000_000, 6.75, 3.4, 13.5, "from the length of the prompts")
    with pytest.raises(EtlchError, match=r"this may cost \$6.75"):
        check_cost_limit(dear, None)
    check_cost_limit(dear, 20.0)
    assert "$6.75 ($3.40 to $13.50" in in_words(dear, TeacherSettings())[0]


@pytest.mark.parametrize(
    ("name", "extra", "reasons"),
    [
        ("gpt-4o-mini", {}, False),
        ("gpt-4.1", {}, False),
        ("gpt-5-mini", {}, True),
        ("o3-mini", {}, True),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {}, True),
        ("openai/gpt-oss-20b", {}, True),
        ("gpt-5-mini", {"reasoning_effort": "minimal"}, False),
        ("Qwen/Qwen3-8B-Thinking", {"chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)
def test_the_estimate_counts_the_thoughts_of_models_that_reason(
    name: str, extra: dict[str, object], reasons: bool
) -> None:
    def tokens(chosen: Settings) -> float:
        topics = islice(tree_topics(read_tree(Prompts(), "en", (), ()), "en", 0), 50)
        return forecast(chosen, Prompts(), chosen_tasks(chosen.plan), topics, 10, Known()).output_tokens

    plain = make_settings(language="en", teacher="plain")
    thinking = make_settings(language="en", teacher=name, extra_body=extra)
    # Five requests an article (PURPOSES), each with a thousand tokens of thoughts.
    assert tokens(thinking) - tokens(plain) == (10 * 5 * 1000 if reasons else 0)

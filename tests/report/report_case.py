"""A scored run made by hand for the report's tests: three tasks, five models, known slips.

The base sentence of an article is fixed and its facts are known; a model's predictions are the
label with slips put in at fixed places, so every count in the tests can be done by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from etlch.core.records import Key
from etlch.scoring.summary import Comparison, Counts, Sample, Score, Source, Summary, System, WinRate
from etlch.stats.intervals import wilson
from etlch.tasks.base import flat_schema
from etlch.tasks.kge import HEADERS

SURNAMES, GIVEN = "陳林黃張李王吳劉", ["雅婷", "志明", "淑芬", "家豪", "怡君", "俊傑", "美玲"]
PLACES = ["新竹", "高雄", "臺南", "花蓮", "基隆"]
FIRMS = ["東海電子", "遠山生技", "明光材料", "北辰物流"]

MODELS = (
    ("etlch", 1000, "tuned"),
    ("etlch", 300, "tuned"),
    ("etlch", 100, "tuned"),
    ("llama-3.2-1b", None, "base"),
    ("qwen2.5-7b", None, "baseline"),
)
"""How many of ten predictions each gets right, on every task."""
RIGHT = {1000: 9, 300: 7, 100: 4, None: 3}


class Story(NamedTuple):
    """An article and what it states."""

    text: str
    person: str
    firm: str
    place: str
    year: str


def story(number: int) -> Story:
    """The article with this number: about 600 characters of which one sentence changes."""
    person = SURNAMES[number % 8] + GIVEN[number % 7]
    firm, place, year = FIRMS[number % 4], PLACES[number % 5], str(1970 + number % 50)
    stated = f"{firm}於{year}年在{place}成立，創辦人是{person}。第{number}號檔案記載了這件事。"
    filler = "公司後來擴大生產，並與多所學校合作培訓人才，逐步建立起自己的研究團隊與供應體系。" * 14
    return Story(stated + filler, person, firm, place, year)


def keys(articles: int) -> Iterator[Key]:
    """Keys of all tasks: json, kge, ner."""
    for task in ("json", "kge", "ner"):
        for number in range(articles):
            yield key(task, number)


def key(task: str, number: int) -> Key:
    """The key of one record."""
    told = story(number)
    schema = {
        "json": flat_schema(["公司", "創辦人", "成立年份"], required=True),
        "ner": flat_schema(["人物", "組織", "地點", "日期"], required=False),
        "kge": None,
    }[task]
    return Key(
        id=f"a{number:04d}-{task}",
        article_id=f"a{number:04d}",
        task=task,
        language="zh-TW",
        instruction={
            "json": "請擷取公司、創辦人與成立年份，輸出為 JSON，值為 list。",
            "kge": "請幫我為下面文章建構知識圖譜。",
            "ner": "請為下文執行 NER 任務。",
        }[task],
        input=told.text,
        gold=label(task, told),
        schema=schema,
    )


def label(task: str, told: Story) -> str:
    """The gold label."""
    if task == "json":
        values = {"公司": [told.firm], "創辦人": [told.person], "成立年份": [told.year]}
        return json.dumps(values, ensure_ascii=False)
    if task == "ner":
        named = {"人物": [told.person], "組織": [told.firm], "地點": [told.place], "日期": [f"{told.year}年"]}
        return json.dumps(named, ensure_ascii=False)
    return "\n".join(
        [
            HEADERS["zh-TW"],
            f"{told.firm}－位於－{told.place}",
            f"{told.firm}－創辦人－{told.person}",
            f"{told.firm}－成立於－{told.year}年",
        ]
    )


def slip(task: str, gold: str, number: int) -> str:
    """A wrong prediction: the kind of slip depends on the number."""
    kind = number % 6
    if task == "kge":
        head, first, second, third = gold.split("\n")
        subject, relation, obj = first.split("－")
        swapped, other = f"{obj}－{relation}－{subject}", f"{subject}－遷往－{obj}"
        return "\n".join(
            {
                0: [head, swapped, second, third],
                1: [head, other, second, third],
                2: [head, first, second, f"{third}左右"],
                3: [head, first, second, "東海電子－成立"],
                4: [head, first, second],
                5: [head, *[first] * 6],
            }[kind]
        )
    values = json.loads(gold)
    first_key, *_, last_key = values
    if kind == 0:
        return gold[: len(gold) // 2]
    if kind == 1:
        return f"```json\n{gold}\n```"
    if kind == 2:
        values[last_key], values[first_key] = values[first_key], values[last_key]
    elif kind == 3:
        values["備註"] = ["研究團隊"]
    elif kind == 4:
        values[last_key] = ["李四"]
    else:
        values[first_key] = [values[first_key][0][:2]]
    return json.dumps(values, ensure_ascii=False)


def systems() -> list[System]:
    """All systems, task by task."""
    return [
        System(model, task, size, None, role)
        for task in ("json", "kge", "ner")
        for model, size, role in MODELS
    ]


def samples(articles: int) -> Iterator[Sample]:
    """Every sample, system by system."""
    for system in systems():
        for number in range(articles):
            row = key(system.task, number)
            right = number % 10 < RIGHT[system.size]
            text = row.gold if right else slip(system.task, row.gold, number)
            reading = "strict"
            if system.task != "kge" and not right:
                reading = {0: "", 1: "fenced"}.get(number % 6, "strict")
            yield Sample(system, row, number + 1, text, reading, False, {}, {})


def summary(articles: int) -> Summary:
    """Scores, comparisons and win rates as scoring would give them: shares of right predictions."""
    n = articles
    scores, comparisons, rates = [], [], []
    for system in systems():
        share = RIGHT[system.size] / 10 - (0.1 if system.model == "llama-3.2-1b" else 0.0)
        for metric, lift in (("facts_f1", 0.05), ("rouge_l", 0.08), ("json_parse_ok", 0.1)):
            if metric == "json_parse_ok" and system.task == "kge":
                continue
            value = min(1.0, share + lift)
            bounds = wilson(round(value * n), n)
            scores.append(
                Score(system.model, system.task, system.size, metric, value, bounds.low, bounds.high, n)
            )
    for system in systems():
        if system.role != "tuned":
            continue
        for baseline in ("llama-3.2-1b", "qwen2.5-7b"):
            gain = RIGHT[system.size] / 10 - (0.2 if baseline == "llama-3.2-1b" else 0.3)
            sure = gain > 0.15
            comparisons.append(
                Comparison(
                    system.model, baseline, system.task, system.size, "facts_f1", gain, gain - 0.12, gain + 0.12,
                    0.0004 if sure else 0.18, 0.0024 if sure else 0.36, "sign-flip permutation", n,
                    clusters=n, family=6, q=0.001 if sure else 0.2, effect=gain / 0.4,
                    effect_name="Cohen's d", detectable=0.05,
                )
            )  # fmt: skip
            metrics = ("rouge_l", "json_parse_ok") if system.task == "json" else ("rouge_l",)
            won = len(metrics)
            rates.append(
                WinRate(
                    system.model,
                    baseline,
                    system.size,
                    system.task,
                    won,
                    won,
                    won if sure else 0,
                    None,
                    metrics,
                )
            )
    total = n * len(systems())
    sources = tuple(
        Source(
            f"predictions/{s.label}/{s.task}/generated_predictions.jsonl",
            s.model, s.task, s.size, s.seed, s.role, Counts(n, n),
        )
        for s in systems()
    )  # fmt: skip
    return Summary(
        signature="tok:hybrid|case:kept|resamples:10000|seed:0|version:0.1.0",
        counts=Counts(total, total, 0, total // 12, 0),
        scores=tuple(scores),
        comparisons=tuple(comparisons),
        win_rates=tuple(rates),
        sources=sources,
        notes=("Cosine was not computed: install the extra 'embed'.",),
    )


def write(folder: Path, articles: int) -> Path:
    """Write a whole report into a folder."""
    from etlch.report.write import write_report

    return write_report(summary(articles), samples(articles), folder)

"""Quality in numbers, on runs whose numbers are counted by hand in the comments."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.files import write_jsonl
from etlch.core.records import Article, Fact, Record, Rejected
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.dataset.grounding import ground
from etlch.quality.measure import agreement, attrition, measure
from etlch.quality.numbers import Proportion, five_numbers, plain
from etlch.quality.overview import summary
from etlch.tasks import find_task
from tests.small_run import write_run

TEXT = "Ann Bell founded Orion Works in 1932 with a loan of Red Bank."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "good")


def record(article_id: str, task: str, *facts: Fact) -> Record:
    chosen = find_task(task)
    located = ground(facts, chosen, TEXT).located
    assert len(located) == len(facts)
    label = chosen.render([item.fact for item in located], (), "en")
    return Record(f"{article_id}-{task}", article_id, task, "en", "i", TEXT, label, None, located)


def test_a_sound_run_counted_by_hand(run: Run) -> None:
    found = measure(read_run(run.folder))
    assert found.articles == 23 and found.records == {"json": 23, "kge": 23, "ner": 23}
    assert (found.diversity.topics, len(found.diversity.domains)) == (23, 23)
    # json asks founder, year and rival, and no article names a rival
    assert found.diversity.unanswered == Proportion(23, 69)
    assert found.diversity.keys == {"json": 2, "kge": 23, "ner": 3} and found.diversity.relations == 1
    assert found.diversity.types == {"Person": 23, "Organization": 23, "Date": 23}
    assert found.diversity.instructions == {"json": 1, "kge": 1, "ner": 1}
    # the ends are founder and firm, the values founder and year: all of them entities
    assert found.agreement.ends == Proportion(46, 46) and found.agreement.values == Proportion(46, 46)
    # three test articles; no topic, domain or fact of theirs is trained on
    assert found.leakage.topics == found.leakage.domains == Proportion(0, 3)
    assert found.leakage.seen == {"json": Proportion(0, 6), "kge": Proportion(0, 3), "ner": Proportion(0, 9)}
    assert 0 < found.leakage.nearest.high < 0.8


def test_agreement_across_tasks() -> None:
    records = [
        # ends: Ann Bell (an entity), "a loan of Red Bank" (holds one) → 1 of 2 by characters, 2 of 2 within
        record("a", "ner", ("Person", "Ann Bell"), ("Organization", "Red Bank")),
        record("a", "kge", ("Ann Bell", "took", "a loan of Red Bank")),
        # values: Ann Bell (an entity), 1932 (nothing) → 1 of 2
        record("a", "json", ("founder", "Ann Bell"), ("year", "1932")),
        # 0 of 2 ends; there is no json record
        record("b", "ner", ("Date", "1932")),
        record("b", "kge", ("Orion Works", "founded by", "Ann Bell")),
        # nothing to compare with
        record("c", "ner", ("Date", "1932")),
    ]
    found = agreement(records, {task: find_task(task) for task in ("json", "kge", "ner")})
    assert (found.ends, found.ends_within) == (Proportion(1, 4), Proportion(2, 4))
    assert (found.values, found.values_within) == (Proportion(1, 2), Proportion(1, 2))
    assert found.outliers == (("b", 0.0), ("a", 0.75))


def test_attrition_counts_lost_places_and_reasons() -> None:
    articles = [Article("a", "", "", "en", "", "x")]
    rejected = [
        Rejected("a", "ner", "grounding", ("not word for word in the article: mention 'Bob'",), ""),
        Rejected("b", "ner", "label", ("the answer holds no facts",), ""),
        Rejected("b", "kge", "label", ("the answer holds no facts",), ""),
    ]
    found = attrition(articles, rejected)
    assert (found.accepted, found.rejected) == (1, 1)
    assert sum(found.by_reason.values()) == 3 and len(found.by_reason) == 3


@pytest.mark.parametrize("values", [[1], [3, 1, 2], [0.5, 4, 4, 9, 1, 2]])
def test_spread_is_numpy_s(values: list[float]) -> None:
    assert five_numbers(values) == pytest.approx(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    assert five_numbers([]) == (0, 0, 0, 0, 0)


def test_the_command_writes_numbers_page_and_card(run: Run, tmp_path: Path) -> None:
    shown = CliRunner().invoke(
        main, ["quality", str(run.folder), "--json", "--parquet", str(tmp_path / "share")]
    )
    assert shown.exit_code == 0, shown.output
    numbers = json.loads(shown.stdout)
    assert numbers == json.loads((run.folder / "quality.json").read_text(encoding="utf-8"))
    assert (
        numbers == plain(measure(read_run(run.folder)))
        and numbers["diversity"]["unanswered"]["rate"] == 0.333333
    )

    page = (run.folder / "quality.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "http://" not in page.split("<main")[0]
    assert '"Ann Bell0"' in page and "Closest pairs of a test and a training article" in page

    card = run.card.read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["license"], head["license_name"]) == (
        "other",
        "see-below",
    )  # a teacher's terms are no licence
    assert head["language"] == ["en"] and head["size_categories"] == ["n<1K"]
    assert "arXiv 2509.08381" in card and "The first 3 articles are the test set" in card


def test_the_page_says_why_records_were_rejected_and_writes_lists_by_comma(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    lost = [Rejected(f"b{n}", "ner", "label", (f"'x{n}' is <b>not</b> there",), "") for n in range(3)]
    write_jsonl(run.rejected, [*lost, Rejected("c", "", "article", ("the article is empty",), "")])
    shown = CliRunner().invoke(main, ["quality", str(run.folder)])
    assert "rejected        4 " in shown.stdout
    page = (run.folder / "quality.html").read_text(encoding="utf-8")
    body = page.split("<main")[1]
    assert "article: the article is empty" in body and "&lt;b&gt;not&lt;/b&gt;" in body
    assert "<dd>json, kge, ner</dd>" in body and "<dd>4, 20</dd>" in body and "['" not in body
    assert "| article: the article is empty | 1 |" in run.card.read_text(encoding="utf-8")


@pytest.mark.parametrize(("domains", "told"), [(1, "in 1 domain"), (2, "in 2 domains")])
def test_one_domain_is_not_domains(domains: int, told: str, run: Run) -> None:
    found = measure(read_run(run.folder))
    counts = {str(number): 1 for number in range(domains)}
    changed = replace(found, diversity=replace(found.diversity, domains=counts))
    assert next(row[2] for row in summary(changed) if row[0] == "topics").endswith(told)


def test_parquet_holds_every_record_of_the_largest_size(run: Run, tmp_path: Path) -> None:
    import pandas as pd

    assert (
        CliRunner().invoke(main, ["quality", str(run.folder), "--parquet", str(tmp_path / "p")]).exit_code
        == 0
    )
    counts = {
        path.relative_to(tmp_path / "p").as_posix(): len(pd.read_parquet(path))
        for path in tmp_path.glob("p/*/*.parquet")
    }
    assert counts == {
        f"{task}/{name}.parquet": count
        for task in ("json", "kge", "ner")
        for name, count in (("train", 18), ("validation", 2), ("test", 3))
    }
    first = pd.read_parquet(tmp_path / "p" / "ner" / "train.parquet").iloc[0]
    assert first["id"] == "a00003-ner" and list(first["sizes"]) == [4, 20]
    assert json.loads(first["facts"])[0]["fact"] == ["Person", "Ann Bell3"]


def test_the_same_run_gives_the_same_page_and_card(run: Run, tmp_path: Path) -> None:
    twin = write_run(tmp_path / "good")
    for either in (run, twin):
        assert CliRunner().invoke(main, ["quality", str(either.folder)]).exit_code == 0
    for name in ("quality.json", "quality.html", "README.md"):
        assert (run.folder / name).read_bytes() == (twin.folder / name).read_bytes()


def test_no_run_no_quality(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["quality", str(tmp_path)]).exit_code == 2


def test_the_page_speaks_the_reader_s_language_and_the_numbers_stay(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    found = CliRunner().invoke(main, ["--lang", "zh-CN", "quality", str(copy)])
    assert found.exit_code == 0 and "文中有据" in found.output, found.output
    page = (copy / "quality.html").read_text("utf-8")
    assert '<html lang="zh-CN">' in page and "数据泄漏" in page
    shown = re.sub(r"<[^>]*>", "\n", re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL))
    assert re.findall(r"^[A-Za-z]+ [a-z]+ [a-z]+.*", shown, re.MULTILINE) == []
    assert (copy / "quality.json").read_bytes() == (run.folder / "quality.json").read_bytes()
    card = (copy / "README.md").read_text("utf-8")
    assert "## 数据从何而来" in card and not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+ [a-z]+", card)

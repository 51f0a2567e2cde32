"""Topics and domains kept apart: on the real offline pipeline, proved by the check that is not told how."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl
from etlch.core.records import Article, Topic
from etlch.core.run_folder import Run
from etlch.dataset.build_record import Candidate
from etlch.dataset.collect import MAX_SKIPPED, holdout_by_group
from etlch.quality.check import check_run


def plan(domains: int, places: int = 3 * MAX_SKIPPED) -> list[Candidate]:
    return [
        Candidate(str(at), Topic(at, f"domain {at % domains}", f"topic {at}", "en"), "x")
        for at in range(places)
    ]


def test_every_fifth_group_is_the_test_set_s() -> None:
    drawn = plan(12, 48)
    test = [item.topic.position for item in holdout_by_group(iter(drawn), "domain", test=True)]
    train = [item.topic.position for item in holdout_by_group(iter(drawn), "domain", test=False)]
    # domains 0, 5 and 10 of 12, in plan order
    assert test == [at for at in range(48) if at % 12 in (0, 5, 10)]
    assert sorted(test + train) == list(range(48))
    assert [item.topic.position for item in holdout_by_group(iter(drawn), "topic", test=True)] == list(
        range(0, 48, 5)
    )


def test_one_domain_cannot_be_kept_apart() -> None:
    assert len(list(islice(holdout_by_group(iter(plan(1)), "domain", test=True), 5))) == 5
    with pytest.raises(EtlchError, match="none for the training data"):
        next(holdout_by_group(iter(plan(1)), "domain", test=False))


@pytest.mark.slow
def test_a_run_whose_domains_are_kept_apart_and_grown(tmp_path: Path) -> None:
    settings = tmp_path / "s.yaml"
    settings.write_text("split_by: domain\n", encoding="utf-8")
    run = Run(tmp_path / "run")
    test_sets: list[list[str]] = []
    for sizes in ("10", "10,25"):
        options = ["--teacher", "offline", "--language", "en", "--test", "6", "--sizes", sizes]
        ended = CliRunner().invoke(
            main, ["generate", *options, "--settings", str(settings), "--out", str(run.folder)]
        )
        assert ended.exit_code == 0, ended.output
        articles = read_jsonl(run.articles, Article)
        test_sets.append([article.id for article in articles])
        assert {one.domain for one in articles[:6]}.isdisjoint(one.domain for one in articles[6:])
        assert check_run(run).problems == ()
    assert test_sets[1][:16] == test_sets[0], "growing reorders nothing"

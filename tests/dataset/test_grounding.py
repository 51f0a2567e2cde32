"""Facts are grounded under their policies; expectations are read off the article."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl
from etlch.core.records import Located, Record
from etlch.core.run_folder import Run
from etlch.dataset.grounding import ground
from etlch.quality.check import check_run
from etlch.tasks import find_task

ARTICLE = "The Harbour Bridge opened on 19 March 1932. John Bradfield led 1,400 workers; the bridge is open."


def test_facts_are_rewritten_ordered_and_not_repeated() -> None:
    facts = [
        ("workers", "1.4 thousand"),
        ("engineer", "JOHN BRADFIELD"),
        ("opened", "1932-03-19"),
        ("engineer", "John Bradfield"),
        ("cost", "1.4 million"),
        ("cost", "1.4 million"),
    ]
    grounded = ground(facts, find_task("json"), ARTICLE)
    assert grounded.located == (
        Located(("opened", "19 March 1932"), (None, (29, 42))),
        Located(("engineer", "John Bradfield"), (None, (44, 58))),
        Located(("workers", "1,400"), (None, (63, 68))),
    )
    assert grounded.ungrounded == (("cost", "1.4 million"),)


def test_both_ends_of_a_triple_must_stand_and_its_relation_need_not() -> None:
    facts = [
        ("John Bradfield", "was in charge of", "1,400 workers"),
        ("Harbour Bridge", "was led by", "John Brandfield"),
        ("Harbour Bridge", "opened on", "19 March 1932"),
    ]
    grounded = ground(facts, find_task("kge"), ARTICLE)
    assert [item.fact for item in grounded.located] == [facts[2], facts[0]]
    assert grounded.located[0].spans == ((4, 18), None, (29, 42))
    assert grounded.ungrounded == (facts[1],)


def test_policies_by_field() -> None:
    facts = [
        ("opened", "March 19, 1932"),
        ("workers", "1400"),
        ("age", "92 years"),
        ("state", "Open"),
        ("mood", "sunny"),
    ]
    policies = {
        "opened": "normalised",
        "workers": "normalised",
        "age": "derived",
        "state": ["open", "closed"],
        "mood": ["good", "bad"],
    }
    grounded = ground(facts, find_task("json"), ARTICLE, policies)
    assert [item.fact for item in grounded.located] == [
        ("opened", "1932-03-19"),
        ("workers", "1400"),
        ("state", "open"),
        ("age", "92 years"),
    ]
    assert [item.spans[1] for item in grounded.located] == [(29, 42), (63, 68), (92, 96), None]
    assert grounded.ungrounded == (("mood", "sunny"),)


def test_policies_by_part_and_by_relation() -> None:
    facts = [("Harbour Bridge", "opened on", "1932-03-19"), ("Harbour Bridge", "is", "a landmark")]
    grounded = ground(
        facts,
        find_task("kge"),
        ARTICLE,
        {"opened on": "normalised", "object": "derived", "subject": "verbatim"},
    )
    # the name of the part counts before the relation
    assert [item.fact[2] for item in grounded.located] == ["1932-03-19", "a landmark"]
    assert ground(facts, find_task("kge"), ARTICLE, {"opened on": "normalised"}).located[0].fact == facts[0]


def test_a_wrapped_text_gives_labels_on_one_line() -> None:
    article = "The Harbour\n  Bridge opened in 1932. 台\n北有很多橋。"
    facts = [
        ("Harbour Bridge", "opened in", "1932"),
        ("台北", "有", "很多橋"),
        ("Harbour\n  Bridge", "is", "1932"),
    ]
    grounded = ground(facts, find_task("kge"), article)
    assert [item.fact for item in grounded.located] == [
        ("Harbour Bridge", "opened in", "1932"),
        ("Harbour Bridge", "is", "1932"),
        ("台北", "有", "很多橋"),
    ]
    assert article[slice(*(grounded.located[0].spans[0] or (0, 0)))] == "Harbour\n  Bridge"


@pytest.mark.slow
def test_policies_hold_from_grounding_to_the_proof_of_the_files(tmp_path: Path) -> None:
    settings = tmp_path / "s.yaml"
    settings.write_text("policies: {Date: normalised, Amount: normalised}\n", encoding="utf-8")
    run = Run(tmp_path / "run")
    options = [
        "--language",
        "en",
        "--tasks",
        "ner",
        "--sizes",
        "30",
        "--test",
        "5",
        "--settings",
        str(settings),
    ]
    ended = CliRunner().invoke(main, ["generate", "--teacher", "offline", *options, "--out", str(run.folder)])
    assert ended.exit_code == 0, ended.output
    assert check_run(run).problems == ()
    labels = [json.loads(record.output) for record in read_jsonl(run.records, Record)]
    dates = [date for label in labels for date in label.get("Date", ())]
    assert len(dates) > 5 and all(re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?|--\d\d-\d\d", date) for date in dates)


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(EtlchError, match="Did you mean 'normalised'"):
        make_settings(policies={"date": "normalized"})

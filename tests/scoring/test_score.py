"""The scoring wing end to end on run folders and on files as people have them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etlch.core.errors import EtlchError, Notice
from etlch.core.records import Json, to_dict
from etlch.core.settings import ScoreSettings
from etlch.metrics.registry import GROUPS
from etlch.report.headline import headline
from etlch.report.terminal import render
from etlch.scoring.compare import opponents
from etlch.scoring.inputs import find_inputs
from etlch.scoring.sample_lines import read_samples
from etlch.scoring.score import score
from etlch.scoring.summary import Summary, System, read_summary, summary_json
from etlch.scoring.tables import Collected, collect
from etlch.stats import resampling
from etlch.stats.paper import paper_tests
from tests.scoring.scoring_case import key, make_run, rows, write_lines

FAST = ScoreSettings(cosine="off", resamples=200, workers=1)
ROLES = (("dictionary", "baseline"), ("etlch", "tuned"))


def run_of(
    path: Path, settings: ScoreSettings = FAST, keys: Path | None = None, out: Path | None = None
) -> Summary:
    return score([path], settings, keys, out).summary


def test_a_run_folder_is_scored_whole_and_read_back_equal(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    found = score([folder], FAST)
    assert found.out == folder / "scores"
    summary = found.summary
    assert read_summary(folder / "scores" / "summary.json") == summary
    assert (summary.counts.read, summary.counts.scored, summary.counts.skipped) == (240, 240, 0)
    assert "etlch-500: no predictions yet, left out" in summary.notes
    perfect = summary.score(System("etlch", "ner", 300, None), "facts_f1")
    assert perfect is not None
    assert (perfect.value, perfect.n) == (1.0, 20)
    pairs = {(item.model, item.size, item.seed, item.baseline) for item in summary.comparisons}
    assert pairs == {("etlch", 100, None, "base"), ("etlch", 300, None, "base")}
    assert {(item.size, item.seeds, item.scope) for item in summary.comparisons} == {
        (100, 2, "weights"), (300, 1, "weights"),
    }  # fmt: skip
    assert {(item.model, item.size, item.seeds) for item in summary.seeds} == {("etlch", 100, 2)}
    # Holm corrects within one task and one metric: two models against one baseline are two tests.
    assert max(item.family for item in summary.comparisons) == 2


def test_summary_json_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    summary = summary_json(run_of(make_run(tmp_path / "run", 6, ["json"])))
    assert summary["format"] == 2
    assert list(summary["counts"]) == [
        "read",
        "scored",
        "skipped",
        "unparseable",
        "truncated",
        "unreadable_gold",
    ]
    assert list(summary["scores"][0])[:8] == ["model", "task", "size", "metric", "value", "low", "high", "n"]
    comparison = ["model", "baseline", "task", "size", "metric", "difference", "low", "high"]
    assert list(summary["comparisons"][0])[:12] == [*comparison, "p", "p_adjusted", "test", "n"]
    win_rate = ["model", "baseline", "size", "task", "won", "applicable", "significant"]
    assert list(summary["win_rates"][0])[:7] == win_rate
    json.loads(json.dumps(summary, allow_nan=False))


def test_every_sample_stands_on_disk_with_its_gold(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 7)
    score([folder], FAST)
    samples = list(read_samples(folder / "scores"))
    assert len(samples) == 7 * 3 * 4
    for sample in samples:
        assert sample.key == key(sample.system.task, int(sample.key.article_id[1:]))
        if sample.system.size == 300:
            assert sample.predicted == sample.key.gold
            assert sample.values["rouge_l"] == 1.0


def test_same_inputs_give_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 12)
    one = score([folder], FAST, out=tmp_path / "one").out
    two = score([folder], replace(FAST, workers=2), out=tmp_path / "two").out
    assert one is not None
    assert two is not None
    for name in ("summary.json", "scores.jsonl", "keys.jsonl"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_win_rates_count_the_paper_s_metrics_and_no_others(tmp_path: Path) -> None:
    """Without cosine: json ROUGE-L and JSON_Parse_OK, kge and ner ROUGE-L alone."""
    summary = run_of(make_run(tmp_path / "run"))
    by_task = {item.task: item for item in summary.win_rates if item.size == 300}
    assert by_task["json"].metrics == ("rouge_l", "json_parse_ok")
    assert by_task["kge"].metrics == by_task["ner"].metrics == ("rouge_l",)
    # On 20 articles a test of yes or no can be significant, a score cannot.
    assert (by_task["json"].won, by_task["json"].applicable, by_task["json"].significant) == (2.0, 2, 1)


def test_a_tie_wins_half(tmp_path: Path) -> None:
    keys = [key("json", number) for number in range(5)]
    same = [{"predict": one.gold, "label": one.gold} for one in keys]
    paths = [write_lines(tmp_path / name, same) for name in ("a.jsonl", "b.jsonl")]
    (found,) = score(paths, FAST).summary.win_rates
    assert (found.won, found.applicable, found.significant) == (1.0, 2, 0)


def test_loose_files_meet_line_by_line_and_the_first_is_the_baseline(tmp_path: Path) -> None:
    keys = [key("kge", number) for number in range(10)]
    for name, good in (("a", 0.2), ("b", 1.0)):
        write_lines(tmp_path / f"{name}.jsonl", rows(keys, good, name))
    found = score([tmp_path / "*.jsonl"], FAST)
    assert found.out is None
    summary = found.summary
    assert {(item.model, item.baseline, item.n) for item in summary.comparisons} == {("b", "a", 10)}
    assert summary.notes[0].endswith("no task named; its labels look like kge")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_without_any_label_the_missing_keys_are_told_and_no_task_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match="line 1: no label, and no keys"):
        run_of(write_lines(tmp_path / "p.jsonl", [{"predict": "{}"}]))


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (['{"Person": ["Ann"]}', '{"Date": []}'], "ner"),
        (['{"人物": ["王小明"]}', "{}"], "ner"),
        (['{"Person": ["Ann"], "cost": ["5"]}'], "json"),
        (['{"Person": ["Ann"], "人物": ["王小明"]}'], "json"),
        (['{"Person": [{"name": "Ann"}]}'], "json"),
        (["{}"], "json"),
    ],
)
def test_keys_that_are_all_entity_types_of_one_language_say_ner(
    tmp_path: Path, labels: list[str], task: str
) -> None:
    lines = [{"predict": label, "label": label} for label in labels]
    summary = run_of(write_lines(tmp_path / "p.jsonl", lines))
    assert [system.task for system in summary.systems] == [task]
    assert summary.notes[0].endswith(f"p.jsonl: no task named; its labels look like {task}")


@pytest.mark.parametrize(
    ("prompts", "articles", "note"),
    [
        (["q1", "q1", "q2", " q 2\n", "q3"], 3, "rows with equal prompts count as one article"),
        (["q1", "q2", "q3", "q4", "q5"], 5, ""),
        (["q1"] * 20 + ["q2"] * 20, 2, "rows with equal prompts count as one article"),
        (["q1"] * 21 + ["q2"] * 20, 41, "each row counts as an article of its own"),
        (["Extract."] * 5, 5, "each row counts as an article of its own"),
        ([None] * 5, 5, "each row counts as an article of its own"),
    ],
)
def test_rows_that_name_no_article_are_clustered_by_prompt_where_prompts_tell_them_apart(
    tmp_path: Path, prompts: list[str | None], articles: int, note: str
) -> None:
    """Prompts are equal up to white space. One prompt for all rows is an instruction and no article."""
    lines = [
        {"predict": '{"n": []}', "label": f'{{"n": ["{n}"]}}'}
        | ({} if prompt is None else {"prompt": prompt})
        for n, prompt in enumerate(prompts)
    ]
    summary = run_of(write_lines(tmp_path / "p.jsonl", lines))
    assert f"|articles:{articles}|" in summary.signature
    assert [said.startswith(note) for said in summary.notes[1:]] == ([True] if note else [])


def test_files_that_disagree_on_articles_are_paired_by_the_first(tmp_path: Path) -> None:
    for name, share in (("a", 2), ("b", 1)):
        lines = [
            {"id": n, "article_id": f"{name}{n // share}", "predict": "{}", "label": '{"n": ["x"]}'}
            for n in range(4)
        ]
        write_lines(tmp_path / f"{name}.jsonl", lines)
    summary = score([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], FAST).summary
    assert {(item.n, item.clusters) for item in summary.comparisons} == {(4, 2)}


def test_files_without_a_record_in_common_are_told_why(tmp_path: Path) -> None:
    lines = [{"predict": "{}", "label": f'{{"n": ["{n}"]}}'} for n in range(4)]
    for name, listed in (("a", lines), ("b", lines[::-1])):
        write_lines(tmp_path / f"{name}.jsonl", listed)
    summary = score([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], FAST).summary
    assert any(note.startswith("b and a share no json record") for note in summary.notes)


def test_pooled_articles_stand_in_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "GROUPS", 50)
    lines = [{"predict": "{}", "label": "{}"}] * 51
    settings = replace(FAST, task="json", metrics=("exact",), resamples=1)
    pooled = run_of(write_lines(tmp_path / "p.jsonl", lines), settings)
    assert "|articles:51|groups:50|" in pooled.signature
    assert "groups" not in run_of(write_lines(tmp_path / "p.jsonl", lines[1:]), settings).signature


def test_columns_name_model_task_and_size(tmp_path: Path) -> None:
    lines = [
        {"predict": one.gold, "label": one.gold, "id": one.id, "model": model, "task": one.task, "size": size}
        for model, size in (("x", 30), ("y", None))
        for one in (key("ner", 1), key("json", 2), key("ner", 3))
    ]
    summary = run_of(write_lines(tmp_path / "mixed.jsonl", lines))
    assert set(summary.systems) == {
        System("x", "ner", 30), System("x", "json", 30), System("y", "ner"), System("y", "json")
    }  # fmt: skip


def test_keys_join_by_id_where_rows_carry_the_keys_ids(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(4)]
    gold = write_lines(tmp_path / "test.keys.jsonl", list(map(to_dict, keys)))
    lines = [{"id": one.id, "predict": one.gold} for one in keys[::-1]]
    summary = run_of(write_lines(tmp_path / "p.jsonl", lines), keys=gold)
    score_ = summary.score(System("p", "ner"), "exact")
    assert score_ is not None
    assert score_.value == 1
    with pytest.raises(EtlchError, match="has no prediction for record 'a000-ner' \\(1 are missing\\)"):
        run_of(write_lines(tmp_path / "p.jsonl", lines[:-1]), keys=gold)


def test_truncated_labels_are_counted_and_the_gold_comes_from_the_keys(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(3)]
    gold = write_lines(tmp_path / "test.keys.jsonl", list(map(to_dict, keys)))
    lines = [{"predict": one.gold, "label": one.gold[:20]} for one in keys]
    summary = run_of(write_lines(tmp_path / "p.jsonl", lines), keys=gold)
    assert summary.counts.truncated == 3
    assert summary.sources[0].lines["truncated"] == (1, 2, 3)
    exact = summary.score(System("p", "ner"), "exact")
    assert exact is not None
    assert exact.value == 1


BAD = [
    ('{"predict": "p", "label": "l"}\n\n{"label": "x"}\n', "line 3: no column 'predict'"),
    ("", "no row that can be scored"),
    ("\n \n", "no row that can be scored"),
    ("not json\n", "line 1: not JSON"),
    ('{"predict": "p"}\n', "line 1: no label, and no keys"),
    ('{"predict":"p","label":"{}","id":1}\n{"predict":"p","label":"{}","id":1}\n', "line 2: 'bad' has answered record '1' before"),
    ('{"predict":"p","label":"{}"}\n[1]\n', "line 2: a JSON list"),
    ('[{"predict":"p","label":"{}"}, 5]', "line 2: a JSON int"),
    ('[{"predict":"p","label":"{}"}', "begins like a JSON array and is none"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD)
def test_input_that_cannot_be_used_stops_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EtlchError, match=message) as caught:
        run_of(path, replace(FAST, task="json"), out=tmp_path / "out")
    assert caught.value.code == 2
    assert not (tmp_path / "out").exists()


def test_by_setting_bad_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    good = '{"predict": "{}", "label": "{}"}\n'
    path = tmp_path / "p.jsonl"
    path.write_bytes((good + '{"label": "{}"}\nnot json\n' + good).encode() + b'{"predict": "\xff"}\n')
    summary = run_of(path, replace(FAST, task="json", bad_lines="skip"))
    assert (summary.counts.read, summary.counts.scored, summary.counts.skipped) == (5, 2, 3)
    assert summary.sources[0].lines["skipped"] == (2, 3, 5)
    assert any(note.startswith("skipped: ") for note in summary.notes)


@pytest.mark.parametrize("workers", [1, 2])
def test_by_setting_the_first_answer_counts_and_repeats_are_counted(tmp_path: Path, workers: int) -> None:
    """300 right answers, then two of them again, wrong, then one new wrong one: 300 of 301 are right."""
    right = [{"id": str(n), "predict": f'{{"P": ["{n}"]}}', "label": f'{{"P": ["{n}"]}}'} for n in range(300)]
    wrong = [{**right[0], "predict": "{}"}, {**right[299], "predict": "{}"}]
    new = {"id": "new", "predict": "{}", "label": '{"P": ["x"]}'}
    path = write_lines(tmp_path / "p.jsonl", [*right, *wrong, new, {**new, "predict": new["label"]}])
    summary = run_of(path, replace(FAST, task="ner", repeats="skip", workers=workers))
    assert (summary.counts.read, summary.counts.scored, summary.counts.skipped) == (304, 301, 3)
    assert summary.sources[0].lines["skipped"] == (301, 302, 304)
    found = summary.score(System("p", "ner"), "facts_recall")
    assert found is not None
    assert found.value == pytest.approx(300 / 301)
    assert [(item.type, item.hits, item.gold) for item in summary.types] == [("P", 300, 301)]


def test_by_setting_a_file_of_the_wrong_length_is_scored_as_far_as_it_goes(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(4)]
    gold = write_lines(tmp_path / "test.keys.jsonl", list(map(to_dict, keys)))
    path = write_lines(tmp_path / "p.jsonl", rows(keys, 1.0, "x")[:3])
    summary = run_of(path, replace(FAST, bad_lines="skip"), keys=gold)
    assert (summary.counts.read, summary.counts.scored, summary.counts.skipped) == (4, 3, 1)
    assert any("no prediction for some of the records (1 are missing)" in note for note in summary.notes)


def test_misaligned_rows_stop_whatever_the_settings(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(4)]
    gold = write_lines(tmp_path / "test.keys.jsonl", list(map(to_dict, keys)))
    others = [key("ner", number) for number in range(4, 7)]
    path = write_lines(tmp_path / "p.jsonl", rows([keys[0], *others], 1.0, "x"))
    with pytest.raises(EtlchError, match="line 2: does not belong to record 'a001-ner'"):
        run_of(path, replace(FAST, bad_lines="skip"), keys=gold)


def test_rows_in_another_order_meet_their_records_by_prompt_and_label(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(4)]
    gold = write_lines(tmp_path / "test.keys.jsonl", list(map(to_dict, keys)))
    path = write_lines(tmp_path / "p.jsonl", rows([keys[0], *keys[2:], keys[1]], 1.0, "x"))
    summary = run_of(path, keys=gold)
    found = summary.score(System("p", "ner"), "facts_f1")
    assert found is not None and found.value == 1.0 and summary.counts.scored == 4
    assert any("by prompt and label" in note for note in summary.notes)


def test_types_that_never_match_bring_a_hint_and_a_label_map_fixes_them(tmp_path: Path) -> None:
    lines = [{"predict": f'{{"dis": ["flu {n}"]}}', "label": f'{{"疾病": ["flu {n}"]}}'} for n in range(5)]
    path = write_lines(tmp_path / "p.jsonl", lines)
    settings = replace(FAST, task="ner")
    summary = run_of(path, settings)
    assert any("label_map" in note for note in summary.notes)
    mapped = run_of(path, replace(settings, label_map={"疾病": "dis"}))
    found = mapped.score(System("p", "ner"), "facts_f1")
    assert found is not None
    assert found.value == 1
    assert not any("label_map" in note for note in mapped.notes)
    assert "+map" in mapped.signature


def test_fields_that_never_match_bring_the_hint_too(tmp_path: Path) -> None:
    lines = [{"predict": f'{{"price": ["{n}"]}}', "label": f'{{"cost": ["{n}"]}}'} for n in range(5)]
    path = write_lines(tmp_path / "p.jsonl", lines)
    assert any("keys F1 0.00" in note and "label_map" in note for note in run_of(path).notes)
    mapped = run_of(path, replace(FAST, label_map={"cost": "price"}))
    for metric in ("facts_f1", "keys_f1", "exact"):
        found = mapped.score(System("p", "json"), metric)
        assert found is not None
        assert found.value == 1


def test_concatenated_and_nested_labels_are_seen_from_the_file(tmp_path: Path) -> None:
    lines = [
        {"predict": '{"n": "b"}{"n": "a"}', "label": '{"n": "a"}{"n": "b"}'},
        {"predict": "x", "label": '{"n": "c"}'},
    ]
    summary = run_of(write_lines(tmp_path / "p.jsonl", lines))
    found = summary.score(System("p", "json"), "leaf_recall")
    assert found is not None
    assert found.value == pytest.approx(2 / 3)
    assert summary.score(System("p", "json"), "facts_f1") is None


def test_types_below_the_support_floor_have_counts_only(tmp_path: Path) -> None:
    summary = run_of(make_run(tmp_path / "run", 8, ["ner"]), replace(FAST, type_support=10))
    by_type = {item.type: item for item in summary.types if item.size == 300}
    assert (by_type["Person"].gold, by_type["Person"].f1) == (16, 1.0)
    assert (by_type["Location"].gold, by_type["Location"].f1) == (8, None)


@pytest.mark.parametrize("test", ["fisher", "ztest"])
def test_paper_mode_puts_the_unpaired_tests_in_place(tmp_path: Path, test: Json) -> None:
    """The counts of json_parse_ok, tested as scipy's and the paper's formulas do (tests/stats/test_paper.py)."""
    summary = run_of(make_run(tmp_path / "run", 20, ["json"]), replace(FAST, test=test))
    (item,) = [c for c in summary.comparisons if c.metric == "json_parse_ok" and c.size == 300]
    base = summary.score(System("base", "json"), "json_parse_ok")
    assert base is not None
    assert base.value is not None
    expected = paper_tests(20, 20, round(20 * base.value), 20)
    assert item.p == (expected.p_fisher if test == "fisher" else expected.p_z)
    assert f"test:{test}" in summary.signature


def test_chosen_metrics_only_are_computed(tmp_path: Path) -> None:
    summary = run_of(make_run(tmp_path / "run", 4), replace(FAST, metrics=("facts_f1",)))
    assert {item.metric for item in summary.scores} == {"facts_f1"}
    with pytest.raises(EtlchError, match=r"there is no metric 'fact_f1'\. Did you mean 'facts_f1'"):
        run_of(tmp_path / "run", replace(FAST, metrics=("fact_f1",)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "bse"}, "no baseline 'bse'. Did you mean 'base'"),
        ({"model": "etlch-3000"}, "no model 'etlch-3000'. Did you mean 'etlch-300'"),
        ({"task": "nre"}, "no predictions for task 'nre'. Did you mean 'ner'"),
    ],
)
def test_names_that_are_not_there_are_refused_with_the_nearest(
    tmp_path: Path, settings: dict[str, Json], message: str
) -> None:
    folder, said = make_run(tmp_path / "run", 3), list[str]()
    with pytest.raises(EtlchError, match=message):
        score([folder], replace(FAST, **settings), progress=said.append)
    assert not said  # before any work was done


def test_a_baseline_that_only_rows_name_is_found(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "predict": "{}", "label": '{"n": ["x"]}', "model": model, "task": "json"} for model in "xy"
    ]
    path = write_lines(tmp_path / "p.jsonl", lines)
    assert {item.baseline for item in run_of(path, replace(FAST, baseline="y")).comparisons} == {"y"}
    with pytest.raises(EtlchError, match="no baseline 'z'"):
        run_of(path, replace(FAST, baseline="z"))


def test_a_baseline_of_a_size_stands_against_the_models_of_that_size() -> None:
    sized = [System(name, "ner", size, None, role) for name, role in ROLES for size in (30, 100)]
    systems = [System("base", "ner", role="base"), *sized]
    pairs = {(one.label, other.label) for one, other in opponents(systems, FAST)}
    assert pairs == {
        ("etlch-30", "base"),
        ("etlch-30", "dictionary-30"),
        ("etlch-100", "base"),
        ("etlch-100", "dictionary-100"),
    }


def test_one_model_is_scored_with_its_baselines(tmp_path: Path) -> None:
    summary = run_of(make_run(tmp_path / "run", 4, ["ner"]), replace(FAST, model="etlch-300"))
    assert {system.label for system in summary.systems} == {"base", "etlch-300"}


def test_all_equal_scores_give_finite_numbers_or_reasons(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(6)]
    for name in ("a", "b"):
        write_lines(tmp_path / f"{name}.jsonl", rows(keys, 1.0, "x"))
    written = summary_json(
        score([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], replace(FAST, task="ner")).summary
    )
    json.dumps(written, allow_nan=False)
    for item in written["comparisons"]:
        assert item["difference"] == 0 or item["reason"]
        assert item["p"] == 1 or item["reason"]


def test_texts_are_forgotten_once_measured(tmp_path: Path) -> None:
    inputs = find_inputs([make_run(tmp_path / "run", 5)], None, FAST)
    found = collect(inputs.jobs, FAST, frozenset(GROUPS) - {"cosine"}, None, None, lambda message: None)
    assert found.texts == ()
    assert all(table.texts.size == 0 for table in found.tables)


def test_no_text_is_kept_where_cosine_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million predictions fit into memory because only their numbers stay."""
    kept = []

    def watched(*given: Any) -> Collected:
        found = collect(*given)
        kept.append(len(found.texts))
        return found

    monkeypatch.setattr("etlch.scoring.score.collect", watched)
    score([make_run(tmp_path / "run")], FAST)
    assert kept == [0]
    with pytest.raises(EtlchError, match="cosine is asked for alone"):
        score([tmp_path / "run"], replace(FAST, metrics=("cosine",)))


def test_an_old_name_of_a_metric_is_taken_with_a_warning(tmp_path: Path) -> None:
    row = {"prompt": "p", "label": '{"P": ["Ann"]}', "predict": '{"Q": ["Ann"]}'}
    path = write_lines(tmp_path / "m.jsonl", [row, {**row, "prompt": "q"}])
    with pytest.warns(Notice, match="'untyped_f1' is called 'span_f1' now"):
        found = run_of(path, replace(FAST, task="ner", metrics=("untyped_f1",)))
    assert [(item.metric, item.value) for item in found.scores] == [("span_f1", 1.0)]


def test_floors_and_inventions_are_shown_and_not_compared(tmp_path: Path) -> None:
    """Unrelated labels of one form share their keys and brackets: ROUGE-L by chance is far above 0."""
    summary = run_of(make_run(tmp_path / "run", records=12, tasks=("ner",)))
    scores = {
        item.metric: item.value for item in summary.scores if item.model == "etlch" and item.size == 300
    }
    assert scores["rouge_l"] == 1.0 and 0.3 < (scores["rouge_l_floor"] or 0) < 0.95
    assert scores["type_counts_f1_floor"] == 1.0 > (scores["lenient_f1_floor"] or 0)
    compared = {item.metric for item in summary.comparisons}
    assert "lenient_f1" in compared
    assert not compared & {"spurious", "hallucinated", "rouge_l_floor", "lenient_f1_floor"}


def test_a_run_s_policies_decide_what_is_grounded(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", records=3, tasks=("ner",))
    for path in folder.glob("predictions/*/ner/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        write_lines(path, [{**row, "predict": '{"Person": ["Nobody Known"]}'} for row in rows])
    told = []
    for policies in ("{}", "{Person: derived}"):
        (folder / "run.yaml").write_text(f"format: 1\nsettings: {{policies: {policies}}}\n", encoding="utf-8")
        summary = run_of(folder)
        told.append({item.value for item in summary.scores if item.metric == "attribution"})
    assert told == [{0.0}, {1.0}]


def test_a_run_folder_without_run_yaml_is_scored(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 6, ["ner"])
    (folder / "run.yaml").unlink()
    assert run_of(folder).counts.scored == 6 * 4


def test_natural_layouts_name_model_task_and_size_and_assume_no_trained_model_for_a_baseline(
    tmp_path: Path,
) -> None:
    keys = [key("ner", number) for number in range(12)]
    for model, good in (("ETLCH-1000", 0.9), ("ETLCH-100", 0.5), ("GPT-4o", 0.7), ("Llama-3", 0.2)):
        write_lines(
            tmp_path / "results" / model / "ner" / "generated_predictions.jsonl", rows(keys, good, model)
        )
    quick = ScoreSettings(cosine="off", resamples=100, metrics=("facts_f1",))
    summary = score([tmp_path / "results"], quick).summary
    assert {(item.model, item.size, item.task) for item in summary.systems} == {
        ("ETLCH", 1000, "ner"), ("ETLCH", 100, "ner"), ("GPT-4o", None, "ner"), ("Llama-3", None, "ner"),
    }  # fmt: skip
    assert summary.assumed == ("GPT-4o", "Llama-3")
    assert {(item.size, item.baseline) for item in summary.comparisons} == {
        (size, baseline) for size in (100, 1000) for baseline in summary.assumed
    }
    assert "for GPT-4o, the assumed baseline." in headline(summary)[0].text
    assert any(note.startswith("assumed baseline: GPT-4o, Llama-3") for note in summary.notes)
    order = [line.split()[0] for line in render(summary).splitlines()[1:5]]
    assert order == ["GPT-4o", "Llama-3", "ETLCH-100", "ETLCH-1000"]

    named = score([tmp_path / "results"], replace(quick, baseline=("Llama-3", "ETLCH-100"))).summary
    assert not named.assumed and "best baseline" in headline(named)[0].text
    assert {item.baseline for item in named.comparisons} == {"Llama-3", "ETLCH-100"}


def test_failed_requests_of_batch_output_are_told_wherever_they_stand(tmp_path: Path) -> None:
    keys = write_lines(tmp_path / "gold.jsonl", [to_dict(key("ner", number)) for number in range(3)])
    answer = {"status_code": 200, "body": {"choices": [{"message": {"content": key("ner", 2).gold}}]}}
    refused = {"status_code": 500, "body": {"error": {"message": "overloaded"}}}
    lines: list[Json] = [
        {"custom_id": key("ner", 0).id, "response": None, "error": {"message": "timeout"}},
        {"custom_id": key("ner", 1).id, "response": refused, "error": None},
        {"custom_id": key("ner", 2).id, "response": answer, "error": None},
    ]
    summary = run_of(write_lines(tmp_path / "batch.jsonl", lines), keys=keys)
    (told,) = [note for note in summary.notes if "requests failed" in note]
    assert "2 of 3 requests failed (line 1: timeout)" in told
    lines[0]["custom_id"] = "row-0"
    with pytest.raises(EtlchError, match="no record with its id, 'row-0'"):
        run_of(write_lines(tmp_path / "batch.jsonl", lines), keys=keys)

"""The result in words: what is significant, what is not, and when nothing may be said."""

from __future__ import annotations

import dataclasses

from etlch.report.headline import BETTER, NOT_SIGNIFICANT, WORSE, headline, smallest_better
from etlch.report.tables import markdown, score_tables
from etlch.report.terminal import render
from etlch.scoring.summary import Choice, Comparison, Counts, Score, SeedScore, Source, Summary
from tests.report import report_case


def duel(difference: float, p: float | None, *, tuned: float = 0.8, baseline: float = 0.7) -> Summary:
    """One task, one tuned model, one baseline."""
    comparison = Comparison(
        "etlch", "qwen", "ner", 100, "facts_f1", difference, difference - 0.05, difference + 0.05, p, p,
        "permutation", 300, clusters=150, family=3, detectable=0.04,
    )  # fmt: skip
    return Summary(
        signature="s",
        counts=Counts(600, 600),
        scores=(
            Score("etlch", "ner", 100, "facts_f1", tuned, tuned - 0.02, tuned + 0.02, 300),
            Score("qwen", "ner", None, "facts_f1", baseline, baseline - 0.02, baseline + 0.02, 300),
        ),
        comparisons=(comparison,),
        win_rates=(),
        sources=(
            Source("a", "etlch", "ner", 100, None, "tuned", Counts(300, 300)),
            Source("b", "qwen", "ner", None, None, "baseline", Counts(300, 300)),
        ),
    )


def test_a_win_is_told_with_its_size_its_interval_and_its_certainty() -> None:
    first = headline(duel(0.1, 0.0004))[0]
    assert first.kind == BETTER and first.lead == "ner: etlch-100 is better by 0.10 facts F1."
    assert first.text == (
        "Facts F1 0.80 [0.78, 0.82] against 0.70 [0.68, 0.72] for qwen, the best baseline. Paired difference "
        "+0.10 [+0.05, +0.15], p < 0.001 after Holm's correction over 3 tests, 300 records of 150 articles."
    )


def test_a_loss_is_told_as_plainly() -> None:
    first = headline(duel(-0.2, 0.001, tuned=0.5))[0]
    assert first.kind == WORSE and first.lead == "ner: qwen is better than etlch-100 by 0.20 facts F1."
    assert "\u22120.20 [\u22120.25, \u22120.15]" in first.text


def test_what_chance_may_explain_is_not_significant_and_says_what_could_be_seen() -> None:
    verdicts = headline(duel(0.03, 0.21))
    assert (
        verdicts[0].kind == NOT_SIGNIFICANT
        and "no significant difference between etlch-100 and qwen" in verdicts[0].lead
    )
    assert "p = 0.21" in verdicts[0].text
    assert "a true difference of 0.04 in one test alone, and after correction a" in verdicts[0].text
    assert any(v.lead == "Not significant: 1 of 1 comparisons." for v in verdicts)


def test_a_p_and_an_interval_that_disagree_are_not_significant() -> None:
    summary = duel(0.04, 0.02)  # [-0.01, +0.09]
    assert headline(summary)[0].kind == NOT_SIGNIFICANT
    assert smallest_better(summary, "ner", "facts_f1", "etlch") is None
    assert not any(entry.mark for row in score_tables(summary)[0].entries for entry in row)
    unbounded = dataclasses.replace(summary.comparisons[0], low=None, high=None)
    assert not unbounded.significant


def test_an_interval_without_width_is_not_shown_as_certainty() -> None:
    summary = duel(0.8, 0.001, baseline=0.0)
    flat = dataclasses.replace(summary.scores[1], low=0.0, high=0.0)
    even = dataclasses.replace(summary.comparisons[0], low=0.8, high=0.8)
    summary = dataclasses.replace(summary, scores=(summary.scores[0], flat), comparisons=(even,))
    text = headline(summary)[0].text
    assert "[0.78, 0.82] against 0.00 for qwen" in text and "Paired difference +0.80, p" in text
    assert "0.800**\u25b2 [0.78, 0.82] |" in markdown(summary) and "0.000 |" in markdown(summary)
    assert "+0.800  –" in render(summary, verbose=True)


def test_few_articles_are_never_significant_and_it_says_what_they_cannot_show() -> None:
    """0.95^72 is the first power of 0.95 below 0.025; the rule of three gives 3/20 = 15 % for 20 articles."""
    summary = duel(0.3, 0.0001)
    for articles, kind in ((71, NOT_SIGNIFICANT), (72, BETTER)):
        few = dataclasses.replace(summary.comparisons[0], clusters=articles)
        assert headline(dataclasses.replace(summary, comparisons=(few,)))[0].kind == kind
    few = dataclasses.replace(summary.comparisons[0], clusters=20)
    first = headline(dataclasses.replace(summary, comparisons=(few,)))[0]
    assert first.lead == "ner: 20 articles are too few to call etlch-100 or qwen better."
    assert "strikes up to 14 % of all articles" in first.text
    binary = dataclasses.replace(few, test="mcnemar-mid-p")
    assert headline(dataclasses.replace(summary, comparisons=(binary,)))[0].kind == BETTER


def test_seeds_that_disagree_cap_the_verdict() -> None:
    summary = duel(0.1, 0.0004)
    apart = dataclasses.replace(summary.comparisons[0], agree=False, seeds=3)
    first = headline(dataclasses.replace(summary, comparisons=(apart,)))[0]
    assert first.kind == NOT_SIGNIFICANT and "The seeds disagree on which is better." in first.text


def test_single_trainings_speak_of_weights_and_several_of_recipes() -> None:
    summary = duel(0.1, 0.0004)
    once = dataclasses.replace(summary.comparisons[0], scope="weights")
    text = headline(dataclasses.replace(summary, comparisons=(once,)))[0].text
    assert text.endswith(
        "Fewer than three trainings of a side: this holds for these weights, not for these recipes."
    )
    thrice = dataclasses.replace(once, scope="recipes", seeds=3)
    text = headline(dataclasses.replace(summary, comparisons=(thrice,)))[0].text
    assert text.endswith("Means of 3 and 1 trainings.")


def test_a_strict_reading_that_would_say_otherwise_is_told() -> None:
    summary = duel(0.0, 0.9)
    strict = dataclasses.replace(
        summary.comparisons[0], metric="facts_f1_strict", difference=0.5, low=0.4, high=0.6, p_adjusted=0.001
    )
    told = headline(dataclasses.replace(summary, comparisons=(*summary.comparisons, strict)))[0].text
    assert "the verdict is another: significantly better, +0.50 [+0.40, +0.60]." in told
    same = dataclasses.replace(summary.comparisons[0], metric="facts_f1_strict")
    told = headline(dataclasses.replace(summary, comparisons=(*summary.comparisons, same)))[0].text
    assert "Read strictly" not in told


def test_where_nothing_can_be_significant_that_is_said() -> None:
    """Eight articles: the smallest sign-flip p is 2/2^8, times 7 comparisons 0.055."""
    summary = duel(0.1, 0.0078)
    tiny = dataclasses.replace(summary.comparisons[0], n=8, clusters=8, family=7, floor=2 / 2**8)
    said = [v for v in headline(dataclasses.replace(summary, comparisons=(tiny,))) if "Nothing can" in v.lead]
    assert said[0].text == "ner: 8 articles and 7 comparisons, smallest p after Holm 0.055."


def test_a_p_at_the_floor_of_the_resampling_is_a_bound() -> None:
    summary = duel(0.1, 1 / 10001)
    bound = dataclasses.replace(summary.comparisons[0], test="sign-flip", floor=1 / 10001)
    assert "p ≤ 0.0001 after" in headline(dataclasses.replace(summary, comparisons=(bound,)))[0].text


def test_the_best_of_several_is_corrected_for_having_been_chosen() -> None:
    summary = duel(0.1, 0.0004)
    chosen = Choice("ner", "facts_f1", "etlch-100", 3, 0.8, 0.785)
    other = Choice("ner", "rouge_l", "etlch-100", 3, 0.9, 0.8)
    found = headline(dataclasses.replace(summary, choices=(chosen, other)))
    (said,) = [v for v in found if v.lead.startswith("The best of several")]
    assert said.text == "Corrected for that choice: ner, best of 3: etlch-100 0.800, corrected 0.785."
    assert not any(v.lead.startswith("The best of") for v in headline(summary))


def test_no_test_no_claim() -> None:
    summary = dataclasses.replace(duel(0.1, 0.001), comparisons=())
    first = headline(summary)[0]
    assert first.kind == "" and "were not tested" in first.lead
    alone = dataclasses.replace(summary, sources=summary.sources[:1], scores=summary.scores[:1])
    assert headline(alone)[0].lead == "ner: etlch-100 alone."
    empty = Summary("s", Counts(), (), (), ())
    assert headline(empty) == []


def test_a_baseline_of_another_size_is_no_rival() -> None:
    """A dictionary of 1,000 records was not compared with a model of 100, however well it does."""
    summary = duel(0.1, 0.0004)
    better = Score("dictionary", "ner", 1000, "facts_f1", 0.95, 0.9, 0.98, 300)
    source = Source("c", "dictionary", "ner", 1000, None, "baseline", Counts(300, 300))
    with_it = dataclasses.replace(
        summary, scores=(*summary.scores, better), sources=(*summary.sources, source)
    )
    assert headline(with_it)[0] == headline(summary)[0]
    assert smallest_better(with_it, "ner", "facts_f1", "etlch") == 100
    rows = dict(zip(("etlch-100", "dictionary-1000", "qwen"), score_tables(with_it)[0].entries, strict=True))
    assert rows["etlch-100"][0].mark and not rows["etlch-100"][0].best and rows["dictionary-1000"][0].best


def test_the_whole_comes_first_and_names_the_tasks() -> None:
    verdicts = headline(report_case.summary(300))
    assert verdicts[0].lead == "Significantly better than the best baseline on json, kge and ner."
    mixed = report_case.summary(300)
    unsure = [
        dataclasses.replace(c, p=0.4, p_adjusted=0.8) if c.task == "kge" else c for c in mixed.comparisons
    ]
    first = headline(dataclasses.replace(mixed, comparisons=tuple(unsure)))[0]
    assert first.kind == NOT_SIGNIFICANT
    assert (
        first.lead
        == "Significantly better than the best baseline on json and ner; no significant difference on kge."
    )


def test_the_smallest_size_counts_only_if_all_larger_ones_win_too() -> None:
    """Sizes 300 and 1000 beat both baselines in report_case; 100 does not beat qwen."""
    summary = report_case.summary(300)
    assert smallest_better(summary, "ner", "facts_f1", "etlch") == 300
    broken = tuple(
        dataclasses.replace(c, p_adjusted=0.5) if c.size == 1000 else c for c in summary.comparisons
    )
    assert (
        smallest_better(dataclasses.replace(summary, comparisons=broken), "ner", "facts_f1", "etlch") is None
    )


def test_parsed_counts_and_the_chance_of_training_are_told() -> None:
    verdicts = headline(report_case.summary(300))
    texts = [f"{v.lead} {v.text}" for v in verdicts]
    assert any("on json 300 of 300 predictions of etlch-1000" in text for text in texts)
    assert any(text.startswith("Each size was trained once.") for text in texts)
    seeds = (
        SeedScore("etlch", "ner", 100, "facts_f1", 0.8, 0.0123, 3),
        SeedScore("etlch", "ner", 100, "rouge_l", 0.8, 0.0456, 3),  # of no headline
    )
    told = headline(dataclasses.replace(report_case.summary(300), seeds=seeds))
    assert any("a standard deviation of up to 0.012" in v.lead for v in told)

"""The paper's printed p-values, and what else its counts allow to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from etlch.stats.analysis import analyse, measured
from etlch.stats.paper import (
    PARSED,
    PARSED_BASELINES,
    RECORDS,
    against_baselines,
    between_sizes,
    paired_bounds,
    paper_tests,
    unpaired,
)


@pytest.mark.parametrize(
    ("baseline", "fisher", "z"),
    [  # arXiv 2509.08381, section 5, and what its text's test would have been
        ("Taide-8B", "1.061e-158", "1.834e-122"),
        ("Qwen2.5-7B", "3.389e-04", "4.749e-04"),
        ("Breeze-7B", "1.687e-21", "1.151e-19"),
    ],
)
def test_the_papers_numbers_are_one_sided_fisher_tests(baseline: str, fisher: str, z: str) -> None:
    found = paper_tests(PARSED[1000], RECORDS, PARSED_BASELINES[baseline], RECORDS)
    assert f"{found.p_fisher:.3e}" == fisher
    assert f"{found.p_z:.3e}" == z


def test_each_printed_p_belongs_to_one_pair_of_counts_and_its_mirror() -> None:
    hits, other = (grid.ravel() for grid in np.meshgrid(np.arange(301), np.arange(301)))
    ps = hypergeom.sf(hits - 1, 600, hits + other, 300)  # Fisher, one-sided, of all 90,601 pairs
    for fewer, printed in ((0, 1.061e-158), (265, 3.389e-4), (202, 1.687e-21)):
        fits = np.flatnonzero(np.abs(ps / printed - 1) < 5e-4 / float(f"{printed:e}".split("e")[0]))
        assert {(hits[at], other[at]) for at in fits} == {(288, fewer), (300 - fewer, 12)}


@pytest.mark.parametrize(("hits", "n", "hits2", "n2"), [(144, 300, 265, 300), (9, 10, 3, 20), (1, 1, 0, 1)])
def test_equal_to_statsmodels_and_scipy(hits: int, n: int, hits2: int, n2: int) -> None:
    found = paper_tests(hits, n, hits2, n2)
    z, p = proportions_ztest([hits, hits2], [n, n2])
    fisher = fisher_exact(np.array([[hits, n - hits], [hits2, n2 - hits2]]), alternative="greater")[1]
    assert (found.z, found.p_z) == pytest.approx((float(z), float(p)))
    assert found.p_fisher == pytest.approx(fisher)


@pytest.mark.parametrize("hits", [0, 300])
def test_equal_rates_without_spread_have_p_one(hits: int) -> None:
    found = paper_tests(hits, 300, hits, 300)  # statsmodels gives NaN here
    assert (found.z, found.p_z, found.p_fisher) == (0.0, 1.0, 1.0)
    assert found.reason


@pytest.mark.parametrize("counts", [(5, 4, 1, 4), (-1, 4, 1, 4), (0, 0, 0, 1)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no counts"):
        paper_tests(*counts)


def test_paper_mode_replaces_the_paired_test_of_yes_no_metrics() -> None:
    first, second = (np.repeat([1.0, 0.0], [hits, 300 - hits]) for hits in (288, 265))
    one, two = (measured(rows, np.arange(300), 300, yes_no=True) for rows in (first, second))
    paired = analyse([one, two], [(0, 1)], seed=0).comparisons[0]
    fisher, z = unpaired(paired, one, two, "fisher"), unpaired(paired, one, two, "ztest")
    assert (fisher.test, f"{fisher.p:.3e}") == ("fisher-greater", "3.389e-04")
    assert (z.test, f"{z.p:.3e}") == ("two-proportion-z", "4.749e-04")
    assert (fisher.difference, fisher.n) == (paired.difference, 300)
    assert (fisher.interval.low, fisher.interval.high) == pytest.approx((0.034, 0.121), abs=5e-4)  # Newcombe
    one, two = (measured(rows, np.arange(300), 300) for rows in (first, second))
    found = analyse([one, two], [(0, 1)], seed=0).comparisons[0]
    assert unpaired(found, one, two, "fisher") is found


@pytest.mark.parametrize(("hits", "hits2"), [(288, 265), (288, 202), (288, 0), (144, 265), (267, 265)])
def test_paired_bounds_hold_every_pairing(hits: int, hits2: int) -> None:
    low, high = paired_bounds(hits, hits2, 300)
    for both in range(max(0, hits + hits2 - 300), min(hits, hits2) + 1):
        table = [[both, hits - both], [hits2 - both, 300 - hits - hits2 + both]]
        exact = their_mcnemar(table, exact=True).pvalue
        # The mid-p is never above the exact p and never below half of it.
        assert low / 1.000001 <= exact and exact / 2 <= high * 1.000001


def test_paired_bounds_of_the_papers_best_size() -> None:
    # All 23 disagreements one way: 2 · ½²³ less half of it; at most 12 records only Qwen parses.
    low, high = paired_bounds(288, 265, 300)
    assert low == pytest.approx(2.0**-23)
    exact = their_mcnemar([[253, 35], [12, 0]], exact=True).pvalue
    assert exact == pytest.approx(1.09e-3, abs=1e-5)
    assert exact / 2 < high < exact


def test_equal_counts_may_be_all_agreement() -> None:
    assert paired_bounds(5, 5, 5) == (1.0, 1.0)
    assert paired_bounds(0, 0, 3) == (1.0, 1.0)


def test_what_holds_of_the_twelve_comparisons() -> None:
    verdicts = {(line.first, line.second): line.verdict for line in against_baselines()}
    assert len(verdicts) == 12
    not_better = {pair: verdict for pair, verdict in verdicts.items() if verdict != "better"}
    assert not_better == {
        ("ETLCH-100", "Qwen2.5-7B"): "worse",
        ("ETLCH-100", "Breeze-7B"): "worse",
        ("ETLCH-300", "Qwen2.5-7B"): "not significant",
    }


def test_the_twelve_are_one_family() -> None:
    lines = against_baselines()
    assert {line.z_corrected.family_size for line in lines} == {12}
    assert {line.paired_corrected.grid_size for line in lines} == {12}
    theirs = multipletests([line.tests.p_z for line in lines], method="holm")[1]
    assert [line.z_corrected.holm for line in lines] == pytest.approx(theirs.tolist())


def test_no_step_after_300_samples_is_significant() -> None:
    assert [(line.first, line.verdict) for line in between_sizes()] == [
        ("ETLCH-300", "better"),
        ("ETLCH-500", "not significant"),
        ("ETLCH-1000", "not significant"),
    ]


def test_the_pages_of_statistics_are_in_step_with_the_code() -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = [docs / "statistics.md", docs / "paper-statistics.md"]
    subprocess.run([sys.executable, "-m", "cogapp", "--check", *pages], check=True)

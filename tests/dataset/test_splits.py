"""The plan's promises: a fixed test set first, sizes that nest, every tenth for validation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etlch.core.errors import EtlchError
from etlch.dataset.splits import split

IDS = [f"a{number}" for number in range(1400)]


def test_the_papers_sizes_by_hand() -> None:
    """300 test articles first; 100 records a task are 90 to train on and 10 to validate on."""
    splits = split(IDS, 300, (1000, 100, 300))
    assert splits.test == tuple(IDS[:300])
    assert list(splits.train) == [100, 300, 1000]
    assert [len(splits.train[size]) for size in (100, 300, 1000)] == [90, 270, 900]
    assert splits.val[100] == tuple(f"a{number}" for number in range(309, 400, 10))


def test_a_size_under_ten_has_no_validation_set() -> None:
    splits = split(IDS, 2, (9, 10))
    assert splits.val[9] == ()
    assert splits.train[9] == tuple(IDS[2:11])
    assert splits.val[10] == ("a11",)


@given(
    test=st.integers(0, 50),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    more=st.integers(201, 900),
)
def test_sizes_nest_and_growing_reorders_nothing(test: int, sizes: list[int], more: int) -> None:
    small = split(IDS, test, sizes)
    grown = split(IDS, test, [*sizes, more])
    assert grown.test == small.test
    for size in sizes:
        assert grown.train[size] == small.train[size]
        assert grown.val[size] == small.val[size]
        assert len(small.train[size]) + len(small.val[size]) == size
        assert set(small.train[size]) < set(grown.train[more])
        assert set(small.val[size]) <= set(grown.val[more])
        assert not set(small.train[size]) & set(small.val[size])
        assert not set(small.test) & {*small.train[size], *small.val[size]}


def test_examples_are_training_articles_of_every_size() -> None:
    splits = split(IDS, 2, (100, 4))
    assert splits.examples(3) == ("a2", "a3", "a4")
    assert set(splits.examples(3)) < set(splits.train[100])
    assert splits.examples(4) == splits.train[4], "all that the smallest size trains on"
    with pytest.raises(EtlchError, match="shots: 5 examples, and size 4 trains on 4 articles"):
        splits.examples(5)


def test_without_a_size_all_is_test() -> None:
    assert split(IDS[:2], 2, ()).test == tuple(IDS[:2])


def test_too_few_articles_are_named() -> None:
    with pytest.raises(
        EtlchError, match=r"12 articles are too few: a test set of 5 and a size of 10 need 15"
    ):
        split(IDS[:12], 5, (10,))
    assert split(IDS[:15], 5, (10,)).val[10] == ("a14",)

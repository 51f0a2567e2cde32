"""The plan is endless, seeded and prefix-stable, and takes domains by turns."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from etlch.core.errors import EtlchError
from etlch.core.growth import Growth
from etlch.core.prompts import Prompts
from etlch.teachers.topic_plan import Tree, read_tree, tree_topics

TREE = Tree({"a": ("a1", "a2", "a3"), "b": ("b1", "b2")}, ("news", "letter"), (0, 300))


def test_growing_takes_more_and_reorders_nothing() -> None:
    assert list(islice(tree_topics(TREE, "en", 7), 10)) == list(islice(tree_topics(TREE, "en", 7), 50))[:10]
    assert list(islice(tree_topics(TREE, "en", 7), 10)) != list(islice(tree_topics(TREE, "en", 8), 10))


def test_domains_take_turns_and_no_request_repeats() -> None:
    topics = list(islice(tree_topics(TREE, "en", 0), 40))
    assert Counter(topic.domain for topic in topics) == {"a": 20, "b": 20}
    assert [topic.position for topic in topics] == list(range(40))
    asked = [(t.domain, t.subject, t.genre, t.length, t.edition) for t in topics]
    assert len(set(asked)) == 40
    # b has 2 subjects × 2 genres × 2 lengths = 8 requests before an edition comes back.
    assert [t.edition for t in topics if t.domain == "b"] == [0] * 8 + [1] * 8 + [2] * 4


def test_an_unknown_domain_is_named_with_the_nearest() -> None:
    with pytest.raises(EtlchError, match="Did you mean"):
        known = next(iter(read_tree(Prompts(), "en", (), ()).domains))
        read_tree(Prompts(), "en", (known + "x",), ())


def test_a_growth_moves_nothing_before_its_place_and_is_prefix_stable_itself() -> None:
    step = Growth(20, domains={"a": 9.0}, genres={"news": 4.0}, facts={"born in": 3.0, "amount": 0.5})
    as_ever, grown = (list(islice(tree_topics(TREE, "en", 7, steps), 400)) for steps in ((), (step,)))
    assert grown[:20] == as_ever[:20]
    assert list(islice(tree_topics(TREE, "en", 7, (step,)), 60)) == grown[:60]
    later = grown[20:]
    shares = Counter(topic.domain for topic in later)
    assert 0.84 < shares["a"] / len(later) < 0.96  # 9 of 10
    assert {topic.wanted for topic in later} == {("born in",)} and {t.wanted for t in grown[:20]} == {()}
    asked = [(t.domain, t.subject, t.genre, t.length, t.edition) for t in grown]
    assert len(set(asked)) == len(asked), "no request repeats"

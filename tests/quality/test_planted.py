"""The bars of grounding: planted errors caught, true values kept, in each language."""

from __future__ import annotations

from collections import Counter

import pytest

from etlch.core.records import LANGUAGES
from etlch.text.locate import locate
from tests.quality.planted import KINDS, known_truth, occurs, other_forms, planted


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors_are_caught_and_true_values_are_not_refused(language: str) -> None:
    known = known_truth(language, 120)
    true = [(value, item.text) for item in known for value in item.values]
    true += [(form, text) for value, text in true for form in other_forms(value)]
    refused = [value for value, text in true if locate(value, text) is None]
    assert len(true) > 500
    assert len(refused) <= 0.01 * len(true), refused[:20]

    tried: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    examples = []
    for kind, value, text in planted(known, language):
        tried[kind] += 1
        if locate(value, text) is not None:
            missed[kind] += 1
            examples.append((kind, value))
    assert set(tried) == set(KINDS)
    for kind in KINDS[:-1]:
        # hardly a Chinese value ends in a Latin letter or a digit
        assert tried[kind] >= (3 if kind == "cut short" else 50)
        assert missed[kind] <= 0.01 * tried[kind], [item for item in examples if item[0] == kind][:20]
    # a true value of the same article stands in it, by definition: nothing that location could see
    assert missed[KINDS[-1]] == tried[KINDS[-1]]


def test_the_judge_of_planted_values_is_not_the_code_under_test() -> None:
    assert occurs("1,932", "in 1932") and not occurs("193", "in 1932")
    assert not occurs("Ann", "Anna") and occurs("台北", "在臺 北市")

"""What a comparison may speak of, by the rule in Recipe.scope."""

from __future__ import annotations

import pytest

from etlch.scoring.recipes import recipes_of
from etlch.scoring.summary import System


@pytest.mark.parametrize(
    ("role", "seeds", "scope"),
    [
        ("baseline", (None,), "recipes"),
        ("baseline", (1,), "weights"),
        ("baseline", (1, 2, 3), "recipes"),
        ("tuned", (None,), "weights"),
        ("tuned", (1, 2, 3), "recipes"),
    ],
)
def test_one_training_with_a_seed_is_no_recipe(role: str, seeds: tuple[int | None, ...], scope: str) -> None:
    (recipe,) = recipes_of([System("m", "ner", 30, seed, role) for seed in seeds])
    assert recipe.scope == scope

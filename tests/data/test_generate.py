"""What a run says of itself: the prompt files that it can use, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from etlch.config import Settings
from etlch.data.generate import used_prompts
from etlch.prompts import Prompts

KGE = {"kge/instruction.en.j2", "kge/label.en.j2"}


@pytest.mark.parametrize(
    ("changed", "used"),
    [
        ({}, {"article/write.en.j2", "topics/en.yaml", "common/again.en.j2", *KGE}),
        ({"articles": "posts"}, {"common/again.en.j2", *KGE}),
        ({"label_first": True}, {"article/around.en.j2", "common/again.en.j2", "kge/instruction.en.j2"}),
        ({"teacher": "offline"}, {"kge/instruction.en.j2"}),
    ],
)
def test_only_prompts_that_a_run_can_use_are_named(changed: dict[str, Any], used: set[str]) -> None:
    found = used_prompts(Prompts(), Settings(language="en", tasks=("kge",), **changed))
    phrases = {name for name in found if name.startswith("offline/")}
    assert set(found) - phrases == used
    assert bool(phrases) == ("offline" in changed.values() or "label_first" in changed)
    assert all(name.endswith(".en.yaml") for name in phrases)

"""Tags and back, by hand from the rules in the module's docstring."""

from __future__ import annotations

import pytest

from etlch.baselines.tagging import Mention, answer, mentions, sentence, taggable, tagged
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.records import Fact, Json, Key, Located
from etlch.dataset.grounding import Policy
from etlch.tasks import find_task

NER = find_task("ner")


def located(article: str, *facts: tuple[str, str, int]) -> list[Located]:
    return [
        Located((kind, text), (None, (start, start + len(text))))
        for kind, text, start in facts
        if article[start:].startswith(text)
    ]


def told(tags: str, article: str, schema: Json = None, policies: dict[str, Policy] | None = None) -> str:
    row = Key("a0-ner", "a0", "ner", "en", "Extract.", article, "", schema)
    return answer(tags.split(), row, NER, policies or {})


def test_words_and_characters_are_tagged() -> None:
    article = "Ann Bell到台北。"
    marked = [Mention("Person", (0, 8)), Mention("Location", (9, 11))]
    made = sentence(article, marked)
    assert made.words == ["Ann", "Bell", "到", "台", "北", "。"]
    assert made.tags == ("B-Person", "I-Person", "O", "B-Location", "I-Location", "O")
    assert list(tagged(made.tokens, made.tags)) == marked


def test_neighbours_of_one_type_stay_apart_and_a_lone_continuation_begins() -> None:
    made = sentence("A B C D E")
    found = tagged(made.tokens, ["B-x", "B-x", "I-x", "I-y", "I-x"])
    assert [(one.kind, made.text[slice(*one.span)]) for one in found] == [
        ("x", "A"),
        ("x", "B C"),
        ("y", "D"),
        ("x", "E"),
    ]


def test_a_mention_is_tagged_wherever_it_stands_and_the_longest_is_taken() -> None:
    article = "York, New York and the New York Times; Yorkshire."
    facts = located(article, ("City", "New York", 6), ("Paper", "New York Times", 23), ("Name", "York", 0))
    assert [(one.kind, one.span) for one in mentions(facts, NER, article)] == [
        ("Name", (0, 4)),
        ("City", (6, 14)),
        ("Paper", (23, 37)),
    ]


def test_of_two_types_of_a_mention_each_has_its_own_place() -> None:
    article = "Washington left Washington. Washington slept."
    facts = located(article, ("Person", "Washington", 0), ("City", "Washington", 16))
    assert [one.kind for one in mentions(facts, NER, article)] == ["Person", "City", "Person"]


def test_an_answer_states_each_fact_once_in_the_order_of_the_types() -> None:
    schema = NER.label_schema(("City", "Person"))
    article = "Ann saw Rome ; Ann saw 5\nMay"
    tags = "B-Person O B-City O B-Person O B-Date I-Date"
    assert told(tags, article, schema) == '{"City": ["Rome"], "Person": ["Ann"]}'
    assert told(tags, article) == '{"Person": ["Ann"], "City": ["Rome"], "Date": ["5 May"]}'


def test_policies_write_values_as_the_labels_do() -> None:
    tags = "O B-Date I-Date I-Date I-Date"
    assert told(tags, "On May 5, 2024", None, {"Date": "normalised"}) == '{"Date": ["2024-05-05"]}'


@pytest.mark.parametrize(
    ("wanted", "named", "fit"),
    [
        (("json", "kge", "ner"), False, ("ner",)),
        (("json", "ner"), True, ("json", "ner")),
    ],
)
def test_which_tasks_can_be_tagged(wanted: tuple[str, ...], named: bool, fit: tuple[str, ...]) -> None:
    assert taggable(make_settings(), wanted, named) == fit


@pytest.mark.parametrize(("wanted", "named"), [(("kge", "ner"), True), (("kge",), False)])
def test_triples_cannot_be_tagged(wanted: tuple[str, ...], named: bool) -> None:
    with pytest.raises(EtlchError, match="a tagger does not do kge"):
        taggable(make_settings(), wanted, named)


def test_facts_without_a_place_are_passed_over() -> None:
    facts: list[Fact] = [("Mood", "glad")]
    assert mentions([Located(fact, (None, None)) for fact in facts], NER, "Any text.") == []

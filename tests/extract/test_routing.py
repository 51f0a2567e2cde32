"""What the model is unsure of: asked of a larger model, written for people, shown on a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from etlch.core.config import load_settings
from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.core.settings import Price, TeacherSettings
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.rows import RowOptions
from etlch.extract.card import Calibration
from etlch.extract.documents import Wanted, extract_to_file
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Answer, Source
from etlch.extract.models import open_fallback
from etlch.extract.remote_model import RemoteModel
from etlch.tasks import find_task
from tests.extract.models import Scripted, card
from tests.fake_server import serve

FITTED = Calibration((0.2, 0.4, 0.6, 0.8, 0.9), (False, True, False, True, True))
"""Facts of a probability of 0.8 and more are right; so 0.95 is held from there on."""
SURE, UNSURE = -0.05, -1.0
DOCUMENTS = [
    Source("sure", "Ann left Rim."),
    Source("unsure", "Bob left Rim."),
    Source("broken", "Cid left Rim."),
]


def own(asked: str, sample: int | None) -> Answer | str:
    """Name Ann surely, Bob unsurely, and say nothing readable about Cid."""
    for name, value in (("Ann", SURE), ("Bob", UNSURE)):
        if name in asked:
            text = json.dumps({"Person": [name]})
            return Answer(text, ((len(text), value),), False, 1)
    return "no idea"


def extractor(fallback: Scripted | None = None, **more: object) -> Extractor:
    settings = ExtractSettings(tasks=("ner",), min_precision=0.95, **more)  # type: ignore[arg-type]
    return Extractor(
        "x",
        settings,
        card=card(calibration={"ner": FITTED}),
        answering=Scripted(own),
        fallback=fallback,
    )


def test_the_fallback_model_is_asked_about_what_is_unsure_and_about_nothing_else() -> None:
    larger = Scripted(
        lambda asked, _: json.dumps({"Person": [asked.splitlines()[1].split()[0]], "Place": ["Rim"]})
    )
    sure, unsure, broken = extractor(larger).extract(DOCUMENTS)
    assert [asked.splitlines()[1] for asked, _ in larger.asked] == ["Bob left Rim.", "Cid left Rim."]
    assert [item.fact for item in sure.facts] == [("Person", "Ann")] and sure.fallback == ()
    for item, name in ((unsure, "Bob"), (broken, "Cid")):
        assert [fact.fact for fact in item.facts] == [("Person", name), ("Place", "Rim")]
        assert item.fallback == ("ner",) and not item.below and not item.problem
        assert item.facts[0].spans[1] == (0, 3)


def test_a_fallback_answer_that_cannot_be_read_changes_nothing() -> None:
    found = list(extractor(Scripted(lambda asked, _: "sorry")).extract(DOCUMENTS))
    assert found == list(extractor().extract(DOCUMENTS))
    assert [fact.fact for fact in found[1].below] == [("Person", "Bob")] and found[2].problem


def test_a_served_fallback_is_paid_once_and_its_bill_is_known(tmp_path: Path) -> None:
    """By hand: two questions of at most a budget of two; 1 USD a million tokens in, 2 out."""
    settings = TeacherSettings(name="large", price=Price(1.0, 2.0))

    def reply(body: object) -> str:
        return json.dumps({"Person": ["Bob", "Cid"]})

    with serve(reply=reply) as server:
        told = TeacherSettings(name="large", base_url=server.url, price=settings.price)
        for _ in range(2):
            model = RemoteModel(told, tmp_path / "replies")
            found = list(extractor(model).extract(DOCUMENTS))  # type: ignore[arg-type]
            assert [[fact.fact[1] for fact in item.facts] for item in found] == [["Ann"], ["Bob"], ["Cid"]]
        assert len(server.seen) == 2
        assert "response_format" in server.seen[0].body
        assert model.paid().questions == 2
        assert (model.paid().usd or 0.0) > 0


def test_a_fallback_of_known_price_has_a_budget_before_anybody_names_one(tmp_path: Path) -> None:
    model = open_fallback(ExtractSettings(fallback=TeacherSettings()), tmp_path)
    assert isinstance(model, RemoteModel) and model.paid() == ("gpt-4o-mini", 0, 0.0)
    assert model._teacher.budget == 5.0


def test_a_settings_file_names_the_fallback_model(tmp_path: Path) -> None:
    file = tmp_path / "extract.yaml"
    file.write_text(
        "retries: 0\nfallback: {name: large, base_url: 'http://127.0.0.1:1/v1', price: {input: 1, output: 2}}\n"
    )
    told = load_settings(ExtractSettings, file, {"decoding": "copy", "tasks": None})
    assert told.retries == 0 and told.decoding == "copy" and told.tasks == ()
    assert told.fallback is not None and told.fallback.name == "large" and told.fallback.price == Price(1, 2)
    for text, message in (
        ("retrys: 0", "Did you mean 'retries'"),
        ("resamples: 9", "a setting of etlch-score"),
        ("retries: -1", "Write it so: retries: 1"),
    ):
        file.write_text(text)
        with pytest.raises(EtlchError) as refused:
            load_settings(ExtractSettings, file, {})
        assert message in f"{refused.value.what}\n{refused.value.hint}"


def documents() -> Iterator[Source]:
    return iter(DOCUMENTS)


@pytest.mark.parametrize(("form", "ending"), [("doccano", "jsonl"), ("label-studio", "json")])
def test_what_is_unsure_is_written_for_people_and_read_back(tmp_path: Path, form: str, ending: str) -> None:
    wanted = Wanted(tmp_path / "facts.jsonl", review=tmp_path / f"unsure.{ending}")
    done = extract_to_file(extractor(review_format=form), documents, wanted, lambda *_: None)
    assert done.review == {f"unsure.{ending}": 2}
    texts = read_path(tmp_path / f"unsure.{ending}", find_task("ner"), RowOptions()).texts
    assert [text.text for text in texts[""]] == ["Bob left Rim.", "Cid left Rim."]
    assert [[(fact.fact, fact.spans) for fact in text.facts] for text in texts[""]] == [
        [(("Person", "Bob"), (None, (0, 3)))],
        [],
    ]


def test_a_page_of_the_documents_is_written_once(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "facts.jsonl", html=tmp_path / "facts.html")
    extract_to_file(extractor(), documents, wanted, lambda *_: None)
    page = (tmp_path / "facts.html").read_text("utf-8")
    assert "Bob left Rim." in page and "below the threshold" in page
    assert "Documents with a problem" in page and "validation set" in page
    with pytest.raises(EtlchError, match="exists and is not overwritten"):
        extract_to_file(extractor(), documents, wanted._replace(out=tmp_path / "b.jsonl"), lambda *_: None)

"""From documents to facts: pieces, spans in the whole document, retries, thresholds, and documents that fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError, Notice
from etlch.core.extract_settings import ExtractSettings
from etlch.extract.card import Calibration, TaskPrompt, read_card
from etlch.extract.confidence import steps, threshold
from etlch.extract.documents import Wanted, extract_to_file, sources
from etlch.extract.extractor import Extractor, chosen_fields, under_schema
from etlch.extract.facts import Answer, Source
from tests.extract.models import TYPES, Scripted, card, tiny_model

NER = ExtractSettings(tasks=("ner",))


def label(**types: list[str]) -> str:
    return json.dumps(types)


def test_spans_are_those_of_the_whole_document_and_facts_of_several_pieces_come_once() -> None:
    text = "Ann lives in Rim. " * 3 + "Bob left Rim."
    model = Scripted(
        lambda asked, _: label(Person=[name for name in ("Ann", "Bob") if name in asked], Place=["Rim"])
    )
    (found,) = Extractor("x", NER, card=card(chunk=40), answering=model).extract([Source("d", text)])
    assert found.pieces > 1
    assert sorted(item.fact for item in found.facts) == [
        ("Person", "Ann"),
        ("Person", "Bob"),
        ("Place", "Rim"),
    ]
    for item in found.facts:
        span = item.spans[1]
        assert span is not None and text[slice(*span)] == item.fact[1]


def test_spans_count_the_file_s_own_characters_after_front_matter(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("---\ntitle: Ann\n---\nAnn left.\n", encoding="utf-8")
    model = Scripted(lambda asked, _: label(Person=["Ann"]))
    (found,) = Extractor("x", NER, card=card(), answering=model).extract(sources([str(file)], None, None))
    assert "title" not in model.asked[0][0]
    assert found.facts[0].spans[1] == (19, 22)


def test_values_that_do_not_stand_in_the_document_are_dropped_flagged_or_asked_again() -> None:
    def say(asked: str, sample: int | None) -> str:
        return label(Person=["Ann" if sample else "Zoe"])

    for wish, kept, dropped in (("drop", 0, 1), ("flag", 1, 0), ("retry", 1, 0)):
        settings = ExtractSettings(tasks=("ner",), ungrounded=wish)  # type: ignore[arg-type]
        (found,) = Extractor("x", settings, card=card(), answering=Scripted(say)).extract(["Ann left."])
        assert (len(found.facts), len(found.dropped)) == (kept, dropped), wish
        assert [item.grounded for item in found.facts] == [wish == "retry"] * kept


def test_an_unreadable_answer_is_sampled_once_more_and_then_a_row_with_its_reason() -> None:
    model = Scripted(lambda asked, sample: "no idea")
    (found,) = Extractor("x", NER, card=card(), answering=model).extract(["Ann left."])
    assert [sample for _, sample in model.asked] == [None, 1]
    assert found.facts == () and found.problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a\x00b", "binary"),
        ("Ann <|im_end|> left", "control text <|im_end|>"),
        ("x" * 4_000_001, "at most"),
    ],
)
def test_hostile_documents_are_rows_with_reasons_and_others_go_on(text: str, reason: str) -> None:
    model = Scripted(lambda asked, _: label(Person=["Ann"]))
    bad, good = Extractor("x", NER, card=card(), answering=model).extract([text, "Ann left."])
    assert reason in bad.problem and not bad.facts
    assert [item.fact for item in good.facts] == [("Person", "Ann")]


def test_files_that_cannot_be_read_are_rows_with_reasons_and_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x80\x81\xffbinary\x00" * 5)
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "c.txt").write_text("x" * 10_000_000)
    (tmp_path / "d.txt").write_text("Ann left.")
    (tmp_path / "e.jsonl").write_text('{"text": null}\n{"text": "Ann <|eot_id|> left."}\n')
    model = Scripted(lambda asked, _: label(Person=["Ann"]))
    found = list(
        Extractor("x", NER, card=card(), answering=model).extract(sources([str(tmp_path)], None, None))
    )
    assert [(item.document, len(item.facts)) for item in found] == [
        ("a.txt", 0),
        ("b.txt", 0),
        ("c.txt", 0),
        ("d.txt", 1),
        ("e.jsonl#row1", 0),
        ("e.jsonl#row2", 0),
    ]
    reasons = ("is neither UTF-8", "empty", "10,000,000 characters", "", "empty", "control text")
    for item, reason in zip(found, reasons, strict=True):
        assert reason in item.problem and bool(item.problem) == bool(reason)


def test_a_cut_answer_loses_its_half_triple_and_says_so() -> None:
    text = "【1. Triple format (Subject–Relation–Object)】\nAnn – left – Rim\nAnn – left – Ri"
    model = Scripted(lambda asked, _: Answer(text, (), True, 9))
    settings = ExtractSettings(tasks=("kge",), retries=0)
    (found,) = Extractor("x", settings, card=card(), answering=model).extract(["Ann left Rim."])
    assert [item.fact for item in found.facts] == [("Ann", "left", "Rim")]
    assert "cut" in found.problem


def test_confidence_is_the_geometric_mean_of_the_value_s_tokens() -> None:
    text = '{"Person": ["Ann"]}'
    ends = (
        (12, 0.0),
        (14, -0.2),
        (15, -0.4),
        (19, 0.0),
    )  # `{"Person": [` | `"A` | `n` | `n"]}`: A, n and n hold the value
    model = Scripted(lambda asked, _: Answer(text, ends, False, 4))
    (found,) = Extractor("x", NER, card=card(), answering=model).extract(["Ann left."])
    assert found.facts[0].confidence == pytest.approx(2.718281828 ** (-0.6 / 3))


RIGHT = Calibration((0.2, 0.4, 0.6, 0.8, 0.9), (False, True, False, True, True))


def test_a_threshold_holds_its_precision_on_validation() -> None:
    """By hand: above 0.8 two of two are right, above 0.4 three of four, above 0.2 three of five."""
    fitted = card(calibration={"ner": RIGHT})
    assert threshold(fitted, "ner", 0.95)[:4] == (0.8, 2, 2, 5)
    assert threshold(fitted, "ner", 0.75)[:4] == (0.4, 3, 4, 5)
    assert threshold(fitted, "ner", 0.5)[:4] == (0.2, 3, 5, 5)
    found = threshold(fitted, "ner", 0.95)
    assert found.low == pytest.approx(0.025**0.5) and found.high == 1.0  # Clopper-Pearson for 2 of 2
    with pytest.raises(EtlchError, match="no confidence reaches"):
        threshold(card(calibration={"ner": Calibration((0.5,), (False,))}), "ner", 0.9)


def test_calibrated_confidence_never_falls_with_the_probability() -> None:
    """By hand: 0.4 and 0.6 are pooled to 1/2, as isotonic regression does."""
    assert steps(RIGHT) == ((0.2, 0.4, 0.6, 0.8, 0.9), (0.0, 0.5, 0.5, 1.0, 1.0))


def test_facts_below_the_threshold_are_kept_apart() -> None:
    text = '{"Person": ["Ann"]}'
    model = Scripted(lambda asked, _: Answer(text, ((19, -1.0),), False, 1))
    settings = ExtractSettings(tasks=("ner",), min_precision=0.95)
    (found,) = Extractor("x", settings, card=card(calibration={"ner": RIGHT}), answering=model).extract(
        ["Ann left."]
    )
    assert not found.facts and [item.fact for item in found.below] == [("Person", "Ann")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ExtractSettings(tasks=("nerr",)), "Did you mean 'ner'?"),
        (ExtractSettings(tasks=("json",)), "another instruction for each article"),
        (ExtractSettings(tasks=("ner",), min_precision=0.9), "not calibrated"),
    ],
)
def test_what_a_model_cannot_do_is_refused(settings: ExtractSettings, message: str) -> None:
    with pytest.raises(EtlchError, match=message.replace("?", r"\?")):
        Extractor("x", settings, card=card(), answering=Scripted(lambda asked, _: ""))


def test_a_json_model_is_asked_for_fields_of_one_s_own() -> None:
    asked = chosen_fields(card(), "Extract the founder.", ("founder",))
    model = Scripted(lambda text, _: '{"founder": ["Ann"]}')
    (found,) = Extractor("x", ExtractSettings(tasks=("json",)), card=asked, answering=model).extract(
        ["Ann founded it."]
    )
    assert [item.fact for item in found.facts] == [("founder", "Ann")]
    assert model.asked[0][0].startswith("Extract the founder.\nAnswer with one flat JSON object")


def test_a_folder_that_is_no_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match=r"no extractor.json and stands in no run"):
        read_card(tmp_path)


@pytest.mark.slow
def test_a_random_model_cannot_invent_a_value_when_it_copies(tmp_path: Path) -> None:
    """Whatever weights write, copy decoding leaves only words of the document: the grammar is the proof."""
    folder = tiny_model(tmp_path / "tiny")
    texts = [
        'Ann Lee met "Bob" in Rim, at 5.2 % (C:\\x).',
        "王小明在2024年到台北。",
        "One two three four five six.",
    ]
    for tasks in (("ner",), ("kge",)):
        settings = ExtractSettings(tasks=tasks, decoding="copy", retries=0)
        for found in Extractor(folder, settings).extract(texts):
            assert not found.dropped
            assert all(item.grounded for item in found.facts)


@pytest.mark.slow
def test_batches_with_a_shared_prefix_answer_as_one_at_a_time(tmp_path: Path) -> None:
    from etlch.extract.facts import Question
    from etlch.extract.local_model import LocalModel

    folder = tiny_model(tmp_path / "tiny")
    model = LocalModel(folder, card(max_new_tokens=24))
    questions = [Question(f"Find the entities of the text.\n{'word ' * count}end") for count in (1, 9, 4, 30)]
    together = model.answer(questions)
    alone = [model.answer([question])[0] for question in questions]
    assert [one.text for one in together] == [one.text for one in alone]
    for one, two in zip(together, alone, strict=True):
        assert [value for _, value in one.logprobs] == pytest.approx(
            [value for _, value in two.logprobs], abs=1e-4
        )


@pytest.mark.slow
def test_memory_stays_flat_over_ten_thousand_documents(tmp_path: Path) -> None:
    """From the 2,000th document to the 10,000th, through a real model to a Parquet file."""
    folder = tiny_model(tmp_path / "tiny")
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(json.dumps({"text": f"Note {number}."}) + "\n" for number in range(10_000)))
    asked = card(max_new_tokens=1, prompt=("", ""), tasks={"ner": TaskPrompt("Entities:", TYPES)})
    settings = ExtractSettings(tasks=("ner",), retries=0)
    memory: dict[int, int] = {}

    def note(documents: int, tokens: int, seconds: float) -> None:
        if documents in (2_000, 10_000):
            memory[documents] = int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    done = extract_to_file(
        Extractor(folder, settings, card=asked),
        lambda: sources([str(notes)], None, None),
        Wanted(tmp_path / "facts.parquet"),
        note,
    )
    assert done.counts["documents"] == 10_000
    assert memory[10_000] - memory[2_000] < 20_000_000


def test_a_schema_of_one_s_own_is_asked_for_and_its_leaves_are_grounded_by_their_policies(
    tmp_path: Path,
) -> None:
    schema = tmp_path / "contract.json"
    properties = {"signed": {"type": "string", "format": "date"}, "kind": {"enum": ["lease", "sale"]}}
    properties |= {"owner": {"type": "string"}}
    schema.write_text(json.dumps({"type": "object", "properties": properties}), encoding="utf-8")
    with pytest.warns(Notice, match="tiny was not trained on labels under a schema"):
        asked = under_schema(card(), str(schema))
    assert "signed (date as YYYY-MM-DD)" in str(asked.tasks["schema"].instruction)
    answer = '{"signed": "2024-03-05", "kind": "lease", "owner": "Zaphod"}'
    settings = ExtractSettings(tasks=("schema",))
    extractor = Extractor("x", settings, card=asked, answering=Scripted(lambda text, _: answer))
    (found,) = extractor.extract(["Anna Rossi signed on 5 March 2024."])
    assert [fact.fact for fact in found.facts] == [("signed", "2024-03-05"), ("kind", "lease")]
    assert [fact.fact for fact in found.dropped] == [("owner", "Zaphod")]

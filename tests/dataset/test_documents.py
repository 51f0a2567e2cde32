"""Texts of the user's own in every form that is read; expected texts are those written here."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl
from etlch.core.records import Article
from etlch.core.run_folder import Run
from etlch.dataset.build_record import Candidate
from etlch.dataset.chunking import chunk, sentence_ends
from etlch.dataset.documents import own_texts, read_documents
from etlch.quality.check import check_run
from tests.fake_server import serve

POSTS = Path(__file__).parent / "articles"
FIRST = "The bridge opened in 1932. It is long."
SECOND = "台北101於2004年完工。它高508公尺。"


def read(path: Path, **settings: object) -> list[Candidate]:
    return list(own_texts(make_settings(articles=str(path), **settings).plan).candidates)


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"texts.{suffix}"
    rows = [{"title": "Bridge", "text": FIRST}, {"title": "", "text": SECOND}, {"title": "x", "text": " "}]
    write_rows(path, rows)
    found = {item.source: item for item in read(path)}
    assert set(found) == {f"texts.{suffix}#row1:0-{len(FIRST)}", f"texts.{suffix}#row2:0-{len(SECOND)}"}
    first = found[f"texts.{suffix}#row1:0-{len(FIRST)}"]
    assert (first.text, first.topic.subject, first.topic.domain) == (FIRST, "Bridge", "own texts")


@pytest.mark.slow
def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"body": [FIRST, SECOND]}).save_to_disk(str(tmp_path / "held"))
    assert [document.text for document in read_documents(str(tmp_path / "held"))] == [FIRST, SECOND]


def test_a_folder_is_walked_and_sources_say_where_a_text_stands(tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text("hidden", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "news" / "a.txt").write_text(f"\n  {FIRST}\n", encoding="utf-8")
    matter = "---\ntitle: 'Tall: very'\ncategory: towers\n---\n"
    (tmp_path / "b.md").write_text(matter + "\n" + SECOND, encoding="utf-8")
    (tmp_path / "c.md").write_text("# Heading\n\n---\n\nNo front matter.", encoding="utf-8")
    found = {item.topic.subject: item for item in read(tmp_path)}
    assert set(found) == {"a", "Tall: very", "Heading"}
    assert found["a"].text == FIRST
    assert found["a"].source == f"news/a.txt#3-{3 + len(FIRST)}" and found["a"].topic.domain == "news"
    start = len(matter) + 1
    assert found["Tall: very"].text == SECOND and found["Tall: very"].topic.domain == "towers"
    assert found["Tall: very"].source == f"b.md#{start}-{start + len(SECOND)}"
    assert found["Heading"].text == "# Heading\n\n---\n\nNo front matter."


def test_the_order_is_drawn_with_the_seed_and_documents_stay_together(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.txt").write_text(f"Text {number}. " + FIRST * 3, encoding="utf-8")
    orders = [[item.source for item in read(tmp_path, seed=seed, chunk=60)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2])
    names = [source.split("#", maxsplit=1)[0] for source in orders[0]]
    assert len([name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]) == 8
    assert [item.id for item in read(tmp_path, chunk=60)][:2] == ["t00000", "t00001"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "there is no such file"),
        ("blank.txt", " \n", "holds no text"),
        ("x.doc", "x", "files of this kind are not read"),
        ("x.pdf", "x", "cannot be read as PDF"),
        ("x.docx", "x", "cannot be read as .docx"),
        ("rows.jsonl", '{"label": 1}\n', "no column 'text' among label"),
        ("rows.jsonl", '{"text": "a"}\n[1]\n', "line 2: a JSON list where an object belongs"),
        ("x.parquet", "x", "is not Parquet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(EtlchError, match=message):
        read(tmp_path / name)


def test_the_column_can_be_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.csv", [{"id": "1", "內文": SECOND}])
    assert read(tmp_path / "x.csv", text_column="內文")[0].text == SECOND


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他說：「好。」走了！完", ["他說：「好。」", "走了！", "完"]),
        ("真的嗎？真的……好。", ["真的嗎？", "真的……", "好。"]),
        ("Dr. Smith paid $3.5 to J. Doe. It rained!", ["Dr. Smith paid $3.5 to J. Doe.", " It rained!"]),
        ('He said "no." Then: see a?b=c now.', ['He said "no."', " Then: see a?b=c now."]),
        ("One\n\nTwo", ["One\n\n", "Two"]),
        ("", [""]),
    ],
)
def test_sentence_ends(text: str, sentences: list[str]) -> None:
    ends = sentence_ends(text)
    assert [text[start:end] for start, end in zip([0, *ends], ends, strict=False)] == sentences


def test_chunks_end_at_sentence_ends_and_are_about_equal() -> None:
    text = "這是一個句子。" * 30  # 210 characters: three chunks of 70, each of ten sentences
    assert chunk(text, 100) == [(0, 70), (70, 140), (140, 210)]
    assert chunk(text, 0) == [(0, 210)] and chunk("  ", 10) == []
    assert chunk("a" * 25, 10) == [(0, 10), (10, 20), (20, 25)]


@given(st.text(st.sampled_from("字。！a. \n，"), max_size=200), st.integers(5, 60))
def test_chunks_cover_everything_but_white_space(text: str, most: int) -> None:
    spans = chunk(text, most)
    assert "".join(text[start:end] for start, end in spans).split() == [] or all(
        0 < end - start <= most and text[start:end].strip() == text[start:end] for start, end in spans
    )
    kept = {place for start, end in spans for place in range(start, end)}
    assert all(char.isspace() or place in kept for place, char in enumerate(text))
    assert [place for span in spans for place in span] == sorted(place for span in spans for place in span)


@pytest.mark.slow
def test_real_posts_become_proved_training_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = tmp_path / "s.yaml"
    settings.write_text("chunk: 900\n", encoding="utf-8")
    run = Run(tmp_path / "run")
    with serve() as server:
        options = ["--language", "en", "--sizes", "10", "--test", "3", "--base-url", server.url]
        ended = CliRunner().invoke(
            main,
            [
                "generate",
                "--articles",
                str(POSTS),
                "--settings",
                str(settings),
                *options,
                "--out",
                str(run.folder),
            ],
        )
    assert ended.exit_code == 0, ended.output
    assert check_run(run).problems == ()
    articles = read_jsonl(run.articles, Article)
    assert len(articles) == 13
    for article in articles:
        name, _, place = article.source.partition("#")
        start, _, end = place.partition("-")
        with (POSTS / name).open(encoding="utf-8", newline="") as stream:
            text = stream.read()
        assert text[int(start) : int(end)] == article.text and len(article.text) <= 900
        assert not article.text.startswith("---") and "layout: post" not in article.text


def test_too_few_texts_are_told_before_one_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(f"Text {number} tells of Ann Lee in Oslo.", encoding="utf-8")
    with serve() as server:
        shared = ["--articles", str(tmp_path), "--language", "en", "--base-url", server.url]
        for command in ("estimate", "generate"):
            options = [command, *shared, "--sizes", "10", "--test", "5", "--out", str(tmp_path / "run")]
            ended = CliRunner().invoke(main, options)
            assert ended.exit_code == 2
            assert "holds 4 texts, cut at 1,500 characters, and test 5 + size 10 need 15" in ended.output
        assert server.stats()["posts"] == 0


def test_the_estimate_knows_how_long_the_texts_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é" * 100, encoding="utf-8")
    (tmp_path / "b.txt").write_text("e" * 100, encoding="utf-8")
    plan = make_settings(articles=str(tmp_path), sizes=(1,), test=1).plan
    assert own_texts(plan).mean_bytes(plan, 2) == 150

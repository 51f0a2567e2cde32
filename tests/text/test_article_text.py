"""What is no article in what a model wrote, and what may stand in one."""

from __future__ import annotations

import pytest

from etlch.text.article_text import is_mostly_in, written_problems

EN = "The Harbour Bridge opened on 19 March 1932. Its chief engineer was John Bradfield."
TW = "港灣大橋於1932年3月19日通車，總工程師是約翰・布拉德菲爾德，當時造價超過一千萬元。"
CN = "港湾大桥于1932年3月19日通车，总工程师是约翰・布拉德菲尔德，当时造价超过一千万元。"


@pytest.mark.parametrize(("text", "language"), [(EN, "en"), (TW, "zh-TW"), (CN, "zh-CN")])
def test_an_article_in_its_own_language_has_no_problem(text: str, language: str) -> None:
    assert written_problems(text, language) == []


@pytest.mark.parametrize(
    ("text", "language", "word"),
    [
        ("Sure! Here's an article about the bridge:\n\n" + EN, "en", "words to the reader"),
        ("Certainly!\n" + EN, "en", "words to the reader"),
        ("當然，以下是文章：\n" + TW, "zh-TW", "words to the reader"),
        ("# The Bridge\n\n" + EN, "en", "heading"),
        ("**The Bridge**\n\n" + EN, "en", "heading"),
        ("標題：大橋\n" + TW, "zh-TW", "heading"),
        (EN + "\n\n(Word count: 312)", "en", "word count"),
        (EN + " (312 words)", "en", "word count"),
        (TW + "\n字數：312", "zh-TW", "word count"),
        (CN, "zh-TW", "not written in zh-TW"),
        (TW, "zh-CN", "not written in zh-CN"),
        (EN, "zh-TW", "not written in zh-TW"),
        (TW, "en", "not written in en"),
    ],
)
def test_what_is_no_article_is_said_in_words_for_the_teacher(text: str, language: str, word: str) -> None:
    assert any(word in problem for problem in written_problems(text, language))


@pytest.mark.parametrize(
    "text",
    [
        "Here is where the river bends. The town of Ely grew at this place.",
        "Sure-footed goats live above the tree line. They eat moss.",
        "OK Motors sold 312 words-per-minute typewriters in 1950.",
        "The firm, 遠山研究院, opened an office in Oslo, and Anna Rossi led it for ten years.",
    ],
)
def test_sentences_that_only_begin_alike_pass(text: str) -> None:
    assert written_problems(text, "en") == []


def test_a_name_in_the_other_script_does_not_make_a_text_foreign() -> None:
    assert is_mostly_in(TW * 3 + "作者为张。", "zh-TW")

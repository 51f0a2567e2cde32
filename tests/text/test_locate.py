"""Where values stand. Each expectation is read off the article by eye; number values are worked by hand."""

from __future__ import annotations

import time
import unicodedata
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etlch.text.locate import (
    Place,
    View,
    _is_acronym_of_word,
    _locate_in,
    folded,
    locate,
    normal_text,
    normalised,
    standing,
)


@pytest.mark.parametrize(
    ("value", "article", "text"),
    [
        # as it is written
        ("Ann", "Anna met Ann.", "Ann"),
        ("台北", "他住在台北市。", "台北"),
        ("5", "a 5kg bag", "5"),
        ("2019", "在2018,2019,2020年", "2019"),
        ("張三", "張三一早出門", "張三"),
        ("-5", "at -5 °C", "-5"),
        ("2021", "from 2019-2021 on", "2021"),
        # width, case, spaces, quotes, dashes, 臺
        ("Taipei 101", "在ＴＡＩＰＥＩ　101大樓", "ＴＡＩＰＥＩ　101"),
        ("臺北市", "位於台北市", "台北市"),
        ("台中", "位於臺中", "臺中"),
        ("iPhone 15", "新的 iphone  15 上市", "iphone  15"),
        ("王小明", "王 小 明 說", "王 小 明"),
        ("O'Brien", "said O’Brien", "O’Brien"),
        ("well-known", "a well‑known case", "well‑known"),
        ("café", "the cafe\u0301 opened", "cafe\u0301"),
        ("NASA", "Nasa said", "Nasa"),
        ("(甲)", "附件（甲）", "（甲）"),
        # numbers
        ("1.2 million", "投資1,200,000元", "1,200,000"),
        ("120萬元", "投資1,200,000元", "1,200,000元"),
        ("一百二十萬元", "投資１，２００，０００元", "１，２００，０００元"),
        ("1200000", "raised 1.2 million dollars", "1.2 million"),
        ("$1.2 billion", "a $1.2bn deal", "$1.2bn"),
        ("三億五千萬元", "達3.5億元", "3.5億元"),
        ("3億5千萬", "達三億五千萬", "三億五千萬"),
        ("12%", "成長百分之十二", "百分之十二"),
        ("12 percent", "grew 12% in", "12%"),
        ("two hundred and five", "205 people", "205"),
        ("twenty-one", "21 people", "21"),
        ("3名", "三名學生", "三名"),
        ("第3屆", "第三屆大會", "第三屆"),
        ("一千零五", "共1,005件", "1,005"),
        ("三點五", "共3.5公里", "3.5"),
        ("$3150", "at $3,150, shares fell", "$3,150"),
        ("白銀27000兩", "撥款白銀27,000兩", "白銀27,000兩"),
        # dates
        ("2024-03-05", "on March 5, 2024, it", "March 5, 2024"),
        ("2024年3月5日", "民國113年3月5日開幕", "民國113年3月5日"),
        ("March 5, 2024", "二〇二四年三月五日開幕", "二〇二四年三月五日"),
        ("5 March 2024", "2024/3/5 開幕", "2024/3/5"),
        ("March 5th, 2024", "the 5th of March 2024", "5th of March 2024"),
        ("Mar. 5, 2024", "5 march 2024", "5 march 2024"),
        ("2024年3月", "in March 2024", "March 2024"),
        ("3月5日", "on March 5 it", "March 5"),
        ("2024年", "民國113年", "民國113年"),
        ("十二月三十一日", "12月31日", "12月31日"),
    ],
)
def test_a_value_is_found_in_the_article_s_own_characters(value: str, article: str, text: str) -> None:
    place = locate(value, article)
    assert place is not None
    assert place.text == text == article[place.start : place.end]


@pytest.mark.parametrize(
    ("value", "article"),
    [
        ("198", "in 1987"),
        ("987", "in 1987"),
        ("Ann", "Anna went"),
        ("nna", "Anna went"),
        ("19", "COVID19"),
        ("200", "1,200 people"),
        ("1", "1.5 metres"),
        ("5", "1.5 metres"),
        ("5", "at -5 °C"),
        ("1.2", "1.2 million"),
        ("120", "120萬元"),
        ("120萬", "120萬億"),
        ("二月", "十二月"),
        ("三十", "三十五人"),
        ("3", "三重區"),
        ("US", "let us go"),
        ("2024-03-05", "March 6, 2024"),
        ("2024-03-05", "March 5, 2023"),
        ("1.3 million", "1,200,000"),
        ("三億五千萬", "3.5萬"),
        ("", "anything"),
        ("  ", "a  b"),
        ("王小明", "王大明"),
        ("five", ""),
        ("03/05/2024", "on March 5, 2024"),
        ("2024-02-31", "March 2, 2024"),
    ],
)
def test_what_the_article_does_not_say_is_not_found(value: str, article: str) -> None:
    assert locate(value, article) is None


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("民國113年3月5日", "2024-03-05"),
        ("March 5, 2024", "2024-03-05"),
        ("NT$1.2 million", "NT$1200000"),
        ("約三億五千萬元", "約350000000元"),
        ("百分之十二", "12%"),
        ("Harbour Bridge", "Harbour Bridge"),
        ("3月5日", "--03-05"),
        ("007", "007"),
    ],
)
def test_normal_text(value: str, form: str) -> None:
    assert normal_text(value) == form


_TEXTS = st.text(st.sampled_from("臺台ａA1２,.五十萬年月日 \u3000\u200bé\u0301Mayß（-%"), max_size=20)


@given(_TEXTS)
def test_views_map_back_into_the_text(text: str) -> None:
    for view in (folded(text), normalised(text)):
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(view.starts, view.ends, strict=True))
        assert list(view.starts) == sorted(view.starts)


@given(st.text(st.sampled_from([*map(chr, range(128)), *"臺龍ａß，\u0301"]), max_size=20))
def test_runs_are_folded_as_their_characters_one_by_one(text: str) -> None:
    """A zero-width space folds to nothing; before each character it leaves no run that could be folded at once."""
    parted = "".join(char if unicodedata.combining(char) else "\u200b" + char for char in text + "臺")
    kept = [place for place, char in enumerate(parted) if char != "\u200b"]
    slow, fast = folded(parted), folded(text + "臺")
    assert slow.text == fast.text
    assert [bisect_left(kept, start) for start in slow.starts] == list(fast.starts)
    assert [bisect_left(kept, end) for end in slow.ends] == list(fast.ends)


@given(st.text(st.sampled_from([chr(code) for code in range(128)]), max_size=20))
def test_ascii_is_folded_as_any_text(text: str) -> None:
    """臺 keeps the text from the fast way; a CJK character drops spaces beside it, so 'x' stands between."""
    slow, fast = folded(f"{text}x臺"), folded(f"{text}x")
    assert View(slow.text[:-1], slow.starts[:-1], slow.ends[:-1]) == fast


_VALUES = st.text(st.sampled_from("台臺積電二十三月日年萬1２3 aBUS龍龙,，百.-"), max_size=6)


@settings(max_examples=500)
@given(_VALUES, st.text(st.sampled_from("台臺積電二十三月日年萬1２3 aBus龍,，百.- "), max_size=30))
def test_short_cuts_never_change_where_a_value_is_found(value: str, article: str) -> None:
    """Every view is searched here, whatever the value holds."""
    bare = value.strip()
    slow = next((Place(*span, bare, "verbatim") for span in standing(bare, article)), None) if bare else None
    for view, how in ((folded, "folded"), (normalised, "normalised")):
        if slow is None:
            found = _locate_in(view(article), view(bare).text, article, how)
            slow = found if found and not _is_acronym_of_word(bare, found.text) else None
    assert locate(value, article) == slow


@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_place_holds_what_it_says(before: str, value: str, after: str) -> None:
    article = before + value + after
    place = locate(value, article)
    if place is not None:
        assert article[place.start : place.end] == place.text


@given(_TEXTS)
def test_a_text_stands_in_itself(text: str) -> None:
    assert not text.strip() or locate(text, text) is not None


@pytest.mark.parametrize(
    "piece", ["1,", "1.2.3.", "一", "百分之", "two hundred and ", "2024年", "march 5 ", "aba"]
)
def test_long_and_odd_articles_take_no_more_than_linear_time(piece: str) -> None:
    article = piece * (40_000 // len(piece))
    start = time.process_time()
    for value in ("zz 99", "9", "1", "ab", "三"):
        locate(value, article)
    assert time.process_time() - start < 10  # quadratic time would be minutes

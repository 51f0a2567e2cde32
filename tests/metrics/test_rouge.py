"""ROUGE against rouge-score bit for bit, and against rouge-chinese and LlamaFactory's formula."""

from __future__ import annotations

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from etlch.metrics.rouge import Rouge, prepare, rouge, rouge_l
from etlch.text.normalize import TOKENIZERS, hybrid, jieba_words


class Hybrid:
    """etlch's tokenizer as rouge-score takes one."""

    def tokenize(self, text: str) -> list[str]:
        return hybrid(text)


def of(gold: str, predicted: str, tokenizer: str = "hybrid") -> Rouge:
    found = rouge(prepare(gold, tokenizer), predicted)
    assert rouge_l(prepare(gold, tokenizer), predicted) == found.longest
    return found


ALPHABETS = ("ab", "台積電公司", "台積 電a1,bé\u0301 12ab\n", "的\U000f0001\U0010ffff龘 𠀀x9")


def test_values_equal_rouge_score_bit_for_bit_on_2000_random_pairs() -> None:
    draw = random.Random(0)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Hybrid())
    for _ in range(2000):
        letters = draw.choice(ALPHABETS)
        gold, predicted = ("".join(draw.choices(letters, k=draw.randrange(60))) for _ in "ab")
        theirs, ours = scorer.score(gold, predicted), of(gold, predicted)
        assert (ours.one, ours.two, ours.longest) == tuple(
            theirs[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")
        )


def test_nearly_equal_texts_equal_rouge_score_too() -> None:
    """Their common beginning and end shorten the search; characters changed, dropped and put in."""
    draw = random.Random(1)
    scorer = RougeScorer(["rougeL"], tokenizer=Hybrid())
    for _ in range(300):
        gold = "".join(draw.choices("台積電公司新竹一二三四五", k=draw.randrange(1, 120)))
        predicted = "".join(
            draw.choice(["", letter * 2, "龘", "台"]) if draw.random() < 0.1 else letter for letter in gold
        )
        assert of(gold, predicted).longest == scorer.score(gold, predicted)["rougeL"].fmeasure


def test_its_own_tokenizer_gives_the_numbers_of_the_package() -> None:
    gold, predicted = "The Harbour Bridge opened on 19 March 1932.", "the bridge was opened in March, 1932"
    theirs = RougeScorer(["rougeL"]).score(gold, predicted)["rougeL"].fmeasure
    assert of(gold, predicted, "rouge-score").longest == theirs


CHINESE = [
    ("台積電成立於1987年，總部位於新竹。", "聯發科成立於1997年，總部位於新竹。"),
    ('{"姓名": ["王小明"], "地點": ["台北"]}', '{"姓名": ["陳大華"], "地點": ["台北"]}'),
    ("冥想－能夠幫助－減少壓力", "減少壓力－能夠幫助－冥想"),
    ("我们今天去公园散步，天气很好。", "他们昨天在公园跑步，天气不好。"),
]


@pytest.mark.parametrize(("gold", "predicted"), CHINESE)
def test_jieba_tokens_give_rouge_chinese_s_numbers(gold: str, predicted: str) -> None:
    """LlamaFactory's metric is this package on jieba's words; it adds 1e-8 below the line of F1."""
    package = pytest.importorskip("rouge_chinese")
    pytest.importorskip("jieba")
    one, two = jieba_words(gold), jieba_words(predicted)
    theirs = package.Rouge().get_scores(" ".join(two), " ".join(one))[0]["rouge-l"]["f"]
    assert of(gold, predicted, "jieba").longest == pytest.approx(theirs, abs=1e-7)


@pytest.mark.slow
def test_llamafactory_s_own_metric_gives_the_same_number() -> None:
    """The two lines of its train/sft/metric.py: jieba words joined by spaces, then rouge-l's f × 100."""
    module = pytest.importorskip("llamafactory.train.sft.metric", exc_type=ImportError)
    import numpy as np

    class Characters:
        pad_token_id = 0

        def batch_decode(self, ids: list[list[int]], skip_special_tokens: bool = True) -> list[str]:
            return ["".join(chr(one) for one in row if one) for row in ids]

    gold, predicted = CHINESE[0]
    width = max(len(gold), len(predicted))
    codes = [
        np.array([[ord(char) for char in text] + [0] * (width - len(text))]) for text in (gold, predicted)
    ]
    metric = module.ComputeSimilarity(tokenizer=Characters())
    theirs = metric(type("P", (), {"label_ids": codes[0], "predictions": codes[1]})())["rouge-l"]
    ours = of(gold, predicted, "jieba").longest
    assert 100 * ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [("台北市位於台灣", "台北市位於台灣"), ("a=-1.5", "a=-1.5"), ("{'名': 1}", "{'名': 1}")],
)
def test_identical_texts_score_1_with_hybrid_tokens(gold: str, predicted: str) -> None:
    found = of(gold, predicted)
    assert (found.one, found.two, found.longest) == (1.0, 1.0, 1.0)


def test_the_traps_of_rouge_score_on_chinese_are_no_traps_for_hybrid() -> None:
    """rouge-score gives each of these 1.0 (shared reference, scoring §1.2)."""
    for gold, predicted in [
        ("台積電成立於1987年", "聯發科成立於1987年"),
        ('{"name":"王小明"}', '{"name":"陳大華"}'),
        ("a=-1.5", "a=1.5"),
    ]:
        assert RougeScorer(["rougeL"]).score(gold, predicted)["rougeL"].fmeasure == 1.0
        assert 0 < of(gold, predicted).longest < 1


def test_hand_calculation() -> None:
    """Gold a b c d, predicted a c e: LCS 2; p 2/3, r 2/4, F1 4/7; no pair in common."""
    found = of("a b c d", "a c e")
    assert found.longest == pytest.approx(4 / 7)
    assert found.one == pytest.approx(4 / 7)
    assert found.two == 0


def test_an_empty_side_scores_0_as_in_rouge_score() -> None:
    for gold, predicted in [("", ""), ("a", " "), ("\n", "a")]:
        found = of(gold, predicted)
        assert (found.one, found.two, found.longest) == (0, 0, 0)


def test_more_distinct_tokens_than_there_are_characters_are_compared_too() -> None:
    many = " ".join(f"x{number}" for number in range(140_000))  # two tokens each: x, and a number
    assert of("x7 x0 b", many).longest == pytest.approx(2 * 3 / 280_005)
    assert of(many, "x7 x8 b").longest == pytest.approx(2 * 4 / 280_005)


def test_every_tokenizer_takes_hostile_text() -> None:
    for name, tokenize in TOKENIZERS.items():
        if name == "jieba":
            pytest.importorskip("jieba")
        for text in ("", "\ud800", "\x00\x07", "́́", "😀" * 10):
            assert isinstance(tokenize(text), list)

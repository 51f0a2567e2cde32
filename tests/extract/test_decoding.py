"""Grammars take exactly the labels of their task, and, copying, only words of the document."""

from __future__ import annotations

import json

import pytest

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import Decoding
from etlch.extract.decoding import grammar
from etlch.tasks import find_task
from tests.tiny import tiny_tokenizer

ARTICLE = 'The OmegaNet, by "Tabitha" Ramos (B\\C), measures – with 88 percent. 王小明在2024年台北。\nNext'
TYPES = ("Person", "Product")
FLAT = find_task("ner").label_schema(TYPES)
HEADER = "【1. Triple format (Subject–Relation–Object)】"


def takes(rules: str, text: str) -> bool:
    from llguidance import LLMatcher
    from llguidance.hf import from_tokenizer

    tokenizer = tiny_tokenizer()
    matcher = LLMatcher(from_tokenizer(tokenizer), LLMatcher.grammar_from_lark(rules))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return bool(matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting())


@pytest.mark.parametrize("decoding", ["schema", "copy"])
@pytest.mark.parametrize(
    ("task", "text", "right"),
    [
        ("ner", "{}", True),
        ("ner", '{"Person": ["Tabitha"], "Product": ["OmegaNet"]}', True),
        ("ner", '{"Product": ["88 percent", "王小明"]}', True),
        ("ner", '{"Person": ["\\"Tabitha\\" Ramos"]}', True),
        ("ner", '{"Person": []}', False),
        ("ner", '{"Other": ["Ramos"]}', False),
        ("ner", '{"Person": [" Ramos"]}', False),
        ("json", '{"Person": [], "Product": ["OmegaNet"]}', True),
        ("json", '{"Person": []}', False),
        ("kge", HEADER, True),
        ("kge", f"{HEADER}\nOmegaNet – has accuracy of – 88 percent", True),
        ("kge", f"{HEADER}\nOmegaNet – 88 percent", False),
    ],
)
def test_forms(decoding: Decoding, task: str, text: str, right: bool) -> None:
    keys = () if task == "kge" else TYPES
    assert takes(grammar(decoding, task, keys, None if task == "kge" else FLAT, "en", ARTICLE), text) is right


@pytest.mark.parametrize("value", ["Rams", "Ram", "024", "OmegaNet Ramos", "88 per"])
def test_copying_takes_no_part_of_a_word_and_no_words_from_two_places(value: str) -> None:
    label = json.dumps({"Person": [value]}, ensure_ascii=False)
    assert takes(grammar("schema", "ner", TYPES, FLAT, "en", ARTICLE), label)
    assert not takes(grammar("copy", "ner", TYPES, FLAT, "en", ARTICLE), label)


def test_chinese_triples_have_their_own_header_and_separator() -> None:
    rules = grammar("copy", "kge", (), None, "zh-TW", ARTICLE)
    assert takes(rules, "【一、三元組格式（主詞－關係－受詞）】\n王小明－前往－台北")
    assert not takes(rules, "【一、三元組格式（主詞－關係－受詞）】\n王大明－前往－台北")


def test_nested_schemas_are_forced_but_not_copied() -> None:
    nested = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}},
    }
    rules = grammar("schema", "own", (), nested, "en", ARTICLE)
    assert takes(rules, '{"a": {"b": "x"}}')
    assert not takes(rules, '{"a":{"b":"x"}}'), "labels have json.dumps' own separators"
    assert not takes(rules, '{"a": {"b": 1}}')
    with pytest.raises(EtlchError, match="nested"):
        grammar("copy", "own", (), nested, "en", ARTICLE)

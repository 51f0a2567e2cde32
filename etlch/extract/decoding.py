"""Grammars that keep an answer to its label's form, and to words of the article (llguidance's Lark dialect).

`schema` lets the model write any string where a value belongs; `copy` lets it write only runs of whole
words of the article (single characters where a script has no spaces), so that no value can be invented.
Keys, brackets, headers and separators are those of the rendered labels, to the space.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import Decoding
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.tasks.kge import HEADERS, SEPARATORS
from etlch.text.normalize import is_cjk

_WORD = re.compile(r"\w+|\s|.", re.DOTALL)


def grammar(
    decoding: Decoding, task: str, keys: Sequence[str], schema: Json, language: str, article: str
) -> str:
    """Return the grammar of one answer; empty where decoding is free.

    Args:
        decoding: free, schema or copy.
        task: json, ner, kge, or a task with a schema.
        keys: types or fields in the label's order; empty lets the model choose.
        schema: the label's JSON schema; used for nested labels.
        language: decides header and separator of triples.
        article: the piece of the document asked about; used by copy.

    Raises:
        EtlchError: copy is asked for a nested schema.
    """
    if decoding == "free":
        return ""
    if task == "kge":
        return _triples(decoding, language, article)
    if _is_flat(schema):
        return _flat(decoding, keys, task == "json", article)
    if decoding == "copy":
        raise EtlchError(
            _("decoding: copy is for flat labels and triples; this model's schema is nested"),
            _("Use --decoding schema; ungrounded values are dropped or flagged all the same."),
        )
    written = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
    return "start: %json " + json.dumps({**schema, "x-guidance": written}, ensure_ascii=False)


def gbnf_triples(language: str) -> str:
    """Return the form of triples in llama.cpp's grammar notation (GBNF), for servers: a header, a triple a line.

    Args:
        language: decides header and separator.
    """
    separator = SEPARATORS[language]
    bare = separator.strip()
    return "\n".join(
        (
            f'root ::= {_quoted(HEADERS[language])} ("\\n" part {_quoted(separator)} part {_quoted(separator)} part)*',
            "part ::= edge (inner* edge)?",
            f"edge ::= [^ \\t\\n{bare}]",
            f"inner ::= [^\\n{bare}]",
        )
    )


def words(article: str) -> list[str]:
    """Return the pieces that a copied value is made of: words, and each CJK character by itself."""
    found: list[str] = []
    for match in _WORD.finditer(article):
        text = match.group()
        if any(is_cjk(char) for char in text):
            found += re.findall(r"[^\W\d]|\d+|.", text)
        else:
            found.append(text)
    return found


def _is_flat(schema: Json) -> bool:
    """Tell whether every value of a label is a list of strings."""
    properties = (schema or {}).get("properties") or {}
    return all(
        part.get("type") == "array" and (part.get("items") or {}).get("type") == "string"
        for part in properties.values()
    )


def _flat(decoding: Decoding, keys: Sequence[str], keep_empty: bool, article: str) -> str:
    """A flat object of lists: every key in order where empty lists are kept, else any of them in order."""
    value = _value(decoding, [json.dumps(piece, ensure_ascii=False)[1:-1] for piece in words(article)])
    listed = '"[" (value (", " value)*)? "]"' if keep_empty else '"[" value (", " value)* "]"'
    if keep_empty and keys:
        pairs = ' ", " '.join(f"{_quoted(json.dumps(key, ensure_ascii=False) + ': ')} list" for key in keys)
        start = f'start: "{{" {pairs} "}}"'
        rules = [start]
    else:
        key = (
            " | ".join(_quoted(json.dumps(key, ensure_ascii=False)) for key in keys)
            if keys
            else '/"[^"\\\\\\n]+"/'
        )
        rules = ['start: "{" (pair (", " pair)*)? "}"', 'pair: KEY ": " list', f"KEY: {key}"]
    return "\n".join([*rules, f"list: {listed}", 'value: "\\"" VALUE "\\""', *value])


def _triples(decoding: Decoding, language: str, article: str) -> str:
    """A header, then one triple a line. The lexer never steps back, so a part carries its separator along."""
    separator = SEPARATORS[language]
    bare = re.escape(separator.strip())
    free = f"/[^\\s{bare}]([^\\n{bare}]*[^\\s{bare}])?/"
    pieces = [piece for piece in words(article) if piece not in ("\n", separator.strip())]
    return "\n".join(
        (
            f"start: {_quoted(HEADERS[language])} (NEWLINE SUBJECT RELATION OBJECT)*",
            f"NEWLINE: {_quoted(chr(10))}",
            f"SUBJECT: OBJECT {_quoted(separator)}",
            f"RELATION: {free} {_quoted(separator)}",
            *(_copied("OBJECT", pieces) if decoding == "copy" else (f"OBJECT: {free}",)),
        )
    )


def _value(decoding: Decoding, pieces: list[str]) -> list[str]:
    """Return the rules of a JSON string's inside: any without blank edges, or a run of the article's words."""
    if decoding == "copy":
        return _copied("VALUE", pieces)
    return [r'VALUE: /([^\s"\\\n]|\\.)(([^"\\\n]|\\.)*([^\s"\\]|\\.))?/']


def _copied(name: str, pieces: list[str]) -> list[str]:
    """Return the rules of a terminal that matches runs of pieces, not empty and without blank edges."""
    listed = json.dumps(pieces, ensure_ascii=False)
    return [f"{name}: COPIED & /\\S(.*\\S)?/", f'COPIED: %regex {{ "substring_chunks": {listed} }}']


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Parts of a page: what data can say, and what it can never do."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest

from etlch.render import html as page
from etlch.render.html import Answer, Cell, Html, Sample, ShownFact, element

ATTACKS = [
    "<script>alert(1)</script>",
    "</textarea><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    '" onmouseover="alert(1)',
    "]]>&lt;b&gt;",
    "</style><style>*{display:none}</style>",
    "\u2028alert(1)\u2029",
    "a\ud800b\x00c",
]


class Reader(HTMLParser):
    """Collects what a browser's parser would see: tags, attributes, text."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_is_shown_and_never_becomes_markup(attack: str) -> None:
    read = Reader(element("p", attack, title=attack))
    shown = attack.replace("\x00", "\ufffd").replace("\ud800", "\\ud800")
    assert read.tags == ["p"]
    assert "".join(read.text) == shown
    assert read.attributes == [("title", shown)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_data_for_the_script_cannot_end_its_element(attack: str) -> None:
    block = page.data_block("held", {"text": attack, attack: 1})
    read = Reader(block + element("i", "after"))
    assert read.tags == ["script", "i"]
    assert block.count("<") == 2
    assert json.loads(read.text[0])["text"] == attack


def test_markup_made_here_is_not_escaped_twice() -> None:
    assert element("p", element("b", "1 < 2"), " & so on") == "<p><b>1 &lt; 2</b> &amp; so on</p>"
    assert isinstance(element("p"), Html)


def test_attributes_are_left_out_written_alone_or_with_a_value() -> None:
    made = element("input", type="search", hidden=False, required=True, aria_label=None, class_="a b")
    assert made == '<input type="search" required class="a b">'


def test_a_table_marks_headings_numbers_and_the_best() -> None:
    made = page.table(
        "scores", ["model", "F1"], [["etlch", Cell("0.91", "[0.89, 0.93]", strong=True, heat=12)]]
    )
    assert '<th scope="row">etlch</th>' in made
    assert '<th scope="col" class="number">F1</th>' in made
    assert '<td class="number strong heat-9"><b>0.91</b><span class="note">[0.89, 0.93]</span></td>' in made
    assert "<caption>scores</caption>" in made and 'role="region"' in made


def test_a_picture_lies_inside_the_page_and_has_words() -> None:
    made = page.picture(b"<svg/>", "ner: 0.9", "Facts F1", key={"label-1": "臺灣"})
    source = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', made)
    assert source is not None and base64.b64decode(source.group(1)) == b"<svg/>"
    assert 'alt="ner: 0.9"' in made and "<dt>label-1</dt><dd>臺灣</dd>" in made


def test_the_policy_names_exactly_this_style_and_this_script() -> None:
    text = page.document("A title", "below it", [("one", "One", element("p", "text"))])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(policy.group(1)).split(";"))
    for rule, name in (("style-src", "style"), ("script-src", "script")):
        body = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert body is not None
        wanted = base64.b64encode(hashlib.sha256(body.group(1).encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{wanted}'"
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert "unsafe" not in policy.group(1)


def test_a_page_asks_nobody_for_anything() -> None:
    text = page.document("A title", "", [("one", "One", page.picture(b"<svg/>", "a", "b"))])
    addresses = [
        value for name, value in Reader(text).attributes if name in ("src", "href", "action", "srcset")
    ]
    assert addresses and all(value.startswith(("data:", "#")) for value in addresses)
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text


def sample(number: int, text: str = "{}") -> Sample:
    fact = ShownFact(("人物", "王小明"), ((0, 3),))
    answer = Answer(
        "m", text, 0.5, "partly", ("missing",),
        (ShownFact(fact.parts, fact.spans, "missing", "note"),), (),
    )  # fmt: skip
    return Sample(
        f"s{number}", "ner", "zh-TW", "請做 NER", "王小明來了", '{"人物": ["王小明"]}', (fact,), (answer,)
    )


def held_by(markup: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', markup, re.DOTALL)
    assert found is not None
    value: dict[str, object] = json.loads(found.group(1))
    return value


def test_the_browser_stores_each_text_once() -> None:
    data = held_by(page.browser([sample(1), sample(2)]))
    assert data["texts"] == ["請做 NER", "王小明來了"]
    assert data["models"] == ["m"] and data["tasks"] == ["ner"] and data["errors"] == ["missing"]


def test_a_browser_without_predictions_has_no_model_filters() -> None:
    alone = Sample("s1", "ner", "en", "Find entities", "Ann came", '{"Person": ["Ann"]}', ())
    made = page.browser([alone])
    assert 'name="task"' in made and 'name="model"' not in made and 'name="sort"' not in made

"""Documents as people have them: PDF, Word, HTML, e-mail, other encodings; expected texts are those written here."""

from __future__ import annotations

import gzip
import json
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError, Notice
from etlch.dataset.converters import unwrapped
from etlch.dataset.documents import own_texts, read_documents
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.rows import RowOptions
from etlch.tasks import find_task
from etlch.text.encodings import decode

ZH = "台積電在高雄設立新廠，總投資額為新台幣三千億元。董事長表示，該廠將於2025年量產，並與當地大學合作。"
CN = "华为公司在深圳发布新手机，总裁表示，该机型将于2025年量产，并与多家供应商合作。"


def pdf(path: Path, pages: list[tuple[str, list[list[str]]]]) -> Path:
    """Write paragraphs and tables, a page each, in a font that is not embedded: such files need a reader's own maps."""
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

    pdfmetrics.registerFont(UnicodeCIDFont("MSung-Light"))
    style = ParagraphStyle("zh", fontName="MSung-Light", fontSize=12, leading=18, wordWrap="CJK")
    flow: list[object] = []
    for text, rows in pages:
        flow.append(Paragraph(text, style))
        if rows:
            flow.append(Table(rows, style=[("FONT", (0, 0), (-1, -1), "MSung-Light")]))
        flow.append(PageBreak())
    SimpleDocTemplate(str(path), title="年報", invariant=1).build(flow)
    return path


def test_a_chinese_pdf_keeps_sentences_tables_and_the_page_of_each_part(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", [(ZH * 2, [["公司", "城市"], ["台積電", "高雄"]]), ("第二頁：" + ZH, [])])
    (document,) = read_documents(str(path))
    assert document.title == "年報"
    assert ZH * 2 in document.text.replace("\n", "") and "第二頁：" + ZH in document.text
    assert "公司 城市\n台積電 高雄" in document.text
    first, second = document.pages
    assert document.text[second:].startswith("第二頁：") and first == 0
    texts = own_texts(make_settings(articles=str(path), chunk=80).plan)
    for part in texts.candidates:
        page, _, place = part.source.removeprefix("a.pdf#page").partition(":")
        low, high = map(int, place.split("-"))
        assert part.text == document.text[low:high] and (low >= second) == (page == "2")
    assert f"1 documents → {len(texts.candidates)} parts: 1 documents are longer than 80" in texts.told


def test_lines_are_joined_where_the_width_broke_them_and_nowhere_else() -> None:
    page = "Heading\r\nThis line was broken by the wi\ufffe\r\ndth of the page and goes on\r\nhere. The end.\r\nA row\r\n"
    assert unwrapped(page) == (
        "Heading\nThis line was broken by the width of the page and goes on here. The end.\nA row"
    )


def test_word_html_and_mail(tmp_path: Path) -> None:
    word = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
        "<w:p><w:r><w:t>甲方</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>林明</w:t></w:r><w:r><w:t>簽約。</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>租金</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>1,200</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>"
    )
    kinds = "http://schemas.openxmlformats.org/package/2006/content-types"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", word)
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{kinds}"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="r" Type="http://schemas.openxmlformats.org/'
            'officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        )
    (tmp_path / "b.html").write_bytes(
        '<html><head><meta charset="big5"><title>標題</title><script>var x</script></head><body><h1>公告</h1>'
        "<p>內容<b>很_好</b>，見<a href='x'>此</a>。</p></body></html>".encode("big5")
    )
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "Ada <ada@x.org>", "合約 5"
    mail.set_content(ZH, charset="big5")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="x.pdf")
    (tmp_path / "c.eml").write_bytes(mail.as_bytes())
    with pytest.warns(Notice, match=r"c\.eml: not read: 1 attachments"):
        word_text, html, letter = read_documents(str(tmp_path))
    assert word_text.text.startswith("甲方林明簽約。\n\n|") and "| 租金 | 1,200 |" in word_text.text
    assert (html.title, html.text) == ("標題", "# 公告\n\n內容很_好，見此。")
    assert letter.title == "合約 5"
    assert letter.text == f"From: Ada <ada@x.org>\nSubject: 合約 5\n\n{ZH}"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (ZH, "big5", "Big5"),
        ("王小明住在台北。", "big5", "Big5"),
        (CN, "gb18030", "GB18030"),
        ("王小明住在北京。", "gb18030", "GB18030"),
        (ZH, "utf-16", "UTF-16"),
        (ZH, "utf-16-le", "UTF-16"),
        ("plain words", "utf-16-be", "UTF-16"),
        ("Café Zoë in München — “naïve” façade", "cp1252", "Windows-1252"),
        (ZH, "utf-8-sig", "UTF-8"),
    ],
)
def test_encodings_are_found(text: str, codec: str, name: str) -> None:
    assert decode(text.encode(codec), "x") == (text, name)


def test_damaged_utf8_is_not_taken_for_another_encoding() -> None:
    content = ZH.encode()
    with pytest.raises(EtlchError, match="is not whole UTF-8"):
        decode(content[:30] + content[31:], "x")


def test_a_folder_says_what_it_took_and_what_it_did_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(ZH.encode("big5"))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(CN.encode("gb18030")))
    (tmp_path / "c.json").write_text(json.dumps([{"text": "One."}, {"text": "Two."}]), encoding="utf-8")
    for name in ("x.doc", "y.doc", "z.png"):
        (tmp_path / name).write_bytes(b"\x89")
    with pytest.warns(Notice) as told:
        found = read_documents(str(tmp_path))
    assert [item.text for item in found] == [ZH, CN, "One.", "Two."]
    said = [str(item.message).partition(": ")[2] for item in told]
    assert said == ["not read: 2 .doc, 1 .png", "files that are not UTF-8 were read 1 as Big5, 1 as GB18030"]


def test_labelled_data_are_read_in_other_encodings_too(tmp_path: Path) -> None:
    task = find_task("ner")
    (tmp_path / "a.bio").write_bytes("台\tB-Place\n北\tI-Place\n有\tO\n雨\tO\n".encode("big5"))
    rows = [{"text": "王小明住在台北。", "label": [[0, 3, "Person"]]}]
    (tmp_path / "b.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode("utf-16"))
    with pytest.warns(Notice, match="read as"):
        source = read_path(tmp_path, task, RowOptions())
    facts = [fact.fact for text in source.texts[""] for fact in text.facts]
    assert facts == [("Place", "台北"), ("Person", "王小明")]


def test_the_command_says_how_many_parts_come_of_how_many_documents(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(3):
        (tmp_path / "texts" / f"{number}.txt").write_text(ZH * 40, encoding="utf-8")
    settings = tmp_path / "s.yaml"
    settings.write_text("price: {input: 1, output: 1}\n", encoding="utf-8")
    words = [
        "--articles",
        str(tmp_path / "texts"),
        "--sizes",
        "1",
        "--test",
        "1",
        "--settings",
        str(settings),
    ]
    done = CliRunner().invoke(main, ["estimate", "--teacher", "m", *words, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "3 documents → 6 parts: 3 documents are longer than 1,500 characters" in done.output
